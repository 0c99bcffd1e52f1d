"""A trained net that no longer changes: fast to ask, and safe to share between threads."""

import os
from typing import Any, Self, final

from makemore_cpp import _core, checks
from makemore_cpp._core import FileError
from makemore_cpp.origin import in_a_file, recalled
from makemore_cpp.text_model import TextModel
from makemore_cpp.vocab import Vocab
from makemore_cpp.words import DataOrigin

MODEL_FILE = "model.safetensors"
CHECKPOINT_FILE = "checkpoint.safetensors"  # of a run that is not finished


@final
class LanguageModel(_core.LanguageModel, TextModel):
    """A frozen copy of a net, made by `MLP.freeze` or `load`.

    Any number of threads may use it at the same time. What is asked for again and again it
    remembers, which changes no result: they are those of the `MLP`, bit for bit.

    Parameters
    ----------
    saved : the contents of a model file
    vocab : Vocab, optional
        By default a new one like that of `saved`.
    data : DataOrigin, optional
        By default what `saved` says, which is not where they are.
    """

    __slots__ = ("_data", "_saved", "_vocab")
    _saved: _core.SavedModel
    _vocab: Vocab
    _data: DataOrigin | None

    def __init__(
        self,
        saved: _core.SavedModel,
        vocab: Vocab | None = None,
        data: DataOrigin | None = None,
    ) -> None:
        super().__init__(saved)
        self._saved = saved
        self._vocab = vocab_of(saved) if vocab is None else vocab
        self._data = data_of(saved) if data is None else data

    @classmethod
    def load(cls, path: str | bytes | os.PathLike[str]) -> Self:
        """Return the model of a file, or of a run folder that holds ``model.safetensors``.

        Raises
        ------
        TypeError
            `path` is no path.
        FileError
            The file cannot be read.
        FormatError
            Its bytes are not a model's, or were changed.
        """
        saved, data = load_saved(path)
        return cls(saved, data=data)

    @property
    def vocab(self) -> Vocab:
        """The vocabulary."""
        return self._vocab

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

    @property
    def data(self) -> DataOrigin | None:
        """The data that the model was trained on, where they are known."""
        return self._data

    def freeze(self) -> Self:
        """Return the model itself."""
        return self

    def _predictor(self) -> Self:
        return self

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _of_bytes, (self._saved.to_bytes(), self._vocab, self._data)

    def __repr__(self) -> str:
        return (
            f"LanguageModel(block_size={self.block_size}, n_embd={self.n_embd}, "
            f"n_hidden={self.n_hidden}, vocab_size={self.vocab_size})"
        )


def _of_bytes(data: bytes, vocab: Vocab, origin: DataOrigin | None = None) -> LanguageModel:
    return LanguageModel(_core.SavedModel.from_bytes(data, "the pickled model"), vocab, origin)


# -- the contents of a model file ------------------------------------------------------------------
def load_saved(
    path: str | bytes | os.PathLike[str],
) -> tuple[_core.SavedModel, DataOrigin | None]:
    """Return the contents of a model file, or of that of a run folder, and where its data are."""
    place = checks.path("path", path)
    folder, file = os.path.split(place)
    if os.path.isdir(place):
        folder, file = place, MODEL_FILE
        is_unfinished = os.path.exists(os.path.join(place, CHECKPOINT_FILE))
        if is_unfinished and not os.path.exists(os.path.join(place, MODEL_FILE)):
            raise FileError(f"the run in {place} is not finished; train --resume {place} goes on")
    saved = _core.SavedModel.load(os.path.join(folder, file))
    data = data_of(saved)
    return saved, recalled(folder or os.curdir, data) if file == MODEL_FILE else data


def vocab_of(saved: _core.SavedModel) -> Vocab:
    """Return the vocabulary of a saved model."""
    return Vocab(saved.vocabulary.characters, saved.vocabulary.boundary)


def data_of(saved: _core.SavedModel) -> DataOrigin | None:
    """Return the origin of the data of a saved model, where it is known; no path of its is read."""
    return None if saved.data is None else in_a_file(DataOrigin(*saved.data))
