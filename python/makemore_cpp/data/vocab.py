"""The vocabulary: characters to tokens and back."""

from collections.abc import Iterable, Sequence
from typing import Any

from numpy.typing import ArrayLike

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError, Vocabulary
from makemore_cpp.arrays import Int32, Int64

MAX_CHARACTERS = 65_535  # with the boundary, the 2**16 tokens that the core allows


class Vocab(Vocabulary):
    """Distinct characters in token order; token 0 is the boundary, which starts and ends a text.

    Parameters
    ----------
    characters : list of str
        Single Unicode code points, at most 65,535; the first is token 1.
    boundary : str
        The character that stands for token 0. It is not among `characters`.

    Raises
    ------
    ArgumentError
        An entry is not one code point, appears twice or is the boundary, or there are too many.

    Examples
    --------
    >>> vocab = Vocab(["a", "b"])
    >>> len(vocab), vocab.encode("ba").tolist(), vocab.decode([2, 1, 0])
    (3, [2, 1], 'ba.')
    """

    def __init__(self, characters: Sequence[str], boundary: str = ".") -> None:
        super().__init__(checks.string_list("characters", characters), boundary)

    @classmethod
    def from_texts(cls, texts: Iterable[str], boundary: str = ".") -> "Vocab":
        """Return the vocabulary of all characters in `texts`, sorted by code point.

        Raises
        ------
        TypeError
            `texts` is a str, or holds something else than str.
        ArgumentError
            A text contains the boundary, or there are more than 65,535 distinct characters.
        """
        if not isinstance(boundary, str):
            raise TypeError(f"boundary must be a str, not {type(boundary).__name__}")
        texts = checks.string_list("texts", texts)
        characters = sorted(set("".join(texts)))
        if boundary in characters:
            i = next(i for i, text in enumerate(texts) if boundary in text)
            raise ArgumentError(
                f"texts[{i}] {checks.quoted(texts[i])} contains the boundary character "
                f"{checks.quoted(boundary)}; choose another one with the option boundary"
            )
        if len(characters) > MAX_CHARACTERS:
            raise ArgumentError(
                f"texts hold {len(characters)} distinct characters; at most {MAX_CHARACTERS} are "
                f"allowed, and {characters[MAX_CHARACTERS]!r} is the first beyond"
            )
        return cls(characters, boundary)

    @property
    def characters(self) -> list[str]:
        """The characters of tokens 1 to V - 1, a new list."""
        return super().characters

    @property
    def boundary(self) -> str:
        """The character that stands for token 0."""
        return super().boundary

    def encode(self, text: str) -> Int32:
        """Return the tokens of a text: an int32 array, shape (characters,), without boundaries.

        Raises
        ------
        TypeError
            `text` is not a str.
        ArgumentError
            A character is not in the vocabulary or is its boundary.
        """
        return super().encode(text)

    def encode_many(self, texts: Sequence[str]) -> tuple[Int32, Int64]:
        """Return the tokens of many texts, one after another, and where each text begins.

        Returns
        -------
        tokens : int32 array, shape (characters of all texts,)
        offsets : int64 array, shape (texts + 1,)
            Text i is ``tokens[offsets[i]:offsets[i + 1]]``.

        Raises
        ------
        TypeError
            `texts` is a str, or holds something else than str.
        ArgumentError
            A character is not in the vocabulary or is its boundary.
        """
        return super().encode_many(texts)

    def decode(self, tokens: ArrayLike) -> str:
        """Return the text of tokens, integers of any type, shape (n,); token 0 is the boundary.

        Raises
        ------
        TypeError
            The tokens are not integers.
        ArgumentError
            They have more than one dimension.
        RangeError
            A token is outside the vocabulary [0, V).
        """
        return super().decode(tokens)

    @property
    def itos(self) -> list[str]:
        """Token to character, the boundary first: V entries."""
        return [self.boundary, *self.characters]

    @property
    def stoi(self) -> dict[str, int]:
        """Character to token, with the boundary as token 0."""
        return {character: token for token, character in enumerate(self.itos)}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.characters, self.boundary)

    def __repr__(self) -> str:
        shown = "".join(self.characters[:40]) + ("…" if len(self) > 41 else "")
        return f"Vocab of {len(self)} tokens: boundary {self.boundary!r}, characters {shown!r}"


def check_vocab(vocab: object) -> Vocab:
    """Return `vocab` if it is a Vocab; else TypeError."""
    if not isinstance(vocab, Vocab):
        raise TypeError(f"vocab must be a makemore_cpp.Vocab, not {type(vocab).__name__}")
    return vocab
