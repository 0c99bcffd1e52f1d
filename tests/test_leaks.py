"""No binding leaks memory, whether its call succeeds or fails."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from binding_calls import BINDINGS
from extent import CAMPAIGN, SANITIZED

CALLS = 10_000 if CAMPAIGN else 2_000
STATM = Path("/proc/self/statm")
MEBIBYTE = 1 << 20

pytestmark = [
    pytest.mark.skipif(not STATM.exists(), reason="needs Linux's /proc"),
    pytest.mark.skipif(SANITIZED, reason="it keeps memory"),
]


def resident_bytes() -> int:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # a leak could hide in free memory that the process keeps
        trim(0)
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def growth(call: Callable[[], Any], calls: int) -> int:
    """Return by how many bytes the process grows in so many calls."""
    for _ in range(calls // 4):  # things that are made once are made now
        call()
    before = resident_bytes()
    for _ in range(calls):
        call()
    return resident_bytes() - before


@pytest.mark.parametrize("name", BINDINGS)
def test_memory_does_not_grow(name: str) -> None:
    call, arguments = BINDINGS[name]()
    keys = list(arguments)
    wrong = [{**arguments, key: object()} for key in (keys[0], keys[-1])]

    def right_and_wrong() -> None:
        try:
            call(**arguments)
        except OSError:
            assert name.endswith((".load", ".save", "write_file", "read_tensor_file"))
        for spoilt in wrong[: 1 + (len(keys) > 1)]:
            with pytest.raises((TypeError, ValueError)):
                call(**spoilt)

    assert growth(right_and_wrong, CALLS // 3) < MEBIBYTE


def test_a_leak_would_be_seen() -> None:
    kept: list[bytes] = []
    assert growth(lambda: kept.append(os.urandom(5000)), CALLS) > MEBIBYTE
