"""Files that hold named fields and named arrays, written in one form and read in no other."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from makemore_cpp import _core, checks
from makemore_cpp._core import ArgumentError, Error, FormatError

MAX_DEPTH = 10  # of files inside of files; the reader recurses

Arrays = Mapping[str, NDArray[Any]]


def canonical(value: Any) -> str:
    """Return a value as JSON in the one form that the package's files use."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def parse(what: str, text: str) -> dict[str, Any]:
    """Return the object that a `canonical` text holds, or raise ArgumentError about `what`."""
    try:
        fields = json.loads(text)
        is_canonical = canonical(fields) == text
    except (ValueError, RecursionError):
        raise ArgumentError(f"{what} is not JSON") from None
    if not is_canonical or not isinstance(fields, dict):
        raise ArgumentError(f"{what} is not in the one form that it must have")
    return fields


def to_bytes(format: str, version: int, fields: Mapping[str, Any], arrays: Arrays) -> bytes:
    """Return the bytes of a file; the same content gives the same bytes, always.

    Raises
    ------
    ArgumentError
        A number is not finite, or the fields are too large.
    """
    metadata = canonical({"format": format, "version": version, **fields})
    return _core.write_tensors(metadata, dict(arrays))


class Content:
    """The content of a file: a reader takes each field and array once, in the writer's order.

    Parameters
    ----------
    data : bytes
        All bytes of a file.
    name : str
        What errors call the file.

    Attributes
    ----------
    format : str
        The kind of the file.

    Raises
    ------
    FormatError
        The bytes are not a file of this package, or were changed.
    """

    depth = 0  # the number of files around this one

    def __init__(self, data: bytes, name: str) -> None:
        text, self._arrays = _core.read_tensors(data, name)
        with naming(name):
            self._fields = parse("the metadata", text)
            self.format: str = self.take("format", str)

    def inside(self, data: bytes, name: str) -> "Content":
        """Return the content of a file whose bytes stand in this one."""
        if self.depth == MAX_DEPTH:
            raise ArgumentError(f"more than {MAX_DEPTH} files stand inside of each other")
        content = Content(data, name)
        content.depth = self.depth + 1
        return content

    def check_format(self, format: str, version: int) -> None:
        """Raise ArgumentError unless the file is of this kind, and of a version that exists."""
        if self.format != format:
            raise ArgumentError(f"its format is {checks.quoted(self.format)}, not '{format}'")
        found = self.take("version", int)
        if found > version:
            raise ArgumentError(
                f"it was written by a newer release of makemore_cpp: its format version is {found},"
                f" and this release reads up to {version}"
            )
        if found != version:
            raise ArgumentError(f"the format version {found} does not exist")

    def take(self, name: str, *types: type) -> Any:
        """Return a field of one of these types."""
        if name not in self._fields:
            raise ArgumentError(f"the metadata lack {name}")
        _check_is_first("the metadata", name, self._fields)
        value = self._fields.pop(name)
        if type(value) not in types:  # a bool is not an int here
            raise ArgumentError(f"{name} in the metadata has the wrong type")
        return value

    def has(self, name: str) -> bool:
        """Return whether the metadata have a field that nobody has taken yet."""
        return name in self._fields

    def texts(self, name: str) -> list[str]:
        """Return a field that is a list of texts."""
        values = self.take(name, list)
        if not all(isinstance(value, str) for value in values):
            raise ArgumentError(f"{name} in the metadata are not all texts")
        return list(values)

    def array(self, name: str, dtype: DTypeLike, *shape: int | None) -> NDArray[Any]:
        """Return an array of this type and shape; a size that is None may be any."""
        if name not in self._arrays:
            raise ArgumentError(f"the tensor {name} is missing")
        _check_is_first("the tensors", name, self._arrays)
        array = self._arrays.pop(name)
        fits = array.ndim == len(shape) and all(
            size is None or size == found for size, found in zip(shape, array.shape, strict=True)
        )
        if array.dtype != dtype or not fits:
            expected = ", ".join("any" if size is None else str(size) for size in shape)
            raise ArgumentError(
                f"the tensor {name} is {array.dtype} {array.shape}; it must be "
                f"{np.dtype(dtype)} ({expected})"
            )
        return array

    def check_nothing_left(self) -> None:
        """Raise ArgumentError for the first field or array that nobody has taken."""
        for name in self._fields:
            raise ArgumentError(f"the metadata have an unknown field {checks.quoted(name)}")
        for name in self._arrays:
            raise ArgumentError(f"there is an unknown tensor {checks.quoted(name)}")


def _check_is_first(what: str, name: str, left: Mapping[str, Any]) -> None:
    first = next(iter(left))
    if first != name:
        raise ArgumentError(f"{what} have {checks.quoted(first)} where {name} must be")


def check_types(what: str, found: Any, types: Mapping[str, tuple[type, ...]]) -> None:
    """Raise ArgumentError unless an object has these fields, in this order, of these types."""
    if not isinstance(found, dict) or list(found) != list(types):
        raise ArgumentError(f"{what} does not have the fields {', '.join(types)}")
    for name, value in found.items():
        if type(value) not in types[name]:
            raise ArgumentError(f"{name} in {what} has the wrong type")


@contextlib.contextmanager
def naming(name: str) -> Iterator[None]:
    """Turn errors about the content of a file into a FormatError that names the file."""
    try:
        yield
    except FormatError:
        raise
    except (Error, TypeError, ValueError, OverflowError) as error:
        raise FormatError(f"{name}: {error}") from None
