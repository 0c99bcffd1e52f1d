"""The vocabulary: characters to tokens and back."""

from collections.abc import Iterable, Sequence
from typing import Any

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError, Vocabulary

MAX_CHARACTERS = 65_535  # with the boundary, the 2**16 tokens that the core allows


class Vocab(Vocabulary):
    """Distinct characters in token order; token 0 is the boundary, which starts and ends a word.

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
    def from_words(cls, words: Iterable[str], boundary: str = ".") -> "Vocab":
        """Return the vocabulary of all characters in `words`, sorted by code point."""
        strings = checks.string_list("words", words)
        characters = sorted(set("".join(strings)))
        if boundary in characters:
            i = next(i for i, word in enumerate(strings) if boundary in word)
            raise ArgumentError(
                f"words[{i}] {strings[i]!r} contains the boundary character {boundary!r}; "
                "choose another one with the option boundary"
            )
        if len(characters) > MAX_CHARACTERS:
            raise ArgumentError(
                f"words hold {len(characters)} distinct characters; at most {MAX_CHARACTERS} are "
                f"allowed, and {characters[MAX_CHARACTERS]!r} is the first beyond"
            )
        return cls(characters, boundary)

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
