"""A trained net that no longer changes: it predicts fast, and threads may share it."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Never, Self, final

import numpy as np
from numpy.typing import ArrayLike

from makemore_cpp import _core, checks
from makemore_cpp._core import FileError
from makemore_cpp.arrays import AnyTexts, Float32, Float64
from makemore_cpp.data.origin import origin_fields, origin_of_fields, recalled, training_texts
from makemore_cpp.data.texts import DataOrigin
from makemore_cpp.data.vocab import Vocab
from makemore_cpp.files.tensors import Content, check_types
from makemore_cpp.models.neighbours import DEFAULT_NEIGHBOURS, nearest
from makemore_cpp.text.model import Model
from makemore_cpp.text.saved import NET_FORMAT, VERSION, add_reader, take_vocab, vocab_fields
from makemore_cpp.text.scoring import OOV

MODEL_FILE = "model.safetensors"
CHECKPOINT_FILE = "checkpoint.safetensors"  # in the folder of a run that is not finished
SIZES = ("block_size", "n_embd", "n_hidden", "vocab_size")
DATA_TYPES = {"name": (str,), "sha256": (str,), "split_seed": (int, type(None))}


class Net(Model):
    """The base class of `MLP` and `LanguageModel`: sizes, a file, and the origin of the data.

    A subclass has ``sizes``, ``direct``, ``data``, and the methods below that are not implemented.
    """

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def sizes(self) -> tuple[int, int, int, int]:
            """(T, E, H, V)."""

        @property
        def direct(self) -> bool:
            """Whether there are direct connections from the embeddings to the output layer."""

        @property
        def data(self) -> DataOrigin | None:
            """The data that the model was trained on, where they are known."""

    def _contents(self) -> _core.SavedModel:
        """Return the contents of the model's file."""
        raise NotImplementedError

    def _embeddings(self) -> Float32:
        """Return C (V,E)."""
        raise NotImplementedError

    @classmethod
    def _of_contents(cls, saved: _core.SavedModel, data: DataOrigin | None) -> Self:
        """Return the model that has these contents of a file."""
        raise NotImplementedError

    @property
    def block_size(self) -> int:
        """T, the number of tokens in a context."""
        return self.sizes[0]

    @property
    def n_embd(self) -> int:
        """E, the length of an embedding."""
        return self.sizes[1]

    @property
    def n_hidden(self) -> int:
        """H, the number of hidden units."""
        return self.sizes[2]

    @property
    def vocab_size(self) -> int:
        """V, the number of tokens."""
        return self.sizes[3]

    def nearest(self, token: str, k: int = DEFAULT_NEIGHBOURS) -> list[tuple[str, float]]:
        """Return the k other tokens whose embeddings are nearest to that of a token, by cosine.

        Bengio et al. (2003) argue that words of similar use get similar embeddings. Among tokens of
        equal cosine the one with the lower number comes first; an embedding of zeros has the cosine
        0 with all.

        Parameters
        ----------
        token : str
            A token of the vocabulary; the boundary and the unknown token count too.
        k : int
            The number of tokens; fewer are returned where the vocabulary has no more.

        Returns
        -------
        list of (str, float)
            Tokens and cosines, the nearest first.

        Raises
        ------
        TypeError
            `token` is not a str, or `k` not an integer.
        ArgumentError
            The token is not in the vocabulary, `k` is below 1, or an embedding is not finite.
        """
        return nearest(self.vocab, self._embeddings(), token, k)

    def training_texts(self) -> frozenset[str] | None:
        """Return the texts that the model was trained on, or None where it does not know them.

        Raises
        ------
        ArgumentError
            The file that the model was trained on has changed.
        FileError
            The file cannot be read.
        """
        return None if self.data is None else frozenset(training_texts(self.data, self.vocab))

    def save(self, path: str | bytes | os.PathLike[str]) -> None:
        """Write the model to one safetensors file, atomically; the same model gives the same bytes.

        Raises
        ------
        TypeError
            `path` is not a path.
        FileError
            The file cannot be written; an older one is as it was.
        ArgumentError
            A parameter is not finite.
        """
        self._contents().save(checks.path("path", path))

    def to_bytes(self) -> bytes:
        """Return the bytes that `save` writes.

        Raises
        ------
        ArgumentError
            A parameter is not finite.
        """
        return self._contents().to_bytes()

    @classmethod
    def load(cls, path: str | bytes | os.PathLike[str]) -> Self:
        """Return the model of a file, or of a run folder that holds ``model.safetensors``.

        Raises
        ------
        TypeError
            `path` is not a path.
        FileError
            The file cannot be read.
        FormatError
            Its bytes are not a model's, or were changed.
        """
        return cls._of_contents(*load_saved(path))

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "bytes") -> Self:
        """Return the model of the bytes of `to_bytes` or of a file, which errors call `name`.

        Raises
        ------
        TypeError
            `data` is not bytes, or `name` not a str.
        FormatError
            The bytes are not a model's, or were changed.
        """
        saved = _core.SavedModel.from_bytes(data, name)
        return cls._of_contents(saved, data_of(saved))


@final
class LanguageModel(Net):
    """A frozen copy of a net, made by `MLP.freeze` or `load`.

    Any number of threads may use it at the same time. Its results are those of the `MLP`, bit for
    bit; where contexts are few, it stores the distributions of all after enough calls.

    Parameters
    ----------
    saved : SavedModel
        The contents of a model file.
    vocab : Vocab, optional
        By default a new one equal to that of `saved`.
    data : DataOrigin, optional
        By default the origin in `saved`, which holds no path.
    """

    __slots__ = ("_data", "_net", "_saved", "_vocab")
    _net: _core.LanguageModel
    _saved: _core.SavedModel
    _vocab: Vocab
    _data: DataOrigin | None

    def __init__(
        self,
        saved: _core.SavedModel,
        vocab: Vocab | None = None,
        data: DataOrigin | None = None,
    ) -> None:
        set_once = super().__setattr__
        set_once("_net", _core.LanguageModel(saved))
        set_once("_saved", saved)
        set_once("_vocab", vocab_of(saved) if vocab is None else vocab)
        set_once("_data", data_of(saved) if data is None else data)

    def __getattr__(self, name: str) -> Never:
        if name in self.__slots__:
            raise checks.not_constructed(self)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a LanguageModel does not change: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a LanguageModel does not change: {name} cannot be deleted")

    def _contents(self) -> _core.SavedModel:
        return self._saved

    def _embeddings(self) -> Float32:
        return self._saved.parameters[0]

    @classmethod
    def _of_contents(cls, saved: _core.SavedModel, data: DataOrigin | None) -> Self:
        return cls(saved, data=data)

    @property
    def vocab(self) -> Vocab:
        """The vocabulary."""
        return self._vocab

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """(T, E, H, V)."""
        return self._net.sizes

    @property
    def direct(self) -> bool:
        """Whether there are direct connections from the embeddings to the output layer."""
        return self._net.direct

    @property
    def data(self) -> DataOrigin | None:
        """The data that the model was trained on, where they are known."""
        return self._data

    def freeze(self) -> Self:
        """Return the model itself."""
        return self

    def log_probs(self, X: ArrayLike, threads: int | None = None) -> Float32:
        """Return the log-probabilities (N,V) of the token after each context X (N,T).

        It raises what `MLP.log_probs` does.
        """
        return self._net.log_probs(X, threads=threads)

    # The next two methods call the core directly; `Model` has slower ones for models of any kind.
    def score(self, texts: AnyTexts, oov: OOV = "error", threads: int | None = None) -> Float64:
        """Return the log-probability of each text and its end, in nats; see `text.score`."""
        checks.refuse_table("texts", texts)
        return self._net.score(texts, oov, threads)

    def next(self, prefix: str) -> Float32:
        """Return the probabilities (V,) of the token after `prefix`; see `next_probs`."""
        return self._net.next(prefix)

    def core_predictor(self) -> _core.LanguageModel:
        """Return the frozen net."""
        return self._net

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _of_bytes, (self._saved.to_bytes(), self._vocab, self._data)

    def __repr__(self) -> str:
        return (
            f"LanguageModel(block_size={self.block_size}, n_embd={self.n_embd}, "
            f"n_hidden={self.n_hidden}, vocab_size={self.vocab_size}"
            f"{', direct=True' * self.direct})"
        )


def _of_bytes(data: bytes, vocab: Vocab, origin: DataOrigin | None = None) -> LanguageModel:
    return LanguageModel(_core.SavedModel.from_bytes(data, "the pickled model"), vocab, origin)


# -- the contents of a model file ------------------------------------------------------------------
def load_saved(
    path: str | bytes | os.PathLike[str],
) -> tuple[_core.SavedModel, DataOrigin | None]:
    """Return the contents of a model file, or of a run folder's model, and the data's origin."""
    place = checks.path("path", path)
    folder, file = os.path.split(place)
    if os.path.isdir(place):
        folder, file = place, MODEL_FILE
        is_unfinished = os.path.exists(os.path.join(place, CHECKPOINT_FILE))
        if is_unfinished and not os.path.exists(os.path.join(place, MODEL_FILE)):
            raise FileError(f"the run in {place} is not finished; train --resume {place} goes on")
    file_path = os.path.join(folder, file)
    saved = _core.SavedModel.load(file_path)
    return saved, data_at(file_path, saved)


def data_at(path: str, saved: _core.SavedModel) -> DataOrigin | None:
    """Return the origin of a model file's data, with the path if the run folder around knows it."""
    folder, file = os.path.split(path)
    data = data_of(saved)
    return recalled(folder or os.curdir, data) if file == MODEL_FILE else data


def vocab_of(saved: _core.SavedModel) -> Vocab:
    """Return the vocabulary of a saved model."""
    found = saved.vocabulary
    return Vocab(found.tokens, found.boundary, found.separator, found.unknown)


def data_of(saved: _core.SavedModel) -> DataOrigin | None:
    """Return the origin of a saved model's data, or None where it is not known."""
    return None if saved.data is None else origin_of_fields(*saved.data)


# -- a net as a part of other files ----------------------------------------------------------------
class Description(NamedTuple):
    """A net without its parameters, as the fields of a file describe it."""

    sizes: tuple[int, int, int, int]  # T, E, H, V
    direct: bool
    vocab: Vocab
    data: tuple[str, str, int | None] | None

    def with_parameters(self, five: Mapping[str, Float32]) -> _core.SavedModel:
        """Return the contents of a model file; raise ArgumentError where they are wrong."""
        return _core.SavedModel(self.vocab, **five, data=self.data)


def description_fields(net: Net) -> dict[str, Any]:
    """Return the fields that describe a net."""
    data = origin_fields(net.data)
    return {
        **dict(zip(SIZES, net.sizes, strict=True)),
        **({"direct": True} if net.direct else {}),
        **vocab_fields(net.vocab),
        "data": None if data is None else dict(zip(DATA_TYPES, data, strict=True)),
    }


def take_description(content: Content) -> Description:
    """Take the fields of `description_fields` and return what they describe."""
    T, E, H, V = (content.take(name, int) for name in SIZES)
    direct = content.has("direct") and content.take("direct", bool)
    vocab = take_vocab(content)
    data = content.take("data", dict, type(None))
    if data is not None:
        check_types("data", data, DATA_TYPES)
        data = tuple(data.values())
    return Description((T, E, H, V), direct, vocab, data)


def take_parameters(
    content: Content, description: Description, prefix: str = ""
) -> dict[str, Float32]:
    """Take five arrays, named by `prefix` and the parameter, and return them by parameter."""
    T, E, H, V = description.sizes
    size_of = {"V": V, "E": E, "K": T * E, "H": H, "F": H + T * E * description.direct}
    return {
        name: content.array(prefix + name, np.float32, *map(size_of.__getitem__, shape))
        for name, shape in _core.PARAMETERS
    }


def take_saved(content: Content) -> _core.SavedModel:
    """Take all fields and arrays, and return the contents of a model file."""
    content.check_format(NET_FORMAT, VERSION)
    description = take_description(content)
    five = take_parameters(content, description)
    content.check_nothing_left()
    return description.with_parameters(five)


add_reader(NET_FORMAT, lambda content: LanguageModel(take_saved(content)))
