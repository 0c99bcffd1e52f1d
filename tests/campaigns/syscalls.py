"""Every system call of a save fails once: afterwards the file is the old or the new one, whole.

Runs the save in a child process under ``strace -e inject``, once for each call and error::

    python tests/campaigns/syscalls.py [--only fsync,rename]

A call in which the child ends well must have left the new file; in one that fails, the exit code
says so; no file stays behind that anybody would take for a model.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from makemore_cpp import _core

ERRORS = ["ENOSPC", "EIO"]
CALLS = ["openat", "newfstatat", "fchmod", "write", "fsync", "close", "renameat"]
BEGIN, END = "makemore-save-begins", "makemore-save-ends"

# Two calls that do nothing mark where the save begins and ends.
SAVE = f"""
import os, sys
from makemore_cpp import _core
model = _core.SavedModel.load(sys.argv[1])
os.access("{BEGIN}", 0)
try:
    model.save(sys.argv[2])
except _core.FileError as error:
    print(error)
    os._exit(3)
os.access("{END}", 0)
os._exit(0)
"""


def model(seed: int) -> _core.SavedModel:
    parameters = _core.initial_parameters(3, 10, 10_000, 27, seed)  # several calls of write
    return _core.SavedModel(_core.Vocabulary("abcdefghijklmnopqrstuvwxyz"), *parameters)


def strace(folder: Path, options: list[str], new: Path, target: Path) -> tuple[int, str]:
    """The exit code of a save under strace, and the calls that strace saw."""
    log = folder / "strace.log"
    run = subprocess.run(
        ["strace", "-f", "-o", str(log), *options,
         sys.executable, "-c", SAVE, str(new), str(target)],
        capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )  # fmt: skip
    return run.returncode, log.read_text() if log.exists() else run.stderr


def can_trace(folder: Path) -> bool:
    """Whether strace is there, and may trace."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(
        ["strace", "-f", "-o", str(folder / "probe"), "true"], capture_output=True
    ).returncode == 0  # fmt: skip


def places(folder: Path, new: Path, target: Path) -> Iterator[tuple[str, int]]:
    """Each system call of the save: its name, and its number among the process's of that name."""
    names = ",".join([*CALLS, "access", "faccessat", "faccessat2"])
    code, log = strace(folder, ["-e", f"trace={names}"], new, target)
    if code != 0 or BEGIN not in log or END not in log:
        raise RuntimeError(f"the save without a fault failed: {code}\n{log[-500:]}")
    seen: Counter[str] = Counter()
    saving = False
    for line in log.splitlines():
        saving = (saving or BEGIN in line) and END not in line
        call = re.match(r"\d+ +(\w+)\(", line)
        if call:
            seen[call[1]] += 1
            if saving and call[1] in CALLS:
                yield call[1], seen[call[1]]


def check_fault(folder: Path, call: str, number: int, error: str) -> str:
    """Make one call of one save fail; returns what became of it, or raises AssertionError."""
    shutil.rmtree(folder / "place", ignore_errors=True)
    place = folder / "place"
    place.mkdir()
    target = place / "model.safetensors"
    old, new = model(1), model(2)
    old.save(target)
    new.save(folder / "new")
    fault = f"inject={call}:error={error}:when={number}"
    code, log = strace(folder, ["-e", f"trace={call}", "-e", fault], folder / "new", target)
    assert "INJECTED" in log, f"{call} number {number} was not reached"
    found = _core.SavedModel.load(target).to_bytes()
    assert found in (old.to_bytes(), new.to_bytes()), "the file is neither the old nor the new one"
    is_new = found == new.to_bytes()
    assert code in (0, 3), f"exit code {code}"
    assert code != 0 or is_new, "the save reports success and has left the old file"
    # What a failed removal of the temporary file leaves has a name that says what it is.
    strangers = [p.name for p in place.iterdir() if p != target]
    assert not [name for name in strangers if not re.fullmatch(r"\.makemore-.*\.tmp", name)]
    assert not strangers, f"{strangers} stayed behind"
    return f"{'new' if is_new else 'old'} file, exit code {code}"


def main() -> int:
    """Run all faults; returns 1 after the first that breaks a promise."""
    only = sys.argv[2].split(",") if sys.argv[1:2] == ["--only"] else CALLS
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not can_trace(folder):
            print("skipped: strace is not here, or may not trace")
            return 0
        (folder / "place").mkdir()
        model(2).save(folder / "new")
        target = folder / "place" / "model.safetensors"
        model(1).save(target)
        for call, number in list(places(folder, folder / "new", target)):
            for error in ERRORS if call in only else []:
                try:
                    outcomes[check_fault(folder, call, number, error)] += 1
                except AssertionError as broken:
                    print(f"{call} number {number} fails with {error}: {broken}")
                    return 1
    for outcome, count in sorted(outcomes.items()):
        print(f"{count:4d} faults: {outcome}")
    print(f"{outcomes.total()} faults, each left the old or the new file")
    return 0 if outcomes else 1


if __name__ == "__main__":
    sys.exit(main())
