"""No path in a model file is opened, and none is written into one."""

from __future__ import annotations

import copy
import json
import os
import pickle
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import command, environment, refuse, run

import makemore_cpp as mm
from makemore_cpp import _core, evaluation
from makemore_cpp.data.origin import DATA_FILE
from makemore_cpp.data.texts import BUNDLED_SHA256
from makemore_cpp.runs import checkpoint

TEXTS = "\n".join(["anna", "bob", "hannah", "otto", "ada", "nan", "tom", "mat", "amy", "max"] * 3)
SMALL = ("--steps", 30, "--n-hidden", 4, "--samples", 1)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a folder with data and a run that was trained on them."""
    (tmp_path / "texts.txt").write_text(TEXTS)
    run(tmp_path, "train", *SMALL, "--data", "texts.txt", "--out", "run")
    return tmp_path


def forged(path: Path, name: str) -> None:
    """Write a model file, with a right digest, whose metadata name some other file."""
    texts = mm.load_texts()[:50]
    vocab = mm.Vocab.from_texts(texts)
    model = mm.MLP(vocab, 2, 2, 3)
    saved = _core.SavedModel(vocab, *model.parameters.values(), data=(name, "0" * 64, 1))
    saved.save(path)


def copies(states: list[Any]) -> Callable[[Any], None]:
    """Keep the states of a run, whose arrays training changes."""
    return lambda state: states.append(copy.deepcopy(state))


# -- no path in, no path out ----------------------------------------------------------------------
def test_the_same_data_under_two_paths_give_the_same_bytes(place: Path) -> None:
    (place / "elsewhere").mkdir()
    shutil.copy(place / "texts.txt", place / "elsewhere" / "other.txt")
    for name in ("model.safetensors", "checkpoint.safetensors"):
        more = ("--checkpoint-every", 10) if name.startswith("check") else ()
        files = []
        for data, out in (("texts.txt", "a"), ("elsewhere/other.txt", "b")):
            run(place, "train", *SMALL, *more, "--data", data, "--out", out, "--overwrite")
            files.append((place / out / "model.safetensors").read_bytes())
        assert files[0] == files[1]
        assert b"other.txt" not in files[1]
        assert str(place).encode() not in files[1]
    assert str(place) not in (place / "b" / "config.json").read_text()


def test_a_checkpoint_holds_no_path(place: Path) -> None:
    data = mm.Dataset.split(mm.load_texts(place / "texts.txt"))
    states = []
    mm.train(mm.MLP(data.vocab), data, steps=4, on_checkpoint=copies(states), checkpoint_every=2)
    checkpoint.save(place / "kept", checkpoint.Checkpoint(states[0]))
    assert b"texts.txt" not in (place / "kept").read_bytes()
    assert checkpoint.load(place / "kept").state.model.data == ("", data.origin.sha256, 42)


def test_the_bundled_list_is_known_by_its_digest(tmp_path: Path) -> None:
    texts = mm.load_texts()
    assert texts.sha256 == BUNDLED_SHA256
    (tmp_path / "copy.txt").write_text("\n".join(texts) + "\n")
    copies = mm.load_texts(tmp_path / "copy.txt")
    assert copies.sha256 == BUNDLED_SHA256
    files = []
    for some in (texts, copies):
        data = mm.Dataset.split(some)
        model = mm.MLP(data.vocab, n_hidden=4)
        mm.train(model, data, steps=3)
        files.append(model.to_bytes())
    assert files[0] == files[1]
    again = mm.MLP.from_bytes(files[0])
    assert again.data.name == "names_us2017"
    assert again.training_texts() == set(data.train.texts)


def test_a_process_knows_where_it_has_read(place: Path) -> None:
    data = mm.Dataset.split(mm.load_texts(place / "texts.txt"))
    model = mm.MLP(data.vocab, n_hidden=4)
    mm.train(model, data, steps=3)
    known = set(data.train.texts)
    frozen = model.freeze()
    for one in (
        model,
        frozen,
        pickle.loads(pickle.dumps(model)),
        pickle.loads(pickle.dumps(frozen)),
    ):
        assert one.training_texts() == known
        assert one.data.name == str(place / "texts.txt")
    assert mm.MLP.from_bytes(model.to_bytes()).data == ("", data.origin.sha256, 42)


# -- forged models --------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["pipe", "/etc/passwd", "/proc/self/mem", "x\ny", "secret"])
def test_a_path_in_a_model_file_is_never_opened(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "secret").write_text("secret texts\n")
    path = str(tmp_path / name) if "/" not in name else name
    (tmp_path / "run").mkdir()
    forged(tmp_path / "run" / "model.safetensors", path)
    model = mm.LanguageModel.load(tmp_path / "run")
    assert model.data == ("", "0" * 64, 1)
    with pytest.raises(mm.ArgumentError, match="nothing says where the data of this model are"):
        model.sample(1, exclude="train")
    for arguments, advice in (
        (("sample", "run", "--exclude", "train"), "--exclude FILE"),
        (("detect", "run"), "--data"),
        (("eval", "run"), "--data"),
        (("eval", "run", "--split", "all"), "--data"),
    ):
        log = tmp_path / "log"
        traced = shutil.which("strace") is not None
        strace = ["strace", "-f", "-qq", "-e", "trace=open,openat", "-o", str(log)]
        ended = subprocess.run(
            [*(strace if traced else []), *command(*arguments)],
            cwd=tmp_path,
            env=environment(),
            timeout=60,
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
        error = ended.stderr.decode()
        assert ended.returncode == 2, error
        assert "nothing says where the data of this model are" in error
        assert advice in error
        assert error.count("\n") == 1
        if traced and log.stat().st_size > 1000 and "/etc" not in path:
            assert path not in log.read_text(errors="replace")


def test_the_digest_of_a_file_that_nobody_named_is_not_told(place: Path) -> None:
    (place / "texts.txt").write_text("other texts\n")
    for arguments in (("eval", "run"), ("detect", "run"), ("sample", "run", "--exclude", "train")):
        error = refuse(place, *arguments)
        assert "texts.txt has changed since the training; " in error
        assert "SHA" not in error


# -- what a run folder remembers ------------------------------------------------------------------
def test_a_run_folder_remembers_where_its_data_are(place: Path) -> None:
    known = json.loads((place / "run" / DATA_FILE).read_text())
    assert known["path"] == str(place / "texts.txt")
    for name in ("run", "run/model.safetensors"):
        model = mm.MLP.load(place / name)
        assert model.data.name == known["path"]
        assert mm.LanguageModel.load(place / name).training_texts() == model.training_texts()
    os.rename(place / "run", place / "moved")
    run(place, "eval", "moved")
    run(place, "sample", "moved", "--exclude", "train", "-n", 3)


@pytest.mark.parametrize("change", ["copied", "link", "pipe", "other", "huge", "deep", "relative"])
def test_only_this_users_training_is_believed(place: Path, change: str) -> None:
    folder, file = place / "run", place / "run" / DATA_FILE
    known = json.loads(file.read_text())
    if change == "copied":
        shutil.copytree(folder, place / "copy")
        folder = place / "copy"
    elif change == "link":
        os.rename(file, place / "aside")
        file.symlink_to(place / "aside")
    elif change == "pipe":
        file.unlink()
        os.mkfifo(file)
    else:
        text = {
            "other": json.dumps({**known, "more": 1}),
            "huge": json.dumps(known) + " " * 10**6,
            "deep": "[" * 50_000,
            "relative": json.dumps({**known, "path": "texts.txt"}),
        }[change]
        file.write_text(text)
    assert mm.MLP.load(folder).data.name == ""
    assert "nothing says where" in refuse(place, "eval", folder.name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_another_users_memory_is_not_believed(place: Path) -> None:
    os.chown(place / "run" / DATA_FILE, 12345, 12345)
    assert mm.MLP.load(place / "run").data.name == ""


def test_what_a_run_remembers_must_still_be_a_regular_file(place: Path) -> None:
    (place / "texts.txt").unlink()
    os.mkfifo(place / "texts.txt")
    for arguments in (("eval", "run"), ("sample", "run", "--exclude", "train")):
        assert "it is not a regular file" in refuse(place, *arguments)


def test_data_that_have_moved_can_be_named(place: Path) -> None:
    os.rename(place / "texts.txt", place / "moved.txt")
    for arguments, advice in (
        (("eval", "run"), "--data"),
        (("detect", "run"), "--data"),
        (("sample", "run", "--exclude", "train"), "--exclude FILE"),
    ):
        error = refuse(place, *arguments)
        assert "cannot read" in error
        assert advice in error
    run(place, "eval", "run", "--data", "moved.txt")
    run(place, "sample", "run", "--exclude", "moved.txt", "-n", 3)


def test_a_run_goes_on_with_data_that_have_moved(place: Path) -> None:
    arguments = ("train", "--data", "texts.txt", "--steps", 60, "--n-hidden", 4, "--samples", 1)
    run(place, *arguments, "--out", "whole")
    data = mm.Dataset.split(mm.load_texts(place / "texts.txt"))
    states = []
    options = {"steps": 60, "on_checkpoint": copies(states), "checkpoint_every": 40}
    mm.train(mm.MLP(data.vocab, n_hidden=4), data, **options)
    (place / "half").mkdir()
    kept = checkpoint.Checkpoint(states[0], samples=1)
    checkpoint.save(place / "half" / "checkpoint.safetensors", kept)
    os.rename(place / "texts.txt", place / "moved.txt")
    assert "name their file with --data" in refuse(place, "train", "--resume", "half")
    (place / "wrong.txt").write_text("anna\n")
    error = refuse(place, "train", "--resume", "half", "--data", "wrong.txt")
    assert "wrong.txt does not hold the texts of the run's beginning: its SHA-256 is " in error
    run(place, "train", "--resume", "half", "--data", "moved.txt")
    models = [(place / name / "model.safetensors").read_bytes() for name in ("whole", "half")]
    assert models[0] == models[1]


# -- data that are no file ------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_standard_input_as_data(tmp_path: Path, name: str) -> None:
    run(tmp_path, "train", *SMALL, "--data", name, "--out", "run", text=TEXTS)
    assert mm.MLP.load(tmp_path / "run").data.name == ""
    assert not (tmp_path / "run" / DATA_FILE).exists()
    error = refuse(tmp_path, "sample", "run", "--exclude", "train")
    assert "nothing says where the data of this model are" in error
    run(tmp_path, "eval", "run", "--data", "-", text=TEXTS)
    assert "cannot be both FILE and --data" in refuse(tmp_path, "detect", "run", "--data", "-")
    assert "is empty" in refuse(tmp_path, "train", *SMALL, "--data", name, "--out", "other")


def test_a_named_pipe_as_data(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["sh", "-c", f"printf '{TEXTS}' > pipe"], cwd=tmp_path):
        run(tmp_path, "train", *SMALL, "--data", "pipe", "--out", "run")
    assert "nothing says where" in refuse(tmp_path, "sample", "run", "--exclude", "train")
    assert "nothing says where" in refuse(tmp_path, "eval", "run")


def test_a_look_that_cannot_be_recorded(place: Path) -> None:
    (place / "run" / "test_looks.jsonl").mkdir()
    out, error = run(place, "eval", "run", "--split", "test")
    assert "test" in out
    assert error.startswith("makemore_cpp: this look at the test split is not recorded: cannot")
    assert error.count("\n") == 1


def test_models_of_the_release_before_are_read(place: Path) -> None:
    """The files of that release hold a path, which is ignored."""
    forged(place / "old.safetensors", "/home/somebody/names.txt")
    assert evaluation.DEFAULT_SPLIT_SEED == 42
    assert mm.MLP.load(place / "old.safetensors").data == ("", "0" * 64, 1)
