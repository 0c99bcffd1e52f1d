"""Damaged, foreign and forged model files: each one is refused with a sentence that names it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_bytes import Arrays, models, random_model, write_independently

from makemore_cpp._core import FormatError, SavedModel


def refused(data: bytes, sentence: str | None = None) -> None:
    with pytest.raises(FormatError, match=sentence) as caught:
        SavedModel.from_bytes(data, name="hostile.safetensors")
    assert str(caught.value).startswith("hostile.safetensors: ")
    assert "\n" not in str(caught.value)


def test_every_truncation_and_every_longer_file_is_refused() -> None:
    data = random_model().to_bytes()
    for length in range(len(data)):
        refused(data[:length])
    refused(data + b"\0", "goes on after")
    refused(data + data)


def test_every_flipped_bit_is_refused() -> None:
    data = random_model(data=("names.txt", "a" * 64, 42)).to_bytes()
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        refused(bytes(flipped))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    data = random_model().to_bytes()
    for damaged in (b"", data[:5], data[:100], data[:-1], data + b"\0", b"\0" + data[1:]):
        path.write_bytes(damaged)
        with pytest.raises(FormatError, match=r"model\.safetensors: ") as caught:
            SavedModel.load(path)
        assert str(caught.value).startswith(str(path))


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(data: bytes) -> None:
    refused(data)
    refused(struct.pack("<Q", len(data)) + data)
    refused(struct.pack("<Q", len(data)) + b'{"' + data)


@given(models(), st.data())
def test_bytes_cut_out_put_in_or_moved_are_refused(model: SavedModel, data: st.DataObject) -> None:
    original = model.to_bytes()
    begin, end = sorted(data.draw(st.tuples(*[st.integers(0, len(original))] * 2)))
    changed = original[:begin] + data.draw(st.binary(max_size=20)) + original[end:]
    if changed != original:
        refused(changed)


def set_key(key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda dictionary: dictionary.__setitem__(key, value)


def move_first_to_end(dictionary: dict[str, Any]) -> None:
    key = next(iter(dictionary))
    dictionary[key] = dictionary.pop(key)


def set_value(name: str, value: float) -> Callable[[Arrays], object]:
    return lambda arrays: arrays[name].__setitem__(-1, value)


FORGED_METADATA = [
    (set_key("format", "other"), "its format is 'other'"),
    (set_key("version", 2), "newer release of makemore_cpp: its format version is 2"),
    (set_key("version", 2**64 - 1), "newer release"),
    (set_key("version", 0), "version 0 does not exist"),
    (set_key("version", "1"), "expected an integer"),
    (set_key("version", None), "expected an integer"),
    (set_key("version", 1.0), "expected"),
    (set_key("version", -1), "expected"),
    (set_key("version", True), "expected"),
    (lambda m: m.pop("boundary"), "expected ',\"boundary\":'"),
    (set_key("surprise", 1), "do not end with a digest"),
    (move_first_to_end, "do not end with a digest"),
    (lambda m: m.update(format=m.pop("format"), digest=m.pop("digest")), "byte 0: expected"),
    (lambda m: m.update(surprise=1, digest=m.pop("digest")), "expected '}', found"),
    (set_key("block_size", 0), "block_size must be between 1 and"),
    (set_key("block_size", 2**64 - 1), "block_size must be between 1 and"),
    (set_key("n_hidden", 2**40), "n_hidden must be between 1 and"),
    (set_key("n_hidden", 2**64), "does not fit in 64 bits"),
    (set_key("n_embd", 2), r"the tensor C is float32 \(3, 1\), and .* demand float32 \(3, 2\)"),
    (set_key("vocab_size", 4), "the vocabulary has 3 tokens, but vocab_size is 4"),
    (set_key("characters", ["a", "a"]), r"tokens\[1\] repeats 'a'"),
    (set_key("characters", ["a", "."]), r"tokens\[1\] is the boundary"),
    (set_key("characters", ["a", "bc"]), r"tokens\[1\] must be exactly one"),
    (set_key("characters", ["a", 5]), "expected '\"'"),
    (set_key("characters", "ab"), "expected ',\"characters\":\\['"),
    (set_key("characters", []), "tokens is empty"),
    (set_key("boundary", ""), "boundary must be exactly one"),
    (set_key("data", "names.txt"), "expected '{\"name\":'"),
    (set_key("data", {"name": "n", "sha256": "0" * 64}), "expected ',\"split_seed\":'"),
    (set_key("data", {"name": "n", "sha256": "A" * 64, "split_seed": 1}), "64 lower-case"),
    (set_key("data", {"name": "n", "sha256": "a" * 64, "split_seed": "1"}), "expected an integer"),
    (set_key("data", {"name": "n", "sha256": "a" * 64, "split_seed": 1, "x": 1}), "expected '}'"),
    (set_key("data", {"name": "n" * 4097, "sha256": "a" * 64, "split_seed": 1}), "4096 bytes"),
    (set_key("digest", "f" * 64), "the file is damaged"),
    (set_key("digest", ""), "do not end with a digest"),
    (lambda m: m.pop("digest"), "do not end with a digest"),
]

FORGED_HEADERS = [
    (lambda h: h.pop("__metadata__"), "it is not a file of makemore_cpp"),
    (set_key("__metadata__", {}), "not a file of makemore_cpp"),
    (set_key("__metadata__", {"makemore": 1}), "the header, byte 28: expected"),
    (set_key("__metadata__", {"makemore": "x"}), "do not end with a digest"),
    (set_key("__metadata__", {"makemore": "{}"}), "do not end with a digest"),
    (lambda h: h["__metadata__"].__setitem__("other", ""), "expected '}'"),
    (move_first_to_end, "not a file of makemore_cpp"),
    (lambda h: h.pop("b2"), "the file goes on"),
    (lambda h: h.pop("W1"), "the tensor 'b1' does not lie where"),
    (
        set_key("W3", {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}),
        "the tensor 'W3' does not lie",
    ),
    (
        set_key("W3", {"dtype": "F32", "shape": [0], "data_offsets": [96, 96]}),
        "unknown tensor 'W3'",
    ),
    (set_key("b1", None), "expected ':{\"dtype\":'"),
    (
        set_key("a\nb\u202e", {"dtype": "F32", "shape": [0], "data_offsets": [96, 96]}),
        r"unknown tensor 'a\\u\{000A\}b\\u\{202E\}'",
    ),
    (lambda h: h["W1"].__setitem__("dtype", "F16"), "'W1' holds numbers of another type, 'F16'"),
    (lambda h: h["W1"].__setitem__("dtype", "I32"), r"the tensor W1 is int32 \(2, 3\), and"),
    (lambda h: h["W1"].__setitem__("shape", [3, 2]), r"the tensor W1 is float32 \(3, 2\), and"),
    (
        lambda h: h["W1"].__setitem__("shape", [2**32, 2**32]),
        "the tensor 'W1' is larger than any file",
    ),
    (lambda h: h["b1"].__setitem__("data_offsets", [0, 12]), "the tensor 'b1' does not lie where"),
    (lambda h: h["b1"].__setitem__("data_offsets", [2**63, 2**64 - 1]), "the tensor 'b1' does not"),
    (lambda h: h["b1"].__setitem__("surprise", 1), "expected '}'"),
    (lambda h: h["b1"].pop("shape"), "expected ',\"shape\":\\['"),
    (set_key("b2", None), "expected ':{\"dtype\":'"),
]

FORGED_TEXTS = [
    (lambda text: text.replace('{"dtype"', '{ "dtype"', 1), "expected ':{\"dtype\":'"),
    (
        lambda text: text.replace('"C"', '"\\u0043"', 1),
        "an escape that the canonical form does not have",
    ),
    (lambda text: text + " " * 8, "does not end as it must"),
    (lambda text: "\n" + text, "not a file of makemore_cpp"),
    (lambda text: text[:-1] + ',"C":1}', "expected ':{\"dtype\":'"),
    (
        lambda text: text[:-1] + ',"C":{"dtype":"F32","shape":[0],"data_offsets":[96,96]}}',
        "the tensor 'C' occurs twice",
    ),
    (lambda text: text[:-1], "expected '}'"),
    (lambda text: "[" * 50000, "not a file of makemore_cpp"),
    (lambda text: '{"C":' + "[" * 50000, "not a file of makemore_cpp"),
    (lambda text: text + " " * (1 << 26), "the limit is 67108864"),
]

FORGED_ARRAYS = [
    (set_value("C", np.nan), r"C\[2, 0\] is nan"),
    (set_value("b1", np.inf), r"b1\[2\] is inf"),
    (
        lambda arrays: arrays.__setitem__("b2", np.zeros(4, np.float32)),
        r"the tensor b2 is float32 \(4\), and",
    ),
]


@pytest.mark.parametrize(
    ("part", "edit", "sentence"),
    [("edit_metadata", *case) for case in FORGED_METADATA]
    + [("edit_header", *case) for case in FORGED_HEADERS]
    + [("edit_text", *case) for case in FORGED_TEXTS]
    + [("edit_arrays", *case) for case in FORGED_ARRAYS],
)
def test_a_forged_file_with_a_right_digest_is_refused(
    part: str, edit: Callable[..., Any], sentence: str
) -> None:
    refused(write_independently(random_model(), **{part: edit}), sentence)


def test_a_file_of_the_safetensors_package_is_not_a_model() -> None:
    save = pytest.importorskip("safetensors.numpy").save
    refused(save({"x": np.zeros(3)}), "not a file of makemore_cpp")
    refused(save({}, metadata={"format": "pt"}), "not a file of makemore_cpp")
