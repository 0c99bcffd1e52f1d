"""Run folders: where a training run keeps its model, its numbers and its pictures."""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from makemore_cpp._core import FileError
from makemore_cpp.evaluation import SplitLosses
from makemore_cpp.language_model import CHECKPOINT_FILE, MODEL_FILE
from makemore_cpp.model import MLP
from makemore_cpp.training import History

CONFIG_FILE = "config.json"
METRICS_FILE = "metrics.jsonl"
LOSS_PICTURE = "loss.png"
EMBEDDINGS_PICTURE = "embeddings.png"
TEST_LOOKS_FILE = "test_looks.jsonl"
FOR_PEOPLE = (CONFIG_FILE, METRICS_FILE, LOSS_PICTURE, EMBEDDINGS_PICTURE)
RUN_FILES = (MODEL_FILE, *FOR_PEOPLE)  # the model first: it alone is ever read
METRICS_LINES = 200
# What a killed process leaves of a save: the core's temporary file, or a folder of ours.
STRAYS = (".makemore-*.tmp", ".unfinished-*")
# How a file system says that it knows no such locks, as some of a network do.
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.EBADF, errno.EINVAL)


def create_run(
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    root: str | os.PathLike[str] = "runs",
) -> Path:
    """Make and return the folder of a new run.

    Parameters
    ----------
    out : str or path, optional
        The folder. Without it ``root/<n>`` with the next free number, never one that exists.
    overwrite : bool
        Allow `out` to hold files already.

    Raises
    ------
    FileError
        The folder cannot be made, or holds files already.
    """
    folder = _make(out, root)
    if out is not None and not overwrite:
        _check_empty(folder)
    return folder


def _make(out: str | os.PathLike[str] | None, root: str | os.PathLike[str]) -> Path:
    try:
        if out is None:
            return _create_numbered(Path(root))
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    except OSError as error:
        raise FileError(f"cannot make the folder {error.filename}: {error.strerror}") from error


def _check_empty(folder: Path) -> None:
    try:
        is_empty = not any(folder.iterdir())
    except OSError as error:
        raise FileError(f"cannot list the folder {folder}: {error.strerror}") from error
    if not is_empty:
        raise FileError(f"{folder} is not empty; give another folder, or allow overwrite")


def _create_numbered(root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    taken = [int(path.name) for path in root.iterdir() if path.name.isdecimal()]
    number = max(taken, default=0) + 1
    while True:  # another process may take the number between the look and the mkdir
        folder = root / str(number)
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder


@contextlib.contextmanager
def new_run(
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    root: str | os.PathLike[str] = "runs",
) -> Iterator[Path]:
    """Give the folder of `create_run`, locked; if nothing is kept, remove all folders made for it.

    Raises
    ------
    FileError
        As of `create_run` and `locked`.
    """
    place = Path(root if out is None else out)
    made = [path for path in (place, *place.parents) if not os.path.lexists(path)]
    try:
        folder = _make(out, root)
        if out is None:
            made.insert(0, folder)
        with locked(folder):
            if not overwrite:
                _check_empty(folder)
            yield folder
    finally:
        for path in made:  # innermost first; one that holds anything stays
            with contextlib.suppress(OSError):
                path.rmdir()


@contextlib.contextmanager
def locked(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Be the only writer in a folder, rid of what killed writers left there.

    The lock is on the folder itself, so that it leaves no file and ends with the process. Where
    the file system knows no locks there is none.

    Raises
    ------
    FileError
        Another process is at work in it, or there is no such folder.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise FileError(f"cannot open the folder {folder}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FileError(f"another process is at work in {folder}") from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise FileError(f"cannot lock {folder}: {error.strerror}") from error
        for pattern in STRAYS:
            for stray in Path(folder).glob(pattern):
                _remove(stray)
        yield
    finally:
        os.close(descriptor)


def _remove(stray: Path) -> None:
    with contextlib.suppress(OSError):  # then it is only in the way
        if stray.is_dir() and not stray.is_symlink():
            shutil.rmtree(stray)
        else:
            stray.unlink()


def save_run(
    folder: Path,
    model: MLP,
    history: History,
    comparison: Iterable[SplitLosses],
    options: Mapping[str, Any],
) -> None:
    """Write everything that a run keeps: the model, numbers and pictures.

    All files are written in a folder of their own inside `folder` and then moved, so that a full
    disk leaves an older run as it was. The same run writes the same bytes, as no clock time goes
    into them. Once they are there to stay, the checkpoint goes.

    Raises
    ------
    FileError
        A file cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=folder) as unfinished:
            _write_files(Path(unfinished), model, history, comparison, options)
            for name in RUN_FILES:
                _sync(Path(unfinished) / name)
            for name in RUN_FILES:
                os.replace(Path(unfinished) / name, folder / name)
            # Looks at the test split that an overwritten model had are not this model's.
            (folder / TEST_LOOKS_FILE).unlink(missing_ok=True)
        _sync(folder)
        (folder / CHECKPOINT_FILE).unlink(missing_ok=True)
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"cannot write in {folder}: {error.strerror}") from error


def save_unfinished(folder: Path, model: MLP) -> None:
    """Write the model of an interrupted run beside its checkpoint, without pictures and numbers.

    Those of an older run in this folder go, as they are not of this model.

    Raises
    ------
    FileError
        The model cannot be written, or an older file not be removed.
    """
    model.save(folder / MODEL_FILE)
    try:
        for name in (*FOR_PEOPLE, TEST_LOOKS_FILE):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise FileError(f"cannot remove {error.filename}: {error.strerror}") from error


def _sync(path: Path) -> None:
    """Return when a file, or a folder's list of files, will outlive a crash of the machine."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that cannot sync folders
            raise
    finally:
        os.close(descriptor)


def _write_files(
    folder: Path,
    model: MLP,
    history: History,
    comparison: Iterable[SplitLosses],
    options: Mapping[str, Any],
) -> None:
    from makemore_cpp import plotting

    model.save(folder / MODEL_FILE)
    config = json.dumps(_config(model, options), indent=2, allow_nan=False) + "\n"
    (folder / CONFIG_FILE).write_text(config, encoding="utf-8")
    metrics = "".join(_metrics(history, comparison))
    (folder / METRICS_FILE).write_text(metrics, encoding="utf-8")
    plotting.save(plotting.loss_curve(history).figure, folder / LOSS_PICTURE)
    plotting.save(plotting.embeddings(model).figure, folder / EMBEDDINGS_PICTURE)


def record_test_look(model_path: str | os.PathLike[str], look: Mapping[str, Any]) -> int:
    """Append a look at the test split to the run's record; return how many there are now."""
    path = Path(model_path)
    record = (path if path.is_dir() else path.parent) / TEST_LOOKS_FILE
    time = datetime.now(UTC).isoformat(timespec="seconds")
    line = json.dumps({"time": time, **look}, allow_nan=False) + "\n"
    try:
        with open(record, "a", encoding="utf-8") as stream:
            stream.write(line)
        return len(record.read_text(encoding="utf-8").splitlines())
    except OSError as error:
        raise FileError(f"cannot record the look in {record}: {error.strerror}") from error


def _config(model: MLP, options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "note": "a copy for people; model.safetensors alone is read",
        "block_size": model.block_size,
        "n_embd": model.n_embd,
        "n_hidden": model.n_hidden,
        "vocab_size": model.vocab_size,
        "n_parameters": model.n_parameters,
        "boundary": model.vocab.boundary,
        "characters": "".join(model.vocab.characters),
        "data": None if model.data is None else model.data._asdict(),
        **options,
    }


def _metrics(history: History, comparison: Iterable[SplitLosses]) -> Iterable[str]:
    """Yield JSON lines: mean losses of equal windows of steps, evaluations, the final losses."""
    steps = len(history.losses)
    window = -(-steps // METRICS_LINES)
    lines = []
    for first in range(0, steps, window):
        part = history.losses[first : first + window]
        lines.append(
            {
                "step": first + len(part),
                "loss": float(part.mean(dtype=np.float64)),
                "lr": float(history.lr[first + len(part) - 1]),
            }
        )
    lines += [evaluation._asdict() for evaluation in history.evaluations]
    lines.sort(key=lambda line: line["step"])
    for line in lines:
        yield json.dumps(line, allow_nan=False) + "\n"
    for row in comparison:
        yield json.dumps({"step": steps, **row._asdict()}, allow_nan=False) + "\n"
