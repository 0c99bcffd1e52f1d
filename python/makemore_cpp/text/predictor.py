"""The part of a model on which the questions about texts rest, and its way to the core."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from makemore_cpp import _core, checks
from makemore_cpp._core import ArgumentError, Error
from makemore_cpp.arrays import Float32, Float64, Int32
from makemore_cpp.data.vocab import Vocab, check_vocab

# Arrays for many contexts at once have about this many elements at most.
CHUNK_ELEMENTS = 1 << 22

Tokens = NDArray[np.integer]
Next = _core.LanguageModel | Callable[[Int32], Float32]


class Predictor(ABC):
    """Predicts the next token: the part of `Model` that each model implements.

    Attributes
    ----------
    vocab : Vocab
    block_size : int
        T, the number of tokens in a context.
    """

    __slots__ = ()

    if TYPE_CHECKING:  # a model has attributes or properties

        @property
        def vocab(self) -> Vocab: ...  # noqa: D102
        @property
        def block_size(self) -> int: ...  # noqa: D102

    @abstractmethod
    def log_probs(self, X: Any) -> Float32:
        """Return log-probabilities (N,V) of the token that follows each context X (N,T)."""

    def target_log_probs(self, X: Any, Y: Any) -> Float64:
        """Return the log-probability (N,) of each target Y (N,) after its context X (N,T).

        A model that can do this without an array (N,V) has its own method.

        Raises
        ------
        TypeError
            X or Y does not hold integers.
        ArgumentError
            N is 0, or X or Y has another shape.
        RangeError
            A token is outside the vocabulary [0, V).
        """
        X, Y = checks.examples(X, Y, self.block_size, len(self.vocab))
        result = np.empty(len(Y))
        rows = max(1, CHUNK_ELEMENTS // len(self.vocab))
        for first in range(0, len(Y), rows):
            part = slice(first, first + rows)
            log_probs = self.log_probs(X[part])
            result[part] = log_probs[np.arange(len(log_probs)), Y[part]]
        return result

    def core_predictor(self) -> Next:
        """Return what the core calls to predict the next token: a frozen net, or `log_probs`.

        For an `MLP`, which can change, it is a frozen copy of the net as it is now.
        """
        return self.log_probs

    def training_texts(self) -> frozenset[str] | None:
        """Return the texts on which the model was trained, or None where it does not know them."""
        return None


class Exhausted(Error):  # noqa: N818 - nothing went wrong
    """A search gave up; `found` holds its results so far, in the order of the whole result."""

    found: list[Any]

    def __init__(self, message: str, found: list[Any] | None = None) -> None:
        super().__init__(message)
        self.found = found or []


def check_model(name: str, model: object) -> None:
    """Raise TypeError unless `model` is a model."""
    if not isinstance(model, Predictor):
        raise TypeError(
            f"{name} must be a model, not {type(model).__name__}; one of your own is a subclass of "
            "makemore_cpp.Model"
        )
    for attribute in ("vocab", "block_size"):
        if not hasattr(model, attribute):
            raise TypeError(f"{name} is a {type(model).__name__}, which has no {attribute}")
    check_vocab(model.vocab)


def predictor_of(model: Predictor) -> Next:
    """Return the `core_predictor` of a model; raise TypeError for anything else."""
    check_model("model", model)
    return model.core_predictor()


def encode(name: str, text: str, vocab: Vocab) -> Int32:
    """Return the tokens of a text, or raise an error that names and shows the text."""
    try:
        return vocab.encode(text)
    except ArgumentError as error:
        raise ArgumentError(f"{name} {checks.quoted(text)}: {error}") from None
    except TypeError:
        raise TypeError(f"{name} must be a str, not {type(text).__name__}") from None
