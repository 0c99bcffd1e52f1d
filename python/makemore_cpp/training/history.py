"""The history of a training run, and its progress on the way."""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from makemore_cpp.arrays import Float32, Float64
from makemore_cpp.training.snapshots import Snapshot
from makemore_cpp.training.state import Evaluation

LAST_STEPS = 100  # the steps whose mean loss is the last loss of a run


class DivergenceWarning(UserWarning):
    """The losses of a training rose, though they stayed finite; see `History.diverged`."""


class Progress(NamedTuple):
    """How far a run is: `step` of `steps` are done."""

    step: int
    steps: int
    loss: float  # the mean of the latest steps
    seconds: float  # of the run so far


@dataclass(frozen=True, eq=False)
class History:
    """The history of a run.

    Attributes
    ----------
    losses : float32 array, shape (steps done,)
        The mean loss of each step's minibatch, before its update.
    lr : float64 array, shape (steps done,)
        The learning rate of each step.
    evaluations : list of Evaluation
    seconds : float
        Wall-clock time of the whole run.
    best : Evaluation or None
        With patience, the evaluation whose parameters the model has now.
    options : dict
        All options of `train` that the result depends on.
    stopped : bool
        Whether `should_stop` ended the run early.
    snapshots : list of Snapshot
        The embeddings at the start and at evaluations, at most 51; empty where they have more than
        4,096 numbers.
    diverged : bool
        Whether the losses rose, though they stayed finite: `last_loss` is more than twice the first
        loss and more than twice ln V, the loss of a uniform guess.
    """

    losses: Float32
    lr: Float64
    evaluations: list[Evaluation]
    seconds: float
    best: Evaluation | None = None
    options: dict[str, Any] = field(default_factory=dict)
    stopped: bool = False
    diverged: bool = False
    snapshots: list[Snapshot] = field(default_factory=list)

    def __repr__(self) -> str:
        evaluations = f"{len(self.evaluations)} evaluations, {self.seconds:.1f} s"
        what = "stopped, " * self.stopped + "diverged, " * self.diverged
        steps = f"{len(self.losses):,} steps"
        return f"History({steps}, {what}last loss {self.last_loss:.4f}, {evaluations})"

    @property
    def last_loss(self) -> float:
        """The mean loss of the last 100 steps, or of all if there are fewer; NaN without any."""
        return last_loss_of(self.losses)


def has_diverged(losses: Float32, vocab_size: int) -> bool:
    """Return whether losses (steps,) rose in the sense of `History.diverged`."""
    guess = math.log(vocab_size)  # a factor of 2 is above the variation between minibatches
    return len(losses) > 0 and last_loss_of(losses) > 2 * max(float(losses[0]), guess)


def last_loss_of(losses: Float32) -> float:
    """Return the mean of the last `LAST_STEPS` losses; NaN without any."""
    return float(losses[-LAST_STEPS:].mean(dtype=np.float64)) if len(losses) else math.nan
