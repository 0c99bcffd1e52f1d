"""The ONNX file of a model, checked by the format's own library and run by ONNX Runtime."""

from __future__ import annotations

import hashlib
import itertools
import os
import stat
import sys
import threading

import bounds
import numpy as np
import pytest
from architecture import loaded_by

import makemore_cpp as mm
from makemore_cpp import _core, reference
from makemore_cpp.export import onnx as onnx_export


def make_model(T=3, E=4, H=20, characters="abcde", boundary="."):
    model = mm.MLP(mm.Vocab(list(characters), boundary), T, E, H, init="lecture")
    model.W1[:] *= 0.3
    return model


@pytest.fixture
def onnx():
    return pytest.importorskip("onnx")


@pytest.fixture
def session(onnx, tmp_path):
    """Return a function that writes a model's file and returns its run, X to log_probs."""
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # errors are raised anyway
    options.intra_op_num_threads = 1

    def start(model):
        path = tmp_path / "model.onnx"
        mm.export_onnx(model, path)
        session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return lambda X: session.run(["log_probs"], {"X": np.asarray(X, np.int64)})[0]

    return start


# -- what it computes ------------------------------------------------------------------------------
@pytest.mark.parametrize("sizes", [(1, 1, 1), (3, 4, 20), (3, 10, 200), (8, 24, 64)])
@pytest.mark.parametrize("characters", ["a", "abcdefghijklmnopqrstuvwxyz"])
def test_runtime_and_model_agree(sizes, characters, session, rng):
    """Both lie within the bound of rounding analysis, which holds for any order of summation."""
    model = make_model(*sizes, characters)
    X = rng.integers(0, model.vocab_size, (500, model.block_size))
    found = session(model)(X)
    assert found.dtype == np.float32
    parameters = [array.astype(np.float64) for array in model.parameters.values()]
    exact = reference.log_softmax(bounds.forward(parameters, X).logits)
    bound = bounds.log_probs(parameters, X)
    bounds.assert_within(found, exact, bound)
    bounds.assert_within(model.log_probs(X), exact, bound)


def test_any_number_of_contexts(session, rng):
    model = make_model()
    run = session(model)
    for N in (0, 1, 2, 1000):
        X = rng.integers(0, 6, (N, 3))
        np.testing.assert_allclose(run(X), model.log_probs(X), atol=1e-5, strict=True)


def test_every_context(session):
    model = make_model(T=2)
    X = np.array(list(itertools.product(range(6), repeat=2)))
    np.testing.assert_allclose(session(model)(X), model.log_probs(X), atol=1e-5)


@pytest.mark.parametrize("token", [6, 7, -1, -6, -7, 2**40, -(2**63), 2**63 - 1])
def test_tokens_outside_the_vocabulary_are_refused(token, session):
    """Negative tokens are refused too, which the operator Gather would count from the end."""
    run = session(make_model())
    X = [[0, 0, 1], [0, token, 5]]
    with pytest.raises(Exception, match="indices element out of data bounds"):
        run(X)
    with pytest.raises(Exception, match="Got invalid dimensions"):
        run([[0, 1]])


def test_a_model_of_names(names_path, session):
    texts = mm.load_texts(names_path)[:3000]
    data = mm.Dataset.split(texts, block_size=3)
    model = mm.MLP(data.vocab)
    model.train_steps(data.train.X, data.train.Y, np.full(2000, 0.1))
    log_probs = session(model)(data.dev.X)
    picked = log_probs[np.arange(len(data.dev.Y)), data.dev.Y]
    assert -picked.mean(dtype=float) == pytest.approx(model.loss(data.dev.X, data.dev.Y), abs=1e-6)


# -- what it says ----------------------------------------------------------------------------------
def test_the_file_is_valid_and_says_what_it_is(onnx, tmp_path):
    model = make_model(characters="aß\0\U0001f600\\", boundary="\n")
    mm.export_onnx(model, tmp_path / "model.onnx")
    model.save(tmp_path / "model.safetensors")
    proto = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(proto, full_check=True)
    assert (proto.producer_name, proto.producer_version) == ("makemore_cpp", mm.__version__)
    assert [(o.domain, o.version) for o in proto.opset_import] == [("", 13)]
    assert proto.ir_version == 7
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    digest = hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()
    assert metadata["model_sha256"] == digest
    assert mm.Vocab(list(metadata["characters"]), metadata["boundary"]) == model.vocab
    (X,), (log_probs,) = proto.graph.input, proto.graph.output
    for value, name, kind, columns in (
        (X, "X", onnx.TensorProto.INT64, 3),
        (log_probs, "log_probs", onnx.TensorProto.FLOAT, 6),
    ):
        rows, width = value.type.tensor_type.shape.dim
        assert (value.name, value.type.tensor_type.elem_type) == (name, kind)
        assert (rows.dim_param, width.dim_value) == ("N", columns)
    arrays = {a.name: onnx.numpy_helper.to_array(a) for a in proto.graph.initializer}
    for name, array in model.parameters.items():
        assert arrays[name].tobytes() == array.tobytes()


def test_the_same_model_gives_the_same_bytes(onnx, tmp_path):
    for name in "ab":
        mm.export_onnx(make_model(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_onnx_is_loaded_by_the_export_alone(onnx):
    assert loaded_by("import makemore_cpp.export.onnx", ["onnx", "google.protobuf"]) == []


# -- what is refused -------------------------------------------------------------------------------
def test_without_the_library(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"needs the library onnx; install makemore_cpp\[onnx\]"):
        mm.export_onnx(make_model(), tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_models_that_have_no_file(onnx, tmp_path, monkeypatch):
    model = make_model()
    n_gram = mm.NGram(model.vocab, ["ab"], 2)
    with pytest.raises(TypeError, match="model must be an MLP, not NGram"):
        mm.export_onnx(n_gram, tmp_path / "m")
    monkeypatch.setattr(onnx_export, "MAX_BYTES", 1000)
    with pytest.raises(mm.ArgumentError, match="take 1640 bytes; an ONNX file holds at most 1000"):
        mm.export_onnx(model, tmp_path / "m")
    monkeypatch.undo()
    model.b1[2] = np.inf
    with pytest.raises(mm.ArgumentError, match=r"b1\[2\] is inf"):
        mm.export_onnx(model, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_paths_that_cannot_be_written(onnx, tmp_path):
    model = make_model()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    names = ["no/folder/m", "folder", "pipe", "a" * 300]
    for path in [tmp_path / name for name in names]:
        with pytest.raises(mm.FileError, match="cannot write ") as caught:
            mm.export_onnx(model, path)
        assert "\n" not in str(caught.value)
    with pytest.raises(mm.ArgumentError, match=r"^path .* contains a zero byte"):
        mm.export_onnx(model, tmp_path / "zero\0byte")
    for path in (None, 3, ["m"]):
        with pytest.raises(TypeError, match="path must be a path, not "):
            mm.export_onnx(model, path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "pipe"]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_failed_write_leaves_the_old_file(onnx, tmp_path, monkeypatch):
    path = tmp_path / "m"
    path.write_bytes(b"old")
    monkeypatch.setattr(_core, "write_file", lambda *_: (_ for _ in ()).throw(mm.FileError("full")))
    with pytest.raises(mm.FileError, match="full"):
        mm.export_onnx(make_model(), path)
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    mm.export_onnx(make_model(), bytes(path))
    assert path.read_bytes() != b"old"


def test_a_reader_finds_a_whole_file(onnx, tmp_path):
    """While one thread replaces the file again and again, the other finds it whole every time."""
    path, seen = tmp_path / "m", set()
    models = [make_model(), make_model(T=2)]
    sizes = set()
    for model in models:
        mm.export_onnx(model, path)
        sizes.add(path.stat().st_size)
    writer = threading.Thread(
        target=lambda: [mm.export_onnx(models[i % 2], path) for i in range(50)]
    )
    writer.start()
    while writer.is_alive():
        seen.add(len(path.read_bytes()))
    writer.join()
    assert seen <= sizes
