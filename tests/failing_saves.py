"""Lets every system call of a run's saves fail, one a run, and looks at what is left; needs strace.

    python tests/failing_saves.py

A run whose save fails must say so; what it leaves must load, and go on to the bytes of a run
without failures.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from command_line import command, environment
from interruptions import digests

import makemore_cpp as mm
from makemore_cpp import checkpoint
from makemore_cpp.language_model import CHECKPOINT_FILE, MODEL_FILE

CALLS = (
    "openat", "write", "fsync", "rename", "renameat", "renameat2", "close", "fchmod",
    "mkdir", "unlink", "unlinkat", "rmdir",
)  # fmt: skip
ERRORS = ("EIO", "ENOSPC", "EDQUOT", "EROFS")
OPTIONS = (
    "--steps", "3", "--checkpoint-every", "1", "--n-hidden", "8", "--samples", "0",
    "--threads", "1", "--optimizer", "adam",
)  # fmt: skip


class Call(NamedTuple):
    """The n-th call of a kind in a process, and how strace shows it."""

    kind: str
    number: int
    shown: str

    @property
    def may_pass(self) -> bool:
        """Whether its failure loses nothing: a descriptor of a folder."""
        is_file = re.search(r"\.makemore-|\.unfinished-[^/>]*/", self.shown)
        return self.kind == "close" and not is_file


def has_strace() -> bool:
    """Whether strace is there and allowed to trace."""
    strace = shutil.which("strace")
    command = [strace or "", "-o", os.devnull, "true"]
    return strace is not None and subprocess.run(command, capture_output=True).returncode == 0


def traced(folder: Path, log: Path, *more: str) -> subprocess.CompletedProcess[bytes]:
    """Run a training under strace, which writes a log."""
    strace = ["strace", "-y", "-o", str(log), "-e", f"trace={','.join(CALLS)}", *more]
    variables = {**environment(), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    traced_command = [*strace, *command("train", *OPTIONS, "--out", folder)]
    return subprocess.run(traced_command, env=variables, capture_output=True, timeout=120)


def calls_of_saves(folder: Path, log: Path) -> list[Call]:
    """Every call that has to do with the folder of a run, from its first save on."""
    numbers = dict.fromkeys(CALLS, 0)
    calls: list[Call] = []
    for line in log.read_text(errors="replace").splitlines():
        kind = line.split("(")[0]
        if kind in numbers:
            numbers[kind] += 1
            begins = calls or ".makemore-" in line
            if begins and str(folder) in line:
                calls.append(Call(kind, numbers[kind], line))
    return calls


def let_fail(call: Call, error: str, folder: Path, expected: dict[str, str]) -> str | None:
    """Run with one failing call; say what is wrong with how it ends or with what it leaves."""
    log = folder.with_suffix(".log")
    inject = f"inject={call.kind}:error={error}:when={call.number}"
    run = traced(folder, log, "-e", inject)
    injected = [line for line in log.read_text(errors="replace").splitlines() if "INJECTED" in line]
    if len(injected) != 1 or str(folder) not in injected[0]:
        return f"the failure was not where it should be: {injected}"
    sentence = run.stderr.decode()
    if run.returncode == 0:
        if not call.may_pass:
            return "it ended with exit code 0"
    elif run.returncode != 2 or "Traceback" in sentence or sentence.count("\n") != 1:
        return f"it ended with {run.returncode}: {sentence}"
    kept = folder / CHECKPOINT_FILE
    if kept.exists():
        checkpoint.load(kept)
    if (folder / MODEL_FILE).exists():
        mm.MLP.load(folder)
    if run.returncode != 0:
        again = (
            ("--resume", folder) if kept.exists() else (*OPTIONS, "--overwrite", "--out", folder)
        )
        after = subprocess.run(
            command("train", *again), env=environment(), capture_output=True, timeout=120
        )
        if after.returncode != 0:
            return f"going on, it ended with {after.returncode}: {after.stderr.decode()}"
    return None if digests(folder) == expected else "it left other bytes"


def main(every: int = 1) -> int:
    wrong = 0
    with tempfile.TemporaryDirectory() as place:
        # Every path has the same length, and every process makes the same calls.
        whole = Path(place) / "run-0000"
        for _ in range(2):  # the second finds all caches filled
            shutil.rmtree(whole, ignore_errors=True)
            run = traced(whole, Path(place) / "log")
            assert run.returncode == 0, run.stderr
        expected = digests(whole)
        calls = calls_of_saves(whole, Path(place) / "log")[::every]
        for i, call in enumerate(calls, 1):
            folder = Path(place) / f"run-{i:04}"
            found = let_fail(call, ERRORS[i % len(ERRORS)], folder, expected)
            if found:
                wrong += 1
                print(f"{call.shown}\n    {found}", flush=True)
            shutil.rmtree(folder, ignore_errors=True)
        print(f"{len(calls)} failures, {wrong} of them handled wrongly")
    return 1 if wrong or not calls else 0


if __name__ == "__main__":
    sys.exit(main())
