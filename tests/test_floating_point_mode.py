"""The floating-point mode of the calling thread changes no bit, and is the same afterwards."""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from binding_calls import BINDINGS
from forked import ends_by

import makemore_cpp as mm
from makemore_cpp import _core

if platform.machine() != "x86_64" or sys.platform != "linux":
    pytest.skip("the mode is set as this system keeps it", allow_module_level=True)

LIBM = ctypes.CDLL("libm.so.6")
CONTROL = 0xFFC0  # the register's bits of the mode; the others are flags of past operations
# Rounding upwards, downwards and to zero; subnormal numbers lost as results and as operands.
MODES = {"up": 0x4000, "down": 0x2000, "zero": 0x6000, "flush": 0x8040, "flush, down": 0xA040}
PLAIN = 0


def mode() -> int:
    """Return this thread's MXCSR, the last of the eight words that fegetenv writes."""
    words = (ctypes.c_uint32 * 8)()
    LIBM.fegetenv(words)
    return words[7]


@contextmanager
def in_mode(bits: int) -> Iterator[None]:
    before, changed = (ctypes.c_uint32 * 8)(), (ctypes.c_uint32 * 8)()
    LIBM.fegetenv(before)
    LIBM.fegetenv(changed)
    changed[7] = changed[7] & ~0xE040 | bits
    LIBM.fesetenv(changed)
    try:
        yield
    finally:
        LIBM.fesetenv(before)


def bits_of(value: Any) -> Any:
    """Return a value that two results share exactly when all their bits are the same."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, dict):
        return {name: bits_of(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [bits_of(each) for each in value]
    return value if isinstance(value, int | float | str | bytes) else None


def result_of(name: str, bits: int) -> Any:
    function, arguments = BINDINGS[name]()
    if name == "train_steps":
        arguments["lr"] = np.array([0.1, 1e-30])  # which makes subnormal updates
    try:
        with in_mode(bits):
            before = mode() & CONTROL
            result = function(**arguments)
            assert mode() & CONTROL == before
    except mm.FileError:
        return b""
    return bits_of((result, arguments))


@pytest.mark.parametrize("bits", MODES.values(), ids=MODES)
@pytest.mark.parametrize("name", BINDINGS)
def test_every_binding(name: str, bits: int) -> None:
    assert result_of(name, bits) == result_of(name, PLAIN)


def lecture_steps(threads: int, bits: int) -> list[bytes]:
    """Return the parameters after steps that several threads share, with subnormal numbers."""
    rng = np.random.default_rng(1)
    X, Y = rng.integers(0, 27, (500, 3)), rng.integers(0, 27, 500)
    arrays = _core.initial_parameters(3, 10, 200, 27, 1)
    arrays[3][:] *= np.float32(1e-37)
    with in_mode(bits):
        losses = _core.train_steps(*arrays, X, Y, [1e-37] * 10, batch_size=64, threads=threads)
        mean = _core.mean_loss(*arrays, X, Y, threads)
    return [losses.tobytes(), np.float64(mean).tobytes(), *(array.tobytes() for array in arrays)]


@pytest.mark.parametrize("bits", MODES.values(), ids=MODES)
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_threads_that_the_pool_has_already(threads: int, bits: int) -> None:
    assert lecture_steps(threads, bits) == lecture_steps(threads, PLAIN)


@pytest.mark.parametrize("bits", MODES.values(), ids=MODES)
def test_threads_that_start_in_it(bits: int) -> None:
    """A forked child has no pool yet, so its threads start in the mode of the caller.

    Copying embeddings sets no mode itself.
    """
    expected = lecture_steps(1, PLAIN)

    def steps() -> None:
        with in_mode(bits):
            _core.embedding_forward(np.ones((1, 100), np.float32), np.zeros((5000, 3), int), 7)
        for _ in range(20):  # in some rounds the threads come in time
            assert lecture_steps(7, bits) == expected

    assert ends_by(steps) == ""
