"""The model file against an independent writer and the safetensors package, and as a file."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from model_bytes import (
    NAMES,
    ZERO_DIGEST,
    assert_same,
    metadata_of,
    models,
    random_model,
    write_independently,
)

from makemore_cpp._core import ArgumentError, FileError, FormatError, SavedModel, Vocabulary

# -- what is right is read and written -------------------------------------------------------------


@given(models())
def test_the_bytes_are_those_of_the_independent_writer(model: SavedModel) -> None:
    assert model.to_bytes() == write_independently(model)


@given(models())
def test_a_model_survives_its_bytes(model: SavedModel) -> None:
    assert_same(SavedModel.from_bytes(model.to_bytes()), model)


@given(models())
@settings(max_examples=30)
def test_the_safetensors_package_reads_the_same_arrays(model: SavedModel) -> None:
    loaded = pytest.importorskip("safetensors.numpy").load(model.to_bytes())
    assert set(loaded) == set(NAMES)
    for name, array in zip(NAMES, model.parameters, strict=True):
        np.testing.assert_array_equal(loaded[name], array, strict=True)


def test_the_safetensors_package_reads_the_file_and_its_metadata(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors")
    model = random_model("abc", data=("names.txt", "5" * 64, 42))
    path = tmp_path / "model.safetensors"
    model.save(path)
    loaded = pytest.importorskip("safetensors.numpy").load_file(path)
    for name, array in zip(NAMES, model.parameters, strict=True):
        np.testing.assert_array_equal(loaded[name], array, strict=True)
    with safetensors.safe_open(path, "numpy") as file:
        (key,) = file.metadata()
        metadata = json.loads(file.metadata()[key])
    assert key == "makemore"
    assert {**metadata, "digest": ZERO_DIGEST} == metadata_of(model)


def test_extreme_finite_values_keep_their_bits() -> None:
    model = random_model()
    C, *rest = model.parameters
    C[:, 0] = [-0.0, np.finfo(np.float32).smallest_subnormal, np.finfo(np.float32).max]
    extreme = SavedModel(model.vocabulary, C, *rest)
    assert_same(SavedModel.from_bytes(extreme.to_bytes()), extreme)


def test_the_largest_vocabulary_fits() -> None:
    characters = "".join(chr(0x20000 + i) for i in range(65535))
    model = random_model(characters, sizes=(1, 1, 1), data=("\\" * 4096, "0" * 64, None))
    assert_same(SavedModel.from_bytes(model.to_bytes()), model)


def test_parameters_are_copies_both_ways() -> None:
    model = random_model()
    before = model.to_bytes()
    for array in model.parameters:
        array[...] = 7
    assert model.to_bytes() == before
    arrays = model.parameters
    copy = SavedModel(model.vocabulary, *arrays)
    arrays[0][...] = 7
    assert copy.to_bytes() == before


# -- constructing ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "array", "sentence"),
    [
        ("C", np.zeros((4, 1), np.float32), r"C has the shape \(4, 1\); it must be \(3, M\)"),
        ("C", np.zeros((3, 0), np.float32), "multiple of the embedding size 0"),
        ("C", np.zeros(3, np.float32), r"C has the shape \(3,\)"),
        ("W1", np.zeros((0, 3), np.float32), r"W1 \(0, 3\), but block_size must be .*, got 0"),
        ("b1", np.zeros(2, np.float32), r"b1 has the shape \(2,\); it must be \(3,\)"),
        ("W2", np.zeros((3, 4), np.float32), r"W2 has the shape \(3, 4\); it must be \(3, 3\)"),
        ("b2", np.full(3, np.nan, np.float32), r"b2\[0\] is nan"),
    ],
)
def test_wrong_arrays_are_refused_by_name(name: str, array: np.ndarray, sentence: str) -> None:
    model = random_model()
    arrays = dict(zip(NAMES, model.parameters, strict=True))
    with pytest.raises(ArgumentError, match=sentence):
        SavedModel(model.vocabulary, **{**arrays, name: array})


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros(3, ">f4"), np.zeros(3, int), [0.0] * 3])
def test_parameters_are_never_converted(array: Any) -> None:
    C, W1, _, W2, b2 = random_model().parameters
    with pytest.raises(TypeError, match="b1 must be a float32 array"):
        SavedModel(Vocabulary("ab"), C, W1, array, W2, b2)


def test_arrays_that_are_not_contiguous_are_copied_right() -> None:
    model = random_model("abc", sizes=(2, 3, 5))
    strided = [np.repeat(array, 2, axis=-1)[..., ::2] for array in model.parameters]
    assert not strided[0].flags.c_contiguous
    assert_same(SavedModel(model.vocabulary, *strided), model)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (("a", "b"), "data must be a tuple"),
        (["a", "a" * 64, 1], "data must be a tuple"),
        (("a", "b", 1), "64 lower-case hexadecimal digits"),
        (("\ud800", "a" * 64, 1), "lone surrogate"),
        (("a", "a" * 64, -1), "split_seed = .* is not between 0 and"),
        (("a", "a" * 64, 2**64), "split_seed = .* is not between 0 and"),
        (("x" * 4097, "a" * 64, 1), "4096 bytes"),
    ],
)
def test_a_wrong_origin_is_refused(data: Any, sentence: str) -> None:
    with pytest.raises(ArgumentError, match=sentence):
        random_model(data=data)


def test_other_types_are_refused_in_one_sentence() -> None:
    model = random_model()
    for call, sentence in (
        (lambda: SavedModel("ab", *model.parameters), "vocabulary must be a Vocabulary, not str"),  # type: ignore[arg-type]
        (lambda: SavedModel.from_bytes(bytearray(8)), "data must be bytes, not bytearray"),  # type: ignore[arg-type]
        (lambda: SavedModel.from_bytes(b"", name=3), "name must be a str, not int"),  # type: ignore[arg-type]
    ):
        with pytest.raises(TypeError, match=f"^{sentence}$"):
            call()


# -- files -----------------------------------------------------------------------------------------


def test_paths_that_are_no_files_are_refused_with_the_reason(tmp_path: Path) -> None:
    model = random_model()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, reason in (
        (tmp_path, "it is a folder"),
        (pipe, "it is not a regular file"),
        ("/dev/null", "it is not a regular file"),
        (tmp_path / "none" / "x", "No such file or directory"),
        ("x" * 300, "File name too long"),
    ):
        with pytest.raises(FileError, match=reason) as caught:
            SavedModel.load(path)
        assert str(path) in str(caught.value)
        with pytest.raises(OSError, match=reason):
            model.save(path)
    with pytest.raises(FileError, match="No such file or directory"):
        SavedModel.load(tmp_path / "none")
    for path in ("a\0b", "\ud800"):
        with pytest.raises(ArgumentError, match="is not one that a file can have"):
            SavedModel.load(path)
    with pytest.raises(TypeError):
        SavedModel.load(3)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == [pipe]
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_name_that_is_not_utf8_works_and_can_be_shown(tmp_path: Path) -> None:
    path = os.fsdecode(bytes(tmp_path) + b"/\xff\n.safetensors")
    with pytest.raises(FileError, match=r"\\xff\\u\{000A\}.safetensors"):
        SavedModel.load(path)
    random_model().save(path)
    assert_same(SavedModel.load(path), random_model())


def test_a_relative_path_and_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "target").write_text("old")
    os.symlink("target", "model")
    random_model().save("model")
    assert_same(SavedModel.load("target"), random_model())
    assert Path("model").is_symlink()


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_the_mode_of_a_new_file_respects_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        random_model().save(tmp_path / "model")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "model").stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o666])
def test_a_replaced_file_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "model"
    path.touch()
    path.chmod(mode)
    random_model().save(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert_same(SavedModel.load(path), random_model())


FAILING_SAVE = """
import resource, sys
from makemore_cpp._core import FileError, SavedModel
model = SavedModel.load(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # as a full disk: the write stops half-way
try:
    model.save(sys.argv[1])
except FileError as error:
    sys.exit(str(error))
"""


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "model"
    random_model().save(path)
    before = path.read_bytes()
    command = [sys.executable, "-c", FAILING_SAVE, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr.strip() == f"cannot write '{path}': File too large"
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_readers_see_a_whole_file_while_others_replace_it(tmp_path: Path) -> None:
    path = tmp_path / "model"
    variants = [random_model("ab", sizes=(1, 1, hidden)) for hidden in (1, 4000)]
    expected = {model.to_bytes() for model in variants}
    variants[0].save(path)
    wrong: list[object] = []

    def write(model: SavedModel) -> None:
        for _ in range(30):
            model.save(path)

    def read() -> None:
        for _ in range(100):
            try:
                if SavedModel.load(path).to_bytes() not in expected:
                    wrong.append("neither model")
            except FormatError as error:
                wrong.append(error)

    jobs = [(write, (model,)) for model in variants] + [(read, ())] * 2
    threads = [threading.Thread(target=target, args=arguments) for target, arguments in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert list(tmp_path.iterdir()) == [path]
