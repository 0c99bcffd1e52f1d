"""From a text file to words, one a line, with a memory of where they came from."""

import gzip
import hashlib
import os
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from makemore_cpp import checks
from makemore_cpp._core import FileError, FormatError
from makemore_cpp.lines import Stream, read_lines
from makemore_cpp.vocab import MAX_CHARACTERS

BUNDLED = "names_us2017"


class DataOrigin(NamedTuple):
    """Where the words of a model came from, so that they can be found and split again.

    `name` is "names_us2017" for the bundled list, else an absolute path; `sha256` is that of the
    file's (decompressed) bytes; `split_seed` that of the shuffle before the cut.
    """

    name: str
    sha256: str
    split_seed: int | None = None


class Words(list[str]):
    """The words of one file: a list that remembers the file's `name` and `sha256`."""

    def __init__(self, words: Iterable[str], name: str, sha256: str) -> None:
        super().__init__(words)
        self.name = name
        self.sha256 = sha256
        self._digest_at_load = self._digest()

    @property
    def is_unchanged(self) -> bool:
        """Whether the list still holds exactly what the file did, in that order."""
        return self._digest() == self._digest_at_load

    def _digest(self) -> bytes:
        # No word holds a newline, so joined words are equal only if the lists are.
        return hashlib.sha256("\n".join(self).encode("utf-8", "surrogatepass")).digest()


def load_words(path: str | bytes | os.PathLike[str] | None = None) -> Words:
    r"""Return the words of a text file, one a line, in the file's order.

    The text is UTF-8 and split at ``\n`` only. A byte order mark at its start is dropped, white
    space around a word is stripped, and empty lines are skipped.

    Parameters
    ----------
    path : str, bytes or path, optional
        The file; without it the bundled list, 32,469 names given in the United States in 2017.

    Raises
    ------
    TypeError
        `path` is no path.
    FileError
        The file cannot be read.
    FormatError
        A line is not UTF-8 or longer than 1 MiB, there are more than 65,535 distinct characters,
        or there is no word at all.
    """
    if path is None:
        bundled = Path(__file__).parent / "data" / f"{BUNDLED}.txt.gz"
        with gzip.open(bundled) as stream:
            return _read_words(stream, BUNDLED, BUNDLED)
    shown = checks.path("path", path)
    try:
        # A model file remembers the path as UTF-8; better to say so now than after the training.
        os.path.abspath(shown).encode("utf-8")
        with open(shown, "rb") as stream:
            return _read_words(stream, shown, os.path.abspath(shown))
    except UnicodeEncodeError:
        raise FileError(f"cannot read {shown!a}: the path is not UTF-8") from None
    except OSError as error:
        raise FileError(f"cannot read {shown}: {error.strerror}") from error


def load_origin(origin: DataOrigin) -> Words:
    """Return the words that `origin` names, as they are today."""
    return load_words(None if origin.name == BUNDLED else origin.name)


def _read_words(stream: Stream, shown: str, name: str) -> Words:
    words = []
    hashed = _Hashed(stream)
    characters: set[str] = set()
    number = 0
    for number, word in enumerate(chain.from_iterable(read_lines(hashed, shown)), 1):
        if word:
            words.append(word)
            characters.update(word)
            if len(characters) > MAX_CHARACTERS:
                raise FormatError(
                    f"line {number} of {shown} brings the distinct characters to "
                    f"{len(characters)}; at most {MAX_CHARACTERS} are allowed"
                )
    if not words:
        state = "has only blank lines" if number > 0 else "is empty"
        raise FormatError(f"{shown} {state}; it must hold at least one word")
    return Words(words, name, hashed.digest.hexdigest())


class _Hashed:
    """A stream, and the SHA-256 of what was read from it."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def read1(self, size: int) -> bytes:
        block = self._stream.read1(size)
        self.digest.update(block)
        return block
