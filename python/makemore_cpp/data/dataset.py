"""Turns texts into contexts and targets (X, Y), split in three."""

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError
from makemore_cpp.arrays import AnyTexts, Int32, Int64
from makemore_cpp.data.texts import DataOrigin, Texts
from makemore_cpp.data.vocab import Level, Vocab, check_vocab, lowered

MAX_BLOCK_SIZE = 1 << 16
MAX_CONTEXT_TOKENS = 1 << 30  # elements of X, 4 GiB
# The words for a `Preparation` that is more than a shuffle; see `DataOrigin`.
PREPARATION = re.compile(
    r"(?:lower )?stream (?P<train>[0-9]{1,10}) (?P<dev>[0-9]{1,10})(?P<ends> line ends)?"
    r"|lower (?P<seed>[0-9]{1,20})"
)


def build_dataset(texts: AnyTexts, vocab: Vocab, block_size: int = 3) -> tuple[Int32, Int32]:
    """Return every context of `texts` and the token that follows it.

    Each text stands between boundaries: "emma" gives ... -> e, ..e -> m, .em -> m, emm -> a,
    mma -> . at block size 3.

    Parameters
    ----------
    texts : list of str, or Arrow strings
    vocab : Vocab
    block_size : int
        T, the number of tokens in a context, 1 to 65,536.

    Returns
    -------
    X : int32 array, shape (N, T)
        N is the number of tokens in all texts plus the number of texts.
    Y : int32 array, shape (N,)

    Raises
    ------
    TypeError
        `texts` is not a list of str, or `vocab` not a Vocab.
    ArgumentError
        A token is not in `vocab` or is its boundary, or X would exceed 2**30 elements.
    """
    T = checks.integer("block_size", block_size, 1, MAX_BLOCK_SIZE)
    texts = checks.string_list("texts", texts)
    tokens, offsets = encode_texts("texts", texts, vocab)
    N = len(tokens) + len(texts)
    if N * T > MAX_CONTEXT_TOKENS:
        raise ArgumentError(
            f"{N} examples of block_size {T} make {N * T} tokens of context; "
            f"at most {MAX_CONTEXT_TOKENS} are allowed"
        )
    windows, rows, Y = sliding_contexts(tokens, np.diff(offsets), T)
    return windows[rows], Y


def sliding_contexts(tokens: Int32, lengths: Int64, block_size: int) -> tuple[Int32, Int64, Int32]:
    """Return contexts as a view, which needs little memory, and the targets after them.

    Parameters
    ----------
    tokens : int32 array
        The tokens of all texts, one after another.
    lengths : int64 array, shape (texts,)
        The number of tokens of each text.
    block_size : int
        T, the number of tokens in a context.

    Returns
    -------
    windows : int32 view, shape (M, T)
    rows : int64 array, shape (N,)
        The context of example i is ``windows[rows[i]]``.
    Y : int32 array, shape (N,)
    """
    T, n_texts = block_size, len(lengths)
    # The stream is T boundaries, then each text followed by T boundaries. The first of these is the
    # text's end, and all of them are the first context of the next text.
    stream = np.zeros(T + len(tokens) + n_texts * T, np.int32)
    text_of_token = np.repeat(np.arange(n_texts), lengths)
    stream[T + np.arange(len(tokens)) + text_of_token * T] = tokens
    text_of_example = np.repeat(np.arange(n_texts), lengths + 1)
    rows = np.arange(len(text_of_example)) + text_of_example * (T - 1)
    return np.lib.stride_tricks.sliding_window_view(stream, T), rows, stream[rows + T]


def cut_texts(texts: list[str], seed: int) -> tuple[list[str], list[str], list[str]]:
    """Return a shuffled copy of the texts cut at 80 % and 90 %; the first part is not empty."""
    shuffled = list(texts)
    random.Random(seed).shuffle(shuffled)
    n1 = max(1, int(0.8 * len(shuffled)))
    n2 = max(n1, int(0.9 * len(shuffled)))
    return shuffled[:n1], shuffled[n1:n2], shuffled[n2:]


def cut_stream(
    texts: list[str], sizes: tuple[int, int] | None, vocab: Vocab
) -> tuple[list[list[str]], tuple[int, int]]:
    """Return the three parts of `Dataset.stream`, each of one text or none, and their sizes."""
    tokens = [token for text in texts for token in check_vocab(vocab).cut(text)]
    if sizes is None:
        sizes = max(1, int(0.8 * len(tokens))), int(0.1 * len(tokens))
    n_train, n_dev = sizes
    if len(tokens) < n_train + n_dev:
        raise ArgumentError(
            f"texts hold {len(tokens):,} tokens; train and dev need {n_train + n_dev:,}"
        )
    ends = (0, n_train, n_train + n_dev, len(tokens))
    parts = [
        [vocab.separator.join(tokens[begin:end])] * (begin < end) for begin, end in pairwise(ends)
    ]
    return parts, sizes


def with_line_ends(texts: list[str], separator: str) -> list[str]:
    """Return the texts, each followed by the token for the end of a line."""
    end = f"{separator}<eos>" if separator else "\n"
    return [text + end for text in texts]


class Preparation(NamedTuple):
    """How texts were prepared and cut, which the `split_seed` of `DataOrigin` encodes."""

    lower: bool
    seed: int | None  # the seed of the shuffle, or None for a stream
    sizes: tuple[int, int] | None = None  # the tokens of a stream in train and in dev
    line_ends: bool = False  # whether the end of a text is a token of a stream

    @classmethod
    def of(cls, how: int | str) -> "Preparation":
        """Return the preparation that a `split_seed` encodes."""
        if isinstance(how, int):
            return cls(False, how)
        found = PREPARATION.fullmatch(how)
        if found is None:
            raise ArgumentError(f"nobody knows what texts are that are {checks.quoted(how)}")
        lower = how.startswith("lower")
        if found["seed"] is not None:
            return cls(lower, int(found["seed"]))
        sizes = int(found["train"]), int(found["dev"])
        return cls(lower, None, sizes, found["ends"] is not None)

    @property
    def split_seed(self) -> int | str:
        """The code for this preparation: a number for a shuffle alone, else words."""
        if self.sizes is not None:
            words = "lower " * self.lower + "stream {} {}".format(*self.sizes)
            return words + " line ends" * self.line_ends
        return f"lower {self.seed}" if self.lower or self.seed is None else self.seed

    def cut(self, texts: list[str], vocab: Vocab) -> tuple[list[str], ...]:
        """Return the texts of train, dev and test."""
        texts = lowered(texts, self.lower)
        if self.seed is not None:
            return cut_texts(texts, self.seed)
        if self.line_ends:
            texts = with_line_ends(texts, vocab.separator)
        return tuple(cut_stream(texts, self.sizes, vocab)[0])


def new_texts(train: Iterable[str], dev: Iterable[str]) -> list[str]:
    """Return the texts of dev that do not also stand in train."""
    known = set(train)
    return [text for text in dev if text not in known]


def encode_texts(name: str, texts: list[str], vocab: Vocab) -> tuple[Int32, Int64]:
    """Return tokens and offsets as `Vocab.encode_many` does, with errors that show the text."""
    try:
        return check_vocab(vocab).encode_many(texts)
    except ArgumentError:
        for i, text in enumerate(texts):
            try:
                vocab.encode(text)
            except ArgumentError as error:
                raise ArgumentError(f"{name}[{i}] {checks.quoted(text)}: {error}") from None
        raise


@dataclass(frozen=True, eq=False)
class Split:
    """The texts of one split and their examples: X (N,T) and Y (N,), int32; N may be zero."""

    texts: list[str]
    X: Int32
    Y: Int32

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the state of a pickle; older pickles have ``words`` for ``texts``."""
        self.__dict__.update({"texts" if k == "words" else k: v for k, v in state.items()})

    def __repr__(self) -> str:
        return f"Split({len(self.texts):,} texts, X {self.X.shape}, Y {self.Y.shape})"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Texts cut into train, dev and test, with their vocabulary and block size."""

    vocab: Vocab
    block_size: int
    train: Split
    dev: Split
    test: Split
    origin: DataOrigin | None

    def __repr__(self) -> str:
        splits = (("train", self.train), ("dev", self.dev), ("test", self.test))
        texts = ", ".join(f"{len(split.texts):,} {name}" for name, split in splits)
        sizes = f"block_size={self.block_size}, vocab_size={len(self.vocab)}"
        return f"Dataset({sizes}): {texts} texts"

    @classmethod
    def split(
        cls,
        texts: AnyTexts,
        block_size: int = 3,
        seed: int = 42,
        *,
        boundary: str | None = None,
        level: Level = "char",
        min_count: int = 1,
        max_size: int | None = None,
        lower: bool = False,
        vocab: Vocab | None = None,
    ) -> "Dataset":
        """Shuffle the texts and cut them at 80 % and 90 %, as the lecture does.

        Parameters
        ----------
        texts : list of str, or Arrow strings
            At least one text; the list is not changed. The train split is never empty; dev and test
            are empty when there are too few texts.
        block_size : int
            T, the number of tokens in a context.
        seed : int
            The seed of the shuffle, ``random.Random(seed).shuffle``.
        boundary, level, min_count, max_size
            The options of `Vocab.from_texts`, which makes the vocabulary of all texts.
        lower : bool
            Whether to take the texts in lower case.
        vocab : Vocab, optional
            The vocabulary to use instead.

        Raises
        ------
        TypeError
            `texts` is not a list of str, or `vocab` not a Vocab.
        ArgumentError
            There is no text, or a text contains the boundary or a token outside `vocab`.
        """
        seed = checks.integer("seed", seed, 0, checks.MAX_SEED)
        listed = lowered(checks.string_list("texts", texts), checks.flag("lower", lower))
        if not listed:
            raise ArgumentError("texts is empty; a dataset needs at least one text")
        if vocab is None:
            vocab = Vocab.from_texts(
                listed, boundary, level=level, min_count=min_count, max_size=max_size
            )
        else:
            # Texts are checked here, so that errors give their place in the caller's list.
            encode_texts("texts", listed, vocab)
        parts = cut_texts(listed, seed)
        return cls._of(parts, texts, Preparation(lower, seed).split_seed, vocab, block_size)

    @classmethod
    def stream(
        cls,
        texts: AnyTexts,
        sizes: tuple[int, int] | None = None,
        block_size: int = 3,
        *,
        vocab: Vocab | None = None,
        boundary: str | None = None,
        level: Level = "word",
        min_count: int = 1,
        max_size: int | None = None,
        lower: bool = False,
        line_ends: bool = False,
    ) -> "Dataset":
        """Join the texts to one stream, and cut it by the position of tokens.

        Bengio et al. (2003) do the same. Each split is one text: contexts run across the ends of
        the given texts, which leave no trace without `line_ends`.

        Parameters
        ----------
        texts : list of str, or Arrow strings
        sizes : (int, int), optional
            The number of tokens in train and in dev; the rest is test. Train is not empty. By
            default they are 80 % and 10 % of all.
        block_size : int
            T, the number of tokens in a context.
        vocab : Vocab, optional
            The vocabulary; without it, `Vocab.from_texts` makes one with the options `boundary`,
            `level`, `min_count` and `max_size`.
        lower : bool
            Whether to take the texts in lower case.
        line_ends : bool
            Whether each text, also the last, ends with a token: a newline where tokens are
            characters, ``"<eos>"`` where they are words.

        Raises
        ------
        TypeError
            `texts` is not a list of str, `vocab` not a Vocab, or a size not an integer.
        ArgumentError
            There are fewer tokens than train and dev need, or a token is not in `vocab`.
        """
        if sizes is not None:
            if not isinstance(sizes, tuple | list) or len(sizes) != 2:
                raise TypeError(f"sizes must be two integers, not {checks.shown(sizes)}")
            n_train = checks.integer("sizes[0]", sizes[0], 1, MAX_CONTEXT_TOKENS)
            sizes = n_train, checks.integer("sizes[1]", sizes[1], 0, MAX_CONTEXT_TOKENS)
        listed = lowered(checks.string_list("texts", texts), checks.flag("lower", lower))
        if checks.flag("line_ends", line_ends):
            at_words = level == "word" if vocab is None else bool(check_vocab(vocab).separator)
            listed = with_line_ends(listed, " " * at_words)
        if vocab is None:
            vocab = Vocab.from_texts(
                listed, boundary, level=level, min_count=min_count, max_size=max_size
            )
        parts, sizes = cut_stream(listed, sizes, vocab)
        how = Preparation(lower, None, sizes, line_ends)
        return cls._of(parts, texts, how.split_seed, vocab, block_size)

    @classmethod
    def again(cls, texts: AnyTexts, block_size: int, how: int | str, vocab: Vocab) -> "Dataset":
        """Cut texts as they were cut before; `how` is the `split_seed` of a `DataOrigin`.

        Raises
        ------
        ArgumentError
            A token is not in `vocab`, or `how` is not a known preparation.
        """
        listed = checks.string_list("texts", texts)
        if isinstance(how, int):  # errors give the text's place in the caller's list
            return cls.split(texts, block_size, how, vocab=vocab)
        return cls._of(Preparation.of(how).cut(listed, vocab), texts, how, vocab, block_size)

    @classmethod
    def _of(
        cls,
        parts: Iterable[list[str]],
        texts: AnyTexts,
        how: int | str,
        vocab: Vocab,
        block_size: int,
    ) -> "Dataset":
        train, dev, test = (Split(part, *build_dataset(part, vocab, block_size)) for part in parts)
        origin = None
        if isinstance(texts, Texts) and texts.is_unchanged:
            origin = DataOrigin(texts.name if texts.is_lasting else "", texts.sha256, how)
        return cls(vocab, block_size, train, dev, test, origin)

    def check_fits(self, vocab: Vocab, block_size: int) -> None:
        """Raise ArgumentError unless the data have this vocabulary and block size of a model."""
        if vocab != self.vocab:
            raise ArgumentError(f"model has the {vocab!r}, but data has the {self.vocab!r}")
        if block_size != self.block_size:
            raise ArgumentError(
                f"model has block_size {block_size}, but data has block_size {self.block_size}"
            )

    @property
    def texts(self) -> list[str]:
        """All texts, in the shuffled order."""
        return self.train.texts + self.dev.texts + self.test.texts

    def windows(self, text: str) -> list[str]:
        """Return each context of a text and the token after it, as the lecture prints them (9:02).

        Of "emma" these are ``... -> e``, ``..e -> m``, ``.em -> m``, ``emm -> a``, ``mma -> .``.

        Raises
        ------
        TypeError
            `text` is not a str.
        ArgumentError
            A token is not in the vocabulary, or is its boundary.
        """
        X, Y = build_dataset([text], self.vocab, self.block_size)
        itos, separator = self.vocab.itos, self.vocab.separator
        return [
            f"{separator.join(itos[token] for token in x)} -> {itos[y]}"
            for x, y in zip(X, Y, strict=True)
        ]
