"""Checks of arguments: a value of the right kind and range, or one sentence that says why not."""

import math
import operator
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, SupportsFloat, SupportsIndex, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from makemore_cpp._core import ArgumentError, RangeError, arrow_reader
from makemore_cpp.arrays import ArrowTexts, Int64

MAX_SEED = 2**64 - 1
MAX_FLOAT32 = float.fromhex("0x1.fffffep127")
MAX_STEPS = 10**9
SHOWN_CHARACTERS = 40  # of a text in the sentence of an error


class _FromConstructor:
    """A descriptor that gives way to the attribute that a constructor sets."""

    def __get__(self, owner: object, kind: type) -> Any:
        if owner is None:
            return self
        raise not_constructed(owner)


def from_constructor() -> Any:
    """Return the placeholder, in a class, of an attribute that the constructor sets.

    Reading the attribute raises TypeError in an object whose constructor has not run: one that
    ``Class.__new__(Class)`` made, or one of a subclass that forgets ``super().__init__()``.
    """
    return _FromConstructor()


def not_constructed(owner: object) -> TypeError:
    """Return the error about an object whose constructor has not run."""
    return TypeError(f"the constructor, __init__, of this {type(owner).__name__} has not run")


def integer(name: str, value: SupportsIndex, low: int, high: int) -> int:
    """Return `value` as an int in [low, high]; else raise TypeError or ArgumentError."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}") from None
    if not low <= number <= high:
        shown_number = "is" if abs(number) > 2**128 else f"is {number},"  # not thousands of digits
        raise ArgumentError(f"{name} {shown_number} outside [{low}, {high}]")
    return number


def non_negative(name: str, value: SupportsFloat) -> float:
    """Return `value` as a float; raise unless it is finite as float32 and not negative."""
    try:
        if isinstance(value, str | bytes | bytearray):  # float() would read a number out of them
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
    """Return `value` as a float in [0, 1); else raise TypeError or ArgumentError."""
    number = non_negative(name, value)
    if np.float32(number) >= 1:
        raise ArgumentError(f"{name} = {number:g} is not in [0, 1) as a float32")
    return number


def numbers(name: str, values: object) -> NDArray[np.float64]:
    """Return an array of real numbers as float64; else raise TypeError or ArgumentError."""
    try:
        array = np.asarray(values)
        are_integers = array.dtype == object and all(type(one) is int for one in array.flat)
        if array.dtype.kind in "fiu" or are_integers:
            return array.astype(np.float64)
    except OverflowError:
        raise ArgumentError(
            f"{name} holds an integer that is outside the range of 64-bit floats"
        ) from None
    except Exception:  # rows of different lengths, or an object's own error
        pass
    raise TypeError(f"{name} must be an array of real numbers, not {shown(values)}")


def choice(name: str, value: object, known: Iterable[str]) -> str:
    """Return `value`, one of the known words; else raise TypeError or ArgumentError."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    words = tuple(known)
    if value not in words:
        raise ArgumentError(f"{name} is {quoted(value)}; it must be one of {', '.join(words)}")
    return value


def flag(name: str, value: object) -> bool:
    """Return `value` as a bool; else raise TypeError."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, not {type(value).__name__}")
    return bool(value)


def per_step(name: str, values: ArrayLike, steps: int | None) -> ArrayLike:
    """Return one value for each step; a single number needs `steps` and holds for all of them."""
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
    """Return two numbers as floats, finite as float32 and not negative; else raise."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise TypeError(f"{name} must be two numbers, not {shown(value)}")
    return non_negative(f"{name}[0]", value[0]), non_negative(f"{name}[1]", value[1])


def string_list(name: str, values: object) -> list[str]:
    """Return `values` as a list of str; refuse a single str, which would count as its letters."""
    refuse_table(name, values)
    texts = readable(name, values)
    try:
        iterator = None if isinstance(texts, str) else iter(texts)
    except TypeError:
        iterator = None
    if iterator is None:
        raise TypeError(f"{name} must be a list of str, not {type(values).__name__}")
    strings: list[str] = []
    for string in iterator:  # the loop ends at the first that is not a str, even of an endless one
        if not isinstance(string, str):
            raise TypeError(f"{name}[{len(strings)}] must be a str, not {type(string).__name__}")
        strings.append(string)
    return strings


def is_arrow(values: object) -> bool:
    """Return whether `values` gives its texts by the Arrow C data interface."""
    return hasattr(values, "__arrow_c_array__") or hasattr(values, "__arrow_c_stream__")


def readable(name: str, values: object) -> Iterable[object]:
    """Return `values`, or an iterator of the texts of an Arrow array: str, and None for a null."""
    reader = arrow_reader(cast(ArrowTexts, values), name) if is_arrow(values) else None
    return cast(Iterable[object], values) if reader is None else _each(reader)


def _each(read: Callable[[], list[str | None]]) -> Iterator[str | None]:
    while some := read():
        yield from some


def refuse_table(name: str, values: object) -> None:
    """Raise TypeError for a table or a mapping: iterating would give its columns' names or keys."""
    columns = getattr(values, "columns", None)
    if columns is not None and not callable(columns):
        first = next(iter(columns), None)
        taken = f"such as {name}[{quoted(str(first))}]" if isinstance(first, str) else "as a list"
        kind = type(values).__name__
        raise TypeError(f"{name} is a table ({kind}); give one of its columns, {taken}")
    if isinstance(values, Mapping):
        raise TypeError(f"{name} is a {type(values).__name__}; give a list of its keys or values")


def instance(name: str, value: object, kind: type) -> None:
    """Raise TypeError unless `value` is an instance of this class of the package."""
    if not isinstance(value, kind):
        raise TypeError(
            f"{name} must be a makemore_cpp.{kind.__name__}, not {type(value).__name__}"
        )


def function(name: str, value: object) -> None:
    """Raise TypeError unless `value` can be called, or is None."""
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be a function, not {type(value).__name__}")


def floats(name: str, values: object) -> NDArray[np.floating[Any]]:
    """Return an array of floats made of whatever NumPy can convert; else raise TypeError."""
    try:
        if getattr(values, "requires_grad", False):  # NumPy cannot convert such a PyTorch tensor
            values = values.detach()  # type: ignore[attr-defined]
        array = np.asarray(values)
    except Exception as error:  # an object's own __array__ may raise anything
        reason = str(error).partition("\n")[0]
        raise TypeError(f"{name} cannot be made a NumPy array: {reason:.200}") from None
    if array.dtype.kind != "f":
        raise TypeError(f"{name} must hold floats, not {shown(array.dtype)}")
    return array


def tokens(name: str, values: ArrayLike, width: int | None, vocab_size: int) -> Int64:
    """Return tokens as int64: (N,), or (N,width) where there is a width.

    Raises
    ------
    TypeError
        `values` is not an array of integers.
    ArgumentError
        The array has another shape.
    RangeError
        A token is outside [0, vocab_size).
    """
    try:
        array = np.asarray(values)
    except Exception:  # rows of different lengths, or an object's own error
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
    """Return contexts X (N,block_size) and targets Y (N,) as int64; N is at least 1.

    It raises what `tokens` does.
    """
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
        Each array's shape, like "KH": a letter stands for the same size everywhere. F, the number
        of features, is H or H + K.
    sizes : dict
        The sizes of letters that are known; the function adds the others.

    Raises
    ------
    ArgumentError
        A shape does not fit, K is not a multiple of E, or a size is 0 (H may be 0 where F is K).
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
    """Return a path (str, bytes or os.PathLike) as str; else raise TypeError or ArgumentError."""
    try:
        text = os.fsdecode(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be a path, not {type(value).__name__}") from None
    if "\0" in text:
        raise ArgumentError(f"{name} {quoted(text)} contains a zero byte")
    return text


def quoted(text: str, most: int = SHOWN_CHARACTERS) -> str:
    """Return a text in quotes for an error's sentence, of a long one only the beginning."""
    return repr(text if len(text) <= most else text[:most] + "…")


def shown(value: object, most: int = SHOWN_CHARACTERS) -> str:
    """Return a value of any kind as one line for an error's sentence, a long one cut short."""
    try:
        text = str(value) if isinstance(value, np.dtype) else repr(value)
    except Exception:  # an object's own __repr__, or an integer with too many digits
        text = f"<{type(value).__name__}>"
    line = " ".join(text.split())
    return line if len(line) <= most else line[:most] + "…"
