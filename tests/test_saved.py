"""Saving and loading every kind of model: good files come back, forged ones are refused."""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import command, environment
from hypothesis import given, settings
from hypothesis import strategies as st

import makemore_cpp as mm
from makemore_cpp import _core
from makemore_cpp.files import tensors as tensor_file

TEXTS = ["anna", "bob", "élan", "ab", "", "nolan", "abel", "leo", "noel", "ban", "elle", "bo"] * 9
OTHERS = ["anne", "bobo", "lea", "abba", "len"]


@functools.cache
def the(kind: str) -> Any:
    """Return a small model or detector of a kind."""
    vocab = mm.Vocab.from_texts([*TEXTS, *OTHERS], boundary="|")
    if kind == "MLP":
        return mm.MLP(vocab, 2, 3, 5)
    if kind == "LanguageModel":
        return the("MLP").freeze()
    if kind == "NGram":
        return mm.NGram(vocab, TEXTS, 2, smoothing=0.25)
    if kind == "InterpolatedNGram":
        return mm.InterpolatedNGram(vocab, TEXTS, 3, OTHERS)
    if kind == "by frequency":
        return mm.InterpolatedNGram(vocab, TEXTS, 3, OTHERS, by_frequency=True)
    if kind == "KneserNey":
        return mm.KneserNey(vocab, TEXTS, 4)
    if kind == "Mixture":
        return mm.Mixture([the("MLP"), the("KneserNey"), the("NGram")], [0.3, 0.3, 0.4])
    assert kind == "Detector"
    return mm.Detector.fit(the("KneserNey"), OTHERS * 25, 0.05)


MODELS = ["MLP", "LanguageModel", "NGram", "InterpolatedNGram", "KneserNey", "Mixture"]
KINDS = [*MODELS, "by frequency", "Detector"]
CLASSES = {
    "MLP": "LanguageModel",
    "by frequency": "InterpolatedNGram",
}  # others have their own name


def answers(thing: Any) -> list[Any]:
    texts = [*OTHERS, "élan", "nono"]
    if isinstance(thing, mm.Detector):
        return [*thing.scores(texts).tolist(), *thing.p_values(texts).tolist(), repr(thing)]
    X = np.array([[0] * thing.block_size, [3] * thing.block_size])
    return [thing.log_probs(X).tolist(), thing.score(texts).tolist(), thing.sample(5)]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_loaded_answers_with_the_same_bits(kind: str, tmp_path: Path) -> None:
    thing, path = the(kind), tmp_path / "some.file"
    thing.save(path)
    assert path.read_bytes() == thing.to_bytes()
    for loaded in (mm.load(path), type(thing).load(path), type(thing).from_bytes(thing.to_bytes())):
        assert answers(loaded) == answers(thing)
        assert loaded.to_bytes() == thing.to_bytes()
    frozen = "LanguageModel" if kind == "MLP" else CLASSES.get(kind, kind)
    assert type(mm.load(path)).__name__ == frozen


def test_attributes_come_back(tmp_path: Path) -> None:
    for kind, names in (("NGram", ["smoothing", "order"]), ("InterpolatedNGram", ["lambdas"]),
                        ("KneserNey", ["discounts"]), ("Mixture", ["weights"])):  # fmt: skip
        loaded = type(the(kind)).from_bytes(the(kind).to_bytes())
        for name in names:
            assert np.array_equal(getattr(loaded, name), getattr(the(kind), name))
        if kind != "Mixture":
            assert loaded.counts.texts == the(kind).counts.texts
            assert loaded.vocab == the(kind).vocab
    third = mm.Mixture([the("NGram")] * 3, [1 / 3, 1 / 3, 1 / 3])
    assert mm.Mixture.from_bytes(third.to_bytes()).weights.tobytes() == third.weights.tobytes()
    assert mm.Detector.from_bytes(the("Detector").to_bytes()).n_good == 125


def test_models_stand_inside_of_models() -> None:
    inner = mm.Mixture([the("MLP"), the("NGram")], [0.5, 0.5])
    outer = mm.Mixture([inner, the("KneserNey")], [0.9, 0.1])
    detector = mm.Detector.fit(outer, OTHERS * 9, 0.1)
    loaded = mm.Detector.from_bytes(detector.to_bytes())
    assert answers(loaded) == answers(detector)
    assert isinstance(loaded.model.models[0].models[0], mm.LanguageModel)


def test_a_run_folder_is_loaded_as_its_net(tmp_path: Path) -> None:
    the("MLP").save(tmp_path / "model.safetensors")
    assert answers(mm.load(tmp_path)) == answers(the("MLP"))
    with pytest.raises(mm.FileError):
        mm.load(tmp_path / "nothing")


def test_a_model_of_another_class_cannot_be_saved(tmp_path: Path) -> None:
    class Uniform(mm.Model):
        vocab = the("NGram").vocab
        block_size = 1

        def log_probs(self, X: np.ndarray) -> np.ndarray:
            return np.full((len(X), len(self.vocab)), -np.log(len(self.vocab)), np.float32)

    for thing in (mm.Mixture([Uniform()], [1]), mm.Detector.fit(Uniform(), OTHERS * 9, 0.1)):
        with pytest.raises(TypeError, match="is a Uniform, which has no to_bytes"):
            thing.save(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_every_reader_of_a_net_takes_and_refuses_the_same(tmp_path: Path) -> None:
    path = tmp_path / "some.file"
    text, arrays = _core.read_tensors(the("MLP").to_bytes())
    fields = json.loads(text)
    for changed_fields, changed_arrays in (
        ({**fields, "n_hidden": 4}, arrays),
        ({**fields, "surprise": 1}, arrays),
        ({**fields, "characters": fields["characters"][1:]}, arrays),
        ({**fields, "data": {"name": "", "sha256": "x", "split_seed": 1}}, arrays),
        ({"version": 1, **fields}, arrays),
        (fields, {"W1": arrays["W1"], **arrays}),
        (fields, {**arrays, "x": arrays["b1"]}),
        (fields, {**arrays, "b1": arrays["b1"].astype(float)}),
    ):
        path.write_bytes(_core.write_tensors(tensor_file.canonical(changed_fields), changed_arrays))
        for load in (mm.load, mm.MLP.load, mm.LanguageModel.load):
            with pytest.raises(mm.FormatError, match=r"some\.file: "):
                load(path)
    path.write_bytes(_core.write_tensors(text, arrays))
    assert mm.load(path).to_bytes() == the("MLP").to_bytes() == mm.MLP.load(path).to_bytes()


def test_paths_are_checked_by_every_model() -> None:
    for kind in KINDS:
        with pytest.raises(TypeError, match="path must be a path, not int"):
            the(kind).save(3)


# -- hostile files --------------------------------------------------------------------------------
def refused(kind: str, data: bytes, sentence: str | None = None) -> None:
    with pytest.raises(mm.FormatError, match=sentence) as caught:
        getattr(mm, CLASSES.get(kind, kind)).from_bytes(data, "some.file")
    assert str(caught.value).startswith("some.file: ")
    assert "\n" not in str(caught.value)


def forged(
    kind: str,
    fields: Callable[[dict[str, Any]], object] = lambda fields: None,
    arrays: Callable[[dict[str, Any]], object] = lambda arrays: None,
) -> bytes:
    """Return the file of a model with other contents, under a right digest."""
    text, tensors = _core.read_tensors(the(kind).to_bytes())
    metadata = json.loads(text)
    fields(metadata)
    arrays(tensors)
    return _core.write_tensors(tensor_file.canonical(metadata), tensors)


def put(name: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda values: values.__setitem__(name, value)


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_of_another_class_is_refused(kind: str) -> None:
    for other in KINDS:
        nets = {"MLP", "LanguageModel"}
        if not {kind, other} <= nets and type(the(kind)) is not type(the(other)):
            refused(kind, the(other).to_bytes(), "its format is 'makemore_cpp")


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60)
@given(data=st.data())
def test_damaged_bytes_are_refused(kind: str, data: st.DataObject) -> None:
    original = the(kind).to_bytes()
    begin, end = sorted(data.draw(st.tuples(*[st.integers(0, len(original))] * 2)))
    changed = original[:begin] + data.draw(st.binary(max_size=20)) + original[end:]
    if changed != original:
        refused(kind, changed)


@pytest.mark.parametrize(
    ("kind", "edit", "sentence"),
    [
        ("NGram", put("format", "makemore_cpp Oracle"), "its format is 'makemore_cpp Oracle'"),
        ("NGram", put("version", 2), "newer release"),
        ("NGram", put("version", -1), "does not exist"),
        ("NGram", put("order", 0), r"order is 0, outside \[1, 100\]"),
        ("NGram", put("order", 10**30), "order is 1000"),
        ("NGram", put("order", True), "order in the metadata has the wrong type"),
        ("NGram", put("smoothing", -1.0), "smoothing is -1.0"),
        ("NGram", put("smoothing", 1), "smoothing in the metadata has the wrong type"),
        ("NGram", put("boundary", "a"), "is the boundary"),
        ("NGram", put("characters", ["a", "a"]), "repeats"),
        ("NGram", put("characters", ["a"]), "not in the vocabulary"),
        ("NGram", put("characters", "ab"), "characters in the metadata has the wrong type"),
        ("NGram", put("surprise", 1), "unknown field 'surprise'"),
        ("NGram", lambda fields: fields.pop("smoothing"), "the metadata lack smoothing"),
        ("KneserNey", put("order", 101), "order is 101"),
        (
            "NGram",
            lambda fields: fields.update(order=fields.pop("order")),
            "the metadata have 'smoothing' where order must be",
        ),
        ("Mixture", put("models", 4), r"the tensor weights is float64 \(3,\); it must be"),
        ("Mixture", put("models", -1), "the tensor weights"),
        ("Mixture", put("models", [1]), "models in the metadata has the wrong type"),
        ("Detector", put("false_positive_rate", 1.5), "false_positive_rate is 1.5"),
        ("Detector", put("shortest", -1), "shortest, mean, spread and leverage"),
        ("Detector", put("shortest", 2**70), "shortest, mean, spread and leverage"),
    ],
)
def test_forged_fields_are_refused(
    kind: str, edit: Callable[[dict[str, Any]], object], sentence: str
) -> None:
    refused(kind, forged(kind, fields=edit), sentence)


MODEL = np.frombuffer(b"not a model", np.uint8)


@pytest.mark.parametrize(
    ("kind", "edit", "sentence"),
    [
        ("NGram", put("lengths", np.zeros(0, np.int64)), "do not fit the texts"),
        ("NGram", put("lengths", np.array([-1, 1])), "are impossible"),
        ("NGram", put("lengths", np.array([2**62, 2**62, 2**62, 2**62])), "are impossible"),
        ("NGram", put("lengths", np.ones((2, 2), np.int64)), "the tensor lengths is int64"),
        ("NGram", put("lengths", np.ones(2)), "the tensor lengths is float64"),
        ("NGram", put("texts", np.array([255], np.uint8)), "the texts are not UTF-8"),
        ("NGram", lambda arrays: arrays.clear(), "the tensor lengths is missing"),
        ("NGram", put("x", np.ones(1)), "there is an unknown tensor 'x'"),
        (
            "NGram",
            lambda arrays: arrays.update(lengths=arrays.pop("lengths")),
            "the tensors have 'texts' where lengths must be",
        ),
        (
            "NGram",
            lambda arrays: arrays.update(lengths=np.zeros(0, np.int64), texts=np.zeros(0, "u1")),
            "there must be at least one text",
        ),
        ("InterpolatedNGram", put("lambdas", np.ones(3)), "lambdas are not all in"),
        ("InterpolatedNGram", put("lambdas", np.ones(2)), "the tensor lambdas is float64"),
        ("by frequency", put("lambdas", np.full((8, 3), 1.0)), "lambdas are not all in"),
        ("by frequency", put("lambdas", np.zeros((9, 3))), "the tensor lambdas is float64"),
        ("by frequency", put("lambdas", np.zeros(3)), "the tensor lambdas is float64"),
        ("Mixture", put("weights", np.array([1.0, 1, 1])), "the sum of weights is 3"),
        ("Mixture", put("weights", np.array([2.0, -1, 0])), r"weights\[1\] is -1"),
        ("Mixture", put("models[1]", MODEL), r"models\[1\]: it is not a file of makemore_cpp"),
        ("Mixture", lambda arrays: arrays.pop("models[2]"), r"the tensor models\[2\] is missing"),
        ("Detector", put("model", MODEL), "model: it is not a file of makemore_cpp"),
        ("Detector", put("scores", np.array([2.0, 1.0])), "scores are empty or do not rise"),
        ("Detector", put("scores", np.zeros(0)), "scores are empty or do not rise"),
        ("Detector", put("spread", np.zeros(2)), "shortest, mean, spread and leverage"),
        ("Detector", put("leverage", np.full(2, 2.0)), "shortest, mean, spread and leverage"),
    ],
)
def test_forged_arrays_are_refused(
    kind: str, edit: Callable[[dict[str, Any]], object], sentence: str
) -> None:
    refused(kind, forged(kind, arrays=edit), sentence)


def test_models_too_deep_inside_of_each_other_are_refused() -> None:
    data = the("NGram").to_bytes()
    for _ in range(100):
        fields = {"models": 1}
        arrays = {"weights": np.ones(1), "models[0]": np.frombuffer(data, np.uint8)}
        data = tensor_file.to_bytes("makemore_cpp Mixture", 1, fields, arrays)
    refused("Mixture", data, "more than 10 files stand inside of each other")


def test_other_metadata_are_refused() -> None:
    for text in ('{"a":1}', '{"format":1}', '{"format":"x","format":"x"}', '{"a":NaN}', '{"a": 1}'):
        data = _core.write_tensors(text, {})
        refused("NGram", data, "metadata")
    refused("NGram", _core.write_tensors('{"a":' + "[" * 5000 + "}", {}), "is not JSON")


def test_what_cannot_be_written_is_refused() -> None:
    for kind, tensors, sentence in (
        (TypeError, {"x": np.ones(1, np.float16)}, r"tensors\['x'\] holds float16, which is none"),
        (TypeError, {"x": np.ones(1, ">f4")}, r"tensors\['x'\] holds >f4"),
        (TypeError, {"x": [1.0]}, r"tensors\['x'\] must be an array, not list"),
        (TypeError, {1: np.ones(1)}, "the name of a tensor must be a str, not int"),
        (TypeError, [1], "tensors must be a dict of arrays, not list"),
        (mm.ArgumentError, {"x": np.array([1, np.inf])}, r"x\[1\] is inf"),
        (mm.ArgumentError, {"": np.ones(1)}, "1 to 256 bytes"),
    ):
        with pytest.raises(kind, match=sentence):
            _core.write_tensors('{"a":1}', tensors)  # type: ignore[arg-type]
    strided = np.arange(12.0).reshape(3, 4)[:, ::2]
    _, arrays = _core.read_tensors(_core.write_tensors('{"a":1}', {"x": strided}))
    assert np.array_equal(arrays["x"], strided)


# -- on the command line --------------------------------------------------------------------------
def printed(*arguments: object) -> list[str]:
    result = subprocess.run(
        command(*arguments), env=environment(), input="anna\nzo\n", capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_commands_take_any_model(tmp_path: Path) -> None:
    path = tmp_path / "some.model"
    the("Mixture").save(path)
    scores = [line.partition("\t")[0] for line in printed("score", path, "--oov", "-inf")]
    assert scores == [f"{x:.6f}" for x in the("Mixture").score(["anna", "zo"], oov="-inf")]
    assert printed("sample", path, "-n", 3) == [
        *the("Mixture").sample(3, min_length=1, unfinished="redo")
    ]
    the("NGram").save(path)
    assert not set(printed("sample", path, "-n", 20, "--exclude", "train")) & set(TEXTS)
    assert printed("complete", path, "a", "-k", 1)[1].split()[-1] == (
        the("NGram").complete("a", 1)[0].text
    )
    the("Detector").save(path)
    assert [line.split("\t")[1:] for line in printed("detect", path, "--all")] == [
        [flag, text] for flag, text in zip(["ok", "flagged"], ["anna", "zo"], strict=True)
    ]


def test_commands_that_need_another_model_say_so(tmp_path: Path) -> None:
    path = tmp_path / "some.model"
    the("Detector").save(path)
    for arguments in (("sample", path), ("score", path), ("detect", path, "--data", path)):
        assert "holds a detector, which" in sentence_of(*arguments)
    the("NGram").save(path)
    assert "save a Detector that is fitted to it" in sentence_of("detect", path)
    for name in ("eval", "export"):
        more = [tmp_path / "x.h"] if name == "export" else []
        assert "its format is 'makemore_cpp NGram', not that" in sentence_of(name, path, *more)


def sentence_of(*arguments: object) -> str:
    result = subprocess.run(
        command(*arguments), env=environment(), input="", capture_output=True, text=True
    )
    assert result.returncode == 2, result.stderr
    assert result.stderr.count("\n") == 1
    return result.stderr
