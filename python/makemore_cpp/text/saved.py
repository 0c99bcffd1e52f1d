"""Saving and loading, the same for all models of this package."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from makemore_cpp import _core, checks, files
from makemore_cpp._core import ArgumentError, FormatError
from makemore_cpp.data.vocab import Vocab
from makemore_cpp.files.tensors import Content, naming, to_bytes

NET_FORMAT = "makemore_cpp"  # of a net; other formats add the name of a class
VERSION = 1

Reader = Callable[[Content], Any]  # from the content of a file to the object that it describes
_READERS: dict[str, Reader] = {}


def add_reader(format: str, reader: Reader) -> None:
    """Register the reader of files of this format."""
    _READERS[format] = reader


class Saved:
    """A base class of objects with a file; `_content` and `_of_content` define what it holds.

    A subclass with the attribute `_KIND` has its own format.
    """

    _KIND: ClassVar[str]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "_KIND" in vars(cls):
            add_reader(cls._format(), cls._read)

    @classmethod
    def _format(cls) -> str:
        return f"{NET_FORMAT} {cls._KIND}"

    def _content(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the fields and the arrays of the file."""
        raise NotImplementedError

    @classmethod
    def _of_content(cls, content: Content) -> Self:
        """Return the object that the fields and arrays describe; raise an error if they are wrong.

        The caller turns the error into a FormatError.
        """
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """Return the bytes that `save` writes; the same content gives the same bytes.

        Raises
        ------
        TypeError
            The class of a model inside has no `to_bytes`.
        ArgumentError
            A number is not finite.
        """
        return to_bytes(self._format(), VERSION, *self._content())

    def save(self, path: str | bytes | os.PathLike[str]) -> None:
        """Write one file, atomically; an older one of that name is replaced.

        Raises
        ------
        FileError
            The file cannot be written.
        TypeError, ArgumentError
            `to_bytes` raises it.
        """
        files.replace(checks.path("path", path), self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "bytes") -> Self:
        """Return the object of bytes that `to_bytes` has made; errors call the bytes `name`.

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
        content.check_format(cls._format(), VERSION)
        result = cls._of_content(content)
        content.check_nothing_left()
        return result

    @classmethod
    def load(cls, path: str | bytes | os.PathLike[str]) -> Self:
        """Return the object of a file.

        Raises
        ------
        TypeError
            `path` is not a path.
        FileError
            The file cannot be read.
        FormatError
            Its bytes are not those of this class, or were changed.
        """
        place = checks.path("path", path)
        return cls.from_bytes(_core.read_tensor_file(place), place)


def reader_of(content: Content) -> Reader:
    """Return the reader of files of this format, or raise ArgumentError where there is none."""
    if content.format not in _READERS:
        raise ArgumentError(f"its format is {checks.quoted(content.format)}, which is no model's")
    return _READERS[content.format]


# -- fields and arrays of several classes ----------------------------------------------------------
def vocab_fields(vocab: Vocab) -> dict[str, Any]:
    """Return the fields that describe a vocabulary."""
    if vocab.is_plain:
        return {"boundary": vocab.boundary, "characters": vocab.tokens}
    general = {"tokens": vocab.tokens, "separator": vocab.separator, "unknown": vocab.unknown}
    return {"boundary": vocab.boundary, **general}


def take_vocab(content: Content) -> Vocab:
    """Return the vocabulary that the fields describe."""
    boundary = content.take("boundary", str)
    if not content.has("tokens"):
        return Vocab(content.texts("characters"), boundary)
    tokens = content.texts("tokens")
    separator, unknown = content.take("separator", str), content.take("unknown", str, type(None))
    vocab = Vocab(tokens, boundary, separator, unknown)
    if vocab.is_plain:
        raise ArgumentError("the tokens in the metadata are characters, but not named so")
    return vocab


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
    # Each length is checked before they are added, because a sum may overflow.
    if len(lengths) and not 0 <= lengths.min() <= lengths.max() <= len(joined):
        raise ArgumentError("the lengths of the texts are impossible")
    ends = np.cumsum(lengths).tolist()
    if (ends or [0])[-1] != len(joined) or (len(ends) and min(ends) < 0):
        raise ArgumentError("the lengths of the texts do not fit the texts")
    return [joined[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def model_arrays(named: Mapping[str, object]) -> dict[str, NDArray[Any]]:
    """Return arrays that hold the bytes of the named models."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, model in named.items():
        if not callable(getattr(model, "to_bytes", None)):
            raise TypeError(f"{name} is a {type(model).__name__}, which has no to_bytes")
        arrays[name] = np.frombuffer(model.to_bytes(), np.uint8)  # type: ignore[attr-defined]
    return arrays


def take_model(content: Content, name: str) -> Any:
    """Return the model whose bytes an array holds; a net is a LanguageModel."""
    data = content.array(name, np.uint8, None).tobytes()
    try:
        inner = content.inside(data, name)
        return reader_of(inner)(inner)
    except FormatError as error:  # the caller adds the name of the file around these bytes
        raise ArgumentError(str(error)) from None
