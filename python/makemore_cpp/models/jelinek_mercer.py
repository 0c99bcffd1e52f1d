"""Jelinek-Mercer smoothing: a mixture of n-grams of all orders with fitted weights."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError
from makemore_cpp.arrays import AnyTexts, Bool, Float64, Int64
from makemore_cpp.data.dataset import build_dataset
from makemore_cpp.data.vocab import Vocab
from makemore_cpp.files.tensors import Content
from makemore_cpp.models.counts import NGramCounts
from makemore_cpp.models.ngram import CountModel

MAX_ITERATIONS = 1000
TOLERANCE = 1e-6  # of the lambdas: smaller differences do not show in the loss


class LambdaPart(NamedTuple):
    """A part of n-gram frequencies, weighted by the lambda of the context's bin."""

    length: int  # k, the tokens in a context
    frequency: Float64  # of every n-gram after its context, (n-grams + 1,); 0 for unseen ones
    lambdas: Float64  # (bins,)

    def shares(self, ngrams: Int64, bins: Int64) -> Float64:
        """Return alpha (N,)."""
        return self.lambdas[bins] * self.frequency[ngrams]

    def rests(self, ids: Int64, bins: Int64) -> Float64:
        """Return gamma (N,)."""
        return np.where(ids < 0, 1.0, 1 - self.lambdas[bins])


class InterpolatedNGram(CountModel):
    """A mixture of the unsmoothed n-grams of orders 1 to n and the uniform guess.

    ``p_n = lambda_n * count(x, y) / count(x) + (1 - lambda_n) * p_(n-1)``, and p_0 = 1/V; where the
    context x was not seen, p_n = p_(n-1). Each order has one lambda or, with `by_frequency`, one
    for each bin ``ceil(-ln((1 + c) / N))``, where c is the number of times that the longest context
    was seen and N the number of examples: a frequent context gets more weight. With order 3 this is
    the interpolated trigram of Bengio et al. (2003), section 4.1.

    Frederick Jelinek and Robert Mercer, "Interpolated estimation of Markov source parameters from
    sparse data" (1980).

    Parameters
    ----------
    vocab : Vocab
    texts : list of str
        The texts whose n-grams are counted; at least one.
    order : int
        n, 1 to 100.
    dev_texts : list of str
        Other texts, at least one, on which the lambdas are fitted.
    by_frequency : bool
        Whether the lambdas depend on the frequency of the context.

    Attributes
    ----------
    lambdas : float64 array, shape (order,) or (bins, order)
        The lambdas, that of order 1 first; all are below 1. A bin of which `dev_texts` have no
        context has the lambdas that are fitted without bins.

    Raises
    ------
    TypeError
        `texts` or `dev_texts` is not a list of str, `vocab` not a Vocab, `order` not an integer, or
        `by_frequency` not a bool.
    ArgumentError
        There is no text, a character is not in `vocab`, or `order` is outside its range.
    """

    _KIND: ClassVar = "InterpolatedNGram"

    def __init__(
        self,
        vocab: Vocab,
        texts: AnyTexts,
        order: int,
        dev_texts: AnyTexts,
        by_frequency: bool = False,
    ) -> None:
        by_frequency = checks.flag("by_frequency", by_frequency)
        counts = NGramCounts(vocab, texts, order)
        frequencies = _frequencies(counts)
        self._set(counts, frequencies, _fit(counts, frequencies, dev_texts, by_frequency))

    def _content(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        fields, arrays = super()._content()
        if self.by_frequency:
            fields["by_frequency"] = True
        return fields, {**arrays, "lambdas": self.lambdas}

    @classmethod
    def _of_content(cls, content: Content) -> Self:
        counts = cls._take_counts(content)
        shape: tuple[int, ...] = (counts.order,)
        if content.has("by_frequency"):
            if not content.take("by_frequency", bool):
                raise ArgumentError("by_frequency in the metadata is false, which nobody writes")
            shape = (_count_bins(counts), counts.order)
        lambdas = content.array("lambdas", np.float64, *shape)
        if not ((lambdas >= 0) & (lambdas < 1)).all():
            raise ArgumentError("lambdas are not all in [0, 1)")
        model = cls.__new__(cls)
        model._set(counts, _frequencies(counts), lambdas)
        return model

    def _set(self, counts: NGramCounts, frequencies: list[Float64], lambdas: Float64) -> None:
        self.lambdas = lambdas
        of_bins = np.atleast_2d(lambdas)
        self._n_bins = len(of_bins)
        parts = [
            LambdaPart(length, np.append(frequency, 0.0), of_bins[:, length])
            for length, frequency in enumerate(frequencies)
        ]
        super().__init__(counts, parts)

    @property
    def by_frequency(self) -> bool:
        """Whether the lambdas depend on the frequency of the context."""
        return self.lambdas.ndim == 2

    @property
    def weights(self) -> Float64:
        """The weights of the uniform guess and orders 1 to n, where all contexts were seen.

        Their shape is (order + 1,) or (bins, order + 1).
        """
        left = np.cumprod(1 - self.lambdas[..., ::-1], axis=-1)[..., ::-1]
        ones = np.ones((*self.lambdas.shape[:-1], 1))
        weights: Float64 = np.append(ones, self.lambdas, -1) * np.append(left, ones, -1)
        return weights

    def _bins(self, ids: Sequence[Int64]) -> Int64:
        return _bins(self.counts, ids) if self.by_frequency else super()._bins(ids)


def _bins(counts: NGramCounts, ids: Sequence[Int64]) -> Int64:
    """Return the bins (N,) of contexts, by how often the longest context was seen."""
    level = counts.levels[-1]
    seen = np.append(level.totals(level.counts), 0)[ids[-1]]  # 0 in the place of -1, "not seen"
    return frequency_bins(seen, counts.n_examples)


def frequency_bins(seen: Int64, n_examples: int) -> Int64:
    """Return the bins ``ceil(-ln((1 + c) / N))`` of what was seen c times in N examples."""
    return np.ceil(-np.log((1 + seen) / n_examples)).astype(np.int64)


def _count_bins(counts: NGramCounts) -> int:
    """Return the number of bins; the last is that of a context that was not seen."""
    return math.ceil(math.log(counts.n_examples)) + 1


def _frequencies(counts: NGramCounts) -> list[Float64]:
    """Return for each order the frequencies (n-grams,) of its n-grams after their contexts."""
    return [
        level.counts / np.repeat(level.totals(level.counts), np.diff(level.first))
        for level in counts.levels
    ]


def _fit(
    counts: NGramCounts, frequencies: list[Float64], dev_texts: AnyTexts, by_frequency: bool
) -> Float64:
    """Return the lambdas, (order,) or (bins, order), that are best on `dev_texts`."""
    X, Y = build_dataset(dev_texts, counts.vocab, counts.block_size)
    if len(Y) == 0:
        raise ArgumentError("dev_texts is empty; there must be at least one text to fit to")
    ids = counts.find_contexts(X.astype(np.int64))
    ngrams = [counts.find_ngrams(ids[k], Y.astype(np.int64), k) for k in range(counts.order)]
    seen = np.array(ids) >= 0  # (order,N)
    f = np.array([np.append(f, 0.0)[ngram] for f, ngram in zip(frequencies, ngrams, strict=True)])

    lambdas = _maximised(np.full(counts.order, 0.5), seen, f, 1 / len(counts.vocab))
    if not by_frequency:
        return lambdas
    bins = _bins(counts, ids)
    of_bins = np.tile(lambdas, (_count_bins(counts), 1))
    for i in np.unique(bins):
        its = bins == i
        of_bins[i] = _maximised(lambdas, seen[:, its], f[:, its], 1 / len(counts.vocab))
    return of_bins


def _maximised(lambdas: Float64, seen: Bool, f: Float64, uniform: float) -> Float64:
    """Return the lambdas (order,) of greatest likelihood, by expectation maximisation.

    It begins with the given lambdas. Think of a token as drawn by going from the longest context to
    shorter ones and stopping at each seen context with the probability lambda of its order: lambda
    is the share of stops among visits.
    """
    for _ in range(MAX_ITERATIONS):
        before = lambdas
        lambdas = _em_step(lambdas, seen, f, uniform)
        if np.abs(lambdas - before).max() < TOLERANCE:
            break
    return lambdas


def _em_step(lambdas: Float64, seen: Bool, f: Float64, uniform: float) -> Float64:
    """Return better lambdas (order,) for targets that have the frequencies f (order,N).

    f is 0 after a context that was not seen, so that no target stops there.
    """
    p = [np.full(f.shape[1], uniform)]  # the probabilities of the targets, by the orders so far
    for lam, frequency in zip(lambdas, f, strict=True):
        p.append(lam * frequency + (1 - lam) * p[-1])
    visit = np.ones(f.shape[1])  # the probability that the draw did not stop at a longer context
    result = np.empty_like(lambdas)
    for k in reversed(range(len(lambdas))):
        stop = visit * lambdas[k] * f[k] / p[k + 1]
        # One more visit, without a stop, keeps every lambda below 1, so that no probability is 0.
        result[k] = stop.sum() / (visit[seen[k]].sum() + 1)
        visit = visit - stop
    return result
