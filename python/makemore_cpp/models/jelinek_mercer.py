"""Jelinek-Mercer smoothing: n-grams of all orders, mixed with weights that are fitted."""

from collections.abc import Iterable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from makemore_cpp._core import ArgumentError
from makemore_cpp.arrays import Bool, Float64
from makemore_cpp.data.dataset import build_dataset
from makemore_cpp.data.vocab import Vocab
from makemore_cpp.files.tensors import Content
from makemore_cpp.models.counts import NGramCounts
from makemore_cpp.models.ngram import CountModel, Part

MAX_ITERATIONS = 1000
TOLERANCE = 1e-6  # of the lambdas: less does not show in the loss


class InterpolatedNGram(CountModel):
    """A mixture of the unsmoothed n-grams of orders 1 to n and the uniform guess.

    ``p_n = lambda_n * count(x, y) / count(x) + (1 - lambda_n) * p_(n-1)``, and p_0 = 1/V; where the
    context x was not seen, p_n = p_(n-1). Each order has one lambda.

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

    Attributes
    ----------
    lambdas : float64 array, shape (order,)
        That of order 1 first; all are below 1.

    Raises
    ------
    TypeError
        `texts` or `dev_texts` is not a list of str, `vocab` not a Vocab, or `order` no integer.
    ArgumentError
        There is no text, a character is not in `vocab`, or `order` is outside its range.
    """

    _KIND: ClassVar = "InterpolatedNGram"

    def __init__(
        self, vocab: Vocab, texts: Iterable[str], order: int, dev_texts: Iterable[str]
    ) -> None:
        counts = NGramCounts(vocab, texts, order)
        frequencies = _frequencies(counts)
        self._set(counts, frequencies, _fit(counts, frequencies, dev_texts))

    def _content(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        fields, arrays = super()._content()
        return fields, {**arrays, "lambdas": self.lambdas}

    @classmethod
    def _of_content(cls, content: Content) -> Self:
        counts = cls._take_counts(content)
        lambdas = content.array("lambdas", np.float64, counts.order)
        if not ((lambdas >= 0) & (lambdas < 1)).all():
            raise ArgumentError("lambdas are not all in [0, 1)")
        model = cls.__new__(cls)
        model._set(counts, _frequencies(counts), lambdas)
        return model

    def _set(self, counts: NGramCounts, frequencies: list[Float64], lambdas: Float64) -> None:
        self.lambdas = lambdas
        parts = [
            Part.of(length, lam * frequency, np.full(len(level.contexts), 1 - lam))
            for length, (lam, frequency, level) in enumerate(
                zip(lambdas, frequencies, counts.levels, strict=True)
            )
        ]
        super().__init__(counts, parts)

    @property
    def weights(self) -> Float64:
        """The weights (order + 1,) of the uniform guess and orders 1 to n, if all were seen."""
        passed_on = np.append(np.cumprod(1 - self.lambdas[::-1])[::-1], 1.0)
        weights: Float64 = np.append(1.0, self.lambdas) * passed_on
        return weights


def _frequencies(counts: NGramCounts) -> list[Float64]:
    """Return for each order the relative frequencies (n-grams,) after their contexts."""
    return [
        level.counts / np.repeat(level.totals(level.counts), np.diff(level.first))
        for level in counts.levels
    ]


def _fit(counts: NGramCounts, frequencies: list[Float64], dev_texts: Iterable[str]) -> Float64:
    """Return the lambdas (order,) that are best on `dev_texts`, by expectation maximisation.

    Think of a token as drawn by going from the longest context to shorter ones and stopping at
    each that was seen with its lambda. Then lambda is the share of stops among visits.
    """
    X, Y = build_dataset(dev_texts, counts.vocab, counts.block_size)
    if len(Y) == 0:
        raise ArgumentError("dev_texts is empty; there must be at least one text to fit to")
    ids = counts.find_contexts(X.astype(np.int64))
    ngrams = [counts.find_ngrams(ids[k], Y.astype(np.int64), k) for k in range(counts.order)]
    seen = np.array(ids) >= 0  # (order,N)
    f = np.array([np.append(f, 0.0)[ngram] for f, ngram in zip(frequencies, ngrams, strict=True)])

    lambdas = np.full(counts.order, 0.5)
    for _ in range(MAX_ITERATIONS):
        before = lambdas
        lambdas = _em_step(lambdas, seen, f, 1 / len(counts.vocab))
        if np.abs(lambdas - before).max() < TOLERANCE:
            break
    return lambdas


def _em_step(lambdas: Float64, seen: Bool, f: Float64, uniform: float) -> Float64:
    """Return better lambdas (order,) for targets that have the frequencies f (order,N).

    After a context that was not seen f is 0, and so no part of a target is drawn there.
    """
    p = [np.full(f.shape[1], uniform)]  # of each target, by the orders so far
    for lam, frequency in zip(lambdas, f, strict=True):
        p.append(lam * frequency + (1 - lam) * p[-1])
    visit = np.ones(f.shape[1])  # the probability that the target was drawn from here or below
    result = np.empty_like(lambdas)
    for k in reversed(range(len(lambdas))):
        stop = visit * lambdas[k] * f[k] / p[k + 1]
        # One visit more that goes on keeps every lambda below 1, so that no probability is 0.
        result[k] = stop.sum() / (visit[seen[k]].sum() + 1)
        visit = visit - stop
    return result
