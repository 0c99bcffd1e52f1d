"""One way to save and to load for all models that this package makes."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from makemore_cpp import _core, checks, files
from makemore_cpp._core import ArgumentError, FormatError
from makemore_cpp.language_model import LanguageModel
from makemore_cpp.tensor_file import Content, naming, to_bytes
from makemore_cpp.vocab import Vocab

PREFIX = "makemore_cpp"  # of every format; alone it is that of a net
VERSION = 1
_KINDS: dict[str, type["Saved"]] = {}


class Saved:
    """A base for what has a file: subclasses say what stands in it, and how that is read.

    A class that names its `_KIND` has a format of its own.
    """

    _KIND: ClassVar[str]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "_KIND" in vars(cls):
            _KINDS[cls._KIND] = cls

    def _content(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the fields and the arrays of the file."""
        raise NotImplementedError

    @classmethod
    def _of_content(cls, content: Content) -> Self:
        """Return what they describe, or raise any error about what is wrong with them."""
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """Return the bytes that `save` writes; the same content gives the same bytes.

        Raises
        ------
        TypeError
            A model inside is of a class that has no `to_bytes`.
        ArgumentError
            A number is not finite.
        """
        return to_bytes(f"{PREFIX} {self._KIND}", VERSION, *self._content())

    def save(self, path: str | bytes | os.PathLike[str]) -> None:
        """Write one file, atomically; an older one of that name is replaced.

        Raises
        ------
        FileError
            The file cannot be written.
        TypeError, ArgumentError
            As `to_bytes`.
        """
        files.replace(checks.path("path", path), self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "bytes") -> Self:
        """Return what `to_bytes` has written; errors call the bytes `name`.

        Raises
        ------
        TypeError
            `data` is not bytes, or `name` not a str.
        FormatError
            The bytes are not those of this class, or were changed.
        """
        content = Content(data, name)
        with naming(name):
            return cls._read(content)

    @classmethod
    def _read(cls, content: Content) -> Self:
        content.check_format(f"{PREFIX} {cls._KIND}", VERSION)
        result = cls._of_content(content)
        content.check_nothing_left()
        return result

    @classmethod
    def load(cls, path: str | bytes | os.PathLike[str]) -> Self:
        """Return what a file holds.

        Raises
        ------
        TypeError
            `path` is no path.
        FileError
            The file cannot be read.
        FormatError
            Its bytes are not those of this class, or were changed.
        """
        place = checks.path("path", path)
        return cls.from_bytes(_core.read_tensor_file(place), place)


def load(path: str | bytes | os.PathLike[str]) -> Any:
    """Return the model of a file, of whatever class, or that of a run folder.

    Parameters
    ----------
    path : str, bytes or path
        What `save` of any model has written, or ``train`` a run folder.

    Returns
    -------
    LanguageModel, NGram, InterpolatedNGram, KneserNey, Mixture or Detector
        A net that is to be trained on is that of ``MLP.load``.

    Raises
    ------
    TypeError
        `path` is no path.
    FileError
        The file cannot be read.
    FormatError
        Its bytes are not those of a model, or were changed.
    """
    place = checks.path("path", path)
    if os.path.isdir(place):
        return LanguageModel.load(place)
    data = _core.read_tensor_file(place)
    kind = _kind_of(Content(data, place))
    return LanguageModel.load(place) if kind is None else kind.from_bytes(data, place)


def _kind_of(content: Content) -> type[Saved] | None:
    """Return the class of which a file holds one, or None where it must be a net."""
    return _KINDS.get(content.format.removeprefix(f"{PREFIX} "))


# -- what several classes keep ---------------------------------------------------------------------
def vocab_fields(vocab: Vocab) -> dict[str, Any]:
    """Return the fields that describe a vocabulary."""
    return {"boundary": vocab.boundary, "characters": vocab.characters}


def take_vocab(content: Content) -> Vocab:
    """Return the vocabulary that the fields describe."""
    boundary = content.take("boundary", str)
    return Vocab(content.texts("characters"), boundary)


def text_arrays(texts: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return arrays that hold texts: their UTF-8 one after another, and their lengths."""
    joined = np.frombuffer("".join(texts).encode(), np.uint8)
    return {"lengths": np.fromiter(map(len, texts), np.int64, len(texts)), "texts": joined}


def take_texts(content: Content) -> list[str]:
    """Return the texts that the arrays hold."""
    lengths = content.array("lengths", np.int64, None)
    try:
        joined = content.array("texts", np.uint8, None).tobytes().decode()
    except UnicodeDecodeError:
        raise ArgumentError("the texts are not UTF-8") from None
    # Each is compared before they are added, as a sum may overflow.
    if len(lengths) and not 0 <= lengths.min() <= lengths.max() <= len(joined):
        raise ArgumentError("the lengths of the texts are impossible")
    ends = np.cumsum(lengths).tolist()
    if (ends or [0])[-1] != len(joined) or (len(ends) and min(ends) < 0):
        raise ArgumentError("the lengths of the texts do not fit the texts")
    return [joined[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def model_arrays(named: Mapping[str, object]) -> dict[str, NDArray[Any]]:
    """Return arrays that hold the bytes of models."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, model in named.items():
        if not callable(getattr(model, "to_bytes", None)):
            raise TypeError(f"{name} is a {type(model).__name__}, which has no to_bytes")
        arrays[name] = np.frombuffer(model.to_bytes(), np.uint8)  # type: ignore[attr-defined]
    return arrays


def take_model(content: Content, name: str) -> Any:
    """Return the model whose bytes an array holds; a net is frozen."""
    data = content.array(name, np.uint8, None).tobytes()
    try:
        inner = content.inside(data, name)
        kind = _kind_of(inner)
        return LanguageModel.from_bytes(data, name) if kind is None else kind._read(inner)
    except FormatError as error:  # about bytes inside of a file, which has a name
        raise ArgumentError(str(error)) from None
