"""Lets every system call of a run's saves fail, one a run, and looks at what is left; needs strace.

    python tests/failing_saves.py

A run whose save fails must say so; what it leaves must load, and go on to the bytes of a run
without failures. With --fault a mistake is planted, which must be found.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from command_line import environment, is_one_sentence
from interruptions import FAULTS, MAIN, digests

import makemore_cpp as mm
from makemore_cpp.files import folders
from makemore_cpp.models.frozen import CHECKPOINT_FILE, MODEL_FILE
from makemore_cpp.runs import checkpoint

CALLS = (
    "openat", "newfstatat", "fchmod", "write", "fsync", "rename", "renameat", "renameat2", "close",
    "mkdir", "unlink", "unlinkat", "rmdir",
)  # fmt: skip
STRACE = ("strace", "-f", "--seccomp-bpf", "-y")  # the filter makes it fast
ERRORS = ("EIO", "ENOSPC")
OPTIONS = (
    "--steps", "3", "--checkpoint-every", "1", "--n-hidden", "8", "--samples", "0",
    "--threads", "1", "--optimizer", "adam",
)  # fmt: skip


class Call(NamedTuple):
    """The n-th call of a kind in a process, and how strace shows it."""

    kind: str
    number: int
    shown: str
    is_kept: bool  # whether an earlier save was whole
    file: str  # the file that it writes, where that is known

    @property
    def is_of_checkpoint(self) -> bool:
        return self.file == CHECKPOINT_FILE

    @property
    def is_of_removal(self) -> bool:
        """Whether the call removes a temporary file of a save."""
        return self.kind in ("unlink", "unlinkat", "rmdir")

    @property
    def may_pass(self) -> bool:
        """Whether its failure loses nothing: a stat, a rmdir, or the close of a folder.

        The close of a file that has its final name also loses nothing: only its lock is left.
        """
        is_file = re.search(r"\.makemore-\d+-\d+\.tmp", self.shown)
        return self.kind in ("newfstatat", "rmdir") or (self.kind == "close" and not is_file)


def has_strace() -> bool:
    """Whether strace is there and allowed to trace."""
    if shutil.which("strace") is None:
        return False
    probe = [*STRACE, "-o", os.devnull, "true"]
    return subprocess.run(probe, capture_output=True).returncode == 0


def last_looks(lines: list[str]) -> set[int]:
    """Return the lines that open a folder, after all is synced, to see if it may be removed.

    A failure there loses nothing, so the command must end well.
    """
    last = max((i for i, line in enumerate(lines) if " fsync(" in line), default=len(lines))
    return {i for i, line in enumerate(lines) if i > last and "O_DIRECTORY" in line}


def calls_of_saves(folder: Path, log: Path) -> list[Call]:
    """Return every call that names the folder of a run, from its first save on."""
    numbers: Counter[tuple[str, str]] = Counter()
    calls: list[Call] = []
    is_kept = False
    lines = log.read_text(errors="replace").splitlines()
    renames = [re.search(r'rename.*"(\.makemore-[^"]*)".*"([^"]*)"', line) for line in lines]
    targets = dict(found.groups() for found in renames if found)
    looks = last_looks(lines)
    for i, line in enumerate(lines):
        found = re.match(r"(?P<thread>\d+) +(?P<kind>\w+)\(", line)
        if found:
            numbers[found.groups()] += 1  # strace counts for each thread
            begins = calls or ".makemore-" in line
            if begins and str(folder) in line and i not in looks:
                temporary = re.search(r"\.makemore-[\w-]*\.tmp", line)
                file = targets.get(temporary[0], "") if temporary else ""
                if CHECKPOINT_FILE in line:
                    file = CHECKPOINT_FILE
                calls.append(Call(found["kind"], numbers[found.groups()], line, is_kept, file))
            is_kept |= f'{CHECKPOINT_FILE}"' in line and found["kind"].startswith("rename")
    return calls


class Harness:
    """Runs whose saves fail, against one whose saves do not."""

    def __init__(self, place: Path, fault: str | None = None) -> None:
        self._place = place
        self._code = (FAULTS[fault] if fault else "") + MAIN
        self._count = 0
        for _ in range(2):  # the second run finds all caches filled
            folder, log, run = self._traced()
            assert run.returncode == 0, run.stderr
        self.expected = digests(folder)
        self.calls = calls_of_saves(folder, log)

    def _traced(self, *more: str) -> tuple[Path, Path, subprocess.CompletedProcess[bytes]]:
        """Run a training under strace; return its folder, strace's log and the run."""
        # Every path has the same length, and every process makes the same calls.
        self._count += 1
        folder = self._place / f"run-{self._count:04}"
        log = folder.with_suffix(".log")
        strace = [*STRACE, "-o", str(log), "-e", f"trace={','.join(CALLS)}", *more]
        variables = {**environment(), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        train = [sys.executable, "-c", self._code, "train", *OPTIONS, "--out", str(folder)]
        run = subprocess.run([*strace, *train], env=variables, capture_output=True, timeout=120)
        return folder, log, run

    def let_fail(self, call: Call, error: str) -> str | None:
        """Run with one failing call; say what is wrong with how it ends or with what it leaves."""
        inject = f"inject={call.kind}:error={error}:when={call.number}"
        folder, log, run = self._traced("-e", inject)
        text = log.read_text(errors="replace")
        injected = [line for line in text.splitlines() if "INJECTED" in line]
        if len(injected) != 1 or str(folder) not in injected[0]:
            return f"the failure was not where it should be: {injected}"
        sentence = run.stderr.decode()
        missing = re.findall(r"the picture \S*/(\w+\.png) is missing: ", sentence)
        if run.returncode == 0:
            if not call.may_pass and not missing:
                return "it ended with exit code 0"
        elif run.returncode != 2 or not is_one_sentence(sentence):
            return f"it ended with {run.returncode}: {sentence}"
        kept = folder / CHECKPOINT_FILE
        if call.is_kept and not (kept.exists() or (folder / MODEL_FILE).exists()):
            return "it lost what an earlier save had kept"
        try:
            if kept.exists():
                checkpoint.load(kept)
            if (folder / MODEL_FILE).exists():
                mm.MLP.load(folder)
        except mm.Error as broken:
            return f"it left a file that does not load: {broken}"
        strays = [path.name for path in folder.glob(folders.STRAYS)]
        if strays and not call.is_of_removal:
            return f"it left {', '.join(strays)}"
        if run.returncode != 0:
            again = (
                ("--resume", folder)
                if kept.exists()
                else (*OPTIONS, "--overwrite", "--out", folder)
            )
            after = subprocess.run(
                [sys.executable, "-c", self._code, "train", *map(str, again)],
                env=environment(),
                capture_output=True,
                timeout=120,
            )
            if after.returncode != 0:
                return f"going on, it ended with {after.returncode}: {after.stderr.decode()}"
        found = digests(folder)
        shutil.rmtree(folder)
        expected = {name: digest for name, digest in self.expected.items() if name not in missing}
        return None if found == expected else "it left other bytes"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--fault", choices=FAULTS)
    fault = parser.parse_args().fault
    if not has_strace():
        print("strace is not here, or may not trace")
        return 1
    wrong = 0
    with tempfile.TemporaryDirectory() as place:
        harness = Harness(Path(place), fault)
        for call in harness.calls:
            for error in ERRORS:
                found = harness.let_fail(call, error)
                if found:
                    wrong += 1
                    print(f"{call.shown}\n    {error}: {found}", flush=True)
        print(f"{2 * len(harness.calls)} failures of {len(harness.calls)} calls, {wrong} wrong")
    return 1 if wrong or not harness.calls else 0


if __name__ == "__main__":
    sys.exit(main())
