"""Arrow arrays and streams made by hand, without a library: good ones and malformed ones.

Their memory has exactly the size that they need, so that a sanitizer sees a read beside it.  They
free it when they are released, and count the releases.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

FORMATS = ("u", "U", "vu")
SCHEMA, ARRAY, STREAM = b"arrow_schema", b"arrow_array", b"arrow_array_stream"
NULLABLE = 2

DESTRUCTOR = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype = ctypes.py_object
new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, DESTRUCTOR]


class Schema(ctypes.Structure):
    pass


class Array(ctypes.Structure):
    pass


class Stream(ctypes.Structure):
    pass


RELEASE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
GET = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
LAST_ERROR = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
Schema._fields_ = [
    ("format", ctypes.c_char_p), ("name", ctypes.c_char_p), ("metadata", ctypes.c_char_p),
    ("flags", ctypes.c_int64), ("n_children", ctypes.c_int64), ("children", ctypes.c_void_p),
    ("dictionary", ctypes.c_void_p), ("release", RELEASE), ("private_data", ctypes.c_void_p),
]  # fmt: skip
Array._fields_ = [
    ("length", ctypes.c_int64), ("null_count", ctypes.c_int64), ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64), ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)), ("children", ctypes.c_void_p),
    ("dictionary", ctypes.c_void_p), ("release", RELEASE), ("private_data", ctypes.c_void_p),
]  # fmt: skip
Stream._fields_ = [
    ("get_schema", GET), ("get_next", GET), ("get_last_error", LAST_ERROR), ("release", RELEASE),
    ("private_data", ctypes.c_void_p),
]  # fmt: skip


@dataclass
class Fields:
    """The fields of an array and its schema, which a test may change before they are given."""

    format: str | None
    length: int
    buffers: list[bytes | None]
    null_count: int = 0
    offset: int = 0
    n_buffers: int | None = None  # None: as many as there are
    n_children: int = 0
    schema_children: int = 0
    has_dictionary: bool = False
    schema_has_dictionary: bool = False
    has_buffers: bool = True
    is_released: bool = False
    is_schema_released: bool = False


def texts_of(
    texts: Iterable[str | None], format: str = "u", before: int = 0, behind: int = 0
) -> Fields:
    """Return a good array, in whose buffers other texts lie before and behind its own."""
    shown = list(texts)
    all_texts = [*["other"] * before, *shown, *["text"] * behind]
    nulls = [i for i, text in enumerate(all_texts) if text is None]
    validity: bytes | None = None
    if nulls:
        bits = bytearray(b"\xff" * ((len(all_texts) + 7) // 8))
        for i in nulls:
            bits[i // 8] &= ~(1 << i % 8)
        validity = bytes(bits)
    encoded = [(text or "").encode("utf-8", "surrogatepass") for text in all_texts]
    build = view_buffers if format == "vu" else offset_buffers
    buffers = [validity, *build(encoded, format)]
    return Fields(format, len(shown), buffers, null_count=len(nulls), offset=before)


def offset_buffers(encoded: list[bytes], format: str) -> list[bytes | None]:
    offsets = [0]
    for text in encoded:
        offsets.append(offsets[-1] + len(text))
    letter = "i" if format == "u" else "q"
    return [struct.pack(f"<{len(offsets)}{letter}", *offsets), b"".join(encoded)]


def view_buffers(encoded: list[bytes], format: str) -> list[bytes | None]:
    """Return the buffers of a string_view, with long texts in two buffers by turns."""
    buffers, views = [bytearray(), bytearray()], b""
    for i, text in enumerate(encoded):
        if len(text) <= 12:
            views += struct.pack("<i12s", len(text), text)
            continue
        buffer = buffers[i % 2]
        views += struct.pack("<i4sii", len(text), text[:4], i % 2, len(buffer))
        buffer += text
    sizes = struct.pack("<2q", *map(len, buffers))
    return [views, *map(bytes, buffers), sizes]


class Memory:
    """Keeps alive the objects to which the C structs point, and counts the releases."""

    def __init__(self) -> None:
        self.given: dict[str, int] = {"schema": 0, "array": 0, "stream": 0}
        self.released: dict[str, int] = {"schema": 0, "array": 0, "stream": 0}
        self.most_arrays_at_once = 0
        self._kept: dict[int, Any] = {}
        self._callbacks: list[Any] = []

    def give(self, kind: str, structure: ctypes.Structure, *owned: Any) -> None:
        """Set the structure's release function, which drops the objects that it owns."""
        key = sum(self.given.values())
        self._kept[key] = owned

        @RELEASE
        def release(address: int) -> None:
            self.released[kind] += 1
            self._kept.pop(key, None)
            type(structure).from_address(address).release = RELEASE()

        structure.release = release
        self._callbacks.append(release)
        self.given[kind] += 1
        self.most_arrays_at_once = max(
            self.most_arrays_at_once, self.given["array"] - self.released["array"]
        )

    def capsule(self, structure: ctypes.Structure, name: bytes) -> Any:
        """Return a capsule that releases the structure at its end unless it was taken out."""

        @DESTRUCTOR
        def destroy(_: int) -> None:
            if structure.release:
                structure.release(ctypes.addressof(structure))

        self._callbacks += [structure, destroy]
        return new_capsule(ctypes.addressof(structure), name, destroy)

    def fill_schema(self, schema: Schema, fields: Fields) -> None:
        format = None if fields.format is None else fields.format.encode()
        schema.format = format
        schema.name, schema.flags = b"texts", NULLABLE
        schema.n_children = fields.schema_children
        if fields.schema_has_dictionary:
            schema.dictionary = ctypes.addressof(schema)
        self.give("schema", schema, format)
        if fields.is_schema_released:
            self.given["schema"] -= 1
            schema.release = RELEASE()

    def fill_array(self, array: Array, fields: Fields) -> None:
        owned = [None if b is None else (ctypes.c_char * len(b))(*b) for b in fields.buffers]
        pointers = (ctypes.c_void_p * len(owned))(
            *(None if b is None else ctypes.addressof(b) for b in owned)
        )
        array.length, array.null_count = fields.length, fields.null_count
        array.offset, array.n_children = fields.offset, fields.n_children
        array.n_buffers = len(owned) if fields.n_buffers is None else fields.n_buffers
        if fields.has_buffers:
            array.buffers = ctypes.cast(pointers, ctypes.POINTER(ctypes.c_void_p))
        if fields.has_dictionary:
            array.dictionary = ctypes.addressof(array)
        self.give("array", array, owned, pointers)
        if fields.is_released:
            self.given["array"] -= 1
            array.release = RELEASE()


class GivesArray(Memory):
    """A producer of one array, as often as it is asked."""

    def __init__(self, fields: Fields) -> None:
        super().__init__()
        self.fields = fields

    def __arrow_c_array__(self, requested_schema: object = None) -> Any:
        schema, array = Schema(), Array()
        self.fill_schema(schema, self.fields)
        self.fill_array(array, self.fields)
        return self.capsule(schema, SCHEMA), self.capsule(array, ARRAY)


@dataclass
class Failure:
    """The place where a stream fails, and the error that it reports there."""

    at: int  # the number of the chunk; -1 for the schema
    code: int = 5
    reason: bytes | None = b"the disk is gone"


class GivesStream(Memory):
    """A producer of a stream of arrays, as often as it is asked."""

    def __init__(self, chunks: list[Fields], failure: Failure | None = None) -> None:
        super().__init__()
        self.chunks, self.failure = chunks, failure
        self.on_next: Callable[[int], None] = lambda number: None
        self._reason = ctypes.create_string_buffer((failure.reason or b"") if failure else b"")

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        stream, chunks = Stream(), iter(enumerate([*self.chunks, None]))

        @GET
        def get_schema(_: int, out: int) -> int:
            if self.failure is not None and self.failure.at == -1:
                return self.failure.code
            format = self.chunks[0] if self.chunks else texts_of([])
            self.fill_schema(Schema.from_address(out), format)
            return 0

        @GET
        def get_next(_: int, out: int) -> int:
            number, fields = next(chunks)
            self.on_next(number)
            if self.failure is not None and self.failure.at == number:
                return self.failure.code
            if fields is not None:
                self.fill_array(Array.from_address(out), fields)
            return 0

        @LAST_ERROR
        def get_last_error(_: int) -> int | None:
            assert self.failure is not None
            return None if self.failure.reason is None else ctypes.addressof(self._reason)

        stream.get_schema, stream.get_next = get_schema, get_next
        stream.get_last_error = get_last_error
        self.give("stream", stream)
        self._callbacks += [get_schema, get_next, get_last_error]
        return self.capsule(stream, STREAM)


@dataclass
class Answers:
    """An object whose methods return whatever a test wants."""

    array: Any = None
    stream: Any = None
    calls: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        answer = {"__arrow_c_array__": self.array, "__arrow_c_stream__": self.stream}.get(name)
        if answer is None:
            raise AttributeError(name)
        return answer


def in_chunks(texts: list[str | None], sizes: Iterable[int], format: str = "u") -> GivesStream:
    """Return a stream of chunks of these sizes and the rest, each a slice of a larger array."""
    chunks, begin = [], 0
    for i, size in enumerate([*sizes, len(texts)]):
        chunks.append(texts_of(texts[begin : begin + size], format, before=i % 11, behind=i % 3))
        begin += size
    return GivesStream(chunks)
