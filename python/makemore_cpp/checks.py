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
MAX_STEPS = 10**9
SHOWN_CHARACTERS = 40  # of a text in a sentence


class _FromConstructor:
    def __get__(self, owner: object, kind: type) -> Any:
        if owner is None:
            return self
        raise not_constructed(owner)


def from_constructor() -> Any:
    """Return what stands in a class for an attribute that the constructor sets.

    It raises TypeError in objects that were made without, by ``Class.__new__(Class)`` or in a
    subclass that forgets ``super().__init__()``.
    """
    return _FromConstructor()


def not_constructed(owner: object) -> TypeError:
    """Return the error about an object whose constructor has not run."""
    return TypeError(f"the constructor, __init__, of this {type(owner).__name__} has not run")


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


def fraction(name: str, value: SupportsFloat) -> float:
    """Return `value` as a float in [0, 1); else TypeError or ArgumentError."""
    number = non_negative(name, value)
    if np.float32(number) >= 1:
        raise ArgumentError(f"{name} = {number:g} is not in [0, 1) as a float32")
    return number


def numbers(name: str, values: object) -> NDArray[np.float64]:
    """Return an array of real numbers, as float64."""
    try:
        array = np.asarray(values)
        are_integers = array.dtype == object and all(type(one) is int for one in array.flat)
        if array.dtype.kind in "fiu" or are_integers:
            return array.astype(np.float64)
    except OverflowError:
        raise ArgumentError(
            f"{name} holds an integer that is outside the range of 64-bit floats"
        ) from None
    except Exception:  # rows of different lengths, or a foreign object's own error
        pass
    raise TypeError(f"{name} must be an array of real numbers, not {shown(values)}")


def choice(name: str, value: object, known: Iterable[str]) -> str:
    """Return one of the known words; else TypeError or ArgumentError."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    words = tuple(known)
    if value not in words:
        raise ArgumentError(f"{name} is {quoted(value)}; it must be one of {', '.join(words)}")
    return value


def flag(name: str, value: object) -> bool:
    """Return a bool; else TypeError."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, not {type(value).__name__}")
    return bool(value)


def per_step(name: str, values: ArrayLike, steps: int | None) -> ArrayLike:
    """Return one value for each step; one number is that of all `steps`, which must be said."""
    if steps is not None:
        steps = integer("steps", steps, 0, MAX_STEPS)
    if not isinstance(values, int | float | np.number):
        if steps is None:
            return values
        shape = numbers(name, values).shape
        if shape != (steps,):
            raise ArgumentError(
                f"{name} has the shape {shape}, but steps is {steps}: "
                "leave steps out, or give one number"
            )
        return values
    if steps is None:
        raise ArgumentError(
            f"{name} is one number; say for how many steps with steps=, "
            "or give a list with one for each step"
        )
    return np.full(steps, values)


def pair(name: str, value: object) -> tuple[float, float]:
    """Return two numbers as floats; their range is the core's to check."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise TypeError(f"{name} must be two numbers, not {shown(value)}")
    return non_negative(f"{name}[0]", value[0]), non_negative(f"{name}[1]", value[1])


def string_list(name: str, values: object) -> list[str]:
    """Return `values` as a list of str, refusing a single str, which would read as its letters."""
    refuse_table(name, values)
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


def refuse_table(name: str, values: object) -> None:
    """Raise TypeError for what holds texts in columns or under keys, and would give only those."""
    columns = getattr(values, "columns", None)
    if columns is not None and not callable(columns):
        first = next(iter(columns), None)
        taken = f"such as {name}[{quoted(str(first))}]" if isinstance(first, str) else "as a list"
        kind = type(values).__name__
        raise TypeError(f"{name} is a table ({kind}); give one of its columns, {taken}")
    if isinstance(values, Mapping):
        raise TypeError(f"{name} is a {type(values).__name__}; give a list of its keys or values")


def instance(name: str, value: object, kind: type) -> None:
    """Raise TypeError unless `value` is one of this class of ours."""
    if not isinstance(value, kind):
        raise TypeError(
            f"{name} must be a makemore_cpp.{kind.__name__}, not {type(value).__name__}"
        )


def function(name: str, value: object) -> None:
    """Raise TypeError unless `value` can be called, or is None."""
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be a function, not {type(value).__name__}")


def floats(name: str, values: object) -> NDArray[np.floating[Any]]:
    """Return an array of floats of whatever NumPy, or a tensor's own way, makes one of."""
    try:
        if getattr(values, "requires_grad", False):  # PyTorch shows NumPy no such tensor
            values = values.detach()  # type: ignore[attr-defined]
        array = np.asarray(values)
    except Exception as error:  # a foreign object's __array__ raises what it likes
        reason = str(error).partition("\n")[0]
        raise TypeError(f"{name} cannot be made a NumPy array: {reason:.200}") from None
    if array.dtype.kind != "f":
        raise TypeError(f"{name} must hold floats, not {shown(array.dtype)}")
    return array


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
    except Exception:  # rows of different lengths, or a foreign object's own error
        raise TypeError(f"{name} must be an array of integers, not {shown(values)}") from None
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold integers, not {shown(array.dtype)}")
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
        A shape does not fit, a size is 0, or K is no multiple of E. F, the number of features, is H
        or H + K; H may be 0 where F is K.
    """
    for (name, array), axes in zip(arrays.items(), letters, strict=True):
        if array.ndim != len(axes):
            raise ArgumentError(f"{name} has {array.ndim} dimensions; it must have {len(axes)}")
        if axes[0] == "F":
            H, K = sizes["H"], sizes["K"]
            sizes["F"] = H + K if array.shape[0] == H + K else H
        shape = tuple(sizes.setdefault(*axis) for axis in zip(axes, array.shape, strict=True))
        if array.shape != shape:
            raise ArgumentError(f"{name} has the shape {array.shape}; it must be {shape}")
    E, K, H = (sizes[letter] for letter in "EKH")
    if 0 in (E, K, sizes.get("F", H)) or K % E != 0:
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
        raise ArgumentError(f"{name} {quoted(text)} contains a zero byte")
    return text


def quoted(text: str, most: int = SHOWN_CHARACTERS) -> str:
    """Return the text in quotes for a sentence, only the beginning of a long one."""
    return repr(text if len(text) <= most else text[:most] + "…")


def shown(value: object, most: int = SHOWN_CHARACTERS) -> str:
    """Return how a value of any kind is written, on one line, only the beginning of a long one."""
    try:
        text = str(value) if isinstance(value, np.dtype) else repr(value)
    except Exception:  # what its own __repr__ raises, or an integer's of too many digits
        text = f"<{type(value).__name__}>"
    line = " ".join(text.split())
    return line if len(line) <= most else line[:most] + "…"
