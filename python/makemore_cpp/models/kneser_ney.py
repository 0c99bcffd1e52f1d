"""Modified Kneser-Ney smoothing, the strongest of the classical n-gram models."""

from collections.abc import Iterator
from typing import ClassVar, Self

import numpy as np

from makemore_cpp.arrays import AnyTexts, Float64, Int64
from makemore_cpp.data.vocab import Vocab
from makemore_cpp.files.tensors import Content
from makemore_cpp.models.counts import ContextCounts, NGramCounts
from makemore_cpp.models.ngram import CountModel, Part

# The discounts of counts 1, 2, and 3 or more where they cannot be estimated: half of the count.
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)

Discounted = tuple[Part, Float64]  # a part, and its discounts (3,)


class KneserNey(CountModel):
    """Interpolated n-grams with modified Kneser-Ney discounts.

    Every count of the longest n-grams is reduced by a discount, which depends on the count, and
    what is taken from a context's counts is given to the distribution of the shorter context. For
    shorter n-grams the count is not that in the texts but the number of distinct tokens that were
    seen before the n-gram; the boundaries before every text count as such tokens. The unigrams are
    interpolated with the uniform distribution, so that no probability is 0.

    Stanley F. Chen and Joshua Goodman, "An empirical study of smoothing techniques for language
    modeling", Harvard TR-10-98 (1998), section 3.

    Parameters
    ----------
    vocab : Vocab
    texts : list of str
        The texts whose n-grams are counted; at least one.
    order : int
        1 to 100.

    Attributes
    ----------
    discounts : float64 array, shape (order, 3)
        Row k - 1: what is taken from the counts 1, 2, and 3 or more of n-grams of order k.

    Raises
    ------
    TypeError
        `texts` is not a list of str, `vocab` not a Vocab, or `order` not an integer.
    ArgumentError
        There is no text, a character is not in `vocab`, or `order` is outside its range.
    """

    _KIND: ClassVar = "KneserNey"

    def __init__(self, vocab: Vocab, texts: AnyTexts, order: int) -> None:
        self._set_all(NGramCounts(vocab, texts, order))

    @classmethod
    def rising(cls, vocab: Vocab, texts: AnyTexts) -> Iterator["KneserNey"]:
        """Yield the models of order 1, 2, 3 and so on to 100, each for the cost of one level."""
        lower: list[Discounted] = []
        for counts in NGramCounts.rising(vocab, texts):
            if counts.order > 1:
                lower.append(_lower_part(counts, counts.order - 2))
            model = cls.__new__(cls)
            model._set(counts, lower)
            yield model

    @classmethod
    def _of_content(cls, content: Content) -> Self:
        model = cls.__new__(cls)
        model._set_all(cls._take_counts(content))
        return model

    def _set_all(self, counts: NGramCounts) -> None:
        self._set(counts, [_lower_part(counts, length) for length in range(counts.order - 1)])

    def _set(self, counts: NGramCounts, lower: list[Discounted]) -> None:
        level = counts.levels[-1]
        all_parts = [*lower, _discounted(counts.order - 1, level, level.counts)]
        self.discounts = np.array([discounts for _, discounts in all_parts])
        super().__init__(counts, [part for part, _ in all_parts])


def continuation_counts(counts: NGramCounts, length: int) -> Int64:
    """Return how many distinct tokens were seen before each n-gram with a context of this length.

    This number is that of the n-grams of the next order that end in the n-gram. Every n-gram is the
    end of one, since boundaries stand before every text, so that the result has the order of the
    n-grams.
    """
    V = len(counts.vocab)
    longer = counts.levels[length + 1]
    context_of_ngram, token = np.divmod(longer.ngrams, V)
    end_of_context = longer.contexts // V
    return np.unique(end_of_context[context_of_ngram] * V + token, return_counts=True)[1]


def discounts_of(counts: Int64) -> Float64:
    """Return the discounts D1, D2 and D3+ (3,) for the counts of all n-grams of one order.

    With n_i the number of counts that are i and Y = n1 / (n1 + 2 n2), the discount of i is
    i - (i + 1) Y n_(i+1) / n_i. Where one of n1 to n4 is 0 or a discount is not positive, as
    happens with few texts, all three are `FALLBACK_DISCOUNTS`.
    """
    n1, n2, n3, n4 = np.bincount(np.minimum(counts, 5), minlength=5)[1:5].tolist()
    if 0 in (n1, n2, n3, n4):
        return np.array(FALLBACK_DISCOUNTS)
    Y = n1 / (n1 + 2 * n2)
    discounts = np.array([1 - 2 * Y * n2 / n1, 2 - 3 * Y * n3 / n2, 3 - 4 * Y * n4 / n3])
    return discounts if discounts.min() > 0 else np.array(FALLBACK_DISCOUNTS)


def _lower_part(counts: NGramCounts, length: int) -> Discounted:
    """Return the part for contexts of this length, which is not the greatest."""
    return _discounted(length, counts.levels[length], continuation_counts(counts, length))


def _discounted(length: int, level: ContextCounts, counts: Int64) -> Discounted:
    discounts = discounts_of(counts)
    taken = discounts[np.minimum(counts, 3) - 1]
    totals = level.totals(counts)
    share = (counts - taken) / np.repeat(totals, np.diff(level.first))
    return Part.of(length, share, level.totals(taken) / totals), discounts
