"""Count-based models: the baselines that a net has to beat."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError, RangeError
from makemore_cpp.arrays import Float32, Float64, Int64
from makemore_cpp.dataset import build_dataset
from makemore_cpp.vocab import Vocab


class Bigram:
    """Predicts a token from the one before it, by counting pairs.

    ``p(y | x) = (count(x, y) + smoothing) / (count(x) + smoothing * V)``, as in the first lecture.
    Only the pairs that occur are kept, so a large vocabulary costs no V*V table.

    Parameters
    ----------
    vocab : Vocab
    words : list of str
        The words whose pairs are counted.
    smoothing : float
        Added to every count; greater than zero.
    """

    block_size = 1

    def __init__(self, vocab: Vocab, words: Iterable[str], smoothing: float = 1.0) -> None:
        self.vocab = vocab
        self.smoothing = checks.non_negative("smoothing", smoothing)
        if self.smoothing == 0.0:
            raise ArgumentError("smoothing is 0; then an unseen pair would have no finite loss")
        X, Y = build_dataset(words, vocab, block_size=1)
        x = X[:, 0].astype(np.int64)
        self._pairs, self._pair_counts = np.unique(x * len(vocab) + Y, return_counts=True)
        self._context_counts = np.bincount(x, minlength=len(vocab))

    def log_probs(self, X: ArrayLike) -> Float32:
        """Return the log-probabilities (N,V) of the token after each context X (N,1)."""
        V = len(self.vocab)
        contexts, place = np.unique(self._tokens("X", X, ndim=2)[:, 0], return_inverse=True)
        first = np.searchsorted(self._pairs, contexts * V)
        last = np.searchsorted(self._pairs, (contexts + 1) * V)
        counts = np.zeros((len(contexts), V))
        for row, begin, end in zip(counts, first, last, strict=True):
            row[self._pairs[begin:end] % V] = self._pair_counts[begin:end]
        return self._smoothed(counts, contexts[:, None]).astype(np.float32)[place]

    def loss(self, X: ArrayLike, Y: ArrayLike) -> float:
        """Return the mean loss of targets Y (N,) after contexts X (N,1), in nats per token."""
        x, y = self._tokens("X", X, ndim=2)[:, 0], self._tokens("Y", Y, ndim=1)
        if len(x) != len(y) or len(y) == 0:
            raise ArgumentError(f"X has {len(x)} rows and Y {len(y)}; they must be equal, not 0")
        # One pair more than any that can occur, so that every search ends at a pair.
        pairs = np.append(self._pairs, len(self.vocab) ** 2)
        pair_counts = np.append(self._pair_counts, 0)
        wanted = x * len(self.vocab) + y
        place = np.searchsorted(pairs, wanted)
        counts = np.where(pairs[place] == wanted, pair_counts[place], 0)
        return float(-self._smoothed(counts, x).mean())

    def _smoothed(self, counts: NDArray[np.number], contexts: Int64) -> Float64:
        totals = self._context_counts[contexts] + self.smoothing * len(self.vocab)
        log_probs: Float64 = np.log((counts + self.smoothing) / totals)
        return log_probs

    def _tokens(self, name: str, values: ArrayLike, ndim: int) -> Int64:
        tokens = np.asarray(values)
        if tokens.dtype.kind not in "iu":
            raise TypeError(f"{name} must hold integers, not {tokens.dtype}")
        if tokens.ndim != ndim or tokens.shape[1:] not in ((), (1,)):
            raise ArgumentError(
                f"{name} has the shape {tokens.shape}; it must be {('(N,)', '(N, 1)')[ndim - 1]}"
            )
        outside = np.flatnonzero((tokens < 0) | (tokens >= len(self.vocab)))
        if len(outside):
            token = tokens.flat[outside[0]]
            raise RangeError(
                f"token {token} at {name}[{outside[0]}] is outside the vocabulary "
                f"[0, {len(self.vocab)})"
            )
        return tokens.astype(np.int64)
