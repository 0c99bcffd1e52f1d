"""The reader of texts under attack: texts, or one sentence that names the file."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest
from extent import CAMPAIGN
from forked import ends_by
from hypothesis import given, settings
from hypothesis import strategies as st

import makemore_cpp as mm

PIECES = [
    b"anna", b"\n", b"\r\n", b"\r", b"\0", b"\xef\xbb\xbf", b" ", b"\t", b"\xc2\xa0",
    b"\xe2\x80\xa8", "é".encode(), "\U0001f600".encode(), b"\xff", b"\xc0\x80", b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xe2\x82", b"\x85", b"\x0b", b"\x1a", b"\n\n\n", b"a" * 300,
]  # fmt: skip
texts = st.lists(st.sampled_from(PIECES) | st.binary(max_size=8), max_size=12).map(b"".join)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("texts") / "texts.txt"


def definition(content: bytes) -> list[str]:
    lines = content.decode().removeprefix("\ufeff").split("\n")
    return [line.strip() for line in lines if line.strip()]


@settings(max_examples=5000 if CAMPAIGN else 200, deadline=None, database=None)
@given(texts)
def test_any_bytes(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    try:
        expected = definition(content)
    except UnicodeDecodeError:
        expected = []
    if expected:
        assert mm.load_texts(file) == expected
        return
    with pytest.raises(mm.FormatError, match=r"texts\.txt") as caught:
        mm.load_texts(file)
    assert "\n" not in str(caught.value)


def test_a_million_distinct_characters_are_refused(file: Path) -> None:
    points = [c for c in range(33, 0x10FFFF) if not 0xD800 <= c <= 0xDFFF]
    lines = ["".join(map(chr, points[i : i + 1000])) for i in range(0, len(points), 1000)]
    file.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(mm.FormatError, match=r"line \d+ of .* distinct characters") as caught:
        mm.load_texts(file)
    assert len(str(caught.value)) < 500


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count in other units")
def test_a_giant_line_is_refused_in_bounded_memory(file: Path) -> None:
    with file.open("wb") as stream:
        stream.truncate(1 << 34)  # zeros that take no place

    def refused() -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(mm.FormatError, match=r"line 1 of .* is longer than"):
            mm.load_texts(file)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB

    assert ends_by(refused) == ""  # in a child, whose greatest size so far is the present one
    file.unlink()
