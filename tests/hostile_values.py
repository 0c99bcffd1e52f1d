"""Values that no caller should pass, and arrays that mean the same in another memory layout."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from makemore_cpp import _core


class MischiefError(Exception):
    """The error that hostile objects raise, which must reach the caller unchanged."""


def mischief(*args: Any, **keywords: Any) -> Any:
    raise MischiefError


class Raises:
    """An object all of whose methods raise."""

    __index__ = __float__ = __bool__ = __len__ = __iter__ = __array__ = __fspath__ = mischief
    __call__ = __getitem__ = __hash__ = __eq__ = mischief  # type: ignore[assignment]


class LyingArray(np.ndarray[Any, Any]):
    """An array whose methods return something wrong or raise."""

    def copy(self, *args: Any, **keywords: Any) -> Any:
        return 5

    astype = __len__ = mischief


class Text(str):
    """A str whose methods raise, though its characters are there."""

    __len__ = encode = __iter__ = __getitem__ = mischief


def lying(array: np.ndarray) -> np.ndarray:
    return np.repeat(array, 2, axis=-1)[..., ::2].view(LyingArray)


def matrix(array: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings(action="ignore"):  # np.matrix is deprecated
        return np.asmatrix(array.ravel())


def generator(values: Any) -> Iterator[Any]:
    yield from values


# -- arrays of the same numbers -------------------------------------------------------------------
def strided(a: np.ndarray) -> np.ndarray:
    return np.repeat(a, 2, axis=-1)[..., ::2]


def backwards(a: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(a[::-1])[::-1]


def unaligned(a: np.ndarray) -> np.ndarray:
    memory = np.zeros(a.nbytes + 1, np.uint8)[1:]
    memory[:] = np.frombuffer(a.tobytes(), np.uint8)
    return memory.view(a.dtype).reshape(a.shape)


def read_only(a: np.ndarray) -> np.ndarray:
    copy = a.copy()
    copy.flags.writeable = False
    return copy


def sliced(a: np.ndarray) -> np.ndarray:
    return np.pad(a, 1)[tuple(slice(1, -1) for _ in a.shape)]


LAYOUTS: list[Callable[[np.ndarray], np.ndarray]] = [
    strided, backwards, unaligned, read_only, sliced, np.asfortranarray, np.copy,
]  # fmt: skip
INTEGERS = ["i1", "u1", "<i2", ">i2", ">u2", "<i4", ">i4", "u4", "<i8", ">i8", "<u8", ">u8"]


# -- anything else --------------------------------------------------------------------------------
# The sizes are tiny or absurd: those between would be valid and slow.
INTS = [
    -(10**30), -(2**63) - 1, -(2**63), -(2**31), -2, -1, 0, 1, 2, 3, 300, 65_537,
    2**31, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**30, 10**5000,
]  # fmt: skip
FLOATS = [float("nan"), float("inf"), -float("inf"), -0.0, 0.5, 1.0, 1.5, 1e-320, 1e39, -1e308]
TEXTS = ["", "a", "ab", ".", "é", "\0", "a\0b", "\ud800", "a\udfff", "\U0001f600", "\n", "all",
         "sgd", "error", "a" * 5000, "\u202e"]  # fmt: skip
OTHERS: list[Callable[[], Any]] = [
    lambda: None, object, list, dict, set, tuple, lambda: Ellipsis,
    lambda: b"a", lambda: bytearray(b"ab"), lambda: memoryview(b"ab"), lambda: 1j, Raises,
    lambda: Decimal(1), lambda: Fraction(1, 3), lambda: range(3), lambda: generator([1, 2]),
    lambda: np.float16(1), lambda: np.int8(-1), lambda: np.bool_(True),
    lambda: np.datetime64("nat"),
    lambda: np.str_("a"), lambda: [[1], [1, 2]], lambda: [None], lambda: ["a", "\ud800"],
    lambda: _core.Vocabulary(["z"]), lambda: [b"a"], lambda: Text("ab"), lambda: [Text("ab")],
    lambda: {"a": np.zeros(3)},
    lambda: {"velocity.C": np.zeros((5, 3), np.float32)}, lambda: {1: 2}, lambda: True,
]  # fmt: skip
# They claim much memory and have none.
GIANTS: list[Callable[[Any], np.ndarray]] = [
    lambda t: np.broadcast_to(np.zeros((), t), (2**44, 2)),
    lambda t: np.broadcast_to(np.zeros((), t), (2**44,)),
    lambda t: np.broadcast_to(np.zeros((), t), (5, 2**44)),
    lambda t: np.broadcast_to(np.zeros((), t), (2**20, 2**20, 3)),
    lambda t: np.zeros((2**57, 0), t),
    lambda t: np.zeros((0, 2**57), t),
    lambda t: np.zeros((2**28, 0, 2**28), t),
    lambda t: np.lib.stride_tricks.as_strided(np.zeros(4, t), (2**44, 2), (0, 0)),
]
DTYPES = ["f4", ">f4", "f8", "f2", "i4", "i8", ">i4", "u8", "i1", "?", "c8", "S3", "U2", "O",
          "M8[s]", "V5", [("a", "f4"), ("b", "i4")]]  # fmt: skip


@st.composite
def small_arrays(draw: st.DrawFn) -> np.ndarray:
    """Arrays of any type, shape and layout."""
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6))
    values = draw(st.sampled_from([0, 1, 2, 4, 5, 27, 127, -1]) | st.sampled_from(FLOATS))
    with np.errstate(all="ignore"):
        array = np.full(shape, values).astype("f8")
        dtype = np.dtype(draw(st.sampled_from(DTYPES)))
        converted = np.zeros(shape, dtype) if dtype.kind in "MV" else array.astype(dtype)
    if not shape or dtype.kind == "O":
        return converted
    return draw(st.sampled_from([np.copy, strided, np.asfortranarray, lying]))(converted)


def anything() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.sampled_from(INTS),
        st.sampled_from(FLOATS),
        st.sampled_from(TEXTS),
        st.lists(st.sampled_from(TEXTS), max_size=3),
        st.sampled_from(OTHERS).map(lambda make: make()),
        st.builds(lambda make, t: make(t), st.sampled_from(GIANTS), st.sampled_from(["f4", "i4"])),
        small_arrays(),
    )


def changed(value: Any) -> st.SearchStrategy[Any]:
    """A valid array of numbers with some of them, or its type or shape, spoilt."""
    if not isinstance(value, np.ndarray) or value.ndim == 0:
        return anything()
    spoilt = st.sampled_from([-1, 5, 2**31 - 1, -(2**31)] if value.dtype.kind == "i" else FLOATS)

    def with_one(number: Any) -> np.ndarray:
        copy = value.copy()
        with np.errstate(all="ignore"):
            copy.flat[copy.size // 2] = number
        return copy

    return st.one_of(
        anything(),
        spoilt.map(with_one),
        st.sampled_from(DTYPES[:10]).map(value.astype),
        st.sampled_from([value[:0], value[1:], value[None], value.T, value.ravel(), lying(value),
                         value.tolist(), np.ma.masked_array(value), matrix(value),
                         value.astype("f4")[..., :0]]),
    )  # fmt: skip
