"""Lets every system call with which a command writes files fail, one a run; needs strace.

    python tests/failing_writes.py [COMMAND ...]

The commands are those that write other files than a run's own, which failing_saves.py attacks.  A
command whose call fails must say so, or which picture is missing; what it leaves must be whole; and
the same command again must end well, with the files that it leaves without failures.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from command_line import environment, is_one_sentence, run
from failing_saves import CALLS, ERRORS, STRACE, Call, has_strace, last_looks

from makemore_cpp.files import folders

SMALL = ("--steps", "5", "--n-hidden", "4,5", "--jobs", "1")
COMMANDS: dict[str, tuple[str, ...]] = {
    "sweep grid": ("sweep", "grid", *SMALL, "--out", "new", "--csv", "all.csv"),
    "experiment ngram": ("experiment", "ngram", "--max-block-size", "1", "--out", "new"),
    "export": ("export", "run", "names.h"),
    "eval --pictures": ("eval", "run", "--pictures", "seen"),
    "eval --split test": ("eval", "run", "--split", "test"),
}
MAIN = "from makemore_cpp.cli.main import main; main()"
# The planted fault is a writer that is not atomic and gives no sentence.
TORN = """
from makemore_cpp import files
def torn(path, data):
    try:
        with open(path, "wb", buffering=0) as stream:
            for begin in range(0, len(data), 512): stream.write(data[begin : begin + 512])
    except OSError: pass
files.replace = torn
"""


class Harness:
    """One command, run again and again in a folder of its own, each time with another failure."""

    def __init__(self, place: Path, name: str, fault: str = "") -> None:
        self._place, self._arguments, self._code = place, COMMANDS[name], fault + MAIN
        self._base = place / "base"
        self._base.mkdir(exist_ok=True)
        if not (self._base / "run").exists():
            run(self._base, "train", *SMALL[:2], "--n-hidden", 4, "--samples", 0, "--out", "run")
        self._count = 0
        for _ in range(2):  # the second run finds all caches filled
            folder, log, ended = self._traced()
            assert ended.returncode == 0, ended.stderr
        self.expected = names_in(folder)
        self.calls = list(calls_in(folder, log))

    def _traced(self, *more: str) -> tuple[Path, Path, subprocess.CompletedProcess[bytes]]:
        self._count += 1
        folder = self._place / f"turn-{self._count:04}"  # every path has the same length
        shutil.copytree(self._base, folder)
        log = folder.with_suffix(".log")
        strace = [*STRACE, "-o", str(log), "-e", f"trace={','.join(CALLS)},ftruncate", *more]
        return folder, log, self._run(folder, *strace)

    def _run(self, folder: Path, *before: str) -> subprocess.CompletedProcess[bytes]:
        variables = {**environment(), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        command = [*before, sys.executable, "-c", self._code, *self._arguments]
        return subprocess.run(command, cwd=folder, env=variables, capture_output=True, timeout=120)

    def let_fail(self, call: Call, error: str) -> str | None:
        """Run with one failing call; say what is wrong with how it ends or with what it leaves."""
        inject = f"inject={call.kind}:error={error}:when={call.number}"
        folder, log, ended = self._traced("-e", inject)
        injected = [
            line for line in log.read_text(errors="replace").splitlines() if "INJECTED" in line
        ]
        if len(injected) != 1 or str(folder) not in injected[0]:
            return f"the failure was not where it should be: {injected}"
        sentence = ended.stderr.decode()
        is_told = "is missing: " in sentence or "is not recorded: " in sentence
        if ended.returncode == 0:
            if not is_told and not call.may_pass and not call.is_of_removal:
                return "it ended with exit code 0 and no sentence"
        elif ended.returncode != 2 or not is_one_sentence(sentence):
            return f"it ended with {ended.returncode}: {sentence}"
        broken = [str(path.relative_to(folder)) for path in files_in(folder) if not is_whole(path)]
        if broken:
            return f"it left half of {', '.join(broken)}"
        if any(folder.rglob(folders.STRAYS)) and not call.is_of_removal:
            return "it left a temporary file"
        for path in folder.glob("new"):  # an experiment's folder is made anew
            if self._arguments[1] == "ngram":
                shutil.rmtree(path)
        again = self._run(folder)
        if again.returncode != 0:
            return f"again, it ended with {again.returncode}: {again.stderr.decode()}"
        found = names_in(folder)
        shutil.rmtree(folder)
        return None if found == self.expected else f"again, it left {sorted(found)}"


def files_in(folder: Path) -> Iterator[Path]:
    return (p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".makemore-"))


def names_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in files_in(folder)}


def is_whole(path: Path) -> bool:
    """Whether a file ends as a whole one of its kind does."""
    data = path.read_bytes()
    if path.suffix in (".json", ".jsonl"):
        lines = [data] if path.suffix == ".json" else data.splitlines()
        try:
            is_empty_record = path.suffix == ".jsonl" and not data
            return is_empty_record or (data.endswith(b"\n") and all(map(json.loads, lines)))
        except ValueError:
            return False
    ends = {".png": b"IEND\xaeB`\x82", ".csv": b"\n", ".h": b"#endif\n"}
    return path.suffix not in ends or data.rstrip(b" ").endswith(ends[path.suffix])


def calls_in(folder: Path, log: Path) -> Iterator[Call]:
    """Return every call that names the command's folder, from the first that writes on."""
    numbers: dict[tuple[str, str], int] = {}
    writes = False
    lines = log.read_text(errors="replace").splitlines()
    looks = last_looks(lines)
    for i, line in enumerate(lines):
        found = re.match(r"(?P<thread>\d+) +(?P<kind>\w+)\(", line)
        if not found:
            continue
        key = (found["thread"], found["kind"])  # strace counts the calls of each thread
        numbers[key] = numbers.get(key, 0) + 1
        writes |= str(folder) in line and ("O_CREAT" in line or found["kind"] == "mkdir")
        # The folder is the current one, which strace shows before every path; some are absolute.
        named = re.sub(r'AT_FDCWD<[^>]*>(?=, "/)', "", line)
        if writes and i not in looks and re.search(re.escape(str(folder)) + r'[/>"]', named):
            yield Call(found["kind"], numbers[key], line, False, "")


def main() -> int:
    names = sys.argv[1:] or COMMANDS
    if not has_strace():
        print("strace is not here, or may not trace")
        return 1
    wrong = total = 0
    for name in names:
        with tempfile.TemporaryDirectory() as place:
            harness = Harness(Path(place), name)
            for call in harness.calls:
                for error in ERRORS:
                    total += 1
                    found = harness.let_fail(call, error)
                    if found:
                        wrong += 1
                        print(f"{name}: {call.shown}\n    {error}: {found}", flush=True)
    print(f"{total} failures of the calls of {len(names)} commands, {wrong} wrong")
    return 1 if wrong or not total else 0


if __name__ == "__main__":
    sys.exit(main())
