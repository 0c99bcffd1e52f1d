"""Reads the texts of a file, one a line, and remembers where they came from."""

import gzip
import hashlib
import os
import stat
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from makemore_cpp import checks
from makemore_cpp._core import FileError, FormatError
from makemore_cpp.checks import quoted
from makemore_cpp.data.lines import read_lines
from makemore_cpp.data.vocab import MAX_TOKENS
from makemore_cpp.files.streams import Stream, read_block

GZIP_MAGIC = b"\x1f\x8b"
BUNDLED = "names_us2017"
BUNDLED_SHA256 = "91691165b471c338ee35387260590f0fdc23fcb50509b9ccfe1c879c7ac39a1e"


class DataOrigin(NamedTuple):
    """Where the texts of a model came from, so that they can be found and split again.

    `name` is "names_us2017" for the bundled list, else the absolute path of a file that this
    process, or the training that wrote a run folder, has read; it is empty where the path is not
    known, as after loading a model file, which holds none. `sha256` is the digest of the file's
    (decompressed) bytes. `split_seed` is the seed of the shuffle before the cut or, where the texts
    were prepared in another way, words: "lower 42" for texts in lower case that were shuffled;
    "stream 800000 200000" for a stream, with the numbers of tokens in train and dev; "lower stream
    800000 200000" for a stream in lower case; " line ends" is added where the end of each text is a
    token of the stream.
    """

    name: str
    sha256: str
    split_seed: int | str | None = None


class Texts(list[str]):
    """The texts of one file: a list that remembers the file's `name` and `sha256`.

    `is_lasting` is false where the file cannot be read again, such as a pipe or standard input.
    """

    is_lasting = True

    def __init__(
        self, texts: Iterable[str], name: str, sha256: str, is_lasting: bool = True
    ) -> None:
        super().__init__(texts)
        self.name = name
        self.sha256 = sha256
        self.is_lasting = is_lasting
        self._digest_at_load = self._digest()

    def __repr__(self) -> str:
        first = ", ".join(map(quoted, self[:3]))
        return f"Texts({len(self):,} of {quoted(self.name)}: {first}{', ...' * (len(self) > 3)})"

    @property
    def is_unchanged(self) -> bool:
        """Whether the list still holds exactly the texts of the file, in their order."""
        return self._digest() == self._digest_at_load

    def _digest(self) -> bytes:
        # No text holds a newline, so joined texts are equal only if the lists are.
        return hashlib.sha256("\n".join(self).encode("utf-8", "surrogatepass")).digest()


def load_texts(path: str | bytes | os.PathLike[str] | None = None) -> Texts:
    r"""Return the texts of a file, one a line, in the file's order.

    The file is UTF-8, gzipped or not, and split at ``\n`` only. A byte order mark at its start is
    dropped, white space around a text is stripped, and empty lines are skipped.

    Parameters
    ----------
    path : str, bytes or path, optional
        The file; without it the bundled list, 32,469 names given in the United States in 2017.

    Raises
    ------
    TypeError
        `path` is not a path.
    FileError
        The file cannot be read.
    FormatError
        A line is not UTF-8 or longer than 1 MiB, there are more than 1,048,575 distinct characters,
        or there is no text at all.
    """
    with open_texts(path) as stream:
        return stream.load()


class TextStream:
    """The texts of one file, read while iterating, in bounded memory; `name` is that of `Texts`."""

    def __init__(self, stream: Stream, shown: str, name: str, is_lasting: bool = True) -> None:
        self.name = name
        self._is_lasting = is_lasting
        self._shown = shown
        self._stream = _Hashed(stream)

    @property
    def sha256(self) -> str:
        """The SHA-256 of the bytes that were read until now."""
        return self._stream.digest.hexdigest()

    def load(self) -> Texts:
        """Return all texts at once."""
        texts = list(self)
        return Texts(texts, self.name, self.sha256, self._is_lasting)

    def __iter__(self) -> Iterator[str]:
        characters: set[str] = set()
        number = n_texts = 0
        for number, text in enumerate(
            chain.from_iterable(read_lines(self._stream, self._shown)), 1
        ):
            if not text:
                continue
            n_texts += 1
            characters.update(text)
            if len(characters) > MAX_TOKENS:
                raise FormatError(
                    f"line {number} of {self._shown} brings the distinct characters to "
                    f"{len(characters)}; at most {MAX_TOKENS} are allowed"
                )
            yield text
        if not n_texts:
            state = "has only blank lines" if number > 0 else "is empty"
            raise FormatError(f"{self._shown} {state}; it must hold at least one text")


@contextmanager
def open_texts(
    path: str | bytes | os.PathLike[str] | None = None, is_regular: bool = False
) -> Iterator[TextStream]:
    """Open a file for `load_texts`, or for reading one text at a time.

    Opening and reading raise what `load_texts` does. With `is_regular` anything but a regular file
    is refused at once.
    """
    if path is None:
        bundled = Path(__file__).with_name(f"{BUNDLED}.txt.gz")
        with gzip.open(bundled) as names:
            yield TextStream(names, BUNDLED, BUNDLED)
        return
    shown = checks.path("path", path)
    on_one_line = shown.replace("\n", "\\n") if len(shown) < 300 else shown[:300] + "…"
    try:
        # A run folder stores the path as UTF-8: others are refused now, not after the training.
        os.path.abspath(shown).encode("utf-8")
        # O_NONBLOCK: without it, opening a named pipe waits for a writer.
        waiting = os.O_NONBLOCK if is_regular else 0
        with open(shown, "rb", opener=lambda name, flags: os.open(name, flags | waiting)) as file:
            is_lasting = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            if is_regular and not is_lasting:
                raise FileError(f"cannot read {on_one_line}: it is not a regular file")
            name = os.path.abspath(shown)
            if is_lasting and name.startswith(("/dev/", "/proc/")):  # a name in this process alone
                name = os.path.realpath(shown)
            # No text in UTF-8 begins with these two bytes.
            is_compressed = is_lasting and file.peek(2)[:2] == GZIP_MAGIC
            stream: Stream = gzip.GzipFile(fileobj=file) if is_compressed else file
            yield TextStream(stream, on_one_line, name, is_lasting)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FormatError(f"{on_one_line} is no whole gzip file: {error}") from None
    except UnicodeEncodeError:
        raise FileError(f"cannot read {shown!a}: the path is not UTF-8") from None
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"cannot read {on_one_line}: {error.strerror}") from error


class _Hashed:
    """A stream, and the SHA-256 of the bytes that were read from it."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def read1(self, size: int) -> bytes:
        block = read_block(self._stream, size)
        self.digest.update(block)
        return block
