"""The record of a sweep: finished runs as JSON lines, from which an interrupted sweep goes on."""

import contextlib
import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from makemore_cpp import files
from makemore_cpp._core import FileError, FormatError
from makemore_cpp.files import folders
from makemore_cpp.sweeps.table import Row

ROOT = "sweeps"
DESCRIPTION_FILE = "sweep.json"
ROWS_FILE = "rows.jsonl"
LOSS_TYPES = (float, type(None))
ROW_TYPES: dict[str, tuple[type, ...]] = {
    "options": (dict,), "seed": (int,), "parameters": (int,), "steps": (int,), "examples": (int,),
    "train": LOSS_TYPES, "dev": LOSS_TYPES, "last_100": LOSS_TYPES, "seconds": (float,),
    "isa": (str,), "diverged": (bool,), "samples": (list,),
}  # fmt: skip


class Record:
    """The finished runs of one sweep, by key, and the file that keeps them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows = _read(path)

    def add(self, key: str, row: Row) -> None:
        """Append a row; once this returns, the row outlives a crash of process or machine."""
        line = json.dumps({"key": key, **dataclasses.asdict(row)}, allow_nan=False)
        files.append_line(self._path, line.encode())
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
    with folders.made(folder), folders.locked(folder):
        _describe(folder, description)
        yield Record(folder / ROWS_FILE)


def _describe(folder: Path, description: Mapping[str, Any]) -> None:
    """Write the description into an empty folder; else compare it with the one that is there."""
    path = folder / DESCRIPTION_FILE
    wanted = json.loads(json.dumps(description))
    text = files.read(path)
    if text is None:
        if any(folder.iterdir()):
            raise FileError(f"{folder} is not empty and holds no sweep; give another folder")
        files.replace(path, (json.dumps(wanted, indent=2) + "\n").encode())
        return
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
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


def _read(path: Path) -> dict[str, Row]:
    """Return the rows of a record by key; the run of a line that a crash has torn has no row."""
    rows: dict[str, Row] = {}
    for number, line in enumerate(files.read_record(path), 1):
        try:
            fields = json.loads(line)
            key = fields.pop("key")
            rows[key] = _checked(Row(**fields))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise FormatError(f"line {number} of {path} is not a row of a sweep") from None
    return rows


def _checked(row: Row) -> Row:
    """Return the row; raise unless its values have the right types and are finite."""
    for name, types in ROW_TYPES.items():
        value = getattr(row, name)
        if type(value) not in types:
            raise TypeError
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError
    if not all(isinstance(text, str) for text in row.samples):
        raise TypeError
    return row
