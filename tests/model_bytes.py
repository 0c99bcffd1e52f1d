"""An independent writer of the model file, which can also forge one, and models to write."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from makemore_cpp._core import SavedModel, Vocabulary

NAMES = ("C", "W1", "b1", "W2", "b2")
ZERO_DIGEST = "0" * 64
Arrays = dict[str, np.ndarray]


def canonical(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def metadata_of(model: SavedModel) -> dict[str, Any]:
    """Return the metadata that the format demands, with an empty digest."""
    C, _, b1, _, _ = model.parameters
    data = model.data
    origin = dict(zip(("name", "sha256", "split_seed"), data, strict=True)) if data else None
    return {
        "format": "makemore_cpp",
        "version": 1,
        "block_size": model.block_size,
        "n_embd": C.shape[1],
        "n_hidden": b1.shape[0],
        "vocab_size": C.shape[0],
        "boundary": model.vocabulary.boundary,
        "characters": model.vocabulary.tokens,
        "data": origin,
        "digest": ZERO_DIGEST,
    }


def entries_of(arrays: Arrays) -> dict[str, Any]:
    entries, begin = {}, 0
    for name, array in arrays.items():
        end = begin + array.nbytes
        offsets = [begin, end]
        entries[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": offsets}
        begin = end
    return entries


def assemble(header_text: str, data: bytes) -> bytes:
    header = header_text.encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + data


def sign(unsigned: bytes) -> bytes:
    """Return the bytes with the zeros of the digest replaced by the digest."""
    digest = hashlib.sha256(unsigned).hexdigest()
    place = rb"\"digest\":\""  # as it stands in a JSON text inside a JSON text
    return unsigned.replace(place + ZERO_DIGEST.encode(), place + digest.encode(), 1)


def write_independently(
    model: SavedModel,
    edit_metadata: Callable[[dict[str, Any]], object] = lambda metadata: None,
    edit_header: Callable[[dict[str, Any]], object] = lambda header: None,
    edit_text: Callable[[str], str] = lambda text: text,
    edit_arrays: Callable[[Arrays], object] = lambda arrays: None,
) -> bytes:
    """Return the file of a model, correctly signed; the edits forge it."""
    arrays = dict(zip(NAMES, model.parameters, strict=True))
    edit_arrays(arrays)
    metadata = metadata_of(model)
    edit_metadata(metadata)
    header = {"__metadata__": {"makemore": canonical(metadata)}, **entries_of(arrays)}
    edit_header(header)
    data = b"".join(array.tobytes() for array in arrays.values())
    return sign(assemble(edit_text(canonical(header)), data))


def random_model(
    characters: str = "ab",
    boundary: str = ".",
    sizes: tuple[int, int, int] = (2, 1, 3),
    data: tuple[str, str, int | None] | None = None,
) -> SavedModel:
    T, E, H = sizes
    V = len(characters) + 1
    random = np.random.default_rng(1)
    shapes = ((V, E), (T * E, H), (H,), (H, V), (V,))
    arrays = [random.standard_normal(shape).astype(np.float32) for shape in shapes]
    return SavedModel(Vocabulary(characters, boundary), *arrays, data=data)


def assert_same(a: SavedModel, b: SavedModel) -> None:
    assert (a.vocabulary, a.block_size, a.data) == (b.vocabulary, b.block_size, b.data)
    for x, y in zip(a.parameters, b.parameters, strict=True):
        assert x.dtype == y.dtype == np.float32
        assert x.shape == y.shape
        assert x.tobytes() == y.tobytes()


UNICODE = st.characters(exclude_categories=["Cs"])


@st.composite
def models(draw: st.DrawFn) -> SavedModel:
    boundary, *characters = draw(st.lists(UNICODE, min_size=2, max_size=30, unique=True))
    sizes = draw(st.tuples(*[st.integers(1, 5)] * 3))
    digest = st.integers(0, 2**256 - 1).map(lambda number: f"{number:064x}")
    seed = st.none() | st.integers(0, 2**64 - 1)
    data = draw(st.none() | st.tuples(st.text(UNICODE, max_size=30), digest, seed))
    return random_model("".join(characters), boundary, sizes, data)
