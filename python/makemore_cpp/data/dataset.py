"""From words to contexts and targets (X, Y), split in three."""

import random
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError
from makemore_cpp.arrays import Int32, Int64
from makemore_cpp.data.texts import DataOrigin, Words
from makemore_cpp.data.vocab import Vocab, check_vocab

MAX_BLOCK_SIZE = 1 << 16
MAX_CONTEXT_TOKENS = 1 << 30  # elements of X, 4 GiB


def build_dataset(words: Iterable[str], vocab: Vocab, block_size: int = 3) -> tuple[Int32, Int32]:
    """Return every context of `words` and the token that follows it.

    Each word stands between boundaries: "emma" gives ... -> e, ..e -> m, .em -> m, emm -> a,
    mma -> . at block size 3.

    Parameters
    ----------
    words : list of str
    vocab : Vocab
    block_size : int
        T, the number of tokens in a context, 1 to 65,536.

    Returns
    -------
    X : int32 array, shape (N, T)
        N is the number of characters plus the number of words.
    Y : int32 array, shape (N,)

    Raises
    ------
    TypeError
        `words` is not a list of str, or `vocab` not a Vocab.
    ArgumentError
        A character is not in `vocab` or is its boundary, or X would exceed 2**30 elements.
    """
    T = checks.integer("block_size", block_size, 1, MAX_BLOCK_SIZE)
    strings = checks.string_list("words", words)
    tokens, offsets = encode_texts("words", strings, vocab)
    N = len(tokens) + len(strings)
    if N * T > MAX_CONTEXT_TOKENS:
        raise ArgumentError(
            f"{N} examples of block_size {T} make {N * T} tokens of context; "
            f"at most {MAX_CONTEXT_TOKENS} are allowed"
        )
    windows, rows, Y = sliding_contexts(tokens, np.diff(offsets), T)
    return windows[rows], Y


def sliding_contexts(tokens: Int32, lengths: Int64, block_size: int) -> tuple[Int32, Int64, Int32]:
    """Return contexts that need no memory of their own, and the targets after them.

    Parameters
    ----------
    tokens : int32 array
        Those of all words, one after another.
    lengths : int64 array, shape (words,)
    block_size : int
        T.

    Returns
    -------
    windows : int32 view, shape (M, T)
    rows : int64 array, shape (N,)
        The context of example i is ``windows[rows[i]]``.
    Y : int32 array, shape (N,)
    """
    T, words = block_size, len(lengths)
    # One stream: T boundaries, then each word followed by T boundaries. The first of these ends
    # the word, and all of them are the first context of the next.
    stream = np.zeros(T + len(tokens) + words * T, np.int32)
    word_of_token = np.repeat(np.arange(words), lengths)
    stream[T + np.arange(len(tokens)) + word_of_token * T] = tokens
    word_of_example = np.repeat(np.arange(words), lengths + 1)
    rows = np.arange(len(word_of_example)) + word_of_example * (T - 1)
    return np.lib.stride_tricks.sliding_window_view(stream, T), rows, stream[rows + T]


def cut_words(words: list[str], seed: int) -> tuple[list[str], list[str], list[str]]:
    """Return a shuffled copy of the words cut at 80 % and 90 %; the first part is not empty."""
    shuffled = list(words)
    random.Random(seed).shuffle(shuffled)
    n1 = max(1, int(0.8 * len(shuffled)))
    n2 = max(n1, int(0.9 * len(shuffled)))
    return shuffled[:n1], shuffled[n1:n2], shuffled[n2:]


def encode_texts(name: str, words: list[str], vocab: Vocab) -> tuple[Int32, Int64]:
    """Return tokens and offsets as `Vocab.encode_many` does, but errors name the word."""
    try:
        return check_vocab(vocab).encode_many(words)
    except ArgumentError:
        for i, word in enumerate(words):
            try:
                vocab.encode(word)
            except ArgumentError as error:
                raise ArgumentError(f"{name}[{i}] {checks.shown(word)}: {error}") from None
        raise


@dataclass(frozen=True, eq=False)
class Split:
    """The words of one split and their examples: X (N,T) and Y (N,), int32; N may be zero."""

    words: list[str]
    X: Int32
    Y: Int32

    def __repr__(self) -> str:
        return f"Split({len(self.words):,} words, X {self.X.shape}, Y {self.Y.shape})"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Words cut into train, dev and test, with the vocabulary and block size they share."""

    vocab: Vocab
    block_size: int
    train: Split
    dev: Split
    test: Split
    origin: DataOrigin | None

    def __repr__(self) -> str:
        splits = (("train", self.train), ("dev", self.dev), ("test", self.test))
        words = ", ".join(f"{len(split.words):,} {name}" for name, split in splits)
        sizes = f"block_size={self.block_size}, vocab_size={len(self.vocab)}"
        return f"Dataset({sizes}): {words} words"

    @classmethod
    def split(
        cls,
        words: Iterable[str],
        block_size: int = 3,
        seed: int = 42,
        *,
        boundary: str = ".",
        vocab: Vocab | None = None,
    ) -> "Dataset":
        """Shuffle the words and cut them at 80 % and 90 %, as the lecture does.

        Parameters
        ----------
        words : list of str
            At least one. They are not changed. The train split is never empty; dev and test are
            when there are too few words.
        block_size : int
            T, the number of tokens in a context.
        seed : int
            Of the shuffle, ``random.Random(seed).shuffle``.
        boundary : str
            The character that shows token 0; no word may contain it.
        vocab : Vocab, optional
            Without it, all characters of all words, sorted; with it, `boundary` is not used.

        Raises
        ------
        TypeError
            `words` is not a list of str, or `vocab` not a Vocab.
        ArgumentError
            There is no word, or a word contains the boundary or a character outside `vocab`.
        """
        seed = checks.integer("seed", seed, 0, checks.MAX_SEED)
        strings = checks.string_list("words", words)
        if not strings:
            raise ArgumentError("words is empty; a dataset needs at least one word")
        if vocab is None:
            vocab = Vocab.from_words(strings, boundary)
        else:
            encode_texts(
                "words", strings, vocab
            )  # now, as errors give the word's place in the caller's list
        train, dev, test = (
            Split(part, *build_dataset(part, vocab, block_size))
            for part in cut_words(strings, seed)
        )
        origin = None
        if isinstance(words, Words) and words.is_unchanged:
            origin = DataOrigin(words.name if words.is_lasting else "", words.sha256, seed)
        return cls(vocab, block_size, train, dev, test, origin)

    def check_fits(self, vocab: Vocab, block_size: int) -> None:
        """Raise ArgumentError unless the data are of these tokens and contexts, a model's."""
        if vocab != self.vocab:
            raise ArgumentError(f"model has the {vocab!r}, but data has the {self.vocab!r}")
        if block_size != self.block_size:
            raise ArgumentError(
                f"model has block_size {block_size}, but data has block_size {self.block_size}"
            )

    @property
    def words(self) -> list[str]:
        """All words, in the shuffled order."""
        return self.train.words + self.dev.words + self.test.words
