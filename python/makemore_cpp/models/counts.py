"""Counts n-grams of every order up to a greatest one, sparsely enough for any vocabulary."""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError
from makemore_cpp.arrays import AnyTexts, Int64
from makemore_cpp.data.dataset import encode_texts
from makemore_cpp.data.vocab import Vocab

MAX_ORDER = 100  # a limit against slips: time and memory grow with the order times the examples

Number = TypeVar("Number", np.int64, np.float64)


class ContextCounts(NamedTuple):
    """The contexts of one length k that were seen, and the tokens seen after each.

    Context ids count the seen contexts from 0. The context of length 0 has the id 0. The key of a
    longer context is ``id * V + token``, with the id of its most recent k - 1 tokens and its oldest
    token; its own id is the place of the key among the sorted keys. So keys stay below N * V, which
    is at most 2**46, and need not number all V**k contexts. The key of an n-gram is made in the
    same way of its context's id and the token after it.
    """

    contexts: Int64  # sorted keys (contexts,), whose places are the ids
    ngrams: Int64  # sorted keys (n-grams,)
    counts: Int64  # of each n-gram, (n-grams,)
    first: Int64  # context i has the n-grams first[i] to first[i + 1] - 1, (contexts + 1,)

    def totals(self, values: NDArray[Number]) -> NDArray[Number]:
        """Sum values over the n-grams of each context: (n-grams,) to (contexts,)."""
        return np.add.reduceat(values, self.first[:-1])  # no context is without n-grams


def _levels(vocab: Vocab, texts: tuple[str, ...]) -> Iterator[ContextCounts]:
    """Count n-grams with contexts of 0, 1, 2, ... tokens, at most 99."""
    # Y holds the targets of all examples in the order of the texts, `place` the number of tokens
    # before each in its text.
    tokens, offsets = encode_texts("texts", list(texts), vocab)
    lengths = np.diff(offsets)
    if len(lengths) == 0:
        raise ArgumentError("texts is empty; there must be at least one text to count")
    ends = np.cumsum(lengths + 1) - 1
    Y = np.zeros(len(tokens) + len(texts), np.int64)
    is_token = np.ones(len(Y), np.bool_)
    is_token[ends] = False
    Y[is_token] = tokens
    place = np.arange(len(Y)) - np.repeat(ends - lengths, lengths + 1)

    V = len(vocab)
    contexts, ids = np.zeros(1, np.int64), np.zeros(len(Y), np.int64)
    for length in range(MAX_ORDER):
        if length > 0:
            keys = ids * V
            keys[length:] += np.where(place[length:] >= length, Y[:-length], 0)
            contexts, ids = np.unique(keys, return_inverse=True)
        ngrams, counts = np.unique(ids * V + Y, return_counts=True)
        first = np.searchsorted(ngrams, np.arange(len(contexts) + 1) * V)
        yield ContextCounts(contexts, ngrams, counts, first)


class NGramCounts:
    """How often each token follows each context of 0 to order - 1 tokens in `texts`.

    The examples are those of `build_dataset`: "emma" gives, for order 4, ... -> e, ..e -> m,
    .em -> m, emm -> a, mma -> .; shorter contexts are the ends of these.

    Parameters
    ----------
    vocab : Vocab
    texts : list of str
        The texts whose n-grams are counted; at least one.
    order : int
        The order of the longest n-grams, 1 to 100; their contexts have order - 1 tokens.

    Raises
    ------
    TypeError
        `texts` is not a list of str, `vocab` not a Vocab, or `order` not an integer.
    ArgumentError
        There is no text, a character is not in `vocab`, or `order` is outside its range.
    """

    vocab: Vocab = checks.from_constructor()
    texts: tuple[str, ...] = checks.from_constructor()
    levels: list[ContextCounts] = checks.from_constructor()
    order: int = checks.from_constructor()
    n_examples: int = checks.from_constructor()

    def __init__(self, vocab: Vocab, texts: AnyTexts, order: int) -> None:
        order = checks.integer("order", order, 1, MAX_ORDER)
        texts = tuple(checks.string_list("texts", texts))
        self._set(vocab, texts, list(islice(_levels(vocab, texts), order)))

    @classmethod
    def rising(cls, vocab: Vocab, texts: AnyTexts) -> Iterator["NGramCounts"]:
        """Yield the counts of order 1, 2, 3 and so on to 100, each at the cost of one order."""
        texts = tuple(checks.string_list("texts", texts))
        levels: list[ContextCounts] = []
        for level in _levels(vocab, texts):
            levels.append(level)
            counts = cls.__new__(cls)
            counts._set(vocab, texts, levels.copy())
            yield counts

    def _set(self, vocab: Vocab, texts: tuple[str, ...], levels: list[ContextCounts]) -> None:
        self.vocab = vocab
        self.texts = texts
        self.levels = levels
        self.order = len(levels)
        self.n_examples = int(levels[0].counts.sum())

    def __repr__(self) -> str:
        counted = f"{self.n_examples:,} tokens of {len(self.texts):,} texts"
        return f"NGramCounts(order={self.order}, vocab_size={len(self.vocab)}): {counted}"

    def find_contexts(self, X: Int64) -> list[Int64]:
        """Return ids (N,) of the contexts in X (N,T) by length, 0 to order - 1; -1 if not seen."""
        ids = [np.zeros(len(X), np.int64)]
        for length in range(1, self.order):
            ids.append(self._find(self.levels[length].contexts, ids[-1], X[:, -length]))
        return ids

    def find_ngrams(self, ids: Int64, Y: Int64, length: int) -> Int64:
        """Return the places of n-grams of contexts (ids (N,)) and tokens Y (N,); -1 if not seen."""
        return self._find(self.levels[length].ngrams, ids, Y)

    def _find(self, keys: Int64, ids: Int64, tokens: Int64) -> Int64:
        wanted = ids * len(self.vocab) + tokens  # negative, and so no key, after an unseen context
        places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[places] == wanted, places, -1)

    @property
    def block_size(self) -> int:
        """T, the number of tokens in a context: order - 1, but at least 1."""
        return max(1, self.order - 1)

    @property
    def contexts_seen(self) -> int:
        """The number of distinct contexts of order - 1 tokens."""
        return len(self.levels[-1].contexts)

    def count(self, X: ArrayLike, Y: ArrayLike) -> Int64:
        """Return how often each token Y (N,) follows its context X (N,T).

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
        ngrams = self.find_ngrams(self.find_contexts(X)[-1], Y, self.order - 1)
        return np.where(ngrams < 0, 0, self.levels[-1].counts[ngrams])

    def distinct_examples(self) -> tuple[Int64, Int64, Int64]:
        """Return the distinct n-grams as contexts X (M,T) and tokens Y (M,), and their counts (M,).

        For order 1, X holds zeros, which mean nothing.
        """
        level = self.levels[-1]
        ids, Y = np.divmod(level.ngrams, len(self.vocab))
        X = np.zeros((len(Y), self.block_size), np.int64)
        for length in range(self.order - 1, 0, -1):  # from the oldest token
            keys = self.levels[length].contexts[ids]
            ids, X[:, -length] = np.divmod(keys, len(self.vocab))
        return X, Y, level.counts

    def unseen_share(self, X: ArrayLike) -> float:
        """Return the share of the contexts X (N,T) that were not seen.

        Raises
        ------
        TypeError
            X does not hold integers.
        ArgumentError
            N is 0, or X has another shape.
        RangeError
            A token is outside the vocabulary [0, V).
        """
        X = checks.tokens("X", X, self.block_size, len(self.vocab))
        if len(X) == 0:
            raise ArgumentError("X is empty; there must be at least one context")
        return float(np.mean(self.find_contexts(X)[-1] < 0))

    def conditional_entropy(self) -> float:
        """Return the entropy of a token given the order - 1 before it, in nats.

        It is the loss of the unsmoothed n-gram on the texts that were counted: no model that sees
        order - 1 tokens can have a lower loss there.
        """
        level = self.levels[-1]
        totals = np.repeat(level.totals(level.counts), np.diff(level.first))
        return float(level.counts @ np.log(totals / level.counts)) / self.n_examples
