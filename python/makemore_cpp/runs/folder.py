"""Run folders: a training run keeps its model, its numbers and its pictures in one."""

import contextlib
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from makemore_cpp import files
from makemore_cpp._core import FileError, FormatError
from makemore_cpp.data.origin import remember
from makemore_cpp.data.texts import DataOrigin
from makemore_cpp.data.vocab import Vocab
from makemore_cpp.evaluation.losses import ModelLosses
from makemore_cpp.models.frozen import CHECKPOINT_FILE, MODEL_FILE
from makemore_cpp.models.mlp import MLP
from makemore_cpp.training.course import Course, Window
from makemore_cpp.training.history import History
from makemore_cpp.training.snapshots import Snapshot
from makemore_cpp.training.state import Evaluation

CONFIG_FILE = "config.json"
METRICS_FILE = "metrics.jsonl"
EMBEDDINGS_FILE = "embeddings.jsonl"
LOSS_PICTURE = "loss.png"
EMBEDDINGS_PICTURE = "embeddings.png"
TEST_LOOKS_FILE = "test_looks.jsonl"
PICTURES = (LOSS_PICTURE, EMBEDDINGS_PICTURE)
FOR_PEOPLE = (CONFIG_FILE, METRICS_FILE, EMBEDDINGS_FILE, *PICTURES)


def save_model(folder: Path, model: MLP) -> None:
    """Write the model of a run, before anything that describes it.

    The record of looks at the test split (see `record_test_look`) is removed: it is about the model
    of an older run.

    Raises
    ------
    FileError
        The model cannot be written, and an older run is as it was; or the record cannot be removed.
    """
    remember(folder, model.data)
    model.save(folder / MODEL_FILE)
    _remove(folder, TEST_LOOKS_FILE)


def save_unfinished(folder: Path, model: MLP) -> None:
    """Write the model of an interrupted run beside its checkpoint, without pictures and numbers.

    The pictures and numbers of an older run in this folder are removed: they describe another
    model.

    Raises
    ------
    FileError
        The model cannot be written, or an older file cannot be removed.
    """
    save_model(folder, model)
    _remove(folder, *FOR_PEOPLE)


def save_description(
    folder: Path,
    model: MLP,
    history: History,
    comparison: Iterable[ModelLosses],
    options: Mapping[str, Any],
) -> None:
    """Write the numbers of a run whose model is written already, then remove its checkpoint.

    The same run writes the same bytes: the files hold no clock time. Where they cannot be written,
    numbers and pictures of an older run in this folder, which do not fit the model, are removed.

    Raises
    ------
    FileError
        A file cannot be written.
    """
    config = json.dumps(_config(model, options), indent=2, allow_nan=False) + "\n"
    metrics = "".join(_metrics(history, comparison))
    snapshots = "".join(map(_snapshot_line, history.snapshots))
    try:
        files.replace(folder / METRICS_FILE, metrics.encode())
        if snapshots:
            files.replace(folder / EMBEDDINGS_FILE, snapshots.encode())
        else:
            _remove(folder, EMBEDDINGS_FILE)
        files.replace(folder / CONFIG_FILE, config.encode())
    except FileError:
        for name in FOR_PEOPLE:
            with contextlib.suppress(FileError):
                _remove(folder, name)
        raise
    _remove(folder, CHECKPOINT_FILE)


def _remove(folder: Path, *names: str) -> None:
    try:
        for name in names:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise FileError(f"cannot remove {error.filename}: {error.strerror}") from error


def record_test_look(model_path: str | os.PathLike[str], look: Mapping[str, Any]) -> int:
    """Append a look at (an evaluation on) the test split to the run's record; return their number.

    Results on the test split mean less with every look, so that each is recorded.
    """
    path = Path(model_path)
    record = (path if path.is_dir() else path.parent) / TEST_LOOKS_FILE
    time = datetime.now(UTC).isoformat(timespec="seconds")
    files.append_line(record, json.dumps({"time": time, **look}, allow_nan=False).encode())
    return len(files.read_record(record))


def _config(model: MLP, options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "note": "a copy for people; model.safetensors alone is read",
        "block_size": model.block_size,
        "n_embd": model.n_embd,
        "n_hidden": model.n_hidden,
        "vocab_size": model.vocab_size,
        **({"direct": True} if model.direct else {}),
        "n_parameters": model.n_parameters,
        "boundary": model.vocab.boundary,
        **_tokens(model.vocab),
        "data": _described(model.data),
        **options,
    }


def _tokens(vocab: Vocab) -> dict[str, Any]:
    if vocab.is_plain:
        return {"characters": "".join(vocab.tokens)}
    return {"level": vocab.level, "unknown": vocab.unknown}


def _described(data: DataOrigin | None) -> dict[str, Any] | None:
    """Return the origin of data for people: the name of the file without its folders."""
    return None if data is None else data._replace(name=os.path.basename(data.name))._asdict()


def _metrics(history: History, comparison: Iterable[ModelLosses]) -> Iterable[str]:
    """Yield JSON lines: mean losses of equal windows of steps, evaluations, the final losses."""
    course = Course.of(history)
    lines = [window._asdict() for window in course.windows]
    lines += [evaluation._asdict() for evaluation in course.evaluations]
    lines.sort(key=lambda line: line["step"])
    for line in lines:
        yield json.dumps(line, allow_nan=False) + "\n"
    for row in comparison:
        yield json.dumps({"step": len(history.losses), **row._asdict()}, allow_nan=False) + "\n"


def _snapshot_line(snapshot: Snapshot) -> str:
    rounded = np.round(snapshot.C.astype(np.float64), 4).tolist()  # four digits serve a picture
    return json.dumps({"step": snapshot.step, "C": rounded}, allow_nan=False) + "\n"


def read_course(folder: str | os.PathLike[str]) -> Course | None:
    """Return the course of the run of a folder, or None where the folder holds no losses.

    Raises
    ------
    FileError
        A file cannot be read.
    FormatError
        A line is not one that `save_description` writes.
    """
    course = Course([], [], [])

    def take_losses(row: dict[str, Any]) -> None:
        if "loss" in row:
            course.windows.append(Window(*_numbers(row["step"], row["loss"], row["lr"])))
        elif "dev_loss" in row:
            course.evaluations.append(Evaluation(*_numbers(row["step"], row["dev_loss"])))
        elif "name" not in row:
            raise ValueError("it holds no loss")

    def take_embeddings(row: dict[str, Any]) -> None:
        C = np.array([_numbers(*numbers) for numbers in row["C"]], np.float32)
        course.snapshots.append(Snapshot(_numbers(row["step"])[0], C))

    _take_rows(Path(folder) / METRICS_FILE, take_losses)
    _take_rows(Path(folder) / EMBEDDINGS_FILE, take_embeddings)
    return course if course.windows else None


def _take_rows(path: Path, take: Callable[[dict[str, Any]], None]) -> None:
    """Call `take` with the content of each line of a record; turn its errors into a FormatError."""
    for number, line in enumerate(files.read_record(path), 1):
        try:
            take(json.loads(line))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise FormatError(f"{path}, line {number}, is not one of a run's record") from error


def _numbers(*values: Any) -> tuple[Any, ...]:
    """Return finite numbers as they are; else raise ValueError."""
    for value in values:
        if type(value) not in (int, float) or not math.isfinite(value):
            raise ValueError("not a finite number")
    return values
