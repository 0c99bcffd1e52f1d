"""Run folders: where a training run keeps its model, its numbers and its pictures."""

import contextlib
import json
import math
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from makemore_cpp import files
from makemore_cpp._core import FileError, FormatError
from makemore_cpp.data.origin import remember
from makemore_cpp.data.texts import DataOrigin
from makemore_cpp.data.vocab import Vocab
from makemore_cpp.evaluation.losses import ModelLosses
from makemore_cpp.models.frozen import CHECKPOINT_FILE, MODEL_FILE
from makemore_cpp.models.mlp import MLP
from makemore_cpp.training.curve import LossCurve, Window
from makemore_cpp.training.history import History
from makemore_cpp.training.state import Evaluation

CONFIG_FILE = "config.json"
METRICS_FILE = "metrics.jsonl"
LOSS_PICTURE = "loss.png"
EMBEDDINGS_PICTURE = "embeddings.png"
TEST_LOOKS_FILE = "test_looks.jsonl"
PICTURES = (LOSS_PICTURE, EMBEDDINGS_PICTURE)
FOR_PEOPLE = (CONFIG_FILE, METRICS_FILE, *PICTURES)


def save_model(folder: Path, model: MLP) -> None:
    """Write the model, which is what the run was for, before anything that describes it.

    The record of looks at the test split is removed: it tells of an older run's model.

    Raises
    ------
    FileError
        The model cannot be written, and an older run is as it was; or the looks not be removed.
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
        The model cannot be written, or an older file not be removed.
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
    """Write the numbers of a run whose model is there; then its checkpoint goes.

    The same run writes the same bytes, as no clock time goes into them. Where they cannot be
    written, nothing that an older run in this folder said of its model stays.

    Raises
    ------
    FileError
        A file cannot be written.
    """
    config = json.dumps(_config(model, options), indent=2, allow_nan=False) + "\n"
    metrics = "".join(_metrics(history, comparison))
    try:
        files.replace(folder / METRICS_FILE, metrics.encode())
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
    """Append a look at the test split to the run's record; return how many there are now."""
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
    """Return where data came from for people, without the folders of who trained."""
    return None if data is None else data._replace(name=os.path.basename(data.name))._asdict()


def _metrics(history: History, comparison: Iterable[ModelLosses]) -> Iterable[str]:
    """Yield JSON lines: mean losses of equal windows of steps, evaluations, the final losses."""
    curve = LossCurve.of(history)
    lines = [window._asdict() for window in curve.windows]
    lines += [evaluation._asdict() for evaluation in curve.evaluations]
    lines.sort(key=lambda line: line["step"])
    for line in lines:
        yield json.dumps(line, allow_nan=False) + "\n"
    for row in comparison:
        yield json.dumps({"step": len(history.losses), **row._asdict()}, allow_nan=False) + "\n"


def read_curve(folder: str | os.PathLike[str]) -> LossCurve | None:
    """Return the losses that a run folder keeps, None where it keeps none.

    Raises
    ------
    FileError
        They cannot be read.
    FormatError
        A line is not one that `save_description` writes.
    """
    path = Path(folder) / METRICS_FILE
    curve = LossCurve([], [])
    for number, line in enumerate(files.read_record(path), 1):
        try:
            row = json.loads(line)
            if "loss" in row:
                curve.windows.append(Window(*map(_number, (row["step"], row["loss"], row["lr"]))))
            elif "dev_loss" in row:
                curve.evaluations.append(Evaluation(*map(_number, (row["step"], row["dev_loss"]))))
            elif "name" not in row:
                raise ValueError("it holds no loss")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise FormatError(f"{path}, line {number}, is not one of a run's losses") from error
    return curve if curve.windows else None


def _number(value: Any) -> Any:
    """Return a finite number; else ValueError."""
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError("not a finite number")
    return value
