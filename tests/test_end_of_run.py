"""No accessory destroys a result: the model is on disk before pictures are tried."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import environment, is_one_sentence, run, started

import makemore_cpp as mm
from makemore_cpp.models.frozen import CHECKPOINT_FILE, MODEL_FILE
from makemore_cpp.runs import checkpoint

SMALL = ("train", "--steps", 20, "--n-hidden", 4, "--samples", 2, "--out", "new")
SWEEP = ("sweep", "grid", "--steps", 20, "--n-hidden", "4,5", "--out", "new")
NGRAM = ("experiment", "ngram", "--max-block-size", 1, "--out", "new")
WHOLE_RUN = {
    "config.json", "embeddings.jsonl", "embeddings.png", "loss.png", "metrics.jsonl", MODEL_FILE,
}  # fmt: skip


def names(folder: Path) -> set[str]:
    return {path.name for path in (folder / "new").iterdir()} - {"data.json"}


def places_without_caches(folder: Path) -> dict[str, str]:
    """Return variables that leave Matplotlib no place for its cache: all its folders are files."""
    (folder / "file").touch()
    nowhere = {name: str(folder / "file" / "x") for name in ("HOME", "TMPDIR", "TEMP", "TMP")}
    more = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR")
    return {**nowhere, **{name: str(folder / "file" / "y") for name in more}}


@pytest.mark.parametrize(
    "backend", ["module://matplotlib_inline.backend_inline", "nonsense", "TkAgg", "\udcff"]
)
def test_a_backend_of_the_surroundings_changes_nothing(tmp_path: Path, backend: str) -> None:
    _, error = run(tmp_path, *SMALL, MPLBACKEND=backend)
    assert error == ""
    assert names(tmp_path) == WHOLE_RUN
    _, error = run(tmp_path, "eval", "new", "--pictures", "seen", MPLBACKEND=backend)
    assert error == ""
    assert {path.name for path in (tmp_path / "seen").iterdir()} == {"embeddings.png", "hidden.png"}


@pytest.mark.parametrize("command", [SWEEP, NGRAM], ids=["sweep", "experiment"])
def test_sweeps_know_no_backend_either(tmp_path: Path, command: tuple[object, ...]) -> None:
    _, error = run(tmp_path, *command, MPLBACKEND="nonsense")
    assert error == ""
    assert names(tmp_path) >= {"picture.png", "table.csv"}


@pytest.mark.parametrize(
    "text",
    [b"axes.facecolor: black\nfigure.dpi: 20\nsavefig.bbox: tight\n", b"no: such: setting\n",
     b"axes.facecolor: no colour\n", b"\xff\xfe\n", b"backend: nonsense\n"],
    ids=["valid", "unknown", "no colour", "not UTF-8", "backend"],
)  # fmt: skip
def test_pictures_do_not_depend_on_somebodys_matplotlibrc(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "plain").mkdir()
    run(tmp_path / "plain", *SMALL)
    (tmp_path / "matplotlibrc").write_bytes(text)
    _, error = run(tmp_path, *SMALL)
    assert error == ""
    assert names(tmp_path) == WHOLE_RUN
    for name in WHOLE_RUN:
        first, second = (place / "new" / name for place in (tmp_path / "plain", tmp_path))
        assert first.read_bytes() == second.read_bytes(), name


def test_the_programs_own_settings_are_not_touched() -> None:
    code = (
        "import matplotlib as m; m.rcParams.update({'axes.facecolor': 'k', 'figure.dpi': 33.0})\n"
        "before = dict(m.rcParams)\n"
        "import makemore_cpp as mm; from makemore_cpp import plots\n"
        "ax = plots.loss_curve([3.0, 2.0]); assert ax.get_facecolor() == (1, 1, 1, 1)\n"
        "plots.style.png_of(ax.figure)\n"
        "assert dict(m.rcParams) == before\n"
        "from matplotlib.figure import Figure\n"
        "mine = plots.loss_curve([3.0, 2.0], ax=Figure().add_subplot())\n"
        "assert mine.get_facecolor() == (0, 0, 0, 1)\n"
    )
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True)


@pytest.mark.parametrize("command", [SMALL, SWEEP, NGRAM], ids=["train", "sweep", "experiment"])
def test_without_a_place_for_caches(tmp_path: Path, command: tuple[object, ...]) -> None:
    _, error = run(tmp_path, *command, **places_without_caches(tmp_path))
    assert error == ""
    wanted = WHOLE_RUN if command is SMALL else {"picture.png", "table.csv"}
    assert names(tmp_path) >= wanted
    assert not [name for name in names(tmp_path) if name.startswith(".")]


FAILING = """
import sys
import {module} as module
def fail(*arguments, **more):
    raise {error}
setattr(module, {function!r}, fail)
from makemore_cpp.__main__ import main
sys.argv = ["makemore_cpp", *{arguments!r}]
main()
"""


def run_failing(
    folder: Path, module: str, function: str, error: str, arguments: tuple[object, ...]
) -> subprocess.CompletedProcess[bytes]:
    """Run a command in which a function raises an error."""
    code = FAILING.format(
        module=module, function=function, error=error, arguments=[*map(str, arguments)]
    )
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment(), capture_output=True
    )


ERRORS = ("RuntimeError('two\\nlines')", "MemoryError", "OSError(28, 'No space')")


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize(
    ("module", "function", "arguments", "missing"),
    [
        ("makemore_cpp.plots", "loss_curve", SMALL, {"loss.png"}),
        ("makemore_cpp.plots", "embeddings", SMALL, {"embeddings.png"}),
        ("makemore_cpp.plots.style", "png_of", SMALL, {"loss.png", "embeddings.png"}),
        ("makemore_cpp.sweeps.pictures", "sweep", SWEEP, {"picture.png"}),
        ("makemore_cpp.sweeps.pictures", "ngrams", NGRAM, {"picture.png"}),
    ],
)
def test_a_picture_that_fails_is_one_sentence(
    tmp_path: Path, module: str, function: str, arguments: tuple[object, ...], missing: set[str],
    error: str,
) -> None:  # fmt: skip
    (tmp_path / "new").mkdir()
    if arguments is SMALL:  # a picture of an older run must not stay beside a new model
        arguments = (*arguments, "--overwrite")
        for name in missing:
            (tmp_path / "new" / name).write_bytes(b"old")
    ended = run_failing(tmp_path, module, function, error, arguments)
    lines = ended.stderr.decode().splitlines()
    assert ended.returncode == 0, ended.stderr
    assert len(lines) == len(missing)
    for line, name in zip(sorted(lines), sorted(missing), strict=True):
        assert line.startswith(f"makemore_cpp: the picture new/{name} is missing: ")
    if arguments[0] == "train":
        assert names(tmp_path) == WHOLE_RUN - missing
        assert mm.MLP.load(tmp_path / "new").n_hidden == 4
    else:
        assert "table.csv" in names(tmp_path)
        assert not names(tmp_path) & missing
    assert b"folder: new" in ended.stdout


@pytest.mark.parametrize(
    ("module", "function"),
    [
        ("makemore_cpp.evaluation", "compare"),
        ("makemore_cpp.runs", "save_description"),
        ("makemore_cpp.evaluation.diagnosis", "diagnose"),
        ("makemore_cpp.cli.train", "iter_samples"),
    ],
)
def test_numbers_that_fail_leave_the_model(tmp_path: Path, module: str, function: str) -> None:
    ended = run_failing(tmp_path, module, function, "MemoryError", SMALL)
    assert ended.returncode == 2
    assert is_one_sentence(ended.stderr.decode())
    assert mm.MLP.load(tmp_path / "new").n_hidden == 4


def test_without_matplotlib_all_but_the_pictures_is_there(tmp_path: Path) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ValueError('broken')")
    _, error = run(tmp_path, *SMALL, PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]))
    lines = error.splitlines()
    assert len(lines) == 2
    assert all(line.endswith("cannot be imported: ValueError: broken") for line in lines)
    assert names(tmp_path) == WHOLE_RUN - {"loss.png", "embeddings.png"}


# -- signals --------------------------------------------------------------------------------------
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_told_to_end_leaves_its_checkpoint(
    tmp_path: Path, number: signal.Signals
) -> None:
    arguments = ("train", "--steps", 10**9, "--n-hidden", 20, "--out", "new")
    before = signal.signal(number, signal.SIG_DFL)  # under nohup it is ignored, also by children
    with started(tmp_path, *arguments) as process:
        signal.signal(number, before)
        while not (tmp_path / "new").exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(1)
        process.send_signal(number)
        out, error = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert out == b""
    assert is_one_sentence(error.decode())
    assert b"terminated after" in error
    assert b"train --resume new goes on" in error
    assert names(tmp_path) == {CHECKPOINT_FILE, MODEL_FILE}
    assert len(checkpoint.load(tmp_path / "new" / CHECKPOINT_FILE).state.losses) > 0


def test_a_sweep_that_is_told_to_end_says_how_it_goes_on(tmp_path: Path) -> None:
    arguments = ("sweep", "grid", "--steps", 10**6, "--n-hidden", "100,200", "--out", "new")
    with started(tmp_path, *arguments) as process:
        while not (tmp_path / "new").exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert b"terminated; the same command with --out new goes on from here" in error


def test_what_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """A command under nohup ignores SIGHUP to its end."""
    command = ["nohup", sys.executable, "-m", "makemore_cpp", "train", "--steps", "3000000",
               "--out", "new", "--n-hidden", "20", "--samples", "0"]  # fmt: skip
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        while not (tmp_path / "new").exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(0.5)
        process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        assert process.poll() is None, "the hang-up was answered"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM


def test_the_library_handles_no_signal() -> None:
    code = (
        "import signal; kept = {n: signal.getsignal(n) for n in (1, 2, 15)}\n"
        "import makemore_cpp as mm; data = mm.Dataset.split(['anna', 'bob'])\n"
        "mm.train(mm.MLP(data.vocab), data, steps=5)\n"
        "assert kept == {n: signal.getsignal(n) for n in kept}\n"
    )
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True)
