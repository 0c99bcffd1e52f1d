"""Ctrl-C in every command that may take long: the command ends at once, with a sentence.

``MAKEMORE_CAMPAIGN=1`` interrupts each command 20 times.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest
from command_line import environment, is_one_sentence, run, started
from extent import CAMPAIGN, SANITIZED

import makemore_cpp as mm
from makemore_cpp.models.frozen import CHECKPOINT_FILE, MODEL_FILE
from makemore_cpp.runs import checkpoint

TIMES = 20 if CAMPAIGN else 1
AT_ONCE = 0.2  # seconds
pytestmark = pytest.mark.skipif(SANITIZED, reason="everything takes longer")
COMMANDS = {
    "train": "train --steps 1000000000 --out new",
    "train, large steps": "train --steps 1000000000 --batch-size all --n-hidden 300 --out new",
    "train, many saves": "train --steps 1000000000 --checkpoint-every 1 --n-hidden 20 --out new",
    "eval": "eval model.safetensors --data texts.txt --split all",
    "eval of splits": "eval model.safetensors --data texts.txt",
    "score": "score model.safetensors texts.txt",
    "detect": "detect model.safetensors texts.txt",
    "sample": "sample model.safetensors -n 100000000",
    "sweep grid": "sweep grid --lr 0.1,0.05 --n-hidden 100,200 --steps 1000000 --out new",
    "sweep lr": "sweep lr --steps 1000000",
    "experiment": "experiment context --out new",
    "lecture": "lecture --out new",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model and more texts than a command reads in a second."""
    folder = tmp_path_factory.mktemp("place")
    texts = mm.load_texts()
    (folder / "texts.txt").write_text(("\n".join(texts) + "\n") * 300)
    run(folder, "train", "--steps", 100, "--samples", 0, "--out", "first")
    os.replace(folder / "first" / MODEL_FILE, folder / MODEL_FILE)
    return folder


def interrupt(folder: Path, arguments: list[str], random: Random, times: int = 1) -> float:
    """Start a command in a new folder, interrupt it; return the seconds until its end."""
    for name in ("texts.txt", MODEL_FILE):
        (folder / name).symlink_to(folder.parent / name)
    with started(folder, *arguments, stdout=subprocess.DEVNULL) as process:
        while "new" in arguments and not (folder / "new").exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(random.uniform(0.4, 0.8) if "new" in arguments else random.uniform(1.0, 1.8))
        assert process.poll() is None, "it had ended already"
        start = time.monotonic()
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            time.sleep(0.002)
        error = process.communicate()[1].decode()
        seconds = time.monotonic() - start
    assert "Traceback" not in error
    if times > 1 and process.returncode == -signal.SIGINT:
        return seconds  # the last one ended it on the spot
    assert process.returncode == 130, error
    assert is_one_sentence(error.lstrip("\n")), error  # the line is new after what is echoed, ^C
    assert "interrupted" in error
    return seconds


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_ends_at_once(place: Path, name: str) -> None:
    arguments, random = COMMANDS[name].split(), Random(name)
    waits: list[float] = []
    # Others use this machine too, so one of a few has to be quick, or in the campaign half of all.
    while len(waits) < TIMES or (not CAMPAIGN and waits[-1] > AT_ONCE and len(waits) < 20):
        folder = place / f"{name} {len(waits)}"
        folder.mkdir()
        waits.append(interrupt(folder, arguments, random))
        if arguments[0] == "train":
            new = folder / "new"
            assert {path.name for path in new.iterdir()} == {CHECKPOINT_FILE, MODEL_FILE}
            state = checkpoint.load(new / CHECKPOINT_FILE).state
            kept = mm.MLP.load(new)
            for key, array in state.model.parameters.items():
                assert kept.parameters[key].tobytes() == array.tobytes()
    print(f"{name}: {sorted(waits)[len(waits) // 2]:.3f} s, at most {max(waits):.3f} s")
    assert (sorted(waits)[len(waits) // 2] if CAMPAIGN else waits[-1]) < AT_ONCE


@pytest.mark.parametrize("times", [2, 3])
@pytest.mark.parametrize("name", COMMANDS if CAMPAIGN else ["train, many saves", "sweep grid"])
def test_more_interrupts_end_it_on_the_spot(place: Path, name: str, times: int) -> None:
    """Further interrupts may come while the first one is answered, and lose nothing."""
    folder = place / f"{name}, {times} interrupts"
    folder.mkdir()
    interrupt(folder, COMMANDS[name].split(), Random(name), times)
    if name == "train, many saves":
        checkpoint.load(folder / "new" / CHECKPOINT_FILE)


def test_an_interrupt_leaves_no_numbers_of_an_older_run(tmp_path: Path) -> None:
    """Its pictures and its looks at test are gone too, in a folder that is overwritten."""
    options: tuple[object, ...] = ("train", "--out", "new", "--samples", 0)
    run(tmp_path, *options, "--steps", 30)
    run(tmp_path, "eval", "new", "--split", "test")
    assert len(list((tmp_path / "new").iterdir())) == 7
    options += ("--steps", 10**9, "--overwrite", "--checkpoint-every", 100)
    with started(tmp_path, *options) as process:
        while not (tmp_path / "new" / CHECKPOINT_FILE).exists():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode == 130
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert names == {CHECKPOINT_FILE, MODEL_FILE}


def test_an_ignored_interrupt_stays_ignored(tmp_path: Path) -> None:
    """A shell lets its processes in the background ignore interrupts."""
    with started(
        tmp_path, "train", "--steps", 100_000, "--out", "new", "--samples", 0,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN) and None,
    ) as process:  # fmt: skip
        while not (tmp_path / "new").exists():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode == 0


def test_an_interrupt_while_an_error_is_told_ends_the_process() -> None:
    """There is no traceback, whichever error was told."""
    code = """
import signal, sys
from makemore_cpp.cli import console
from makemore_cpp.cli.main import main
note = console.note
def interrupted(sentence):
    signal.raise_signal(signal.SIGINT)
    note(sentence)
console.note = interrupted
sys.argv[1:] = ["eval", "nothing"]
main()
"""
    told = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, timeout=60
    )
    assert (told.returncode, told.stderr) == (130, b"")


@pytest.mark.parametrize("how", ["-m", "script"])
@pytest.mark.parametrize("name", ["typing", "numpy", "click"])
def test_an_interrupt_while_modules_are_imported(tmp_path: Path, how: str, name: str) -> None:
    """The first of all, NumPy's before the first line of `__main__`, or those of the commands."""
    (tmp_path / f"{name}.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    script = tmp_path / "makemore_cpp"
    script.write_text("from makemore_cpp.__main__ import main\nmain()\n")
    start = ["-m", "makemore_cpp"] if how == "-m" else [str(script)]
    for arguments in ([], ["info"], ["eval", "-m", "makemore_cpp"]):
        told = subprocess.run(
            [sys.executable, *start, *arguments],
            env=environment(PYTHONPATH=os.pathsep.join([str(tmp_path), *filter(None, sys.path)])),
            capture_output=True,
            timeout=60,
        )
        assert (told.returncode, told.stderr) == (130, b"makemore_cpp: interrupted\n")


@pytest.mark.parametrize(
    "start",
    [["-c", "import makemore_cpp"], ["-m", "other", "makemore_cpp"], ["-m", "other", "-m"]],
    ids=" ".join,
)
def test_an_interrupt_of_another_program_is_its_own(tmp_path: Path, start: list[str]) -> None:
    (tmp_path / "numpy.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    (tmp_path / "other.py").write_text("import makemore_cpp\n")
    told = subprocess.run(
        [sys.executable, *start],
        env=environment(PYTHONPATH=os.pathsep.join([str(tmp_path), *filter(None, sys.path)])),
        capture_output=True,
        timeout=60,
    )
    assert told.returncode == -signal.SIGINT
    assert told.stderr.endswith(b"\nKeyboardInterrupt\n")
