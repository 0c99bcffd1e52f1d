"""The checkpoint file: its contents, its refusals, and the folder that holds it."""

from __future__ import annotations

import copy
import json
import math
import signal
import subprocess
import time
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
from makemore_cpp.files import folders, tensors
from makemore_cpp.recipe.options import names_of
from makemore_cpp.runs import checkpoint
from makemore_cpp.training.state import TrainingState

FILE = "checkpoint.safetensors"
OPTIONS: dict[str, Any] = {
    "steps": 20, "optimizer": "adam", "lr": 0.01, "eval_every": 3, "patience": 9,
    "schedule": "cosine", "dropout": 0.1,
}  # fmt: skip


@pytest.fixture(scope="module")
def kept() -> checkpoint.Checkpoint:
    """Return a checkpoint after step 7 of 20."""
    texts = mm.load_texts()
    some = mm.data.texts.Texts(texts[:200], texts.name, texts.sha256)
    data = mm.Dataset.split(some, block_size=2)
    states: list[TrainingState] = []
    mm.train(
        mm.MLP(data.vocab, 2, 3, 5),
        data,
        on_checkpoint=lambda state: states.append(copy.deepcopy(state)),
        checkpoint_every=7,
        **OPTIONS,
    )
    return checkpoint.Checkpoint(states[0], "lecture", 3, ("a", checkpoint.this_build()))


@pytest.fixture(scope="module")
def saved(kept: checkpoint.Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / FILE
    checkpoint.save(path, kept)
    return path


# -- the file -------------------------------------------------------------------------------------
def test_all_of_it_comes_back(kept: checkpoint.Checkpoint, saved: Path) -> None:
    loaded = checkpoint.load(saved)
    assert loaded[1:] == kept[1:]
    a, b = kept.state, loaded.state
    assert b.options == a.options
    assert list(b.options) == names_of("training", "update")
    assert (b.options["steps"], b.options["betas"]) == (20, (0.9, 0.999))
    assert b.model.to_bytes() == a.model.to_bytes()
    assert b.model.data == a.model.data == ("names_us2017", a.model.data.sha256, 42)
    assert b.losses.tobytes() == a.losses.tobytes()
    assert len(b.losses) == 7
    assert b.evaluations == a.evaluations
    assert [evaluation.step for evaluation in b.evaluations] == [3, 6]
    for one, other in ((a.optimizer_state, b.optimizer_state), (a.best, b.best)):
        assert list(one) == list(other)
        assert all(np.array_equal(one[name], other[name]) for name in one)
    assert len(b.optimizer_state) == 11
    assert b.optimizer_state["step"] == len(b.losses)
    assert len(b.best) == 5
    assert [snapshot.step for snapshot in b.snapshots] == [0, 3, 6]
    for snapshot, other in zip(b.snapshots, a.snapshots, strict=True):
        assert np.array_equal(snapshot.C, other.C)
    assert (b.examples_sha256, b.seconds) == (a.examples_sha256, a.seconds)
    before = saved.read_bytes()
    checkpoint.save(saved, loaded)
    assert saved.read_bytes() == before


def test_the_safetensors_package_reads_it(kept: checkpoint.Checkpoint, saved: Path) -> None:
    arrays = pytest.importorskip("safetensors.numpy").load_file(saved)
    assert len(arrays) == 2 + 5 * 4 + 1
    assert np.array_equal(arrays["v.W1"], kept.state.optimizer_state["v.W1"])
    assert np.array_equal(arrays["best.C"], kept.state.best["C"])
    assert np.array_equal(arrays["losses"], kept.state.losses)
    losses = [evaluation.dev_loss for evaluation in kept.state.evaluations]
    assert arrays["dev_losses"].dtype == np.float64
    assert arrays["dev_losses"].tolist() == losses


def test_a_model_and_a_checkpoint_are_told_apart(
    kept: checkpoint.Checkpoint, saved: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        mm.FormatError, match="its format is 'makemore_cpp checkpoint', not that of a net"
    ):
        mm.MLP.load(saved)
    for load in (mm.MLP.load, mm.LanguageModel.load):
        with pytest.raises(mm.FileError, match=r"is not finished; train --resume .* goes on"):
            load(saved.parent)
    kept.state.model.save(tmp_path / FILE)
    with pytest.raises(
        mm.FormatError, match="its format is 'makemore_cpp', not 'makemore_cpp checkpoint'"
    ):
        checkpoint.load(tmp_path / FILE)


def test_what_is_saved_with_the_defaults_can_be_loaded(
    kept: checkpoint.Checkpoint, tmp_path: Path
) -> None:
    checkpoint.save(tmp_path / FILE, checkpoint.Checkpoint(kept.state))
    assert checkpoint.load(tmp_path / FILE).builds == (checkpoint.this_build(),)


def test_a_number_that_is_not_finite_is_not_written(
    kept: checkpoint.Checkpoint, tmp_path: Path
) -> None:
    state = copy.deepcopy(kept.state)
    state.optimizer_state["v.b1"][2] = np.inf
    with pytest.raises(mm.ArgumentError, match=r"^v\.b1\[2\] is inf: every number that is saved"):
        checkpoint.save(tmp_path / FILE, checkpoint.Checkpoint(state))
    assert list(tmp_path.iterdir()) == []


def refused(path: Path, sentence: str | None = None) -> None:
    with pytest.raises(mm.FormatError, match=sentence) as caught:
        checkpoint.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def rewrite(path: Path, saved: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Write the checkpoint with other metadata, under a right digest."""
    text, arrays = _core.read_tensors(saved.read_bytes())
    metadata = json.loads(text)
    edit(metadata)
    path.write_bytes(_core.write_tensors(tensors.canonical(metadata), arrays))


def progress_of(saved: Path) -> str:
    text, _ = _core.read_tensors(saved.read_bytes())
    return str(json.loads(text)["progress"])


def forge(path: Path, saved: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    progress = json.loads(progress_of(saved))
    edit(progress)
    rewrite(path, saved, put(json.dumps(progress, separators=(",", ":")), "progress"))


def put(value: Any, *keys: str) -> Callable[[dict[str, Any]], object]:
    def edit(progress: dict[str, Any]) -> None:
        for key in keys[:-1]:
            progress = progress[key]
        progress[keys[-1]] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (put("x", "surprise"), "its progress does not have the fields options,"),
        (lambda p: p.pop("seconds"), "its progress does not have the fields"),
        (lambda p: p.update(options=p.pop("options")), "its progress does not have the fields"),
        (put([], "options"), "options in its progress has the wrong type"),
        (put(1, "options", "surprise"), "options in its progress does not have the fields"),
        (put(7, "options", "steps"), "steps is 7, outside"),
        (put(10**10, "options", "steps"), "steps is 10000000000, outside"),
        (put(20.0, "options", "steps"), "steps in options in its progress has the wrong type"),
        (put(True, "options", "steps"), "steps in options in its progress has the wrong type"),
        (put(0, "options", "batch_size"), "batch_size"),
        (put("some", "options", "batch_size"), "batch_size is 'some'"),
        (put(-1.0, "options", "lr"), "lr is -1.0"),
        (put(math.nan, "options", "lr"), "progress"),
        (put(math.inf, "options", "lr"), "progress"),
        (put(-math.inf, "options", "lr_floor"), "progress"),
        (put([0.9, math.nan], "options", "betas"), "progress"),
        (put(math.nan, "options", "steps"), "progress"),
        (put(math.inf, "seconds"), "progress"),
        (put("0.1", "options", "lr"), "lr in options in its progress has the wrong type"),
        (put("linear", "options", "schedule"), "schedule is 'linear'"),
        (put(0.5, "options", "lr_decay"), "decay belongs to the inverse schedule"),
        (put(-1, "options", "seed"), "seed"),
        (put(2**64, "options", "seed"), "seed"),
        (put(4, "options", "eval_every"), "it holds 2 evaluations of 7 steps with eval_every 4"),
        (put(0, "options", "eval_every"), "it holds 2 evaluations of 7 steps with eval_every 0"),
        (put(None, "options", "patience"), "best evaluation"),
        (put(0, "options", "patience"), "patience is 0"),
        (put("adamw", "options", "optimizer"), "it holds the state of 'adam' and names 'adamw'"),
        (put([0.9], "options", "betas"), "betas must be two numbers"),
        (put(None, "options", "eval_every"), "eval_every in options in its progress has the wrong"),
        (put(["x" * 20_000], "builds"), "progress has .* bytes; it must be of at most 16384"),
        (put([0.9, 1.5], "options", "betas"), "beta2 = 1.5"),
        (put({}, "options", "betas"), "betas in options in its progress has the wrong type"),
        (put(2.0, "options", "dropout"), "dropout"),
        (put(0, "options", "negatives"), "negatives is 0"),
        (put(2.0, "options", "negatives"), "negatives in options in its progress has the wrong"),
        (put(1, "options", "decay_biases"), "decay_biases in options"),
        (put(-0.5, "seconds"), "seconds is -0.5"),
        (put("zeros", "init"), "init is 'zeros'"),
        (put(-1, "samples"), "samples is -1"),
        (put([], "builds"), "builds in its progress"),
        (put([1], "builds"), "builds in its progress"),
    ],
)
def test_forged_progress_with_a_right_digest_is_refused(
    saved: Path, tmp_path: Path, edit: Callable[[dict[str, Any]], object], sentence: str
) -> None:
    forge(tmp_path / FILE, saved, edit)
    refused(tmp_path / FILE, sentence)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "{", "NaN", "[" * 8000, '{"a":1e999}'])
def test_other_texts_for_progress_are_refused(saved: Path, tmp_path: Path, text: str) -> None:
    rewrite(tmp_path / FILE, saved, put(text, "progress"))
    refused(tmp_path / FILE, "progress")


def test_progress_has_one_form_only(saved: Path, tmp_path: Path) -> None:
    text = progress_of(saved)
    twice = text.replace('"seed":1', '"seed":2,"seed":1')
    for other in (text + " ", text.replace(":", ": ", 1), text.replace("20", "20e0", 1), twice):
        assert other != text
        rewrite(tmp_path / FILE, saved, put(other, "progress"))
        refused(tmp_path / FILE)
    other = text.replace('"seconds":', '"seconds":NaN,"x":')
    rewrite(tmp_path / FILE, saved, put(other, "progress"))
    refused(tmp_path / FILE)


@settings(max_examples=300)
@given(st.data())
def test_damaged_bytes_are_refused(saved: Path, data: st.DataObject) -> None:
    original = saved.read_bytes()
    begin, end = sorted(data.draw(st.tuples(*[st.integers(0, len(original))] * 2)))
    changed = original[:begin] + data.draw(st.binary(max_size=20)) + original[end:]
    if changed != original:
        other = saved.parent / "damaged"
        other.write_bytes(changed)
        refused(other)


def test_forged_fields_with_a_right_digest_are_refused(saved: Path, tmp_path: Path) -> None:
    for edit, sentence in [
        (put(2, "version"), "newer release"),
        (put(0, "version"), "version 0 does not exist"),
        (put("makemore_cpp", "format"), "its format is 'makemore_cpp', not"),
        (put("adamw", "optimizer"), "it holds the state of 'adamw' and names 'adam'"),
        (put(8, "steps"), r"the tensor losses is float32 \(7,\); it must be float32 \(8\)"),
        (put(3, "evaluations"), "it holds 3 evaluations of 7 steps with eval_every 3"),
        (put(0, "steps"), "the number of losses is 0, outside"),
        (put(10**10, "steps"), "the number of losses is 10000000000, outside"),
        (put(0, "n_embd"), "the tensor C"),
        (put(10**40, "n_hidden"), "the tensor W1"),
        (put(0, "best"), "best evaluation"),
        (put(2, "snapshots"), "it holds 2 snapshots, wrongly, at 2 evaluations"),
        (put(-1, "snapshots"), "it holds -1 snapshots"),
        (lambda m: m.pop("snapshots"), "there is an unknown tensor 'snapshots'"),
        (put(True, "best"), "best in the metadata has the wrong type"),
        (put(6, "n_hidden"), r"the tensor W1 is float32 \(6, 5\); it must be float32 \(6, 6\)"),
        (put(-5, "n_hidden"), "the tensor W1"),
        (put(["a"], "characters"), r"C has the shape \(27, 3\); it must be \(2, M\)"),
        (put([1], "characters"), "characters in the metadata are not all texts"),
        (put("ab", "boundary"), "boundary must be exactly one"),
        (put({"name": "", "sha256": "a" * 64}, "data"), "data does not have the fields"),
        (put({"name": "", "sha256": 1, "split_seed": 1}, "data"), "sha256 in data has the wrong"),
        (put({"name": "", "sha256": "A" * 64, "split_seed": 1}, "data"), "64 lower-case"),
        (put({"name": "", "sha256": "a" * 64, "split_seed": -1}, "data"), "split_seed"),
        (put({"name": "x" * 5000, "sha256": "a" * 64, "split_seed": 1}, "data"), "4096 bytes"),
        (put({"split_seed": 1, "name": "", "sha256": "a" * 64}, "data"), "does not have the"),
        (lambda m: m.update(steps=m.pop("steps")), "the metadata have 'evaluations' where steps"),
        (put(1, "surprise"), "the metadata have an unknown field 'surprise'"),
        (lambda m: m.pop("progress"), "the metadata lack progress"),
    ]:
        rewrite(tmp_path / FILE, saved, edit)
        refused(tmp_path / FILE, sentence)


def test_arrays_are_those_of_the_optimizer(saved: Path, tmp_path: Path) -> None:
    text, arrays = _core.read_tensors(saved.read_bytes())
    for changed, sentence in [
        ({**arrays, "x": arrays["C"]}, "there is an unknown tensor 'x'"),
        ({"x": arrays["C"], **arrays}, "the tensors have 'x' where dev_losses must be"),
        ({"losses": arrays["losses"], **arrays}, "the tensors have 'losses' where dev_losses"),
        ({**arrays, "m.C": arrays["m.W1"]}, "the tensor m.C is float32"),
        ({**arrays, "losses": arrays["losses"].astype(float)}, "the tensor losses is float64"),
        ({name: arrays[name] for name in arrays if name != "v.b2"}, "the tensor v.b2 is missing"),
        ({**arrays, "snapshots": arrays["snapshots"][:2]}, r"float32 \(2, 27, 3\); it must be"),
    ]:
        (tmp_path / FILE).write_bytes(_core.write_tensors(text, changed))
        refused(tmp_path / FILE, sentence)


# -- the folder -----------------------------------------------------------------------------------
SMALL = ("--steps", "300", "--n-hidden", "8", "--samples", "0")


def sentence_of(folder: Path, *arguments: object) -> str:
    result = subprocess.run(
        command("train", *arguments),
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 2, result.stderr
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.fixture
def unfinished(tmp_path: Path) -> Path:
    """Return a folder with data.txt and a run that was killed once it had a checkpoint."""
    texts = mm.load_texts()[:300]
    (tmp_path / "data.txt").write_text("\n".join(texts) + "\n")
    process = subprocess.Popen(
        command("train", "--data", "data.txt", "--out", "run", "--checkpoint-every", "50",
                "--n-hidden", "8", "--steps", 10**9),
        cwd=tmp_path,
        env=environment(),
    )  # fmt: skip
    while not (tmp_path / "run" / FILE).exists():
        assert process.poll() is None
    other = sentence_of(tmp_path, "--out", "run", "--overwrite", *SMALL)
    assert other == "makemore_cpp: another process is at work in run\n"
    assert "another process is at work in run" in sentence_of(tmp_path, "--resume", "run")
    process.kill()
    process.wait()
    return tmp_path


def test_one_writer_and_its_lock_ends_with_it(unfinished: Path) -> None:
    with folders.locked(unfinished / "run"):
        assert "another process is at work" in sentence_of(unfinished, "--resume", "run")
    assert "is not empty" in sentence_of(unfinished, *SMALL, "--out", "run")
    subprocess.run(
        command("train", *SMALL, "--out", "run", "--overwrite"),
        cwd=unfinished,
        env=environment(),
        check=True,
        capture_output=True,
    )
    names = {path.name for path in (unfinished / "run").iterdir()}
    assert "model.safetensors" in names
    assert FILE not in names, "the checkpoint of the run that was overwritten"


def test_an_interrupt_never_takes_the_checkpoint_away(unfinished: Path) -> None:
    before = (unfinished / "run" / FILE).read_bytes()
    process = subprocess.Popen(
        command("train", "--resume", "run", "--checkpoint-every", "0"),
        cwd=unfinished,
        env=environment(),
        stderr=subprocess.PIPE,
    )
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130, error
    step = len(checkpoint.load(unfinished / "run" / FILE).state.losses)
    assert error.endswith(f"kept in run; train --resume run goes on from step {step:,}\n")
    assert (unfinished / "run" / FILE).read_bytes() == before
    assert (unfinished / "run" / "model.safetensors").exists()


def test_what_cannot_go_on_is_refused_by_name(unfinished: Path) -> None:
    for more in (("--lr", "0.1"), ("--preset", "best"), ("--out", "x"), ("--seed", "1")):
        sentence = sentence_of(unfinished, "--resume", "run", *more)
        assert f"{more[0]} cannot be given with --resume" in sentence
    assert "cannot open the folder nowhere: No such file" in sentence_of(
        unfinished, "--resume", "nowhere"
    )
    with open(unfinished / "data.txt", "a") as stream:
        stream.write("zoe\n")
    assert "data.txt has changed since the run's beginning" in sentence_of(
        unfinished, "--resume", "run"
    )
    (unfinished / "data.txt").unlink()
    assert "cannot read" in sentence_of(unfinished, "--resume", "run")
    path = unfinished / "run" / FILE
    path.write_bytes(path.read_bytes()[:-1])
    assert f"run/{FILE}: the file is cut off" in sentence_of(unfinished, "--resume", "run")
    path.unlink()
    assert f"cannot read 'run/{FILE}'" in sentence_of(unfinished, "--resume", "run")
    (unfinished / "run" / "model.safetensors").touch()
    assert "run holds a finished run: there is nothing to resume" in sentence_of(
        unfinished, "--resume", "run"
    )
