"""A sweep's folder: finished runs as JSON lines, from which an interrupted sweep goes on."""

import contextlib
import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from makemore_cpp import runs
from makemore_cpp._core import FileError, FormatError
from makemore_cpp.sweep_table import Row

ROOT = "sweeps"
DESCRIPTION_FILE = "sweep.json"
ROWS_FILE = "rows.jsonl"


@contextlib.contextmanager
def sweep_folder(out: str | os.PathLike[str] | None) -> Iterator[Path]:
    """Give the folder `out`, or ``sweeps/<n>`` with the next free number.

    A folder that had to be made is removed again if nothing is kept in it.
    """
    if out is not None and os.path.isdir(out):
        yield Path(out)
    else:
        with runs.new_run(out, root=ROOT) as folder:
            yield folder


class Record:
    """The finished runs of one sweep, by key, and the file that keeps them."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self._stream = stream
        self._path = path
        self.rows = _read(stream, path)

    def add(self, key: str, row: Row) -> None:
        """Append a row; once this returns, it outlives a crash of the process or the machine."""
        line = json.dumps({"key": key, **dataclasses.asdict(row)}, allow_nan=False)
        try:
            self._stream.write(line.encode() + b"\n")
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise FileError(f"cannot write {self._path}: {error.strerror}") from error
        self.rows[key] = row


@contextlib.contextmanager
def open_record(folder: Path, description: Mapping[str, Any]) -> Iterator[Record]:
    """Open the record of the sweep that `description` describes, a new one in an empty folder.

    Raises
    ------
    FileError
        The folder holds a different sweep or other files, another process is at work in it, or
        its files cannot be read or written.
    FormatError
        A line of the record, other than a torn last one, is not a row.
    """
    path = folder / ROWS_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _describe(folder, description)
        with open(path, "a+b") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)  # gone with the process
            except BlockingIOError:
                raise FileError(f"another process is at work on the sweep in {folder}") from None
            record = Record(stream, path)
            yield record
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"cannot keep a sweep in {folder}: {error.strerror}") from error


def _describe(folder: Path, description: Mapping[str, Any]) -> None:
    """Write the description into an empty folder; else compare it with the one that is there."""
    path = folder / DESCRIPTION_FILE
    wanted = json.loads(json.dumps(description))
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        if any(other != unfinished for other in folder.iterdir()):
            raise FileError(f"{folder} is not empty and holds no sweep; give another folder")
        with open(unfinished, "w", encoding="utf-8") as stream:
            json.dump(wanted, stream, indent=2)
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(path)
        return
    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        raise FormatError(f"{path} is not JSON") from None
    difference = _difference(found, wanted)
    if difference is not None:
        raise FileError(
            f"{folder} holds a different sweep: {difference}; give another folder with out"
        )


def _difference(found: Any, wanted: dict[str, Any], prefix: str = "") -> str | None:
    """Say in a few words where two descriptions differ first."""
    if not isinstance(found, dict):
        return "its description is not one"
    for name in [*wanted, *(name for name in found if name not in wanted)]:
        there, here = found.get(name), wanted.get(name)
        if there == here:
            continue
        if isinstance(here, dict) and isinstance(there, dict):
            return _difference(there, here, f"{prefix}{name} ")
        return f"{prefix}{name} is {_short(there)} there and {_short(here)} here"
    return None


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:60] + "…"


def _read(stream: BinaryIO, path: Path) -> dict[str, Row]:
    """Return the rows of a record and cut off a last line that a crash has torn."""
    stream.seek(0)
    lines = stream.read().splitlines(keepends=True)
    rows: dict[str, Row] = {}
    end = 0
    for number, line in enumerate(lines, 1):
        try:
            if not line.endswith(b"\n"):
                raise ValueError
            fields = json.loads(line)
            key = fields.pop("key")
            rows[key] = Row(**fields)
        except (ValueError, TypeError, KeyError, AttributeError):
            if number < len(lines):
                raise FormatError(f"line {number} of {path} is not a row of a sweep") from None
            stream.truncate(end)
            break
        end += len(line)
    return rows
