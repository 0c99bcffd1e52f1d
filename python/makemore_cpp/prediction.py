"""What every kind of model has in common, and the shortest way from a model to the core."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from makemore_cpp import _core, checks
from makemore_cpp._core import ArgumentError, Error
from makemore_cpp.arrays import Float32, Float64, Int32
from makemore_cpp.vocab import Vocab, check_vocab

# No array that is made for many contexts at once has many more elements than this.
CHUNK_ELEMENTS = 1 << 22

Tokens = NDArray[np.integer]
Predictor = _core.LanguageModel | Callable[[Int32], Float32]


@runtime_checkable
class Model(Protocol):
    """Whatever can predict the next token.

    A method ``target_log_probs(X, Y)``, the log-probabilities (N,) of targets Y (N,) after contexts
    X (N,T), is used for scores where there is one.
    """

    @property
    def vocab(self) -> Vocab: ...  # noqa: D102
    @property
    def block_size(self) -> int: ...  # noqa: D102
    def log_probs(self, X: Tokens) -> Float32:
        """Return log-probabilities (N,V) of the token that follows each context X (N,T)."""


class Exhausted(Error):  # noqa: N818 - nothing went wrong
    """A search gave up; `found` holds what it had found, in the order of the whole result."""

    found: list[Any]

    def __init__(self, message: str, found: list[Any] | None = None) -> None:
        super().__init__(message)
        self.found = found or []


def check_model(name: str, model: object) -> None:
    """Raise TypeError unless `model` is one."""
    if isinstance(model, type) or not isinstance(model, Model):
        raise TypeError(f"{name} must be a model, not {type(model).__name__}")
    check_vocab(model.vocab)


def predictor_of(model: Model) -> Predictor:
    """Return what the core asks for the next token: a frozen net where there is one.

    Where the model is a net that can change, it is a copy of the net as it is now.
    """
    check_model("model", model)
    predictor: Callable[[], Predictor] | None = getattr(model, "_predictor", None)
    return model.log_probs if predictor is None else predictor()


def encode(name: str, text: str, vocab: Vocab) -> Int32:
    """Return the tokens of a text, or raise an error that names and shows the text."""
    try:
        return vocab.encode(text)
    except ArgumentError as error:
        raise ArgumentError(f"{name} {checks.shown(text)}: {error}") from None
    except TypeError:
        raise TypeError(f"{name} must be a str, not {type(text).__name__}") from None


def target_log_probs(model: Model, X: Tokens, Y: Tokens) -> Float64:
    """Return the log-probability (N,) of each target Y (N,) after its context X (N,T)."""
    direct: Callable[[Tokens, Tokens], Float64] | None = getattr(model, "target_log_probs", None)
    if direct is not None:
        return direct(X, Y)
    result = np.empty(len(Y))
    rows = max(1, CHUNK_ELEMENTS // len(model.vocab))
    for first in range(0, len(Y), rows):
        part = slice(first, first + rows)
        log_probs = model.log_probs(X[part])
        result[part] = log_probs[np.arange(len(log_probs)), Y[part]]
    return result
