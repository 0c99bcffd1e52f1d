"""Two ways to find a learning rate: one run in which it grows, and short runs at several rates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Unpack

import numpy as np

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError, DivergedError
from makemore_cpp.arrays import Float64
from makemore_cpp.data.dataset import Dataset
from makemore_cpp.models.mlp import MLP
from makemore_cpp.recipe.options import Recipe, names_of
from makemore_cpp.recipe.schedules import MAX_STEPS
from makemore_cpp.sweeps import grids
from makemore_cpp.sweeps.one_run import with_block_size
from makemore_cpp.sweeps.table import Table, mean
from makemore_cpp.training.history import LAST_STEPS

# The options that a search takes: all except those of the schedule, since it varies the rate.
SEARCHED = [*names_of("model"), "batch_size", *names_of("update")]
STEPS = 1000
LOW, HIGH = -3.0, 0.0  # the lecture's exponents of the growing rate
RATES = tuple(float(f"{rate:.3g}") for rate in np.logspace(-4, 0, 10))  # of exercise 2
SMOOTHING_WINDOWS = 10  # the smoothed curve averages over a tenth of the run
# Losses this close to the lowest are as good: the mean of 100 minibatch losses varies by 0.02.
NOISE = 0.05


@dataclass(frozen=True, eq=False)
class RateCurve:
    """A run in which the learning rate grew with every step.

    Attributes
    ----------
    rates, losses : float64 arrays, shape (steps done,)
        The rate and the minibatch loss of each step; fewer than asked for if the run diverged.
    smooth_rates, smooth_losses : float64 arrays, shape (steps done - window + 1,)
        The means of the losses of `window` steps, and the rate in the middle of these steps.
    window : int
        The number of steps in a mean.
    suggestion : float
        The rate at the lowest smoothed loss: below it learning is slower than it could be, above
        it the steps are too large.
    is_at_edge : bool
        Whether the lowest smoothed loss is at the beginning or the end: then try rates beyond.
    """

    rates: Float64
    losses: Float64
    smooth_rates: Float64
    smooth_losses: Float64
    window: int
    suggestion: float
    is_at_edge: bool


class RateRange(NamedTuple):
    """Learning rates that are about as good as the best one tried."""

    low: float
    best: float
    high: float


def growing_rate(
    data: Dataset,
    options: Mapping[str, Any] | None = None,
    *,
    low: float = LOW,
    high: float = HIGH,
    steps: int = STEPS,
    seed: int = 1,
    threads: int | None = None,
) -> RateCurve:
    """Train once with the rate ``10**e`` while e grows from `low` to `high`, step by step.

    Parameters
    ----------
    data : Dataset
    options : dict, optional
        Options for the model and the update as of `sweeps.grid`, but one value each.
    low, high : float
        The first and the last exponent.
    steps : int
        The number of steps, at least 10.
    seed, threads
        The same as in `train`.

    Raises
    ------
    ArgumentError, TypeError
        An option is unknown or cannot be used, or the first steps already diverge.
    """
    steps = checks.integer("steps", steps, SMOOTHING_WINDOWS, MAX_STEPS)
    if not -30 <= low < high <= 30:  # false for NaN too
        raise ArgumentError(f"exponents grow from {low} to {high}; they must grow, in [-30, 30]")
    rates = 10.0 ** np.linspace(low, high, steps)
    recipe = _recipe(options or {})
    try:
        losses = _losses(data, recipe, rates, seed, threads)
    except DivergedError as error:
        if error.step < SMOOTHING_WINDOWS:
            raise ArgumentError(f"the search begins with too large a rate: {error}") from error
        rates = rates[: error.step]
        losses = _losses(data, recipe, rates, seed, threads)  # the steps before it diverged
    window = max(1, len(losses) // SMOOTHING_WINDOWS)
    smooth_losses = np.convolve(losses, np.full(window, 1 / window), "valid")
    # The logarithms of the rates are spaced evenly; this is their mean.
    smooth_rates = np.sqrt(rates[: len(smooth_losses)] * rates[window - 1 :])
    lowest = int(smooth_losses.argmin())
    return RateCurve(
        rates,
        losses,
        smooth_rates,
        smooth_losses,
        window,
        float(smooth_rates[lowest]),
        not window / 2 <= lowest < len(smooth_losses) - window / 2,
    )


def fixed_rates(
    data: Dataset,
    rates: Sequence[float] = RATES,
    options: Mapping[str, Any] | None = None,
    *,
    steps: int = STEPS,
    **settings: Unpack[grids.Settings],
) -> Table:
    """Train for a short while at each of several constant rates.

    A run that diverges has no losses: see `sweeps.one_run.run_one`.

    Parameters
    ----------
    data : Dataset
    rates : list of float
    options : dict, optional
        Options for the model and the update as of `sweeps.grid`.
    steps : int
        The number of steps of each run.
    settings
        The settings of `sweeps.grid`: seeds, out, jobs, dask and more.
    """
    _recipe(options or {})
    combination = {**(options or {}), "steps": steps, "schedule": "constant", "lr": list(rates)}
    if not settings.get("columns"):
        settings["columns"] = ("lr", f"last_{LAST_STEPS}", "train", "dev")
    return grids.grid(data, combination, **settings)


def recommended(table: Table) -> RateRange | None:
    """Return the rates around the best one whose last losses are at most 0.05 above the lowest.

    It is None if all rates diverged.
    """
    cells = sorted(table.cells, key=lambda cell: float(cell[0].options["lr"]))
    rates = [float(cell[0].options["lr"]) for cell in cells]
    losses = [mean(cell, f"last_{LAST_STEPS}") for cell in cells]
    known = [loss for loss in losses if loss is not None]
    if not known:
        return None
    best = losses.index(min(known))
    good = [loss is not None and loss <= min(known) + NOISE for loss in losses]
    low = high = best
    while low > 0 and good[low - 1]:
        low -= 1
    while high + 1 < len(good) and good[high + 1]:
        high += 1
    return RateRange(rates[low], rates[best], rates[high])


def _losses(
    data: Dataset, recipe: Recipe, rates: Float64, seed: int, threads: int | None
) -> Float64:
    data = with_block_size(data, recipe.block_size)
    model = MLP(data.vocab, **recipe.options("model"), seed=seed)
    losses = model.train_steps(
        data.train.X,
        data.train.Y,
        rates,
        **recipe.minibatches(),
        seed=seed,
        state=model.optimizer_state(recipe.optimizer),
        threads=threads,
        **recipe.options("update"),
    )
    return losses.astype(np.float64)


def _recipe(options: Mapping[str, Any]) -> Recipe:
    """Return the recipe of a search with these options."""
    for name in options:
        if name not in SEARCHED:
            raise ArgumentError(
                f"{checks.shown(name)} is not an option of a learning rate search; these are: "
                f"{', '.join(SEARCHED)}"
            )
    return Recipe(**options)
