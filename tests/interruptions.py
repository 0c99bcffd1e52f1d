"""Kills and interrupts training runs at random moments, resumes them, and compares every byte.

    python tests/interruptions.py --kills 200 --interrupts 40

Two of three kills are aimed at saves. With --fault a mistake is planted, which must be found.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from command_line import environment

import makemore_cpp as mm
from makemore_cpp.data.origin import DATA_FILE
from makemore_cpp.models.frozen import CHECKPOINT_FILE, MODEL_FILE

PATIENCE = 60.0  # seconds; nothing takes so long unless it hangs
RECIPES = (
    ("--optimizer", "adam", "--lr", "0.003", "--schedule", "cosine", "--dropout", "0.2"),
    ("--optimizer", "momentum", "--lr", "0.02", "--batch-size", "40", "--patience", "4"),
    ("--lr", "0.2", "--weight-decay", "0.01", "--seed", "7"),
)
# Runs that do little but save, and runs that save now and then.
DENSE = ("--steps", "300", "--eval-every", "25", "--checkpoint-every", "1")
SPARSE = ("--steps", "20000", "--eval-every", "1700", "--checkpoint-every", "1000")
N_TEXTS = 1000  # so that most of the time goes into steps and saves
EVERY = ("--n-hidden", "60", "--block-size", "2", "--samples", "0")

# The faults: code that a process runs before it trains, so that it goes wrong.
FAULTS = {
    "torn writes": """
import os, time
from makemore_cpp import files
from makemore_cpp.runs import checkpoint
def torn(path, data):
    mark = os.path.join(os.path.dirname(path), ".makemore-0.tmp")  # what the kills are aimed at
    open(mark, "w").close()
    with open(path, "wb", buffering=0) as stream:
        for begin in range(0, len(data), 4096):
            stream.write(data[begin : begin + 4096])
            time.sleep(0.001)
    os.unlink(mark)
save = checkpoint.save
def save_torn(path, kept):
    files.replace, whole = torn, files.replace
    save(path, kept)
    files.replace = whole
checkpoint.save = save_torn
""",
    "the old file removed": """
import os
from makemore_cpp.runs import checkpoint
save = checkpoint.save
def hasty(path, kept):
    if os.path.exists(path): os.unlink(path)
    save(path, kept)
checkpoint.save = hasty
""",
    "state forgotten": """
from makemore_cpp.runs import checkpoint
load = checkpoint.load
def forgetful(path):
    kept = load(path)
    for array in kept.state.optimizer_state.values():
        array[...] = 0
    return kept
checkpoint.load = forgetful
""",
    "one step off": """
import sys
from makemore_cpp import MLP
train_steps = MLP.train_steps
def shifted(self, *arguments, first_step=0, **options):
    shift = int("--resume" in sys.argv and first_step > 0)
    return train_steps(self, *arguments, first_step=first_step + shift, **options)
MLP.train_steps = shifted
""",
}
MAIN = "from makemore_cpp.cli.main import main; main()"


class Trial(NamedTuple):
    """One run that was interrupted: what happened, and what went wrong, or nothing."""

    what: str
    in_a_save: bool
    wrong: str | None


class Campaign:
    """Trials in a folder, against the bytes of runs that nobody interrupted."""

    def __init__(self, folder: Path, seed: int, fault: str | None = None) -> None:
        self._folder = folder
        self._data = folder / "texts.txt"
        self._data.write_text("\n".join(mm.load_texts()[:N_TEXTS]) + "\n")
        self._random = random.Random(seed)
        self._code = (FAULTS[fault] if fault else "") + MAIN
        self._references: dict[tuple[str, ...], tuple[dict[str, str], float]] = {}
        self._trials = 0

    def kill(self, is_aimed: bool) -> Trial:
        """Kill a run, perhaps in a save, and perhaps also the process that resumes it."""
        options = self._options(DENSE if is_aimed else SPARSE)
        expected, seconds = self._reference(options)
        folder = self._new_folder()
        process = self._start(*options, "--out", folder)
        in_a_save = self._kill(process, folder, is_aimed, seconds)
        kills = 1
        if is_aimed and not any((folder / name).exists() for name in (CHECKPOINT_FILE, MODEL_FILE)):
            return Trial("1 kill", in_a_save, "the checkpoint that there was is lost")
        while (folder / CHECKPOINT_FILE).exists() and self._random.random() < 0.3:
            in_a_save |= self._kill(self._resume(folder), folder, is_aimed, seconds)
            kills += 1
        wrong = self._finish(folder, options, expected)
        return Trial(f"{kills} kills", in_a_save, wrong)

    def interrupt(self) -> Trial:
        """Interrupt a run as Ctrl-C does, at some step."""
        options = self._options(SPARSE)
        expected, seconds = self._reference(options)
        folder = self._new_folder()
        process = self._start(*options, "--out", folder)
        _wait_for(folder.exists, process)
        time.sleep(self._random.uniform(0, 0.5 * seconds))
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=PATIENCE)[1].decode()
        what, wrong = f"exit code {process.returncode}", None
        too_late = process.returncode == -signal.SIGINT and not error  # for the process to see it
        if not (process.returncode in (0, 130) or too_late) or "Traceback" in error:
            wrong = f"interrupted, it ended with {process.returncode}: {error}"
        elif (folder / CHECKPOINT_FILE).exists():
            mm.MLP.load(folder)  # the model so far
            if f"kept in {folder}; train --resume {folder} goes on" not in error:
                wrong = f"it says {error!r}"
        return Trial(what, False, wrong or self._finish(folder, options, expected))

    def _options(self, rhythm: tuple[str, ...]) -> tuple[str, ...]:
        return (*self._random.choice(RECIPES), *rhythm, *EVERY, "--data", str(self._data))

    def _new_folder(self) -> Path:
        self._trials += 1
        return self._folder / f"run{self._trials}"

    def _start(self, *arguments: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", self._code, "train", *map(str, arguments)],
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            # Interrupts may be ignored here, as in a shell's background.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
        )

    def _resume(self, folder: Path) -> subprocess.Popen[bytes]:
        return self._start("--resume", folder, "--threads", self._random.randint(1, 3))

    def _reference(self, options: tuple[str, ...]) -> tuple[dict[str, str], float]:
        """The digests of the files of an uninterrupted run, and how long it took."""
        if options not in self._references:
            folder = self._new_folder()
            started = time.monotonic()
            process = self._start(*options, "--out", folder)
            error = process.communicate(timeout=PATIENCE)[1].decode()
            assert process.returncode == 0, error
            self._references[options] = digests(folder), time.monotonic() - started
        return self._references[options]

    def _kill(
        self, process: subprocess.Popen[bytes], folder: Path, is_aimed: bool, seconds: float
    ) -> bool:
        """Kill the process; return whether a half-written file shows that it was in a save."""
        if is_aimed:
            _wait_for((folder / CHECKPOINT_FILE).exists, process)
            time.sleep(self._random.uniform(0, 0.1 * seconds))
            self._stop_in_a_save(process, folder)
        else:
            time.sleep(self._random.uniform(0.1, 1.1) * seconds)
        process.kill()
        process.communicate()
        return _is_saving(folder)

    def _stop_in_a_save(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        """Stop the process again and again until it stands inside a save, or is at its end."""
        while process.poll() is None:
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            if _is_saving(folder):
                return
            process.send_signal(signal.SIGCONT)
            time.sleep(self._random.uniform(0, 0.003))

    def _finish(
        self, folder: Path, options: tuple[str, ...], expected: dict[str, str]
    ) -> str | None:
        """Resume the run, or start it again where no checkpoint is; return what is wrong."""
        if (folder / CHECKPOINT_FILE).exists():
            process = self._resume(folder)
        elif (folder / MODEL_FILE).exists() and digests(folder) == expected:
            return None  # it was too late
        else:
            process = self._start(*options, "--out", folder, "--overwrite")
        error = process.communicate(timeout=PATIENCE)[1].decode()
        if process.returncode != 0:
            return f"going on, it ended with {process.returncode}: {error}"
        found = digests(folder)
        differing = [
            name for name in {**expected, **found} if expected.get(name) != found.get(name)
        ]
        return f"other bytes in {', '.join(differing)}" if differing else None


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a run except the one that says where its data are."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in folder.iterdir()
        if path.name != DATA_FILE
    }


def _is_saving(folder: Path) -> bool:
    return any(folder.glob(".makemore-*.tmp"))


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Return when the condition holds, or when the process has ended."""
    end = time.monotonic() + PATIENCE
    while process.poll() is None and not condition():
        assert time.monotonic() < end, "it waits too long"
        time.sleep(0.001)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--interrupts", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", choices=FAULTS)
    arguments = parser.parse_args()
    trials: list[Trial] = []
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(Path(folder), arguments.seed, arguments.fault)
        for number in range(arguments.kills + arguments.interrupts):
            is_kill = number < arguments.kills
            trials.append(campaign.kill(number % 3 > 0) if is_kill else campaign.interrupt())
            if trials[-1].wrong:
                print(f"trial {number}: {trials[-1]}", flush=True)
    for what, count in sorted(Counter(trial.what for trial in trials).items()):
        print(f"{what}: {count}")
    print(f"proven to be inside a save: {sum(trial.in_a_save for trial in trials)}")
    wrong = sum(trial.wrong is not None for trial in trials)
    print(f"{len(trials)} interrupted runs, {len(trials) - wrong} byte-identical, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
