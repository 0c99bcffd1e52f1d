"""One run of a sweep: trains a model and makes a row of the table of the result."""

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
from makemore_cpp.recipe.schedules import MAX_STEPS
from makemore_cpp.sweeps.table import Row
from makemore_cpp.training.history import History
from makemore_cpp.training.loop import train_quietly

# The options of a run that a sweep can vary, with their defaults.
DEFAULTS: dict[str, Any] = {
    name: option.default for name, option in OPTIONS.items() if name not in ("seed", "eval_every")
}


# Before a run of a number of seconds, calls of ever more steps are timed, until one takes this
# share of them or this time.
SHARE_TIMED, LONGEST_TIMED = 0.05, 0.5


class Run(NamedTuple):
    """A run before it starts: all its options, its seed, and the number of samples to draw."""

    options: dict[str, Any]
    seed: int
    samples: int


class Stopped(Exception):  # noqa: N818 - no error, but the answer to an interrupt
    """The run was told to stop and has no result."""


def run_one(data: Dataset, run: Run, is_stopped: Callable[[], bool] | None = None) -> Row:
    """Train the model of one run on one thread and return its row.

    A run that diverges has a row too. It diverges if a loss is not finite or if the losses rise as
    `History.diverged` says.
    """
    if is_stopped is not None and is_stopped():
        raise Stopped
    data = with_block_size(data, run.options["block_size"])
    model = _new_model(data, run)
    row = Row(
        options=run.options,
        seed=run.seed,
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
    started = time.perf_counter()
    try:
        planned = _planned_steps(data, run)
        started = time.perf_counter()
        history = _train(model, data, run, planned, is_stopped)
    except DivergedError as error:
        return replace(row, steps=error.step + 1, seconds=time.perf_counter() - started)
    if is_stopped is not None and is_stopped():
        raise Stopped
    losses = [
        model.loss(split.X, split.Y, threads=1) if len(split.Y) else None
        for split in (data.train, data.dev)
    ]
    steps = len(history.losses)
    examples = steps * _examples_per_step(data, run)
    row = replace(row, steps=steps, examples=examples, seconds=history.seconds)
    if history.diverged or not all(loss is None or math.isfinite(loss) for loss in losses):
        return row
    return replace(
        row,
        train=losses[0],
        dev=losses[1],
        last_100=history.last_loss if steps else None,
        diverged=False,
        samples=model.sample(run.samples),
    )


def _examples_per_step(data: Dataset, run: Run) -> int:
    batch_size = run.options["batch_size"]
    return len(data.train.Y) if batch_size == "all" else int(batch_size)


def _new_model(data: Dataset, run: Run) -> MLP:
    return MLP(data.vocab, **_of_parts(run, "model"), seed=run.seed)


def _of_parts(run: Run, *parts: Part) -> dict[str, Any]:
    names = names_of(*parts)
    return {name: value for name, value in run.options.items() if name in names}


def _planned_steps(data: Dataset, run: Run) -> int:
    """Return the number of steps of a run whose examples or seconds may be limited."""
    steps = int(run.options["steps"])
    if run.options["seconds"] is not None:
        steps = _steps_within(run.options["seconds"], data, run)
    if run.options["max_examples"] is not None:
        steps = min(steps, run.options["max_examples"] // _examples_per_step(data, run))
    return max(1, steps)


def _steps_within(seconds: float, data: Dataset, run: Run) -> int:
    """Return how many steps take so many seconds, by the time of those of a spare model."""
    model = _new_model(data, run)
    recipe = Recipe.of(_of_parts(run, "training", "update"), "training", "update")
    state = model.optimizer_state(recipe.optimizer)
    done, count, taken = 0, 1, 0.0
    while taken < min(SHARE_TIMED * seconds, LONGEST_TIMED) and done + count <= MAX_STEPS:
        started = time.perf_counter()
        model.train_steps(
            data.train.X,
            data.train.Y,
            np.zeros(count),
            **recipe.minibatches(),
            seed=run.seed,
            first_step=done,
            state=state,
            threads=1,
            **recipe.options("update"),
        )
        taken = time.perf_counter() - started
        done, last, count = done + count, count, 2 * count
    return min(MAX_STEPS, round(seconds / taken * last))


def _train(
    model: MLP,
    data: Dataset,
    run: Run,
    steps: int,
    is_stopped: Callable[[], bool] | None,
) -> History:
    options = {**_of_parts(run, "training", "update"), "steps": steps}
    # With patience, dev is evaluated as often as usual; without it, only the end counts.
    eval_every = None if options.get("patience") is not None else 0
    return train_quietly(
        model,
        data,
        seed=run.seed,
        threads=1,
        eval_every=eval_every,
        should_stop=is_stopped,
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


def check_run(data: Dataset, run: Run) -> None:
    """Raise what is wrong with a run's options, as far as that can be known before it starts."""
    recipe = Recipe.of(run.options, "model", "training", "update", "budget")
    sizes = (recipe.block_size, recipe.n_embd, recipe.n_hidden, len(data.vocab), recipe.direct)
    how_cut(_examples_per_step(data, run), *sizes)  # raises errors about sizes
    recipe.evaluation_every_of(len(data.dev.Y))  # raises the error about patience
