"""Lines of text, however a stream is cut into blocks."""

from __future__ import annotations

import io
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import makemore_cpp as mm
from makemore_cpp.data import lines
from makemore_cpp.data.lines import read_lines


class Cut:
    """A stream that gives its bytes in blocks of random sizes, at most `longest`."""

    def __init__(self, data: bytes, longest: int, seed: int) -> None:
        self.stream = io.BytesIO(data)
        self.longest = longest
        self.random = random.Random(seed)

    def read1(self, size: int) -> bytes:
        return self.stream.read(min(size, self.random.randint(1, self.longest)))


def collect(stream) -> tuple[list[str], str | None]:
    """Return the lines, and the sentence of the error that ended them."""
    found: list[str] = []
    try:
        for some in read_lines(stream, "it"):
            assert some, "a list is never empty"
            found += some
    except mm.FormatError as error:
        return found, str(error)
    return found, None


def expected(data: bytes, longest: int) -> tuple[list[str], str | None]:
    """Return what `collect` should: the definition, line by line."""
    found: list[str] = []
    pieces = data.split(b"\n")
    if pieces[-1] == b"":
        pieces.pop()
    for number, piece in enumerate(pieces, 1):
        if len(piece) > longest:
            return found, f"line {number} of it is longer than {longest} bytes"
        try:
            text = piece.decode()
        except UnicodeDecodeError as error:
            return found, (
                f"line {number} of it is not UTF-8: byte {error.start + 1} of the line "
                f"is 0x{piece[error.start]:02x}"
            )
        found.append((text.removeprefix("\ufeff") if number == 1 else text).strip())
    return found, None


parts = st.sampled_from(
    [b"\n", b"\r\n", b"a", b" ", "\ufeff".encode(), "ë".encode(), "\U0001f600".encode(),
     "\u2028".encode(), b"\x00", b"\x0b", b"\t", b"\xeb", b"\xf0\x9f"]
)  # fmt: skip


@given(st.lists(parts, max_size=40), st.integers(1, 12), st.integers(0, 9))
def test_blocks_do_not_matter(several, longest, seed):
    data = b"".join(several)
    assert collect(Cut(data, longest, seed)) == expected(data, lines.MAX_LINE_BYTES)


@given(st.lists(st.integers(0, 40), max_size=8), st.integers(1, 16), st.booleans())
def test_a_line_that_is_too_long(lengths, longest, has_end):
    data = b"\n".join(b"x" * length for length in lengths) + b"\n" * has_end
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "MAX_LINE_BYTES", 20)
        patch.setattr(lines, "BLOCK_BYTES", 16)
        assert collect(Cut(data, longest, 1)) == expected(data, 20)


def test_lines_come_as_soon_as_they_are_there():
    class Speaker:
        said = 0

        def read1(self, size: int) -> bytes:
            self.said += 1
            return b"line %d\nbegun, " % self.said

    speaker = Speaker()
    for number, some in zip(range(1, 4), read_lines(speaker, "it"), strict=False):
        assert speaker.said == number
        assert some == [f"begun, line {number}" if number > 1 else "line 1"]


def test_an_endless_line_is_not_awaited():
    class Endless:
        given = 0

        def read1(self, size: int) -> bytes:
            self.given += size
            return b"x" * size

    endless = Endless()
    assert collect(endless) == ([], f"line 1 of it is longer than {1 << 20} bytes")
    assert endless.given < 1 << 21
