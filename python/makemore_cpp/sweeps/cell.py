"""One run of a sweep: a cell with all its options, trained and turned into a row of the table."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from makemore_cpp._core import DivergedError, build_info, how_cut
from makemore_cpp.arrays import Int32
from makemore_cpp.data.dataset import Dataset, Split, build_dataset
from makemore_cpp.models.mlp import MLP
from makemore_cpp.recipe.options import OPTIONS, Part, Recipe, names_of
from makemore_cpp.sweeps.table import Row
from makemore_cpp.training.history import History
from makemore_cpp.training.loop import train_quietly

# The options of a run with their defaults; its seed and how often dev is looked at are its own.
DEFAULTS: dict[str, Any] = {
    name: option.default for name, option in OPTIONS.items() if name not in ("seed", "eval_every")
}


class Cell(NamedTuple):
    """One run: all its options, its seed, and how many samples to draw in the end."""

    options: dict[str, Any]
    seed: int
    samples: int


class Stopped(Exception):  # noqa: N818 - no error, but the answer to an interrupt
    """The run was told to stop and has no result."""


def run_cell(data: Dataset, cell: Cell, is_stopped: Callable[[], bool] | None = None) -> Row:
    """Train the model of one cell on one thread and return its row.

    A run that diverges has a row too: a loss is not finite, or it has risen (`History.diverged`).
    """
    if is_stopped is not None and is_stopped():
        raise Stopped
    data = with_block_size(data, cell.options["block_size"])
    model = _new_model(data, cell)
    row = Row(
        options=cell.options,
        seed=cell.seed,
        parameters=model.n_parameters,
        steps=0,
        examples=0,
        train=None,
        dev=None,
        last_100=None,
        seconds=0.0,
        isa=build_info()["isa"]["used"],
        diverged=True,
    )
    limit = cell.options["max_seconds"]
    started = time.perf_counter()
    end = math.inf if limit is None else started + limit
    try:
        history = _train(
            model,
            data,
            cell,
            lambda: time.perf_counter() >= end or (is_stopped is not None and is_stopped()),
        )
    except DivergedError as error:
        return replace(row, steps=error.step + 1, seconds=time.perf_counter() - started)
    if is_stopped is not None and is_stopped():
        raise Stopped
    losses = [
        model.loss(split.X, split.Y, threads=1) if len(split.Y) else None
        for split in (data.train, data.dev)
    ]
    steps = len(history.losses)
    examples = steps * _examples_per_step(data, cell)
    row = replace(row, steps=steps, examples=examples, seconds=history.seconds)
    if history.diverged or not all(loss is None or math.isfinite(loss) for loss in losses):
        return row
    return replace(
        row,
        train=losses[0],
        dev=losses[1],
        last_100=history.last_loss if steps else None,
        diverged=False,
        samples=model.sample(cell.samples),
    )


def _examples_per_step(data: Dataset, cell: Cell) -> int:
    batch_size = cell.options["batch_size"]
    return len(data.train.Y) if batch_size == "all" else int(batch_size)


def _new_model(data: Dataset, cell: Cell) -> MLP:
    return MLP(data.vocab, **_of_parts(cell, "model"), seed=cell.seed)


def _of_parts(cell: Cell, *parts: Part) -> dict[str, Any]:
    names = names_of(*parts)
    return {name: value for name, value in cell.options.items() if name in names}


def _train(model: MLP, data: Dataset, cell: Cell, should_stop: Callable[[], bool]) -> History:
    options = _of_parts(cell, "training", "update")
    if cell.options["max_examples"] is not None:
        per_step = _examples_per_step(data, cell)
        options["steps"] = max(1, min(options["steps"], cell.options["max_examples"] // per_step))
    # Early stopping looks at dev as often as usual; without it, nobody asks before the end.
    eval_every = None if options.get("patience") is not None else 0
    return train_quietly(
        model,
        data,
        seed=cell.seed,
        threads=1,
        eval_every=eval_every,
        should_stop=should_stop,
        **options,
    )


def with_block_size(data: Dataset, block_size: int) -> Dataset:
    """Return the same texts in the same splits with contexts of another length."""
    if block_size == data.block_size:
        return data

    def examples(split: Split) -> tuple[Int32, Int32]:
        if block_size < data.block_size:
            return np.ascontiguousarray(split.X[:, -block_size:]), split.Y
        return build_dataset(split.texts, data.vocab, block_size)

    train_split, dev, test = (
        Split(split.texts, *examples(split)) for split in (data.train, data.dev, data.test)
    )
    return Dataset(data.vocab, block_size, train_split, dev, test, data.origin)


def check_cell(data: Dataset, cell: Cell) -> None:
    """Raise what is wrong with the options of a cell, as far as it can be known before it runs."""
    recipe = Recipe.of(cell.options, "model", "training", "update", "budget")
    sizes = (recipe.block_size, recipe.n_embd, recipe.n_hidden, len(data.vocab), recipe.direct)
    how_cut(_examples_per_step(data, cell), *sizes)  # for the errors about sizes
    recipe.evaluation_every_of(len(data.dev.Y))  # for the error about patience
