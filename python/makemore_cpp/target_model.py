"""What models have in common that can tell the probability of a target without those of all."""

from abc import ABC, abstractmethod

from numpy.typing import ArrayLike

from makemore_cpp.arrays import Float32, Float64
from makemore_cpp.text_model import TextModel
from makemore_cpp.vocab import Vocab


class TargetModel(ABC, TextModel):
    """A model whose `target_log_probs` needs no array (N,V)."""

    @property
    @abstractmethod
    def vocab(self) -> Vocab:
        """The vocabulary."""

    @property
    @abstractmethod
    def block_size(self) -> int:
        """T, the number of tokens in a context."""

    @abstractmethod
    def log_probs(self, X: ArrayLike) -> Float32:
        """Return the log-probabilities (N,V) of the token after each context X (N,T)."""

    @abstractmethod
    def target_log_probs(self, X: ArrayLike, Y: ArrayLike) -> Float64:
        """Return the log-probability (N,) of each target Y (N,) after its context X (N,T)."""
