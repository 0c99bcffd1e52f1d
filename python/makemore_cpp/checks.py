"""Checks of arguments: a value of the right kind and range, or one sentence that says why not."""

import math
import operator
import os
from typing import SupportsFloat, SupportsIndex

from makemore_cpp._core import ArgumentError

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
        raise ArgumentError(f"{name} is {number}, outside [{low}, {high}]")
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


def string_list(name: str, values: object) -> list[str]:
    """Return `values` as a list of str, refusing a single str, which would read as its letters."""
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise TypeError(f"{name} must be a list of str, not {type(values).__name__}")
    strings = list(values)
    for i, string in enumerate(strings):
        if not isinstance(string, str):
            raise TypeError(f"{name}[{i}] must be a str, not {type(string).__name__}")
    return strings


def path(name: str, value: object) -> str:
    """Return a path (str, bytes or os.PathLike) as str; else TypeError."""
    try:
        return os.fsdecode(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be a path, not {type(value).__name__}") from None


def shown(text: str) -> str:
    """Return the text in quotes for a sentence, only the beginning of a long one."""
    return repr(text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…")
