"""Checks of arguments: a value of the right kind and range, or one sentence that says why not."""

import math
import operator
import os
from collections.abc import Iterable, Mapping
from typing import Any, SupportsFloat, SupportsIndex, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from makemore_cpp._core import ArgumentError, RangeError
from makemore_cpp.arrays import Int64

MAX_SEED = 2**64 - 1
MAX_FLOAT32 = float.fromhex("0x1.fffffep127")
SHOWN_CHARACTERS = 40  # of a text in a sentence


def integer(name: str, value: SupportsIndex, low: int, high: int) -> int:
    """Return `value` as an int in [low, high]; else TypeError or ArgumentError."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}") from None
    if not low <= number <= high:
        shown_number = "is" if abs(number) > 2**128 else f"is {number},"  # not thousands of digits
        raise ArgumentError(f"{name} {shown_number} outside [{low}, {high}]")
    return number


def non_negative(name: str, value: SupportsFloat) -> float:
    """Return `value` as a float that is finite as float32 and not below zero."""
    try:
        if isinstance(value, str | bytes | bytearray):  # float would read them
            raise TypeError
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}") from None
    except OverflowError:
        number = math.inf
    if not 0.0 <= number <= MAX_FLOAT32:  # false for NaN too
        raise ArgumentError(f"{name} is {number}; it must be finite as float32 and not negative")
    return number


def pair(name: str, value: object) -> tuple[float, float]:
    """Return two numbers as floats; their range is the core's to check."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise TypeError(f"{name} must be two numbers, not {value!r:.40}")
    return non_negative(f"{name}[0]", value[0]), non_negative(f"{name}[1]", value[1])


def string_list(name: str, values: object) -> list[str]:
    """Return `values` as a list of str, refusing a single str, which would read as its letters."""
    try:
        iterator = None if isinstance(values, str) else iter(cast(Iterable[object], values))
    except TypeError:
        iterator = None
    if iterator is None:
        raise TypeError(f"{name} must be a list of str, not {type(values).__name__}")
    strings: list[str] = []
    for string in iterator:  # stops at the first that is none, however many claim to follow
        if not isinstance(string, str):
            raise TypeError(f"{name}[{len(strings)}] must be a str, not {type(string).__name__}")
        strings.append(string)
    return strings


def tokens(name: str, values: ArrayLike, width: int | None, vocab_size: int) -> Int64:
    """Return tokens (N,), or (N,width) where there is a width, as int64; else the error says why.

    Raises
    ------
    TypeError
        `values` is no array of integers.
    ArgumentError
        It has another shape.
    RangeError
        A token is outside [0, vocab_size).
    """
    try:
        array = np.asarray(values)
    except ValueError:  # rows of different lengths
        raise TypeError(f"{name} must be an array of integers, not {values!r:.40}") from None
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold integers, not {array.dtype}")
    wanted = () if width is None else (width,)
    if array.ndim != 1 + len(wanted) or array.shape[1:] != wanted:
        expected = "(N,)" if width is None else f"(N, {width})"
        raise ArgumentError(f"{name} has the shape {array.shape}; it must be {expected}")
    outside = np.argwhere((array < 0) | (array >= vocab_size))
    if len(outside):
        place = ", ".join(map(str, outside[0]))
        token = array[tuple(outside[0])]
        raise RangeError(
            f"token {token} at {name}[{place}] is outside the vocabulary [0, {vocab_size})"
        )
    return array.astype(np.int64)


def examples(X: ArrayLike, Y: ArrayLike, block_size: int, vocab_size: int) -> tuple[Int64, Int64]:
    """Return contexts X (N,block_size) and targets Y (N,) as int64, N at least 1; see `tokens`."""
    contexts = tokens("X", X, block_size, vocab_size)
    targets = tokens("Y", Y, None, vocab_size)
    if len(contexts) != len(targets) or len(targets) == 0:
        raise ArgumentError(
            f"X has {len(contexts)} rows and Y {len(targets)}; they must be equal, not 0"
        )
    return contexts, targets


def parameter_shapes(
    arrays: Mapping[str, NDArray[Any]], letters: Iterable[str], sizes: dict[str, int]
) -> None:
    """Check the shapes of a model's arrays, the embeddings and the hidden weights first.

    Parameters
    ----------
    arrays : mapping of names to arrays
    letters : iterable of str
        Each array's shape, like "KH": a letter stands for the same size everywhere.
    sizes : dict
        What letters stand for; those that it lacks are added as they occur.

    Raises
    ------
    ArgumentError
        A shape does not fit, a size is 0, or K is no multiple of E.
    """
    for (name, array), axes in zip(arrays.items(), letters, strict=True):
        if array.ndim != len(axes):
            raise ArgumentError(f"{name} has {array.ndim} dimensions; it must have {len(axes)}")
        shape = tuple(sizes.setdefault(*axis) for axis in zip(axes, array.shape, strict=True))
        if array.shape != shape:
            raise ArgumentError(f"{name} has the shape {array.shape}; it must be {shape}")
    E, K, H = (sizes[letter] for letter in "EKH")
    if 0 in (E, K, H) or K % E != 0:
        embeddings, hidden = list(arrays)[:2]
        raise ArgumentError(
            f"{hidden} has the shape {arrays[hidden].shape} and {embeddings} "
            f"{arrays[embeddings].shape}: K = {K} must be a positive multiple of E = {E}, and "
            f"H = {H} must be positive"
        )


def path(name: str, value: object) -> str:
    """Return a path (str, bytes or os.PathLike) as str; else TypeError or ArgumentError."""
    try:
        text = os.fsdecode(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be a path, not {type(value).__name__}") from None
    if "\0" in text:
        raise ArgumentError(f"{name} {shown(text)} contains a zero byte")
    return text


def shown(text: str) -> str:
    """Return the text in quotes for a sentence, only the beginning of a long one."""
    return repr(text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…")
