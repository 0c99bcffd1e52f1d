"""What models have in common that can tell the probability of a target without those of all."""

from abc import ABC, abstractmethod

from numpy.typing import ArrayLike

from makemore_cpp import sampling
from makemore_cpp.arrays import Float32, Float64
from makemore_cpp.vocab import Vocab


class TargetModel(ABC):
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

    def loss(self, X: ArrayLike, Y: ArrayLike) -> float:
        """Return the mean loss of targets Y (N,) after contexts X (N,T), in nats per token.

        It is inf where a target has the probability 0. It raises what `target_log_probs` does.
        """
        return -float(self.target_log_probs(X, Y).mean())

    def sample(
        self, n: int, seed: int = 42, max_length: int = sampling.DEFAULT_MAX_LENGTH
    ) -> list[str]:
        """Return n sampled texts; see `makemore_cpp.sample`."""
        return sampling.sample(self, n, seed=seed, max_length=max_length)
