"""Ctrl-C in every command that may take long: it ends at once, with a sentence and exit code 130.

``MAKEMORE_CAMPAIGN=1`` interrupts each command 20 times.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from command_line import command, environment, is_one_sentence, run

import makemore_cpp as mm
from makemore_cpp import checkpoint
from makemore_cpp.language_model import CHECKPOINT_FILE, MODEL_FILE

CAMPAIGN = os.environ.get("MAKEMORE_CAMPAIGN") == "1"
TIMES = 20 if CAMPAIGN else 1
AT_ONCE = 0.2  # seconds
COMMANDS = {
    "train": "train --steps 1000000000 --out new",
    "train, large steps": "train --steps 1000000000 --batch-size all --n-hidden 300 --out new",
    "train, many saves": "train --steps 1000000000 --checkpoint-every 1 --n-hidden 20 --out new",
    "eval": "eval model.safetensors --data words.txt --split all",
    "eval of splits": "eval model.safetensors --data words.txt",
    "score": "score model.safetensors words.txt",
    "detect": "detect model.safetensors words.txt",
    "sample": "sample model.safetensors -n 100000000",
    "sweep grid": "sweep grid --lr 0.1,0.05 --n-hidden 100,200 --steps 1000000 --out new",
    "sweep lr": "sweep lr --steps 1000000",
    "experiment": "experiment context --out new",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and far too many words for a second."""
    folder = tmp_path_factory.mktemp("place")
    words = mm.load_words()
    (folder / "words.txt").write_text(("\n".join(words) + "\n") * 200)
    run(folder, "train", "--steps", 100, "--samples", 0, "--out", "first")
    os.replace(folder / "first" / MODEL_FILE, folder / MODEL_FILE)
    return folder


def interrupt(folder: Path, arguments: list[str], moment: float, times: int = 1) -> float:
    """Start a command in a new folder, interrupt it; return the seconds until its end."""
    for name in ("words.txt", MODEL_FILE):
        (folder / name).symlink_to(folder.parent / name)
    with subprocess.Popen(
        command(*arguments), cwd=folder, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        time.sleep(moment)
        assert process.poll() is None, "it had ended already"
        start = time.monotonic()
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            time.sleep(0.002)
        error = process.communicate(timeout=60)[1].decode()
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
    arguments = COMMANDS[name].split()
    waits: list[float] = []
    # Others use this machine too, so one of a few has to be quick.
    while len(waits) < TIMES or (min(waits) > AT_ONCE and len(waits) < 5):
        folder = place / f"{name} {len(waits)}"
        folder.mkdir()
        waits.append(interrupt(folder, arguments, random.uniform(1.0, 1.8)))
        if arguments[0] == "train":
            state = checkpoint.load(folder / "new" / CHECKPOINT_FILE).state
            kept = mm.MLP.load(folder / "new")
            for key, array in state.model.parameters.items():
                assert kept.parameters[key].tobytes() == array.tobytes()
    print(f"{name}: {sorted(waits)[len(waits) // 2]:.3f} s, at most {max(waits):.3f} s")
    assert min(waits) < AT_ONCE


@pytest.mark.parametrize("name", COMMANDS if CAMPAIGN else ["train", "score", "sweep grid"])
def test_a_second_interrupt_loses_nothing(place: Path, name: str) -> None:
    """It may come while the first one is being answered."""
    folder = place / f"{name} twice"
    folder.mkdir()
    interrupt(folder, COMMANDS[name].split(), random.uniform(1.0, 1.8), times=2)
    kept = folder / "new" / CHECKPOINT_FILE
    if kept.exists():
        checkpoint.load(kept)
    if (folder / "new" / MODEL_FILE).exists():
        mm.MLP.load(folder / "new")
