"""Models that predict from counts: the baselines that a net has to beat."""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from makemore_cpp import checks
from makemore_cpp.arrays import AnyTexts, Float32, Float64, Int64
from makemore_cpp.data.vocab import Vocab
from makemore_cpp.files.tensors import Content
from makemore_cpp.models.counts import NGramCounts
from makemore_cpp.text.model import Model
from makemore_cpp.text.saved import Saved, take_texts, take_vocab, text_arrays, vocab_fields


class AnyPart(Protocol):
    """The terms of a `CountModel` for contexts of one length.

    A context has an id among those of its length, -1 where it was not seen, and a bin, a class of
    contexts for which some models have parameters of their own; see `CountModel._bins`.
    """

    @property
    def length(self) -> int:
        """The number k of tokens in a context."""

    def shares(self, ngrams: Int64, bins: Int64) -> Float64:
        """Return alpha (N,) of the n-grams at these places, whose contexts have these bins."""

    def rests(self, ids: Int64, bins: Int64) -> Float64:
        """Return gamma (N,) of contexts of these ids and bins."""


class Part(NamedTuple):
    """A part that stores each alpha and gamma, which do not depend on the bin."""

    length: int  # k, the tokens in a context
    share: Float64  # alpha of every n-gram, (n-grams + 1,)
    rest: Float64  # gamma of every context, (contexts + 1,)

    @classmethod
    def of(cls, length: int, share: Float64, rest: Float64) -> "Part":
        """Return a part; place and id -1, "not seen", get alpha 0 and gamma 1."""
        return cls(length, np.append(share, 0.0), np.append(rest, 1.0))

    def shares(self, ngrams: Int64, bins: Int64) -> Float64:
        """Return alpha (N,)."""
        return self.share[ngrams]

    def rests(self, ids: Int64, bins: Int64) -> Float64:
        """Return gamma (N,)."""
        return self.rest[ids]


class CountModel(Model, Saved):
    """Predicts from counts; the parts for longer contexts correct those for shorter ones.

    ``p(y | context) = alpha(context, y) + gamma(context) * p(y | shorter context)`` where the
    context was seen, and ``p(y | shorter context)`` where it was not; the shorter context is that
    of the part before, and before the first part p is 1/V. Only what was seen is stored, so that a
    large vocabulary needs no table of V*V.

    Parameters
    ----------
    counts : NGramCounts
        The model's contexts are those of the counts. A model of order 1 ignores its context.
    parts : list of AnyPart
        The parts, in the order of their contexts' lengths.
    """

    _n_bins = 1  # the number of bins
    _counts: NGramCounts = checks.from_constructor()
    _parts: list[AnyPart] = checks.from_constructor()

    def __init__(self, counts: NGramCounts, parts: Sequence[AnyPart]) -> None:
        self._counts = counts
        self._parts = list(parts)

    def __repr__(self) -> str:
        sizes = f"order={self.order}, vocab_size={len(self.vocab)}"
        return f"{type(self).__name__}({sizes}): {len(self._counts.texts):,} texts counted"

    @property
    def vocab(self) -> Vocab:
        """The vocabulary."""
        return self._counts.vocab

    @property
    def counts(self) -> NGramCounts:
        """The counts that the model is made of."""
        return self._counts

    @property
    def order(self) -> int:
        """The length of the longest n-grams: a context and the token after it."""
        return self._counts.order

    @property
    def block_size(self) -> int:
        """T, the number of tokens in a context: order - 1, but at least 1."""
        return self._counts.block_size

    def probs(self, X: ArrayLike) -> Float64:
        """Return the probabilities (N,V) of the token after each context X (N,T), in float64.

        Raises
        ------
        TypeError
            X does not hold integers.
        ArgumentError
            X has another shape.
        RangeError
            A token is outside the vocabulary [0, V).
        """
        table, rows = self._distributions(X)
        return table[rows]

    def log_probs(self, X: ArrayLike) -> Float32:
        """Return the log-probabilities (N,V) of the token after each context X (N,T).

        It raises what `probs` does.
        """
        table, rows = self._distributions(X)
        with np.errstate(divide="ignore"):  # the logarithm of 0 is -inf
            return np.log(table).astype(np.float32)[rows]

    def target_log_probs(self, X: ArrayLike, Y: ArrayLike) -> Float64:
        """Return the log-probability (N,) of each target Y (N,), as `Model` does, without (N,V)."""
        X, Y = checks.examples(X, Y, self.block_size, len(self.vocab))
        ids = self._counts.find_contexts(X)
        bins = self._bins(ids)
        p = np.full(len(Y), 1 / len(self.vocab))
        for part in self._parts:
            its_ids = ids[part.length]
            p *= part.rests(its_ids, bins)
            p += part.shares(self._counts.find_ngrams(its_ids, Y, part.length), bins)
        with np.errstate(divide="ignore"):
            log_p: Float64 = np.log(p)
        return log_p

    def training_texts(self) -> frozenset[str]:
        """Return the texts that were counted."""
        return frozenset(self._counts.texts)

    # A file holds the texts, from which the counts are made again, so that nothing in it can
    # contradict anything else.
    def _content(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        return {**vocab_fields(self.vocab), "order": self.order}, text_arrays(self._counts.texts)

    @staticmethod
    def _take_counts(content: Content) -> NGramCounts:
        vocab = take_vocab(content)
        return NGramCounts(vocab, take_texts(content), content.take("order", int))

    def _distributions(self, X: ArrayLike) -> tuple[Float64, Int64]:
        """Return a table of distributions (rows,V), and the row of each context (N,)."""
        X = checks.tokens("X", X, self.block_size, len(self.vocab))
        ids = self._counts.find_contexts(X)
        bins = self._bins(ids)
        table = np.full((1, len(self.vocab)), 1 / len(self.vocab))
        rows = np.zeros(len(X), np.int64)
        for part in self._parts:
            seen = np.flatnonzero(ids[part.length] >= 0)
            # Examples of equal context and bin have had the same row until now.
            keys = ids[part.length][seen] * self._n_bins + bins[seen]
            distinct, example, place = np.unique(keys, return_index=True, return_inverse=True)
            contexts, its_bins = np.divmod(distinct, self._n_bins)
            corrected = part.rests(contexts, its_bins)[:, None] * table[rows[seen[example]]]
            row, token, share = self._shares(part, contexts, its_bins)
            corrected[row, token] += share
            rows[seen] = len(table) + place
            table = np.concatenate([table, corrected])
        return table, rows

    def _bins(self, ids: Sequence[Int64]) -> Int64:
        """Return the bin (N,), below `_n_bins`, of contexts that have these ids by length."""
        return np.zeros(len(ids[0]), np.int64)

    def _shares(self, part: AnyPart, ids: Int64, bins: Int64) -> tuple[Int64, Int64, Float64]:
        """Return all n-grams of these contexts: places in `ids`, tokens and alphas."""
        level = self._counts.levels[part.length]
        begin, end = level.first[ids], level.first[ids + 1]
        row = np.repeat(np.arange(len(ids)), end - begin)
        before = np.cumsum(end - begin) - (end - begin)  # n-grams of the contexts before
        ngram = np.arange(len(row)) + (begin - before)[row]
        return row, level.ngrams[ngram] % len(self.vocab), part.shares(ngram, bins[row])


class NGram(CountModel):
    """Predicts a token from the order - 1 tokens before it, by counting; order 2 is the bigram.

    ``p(y | x) = (count(x, y) + smoothing) / (count(x) + smoothing * V)``, as in the first lecture.

    Parameters
    ----------
    vocab : Vocab
    texts : list of str
        The texts whose n-grams are counted; at least one.
    order : int
        1 to 100.
    smoothing : float
        The number that is added to every count. With 0, a token that was never seen after a known
        context has probability 0 and an infinite loss. A context that was not seen always gives
        1/V, the formula's limit for small `smoothing`.

    Raises
    ------
    TypeError
        `texts` is not a list of str, `vocab` not a Vocab, or `order` or `smoothing` not a number.
    ArgumentError
        There is no text, a character is not in `vocab`, or a number is outside its range.
    """

    _KIND: ClassVar = "NGram"

    def __init__(
        self, vocab: Vocab, texts: AnyTexts, order: int = 2, smoothing: float = 1.0
    ) -> None:
        smoothing = checks.non_negative("smoothing", smoothing)
        self._set(NGramCounts(vocab, texts, order), smoothing)

    @classmethod
    def of_counts(cls, counts: NGramCounts, smoothing: float = 1.0) -> "NGram":
        """Return the model of given counts; it raises what the class does."""
        checks.instance("counts", counts, NGramCounts)
        model = cls.__new__(cls)
        model._set(counts, checks.non_negative("smoothing", smoothing))
        return model

    def _content(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        fields, arrays = super()._content()
        return {**fields, "smoothing": self.smoothing}, arrays

    @classmethod
    def _of_content(cls, content: Content) -> Self:
        model = cls.__new__(cls)
        counts = cls._take_counts(content)
        model._set(counts, checks.non_negative("smoothing", content.take("smoothing", float)))
        return model

    def _set(self, counts: NGramCounts, smoothing: float) -> None:
        self.smoothing = smoothing
        level = counts.levels[-1]
        pseudo_counts = smoothing * len(counts.vocab)
        totals = level.totals(level.counts).astype(np.float64) + pseudo_counts
        # With a for smoothing, (c + a) / (C + a V) = c / (C + a V) + a V / (C + a V) * 1/V.
        share = level.counts / np.repeat(totals, np.diff(level.first))
        super().__init__(counts, [Part.of(counts.order - 1, share, pseudo_counts / totals)])
