"""The vocabulary: tokens, which are characters or words, and their numbers."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

from numpy.typing import ArrayLike

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError, Vocabulary
from makemore_cpp.arrays import AnyTexts, Int32, Int64

MAX_TOKENS = 2**20 - 1  # without the boundary; with it, the core's limit of 2**20

Level = Literal["char", "word"]


class Vocab(Vocabulary):
    """Distinct tokens in their order; token 0 is the boundary, which starts and ends a text.

    Tokens are characters (Unicode code points, not normalised) or words, which white space
    separates; decoding joins words by single spaces.

    Parameters
    ----------
    tokens : list of str
        Characters or words, at most 1,048,575; the first is token 1.
    boundary : str
        How token 0 is shown. It is not among `tokens`.
    separator : {"", " "}
        The string between two tokens: "" makes tokens characters, " " makes them words.
    unknown : str, optional
        One of the tokens: it stands for every character or word that is not in the vocabulary.
        Without it, such characters or words are refused.

    Raises
    ------
    ArgumentError
        A token is not one code point or one word, appears twice or is the boundary, there are too
        many, or `unknown` is not among them.

    Examples
    --------
    >>> vocab = Vocab(["a", "b"])
    >>> len(vocab), vocab.encode("ba").tolist(), vocab.decode([2, 1, 0])
    (3, [2, 1], 'ba.')
    >>> vocab = Vocab(["the", "<unk>"], "</s>", " ", unknown="<unk>")
    >>> vocab.encode("the cat").tolist(), vocab.decode([1, 2, 0])
    ([1, 2], 'the <unk> </s>')
    """

    def __init__(
        self,
        tokens: Sequence[str],
        boundary: str = ".",
        separator: str = "",
        unknown: str | None = None,
    ) -> None:
        super().__init__(checks.string_list("tokens", tokens), boundary, separator, unknown)

    @classmethod
    def from_texts(
        cls,
        texts: AnyTexts,
        boundary: str | None = None,
        *,
        level: Level = "char",
        min_count: int = 1,
        max_size: int | None = None,
        lower: bool = False,
        unknown: str | None = None,
    ) -> "Vocab":
        """Return the vocabulary of all tokens in `texts`.

        Characters are sorted by code point, words by their number, the most frequent first. The
        vocabulary does not remember `lower`: lower other texts by ``str.lower`` before you encode
        or score them.

        Parameters
        ----------
        texts : list of str, or Arrow strings
        boundary : str, optional
            How token 0 is shown: by default "." among characters and "</s>" among words.
        level : {"char", "word"}
            What the tokens are.
        min_count : int
            Rarer tokens are not in the vocabulary: `unknown` stands for them.
        max_size : int, optional
            The largest number V of tokens that the vocabulary may have, boundary and unknown token
            included; the most frequent are kept, and among equally frequent ones the first in the
            vocabulary's order.
        lower : bool
            Whether to take the texts in lower case.
        unknown : str, optional
            The unknown token. By default there is none without `min_count` and `max_size`, else it
            is "<unk>" among words, and U+FFFD, the replacement character, among characters.

        Raises
        ------
        TypeError
            `texts` is a str, or holds something other than str.
        ArgumentError
            A text contains the boundary, or there are more than 1,048,575 distinct tokens.
        """
        is_word = checks.choice("level", level, ("char", "word")) == "word"
        min_count = checks.integer("min_count", min_count, 1, 2**63 - 1)
        if max_size is not None:  # at least the boundary and the unknown token
            max_size = checks.integer("max_size", max_size, 2, MAX_TOKENS + 1)
        checks.flag("lower", lower)
        if boundary is None:
            boundary = "</s>" if is_word else "."
        if not isinstance(boundary, str):
            raise TypeError(f"boundary must be a str, not {type(boundary).__name__}")
        texts = lowered(checks.string_list("texts", texts), lower)
        kind = "word" if is_word else "character"
        if is_word:
            counts = Counter(word for text in texts for word in text.split())
            tokens = sorted(counts, key=lambda word: (-counts[word], word))
        else:
            joined = "".join(texts)
            is_counted = min_count > 1 or max_size is not None
            counts = Counter(joined if is_counted else set(joined))  # a set is faster to make
            tokens = sorted(counts)
        if boundary in counts:
            i = next(i for i, text in enumerate(texts) if boundary in _cut(text, is_word))
            raise ArgumentError(
                f"texts[{i}] {checks.quoted(texts[i])} contains the boundary {kind} "
                f"{checks.quoted(boundary)}; choose another one with the option boundary"
            )
        tokens = [token for token in tokens if counts[token] >= min_count]
        if unknown is None and (min_count > 1 or max_size is not None):
            unknown = "<unk>" if is_word else "\ufffd"
        if max_size is not None:
            others = [token for token in tokens if token != unknown]
            others.sort(key=lambda token: -counts[token])  # equals stay in their order
            kept = {unknown, *others[: max_size - 2]}
            tokens = [token for token in tokens if token in kept]
        if unknown is not None and unknown not in tokens:
            tokens.insert(0, unknown)
        if len(tokens) > MAX_TOKENS:
            raise ArgumentError(
                f"texts hold {len(tokens)} distinct {kind}s; at most {MAX_TOKENS} are allowed, and "
                f"{checks.quoted(tokens[MAX_TOKENS])} is the first beyond"
            )
        return cls(tokens, boundary, " " if is_word else "", unknown)

    @property
    def tokens(self) -> list[str]:
        """Tokens 1 to V - 1, a new list."""
        return super().tokens

    @property
    def boundary(self) -> str:
        """How token 0 is shown."""
        return super().boundary

    @property
    def separator(self) -> str:
        """The string between two tokens of a text: "" between characters, " " between words."""
        return super().separator

    @property
    def unknown(self) -> str | None:
        """The token that stands for all that is not in the vocabulary, or None without one."""
        return super().unknown

    @property
    def level(self) -> Level:
        """The kind of the tokens, "char" or "word"."""
        return "word" if self.separator else "char"

    @property
    def is_plain(self) -> bool:
        """Whether tokens are characters and there is no unknown token."""
        return super().is_plain

    @property
    def characters(self) -> list[str]:
        """The tokens where they are characters; ArgumentError where they are words."""
        if self.level == "word":
            raise ArgumentError("the tokens of this vocabulary are words, not characters")
        return self.tokens

    def cut(self, text: str) -> list[str]:
        """Return a text as the list of its tokens, whether they are in the vocabulary or not."""
        return _cut(text, self.level == "word")

    @property
    def length(self) -> Callable[[str], int]:
        """The function that counts the tokens of a text: `len`, or one that counts words."""
        return len if self.level == "char" else _count_words

    def encode(self, text: str) -> Int32:
        """Return the tokens of a text: an int32 array, shape (tokens,), without boundaries.

        Raises
        ------
        TypeError
            `text` is not a str.
        ArgumentError
            A character or word is the boundary, or has no token and there is no unknown token.
        """
        return super().encode(text)

    def encode_many(self, texts: AnyTexts) -> tuple[Int32, Int64]:
        """Return the tokens of many texts, one after another, and where each text begins.

        Returns
        -------
        tokens : int32 array, shape (tokens of all texts,)
        offsets : int64 array, shape (texts + 1,)
            Text i is ``tokens[offsets[i]:offsets[i + 1]]``.

        Raises
        ------
        TypeError
            `texts` is a str, or holds something other than str.
        ArgumentError
            `encode` refuses one of the texts.
        """
        return super().encode_many(cast(AnyTexts, checks.readable("texts", texts)))

    def decode(self, tokens: ArrayLike) -> str:
        """Return the text of tokens, integers of any type, shape (n,); token 0 is the boundary.

        Raises
        ------
        TypeError
            The tokens are not integers.
        ArgumentError
            The array of tokens has more than one dimension.
        RangeError
            A token is outside the vocabulary [0, V).
        """
        return super().decode(tokens)

    @property
    def itos(self) -> list[str]:
        """How each token is shown, the boundary first: V entries."""
        return [self.boundary, *self.tokens]

    @property
    def stoi(self) -> dict[str, int]:
        """The number of each token, with the boundary as token 0."""
        return {token: number for number, token in enumerate(self.itos)}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.tokens, self.boundary, self.separator, self.unknown)

    def __repr__(self) -> str:
        kind = "characters" if self.level == "char" else "words"
        shown = self.separator.join(self.tokens[:40])
        shown = shown[:40] + "…" * (len(shown) > 40 or len(self) > 41)
        unknown = "" if self.unknown is None else f", unknown {self.unknown!r}"
        return f"Vocab of {len(self)} tokens: boundary {self.boundary!r}{unknown}, {kind} {shown!r}"


def lowered(texts: list[str], lower: bool) -> list[str]:
    """Return the texts, with `lower` in lower case."""
    return [text.lower() for text in texts] if lower else texts


def _cut(text: str, is_word: bool) -> list[str]:
    return text.split() if is_word else list(text)


def _count_words(text: str) -> int:
    return len(text.split())


def check_vocab(vocab: object) -> Vocab:
    """Return `vocab` if it is a Vocab; else raise TypeError."""
    if not isinstance(vocab, Vocab):
        raise TypeError(f"vocab must be a makemore_cpp.Vocab, not {type(vocab).__name__}")
    return vocab
