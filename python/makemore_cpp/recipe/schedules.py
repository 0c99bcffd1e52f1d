"""Learning rate schedules: each gives the rate of a step as a function of its number alone."""

import numpy as np

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError
from makemore_cpp.arrays import Float64

SCHEDULES = ("constant", "step", "cosine", "inverse")
MAX_STEPS = checks.MAX_STEPS


def learning_rates(
    schedule: str,
    lr: float,
    steps: int,
    *,
    first_step: int = 0,
    count: int | None = None,
    floor: float | None = None,
    decay: float | None = None,
) -> Float64:
    """Return the learning rates of a run, or of a part of it.

    Parameters
    ----------
    schedule : {"constant", "step", "cosine", "inverse"}
        With t the step and n the number of steps:
        constant, ``lr``;
        step, ``lr`` and from half way ``lr / 10``, as in the lecture;
        cosine, ``floor + (lr - floor) * (1 + cos(pi * t / n)) / 2``;
        inverse, ``lr / (1 + decay * t)``, the paper's section 3.1.
    lr : float
        The first rate: not negative, and finite as float32.
    steps : int
        n, the length of the whole run, 1 to 10**9.
    first_step, count : int
        The part that is wanted, `count` steps from first_step on; by default all.
    floor : float, optional
        The last rate of the cosine schedule; by default ``lr / 10``.
    decay : float, optional
        The decay of the inverse schedule; by default ``9 / n``, which ends near ``lr / 10``.

    Returns
    -------
    rates : float64 array, shape (count,)
    """
    checks.choice("schedule", schedule, SCHEDULES)
    lr = checks.non_negative("lr", lr)
    steps = checks.integer("steps", steps, 1, MAX_STEPS)
    first_step = checks.integer("first_step", first_step, 0, steps)
    left = steps - first_step
    count = left if count is None else checks.integer("count", count, 0, left)
    for option, value, owner in (("floor", floor, "cosine"), ("decay", decay, "inverse")):
        if value is not None and schedule != owner:
            raise ArgumentError(f"{option} belongs to the {owner} schedule, not to {schedule!r}")

    t = np.arange(first_step, first_step + count, dtype=np.float64)
    if schedule == "constant":
        return np.full(count, lr)
    if schedule == "step":
        return np.where(t < steps / 2, lr, lr / 10)
    if schedule == "cosine":
        low = lr / 10 if floor is None else checks.non_negative("floor", floor)
        return low + (lr - low) * (1 + np.cos(np.pi * t / steps)) / 2
    return lr / (1 + (9 / steps if decay is None else checks.non_negative("decay", decay)) * t)
