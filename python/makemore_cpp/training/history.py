"""What happened in a training run, and how it was going on the way."""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from makemore_cpp.arrays import Float32, Float64
from makemore_cpp.training.snapshots import Snapshot
from makemore_cpp.training.state import Evaluation

LAST_STEPS = 100  # whose mean loss says where a run has ended


class DivergenceWarning(UserWarning):
    """The losses of a training rose, though they stayed finite; see `History.diverged`."""


class Progress(NamedTuple):
    """Steps done, of how many, the mean loss of the latest ones, and the seconds so far."""

    step: int
    steps: int
    loss: float
    seconds: float


@dataclass(frozen=True, eq=False)
class History:
    """What happened in a run.

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
        Whether `should_stop` ended the run before its time.
    snapshots : list of Snapshot
        The embeddings at the start and at evaluations, at most 51; none of more than 4,096 numbers.
    diverged : bool
        Whether the losses rose, though they stayed finite: `last_loss` is more than twice the first
        loss, and than ln V, the loss of a uniform guess.
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
    """Return whether losses (steps,) rose: the last are twice the first, and a uniform guess's."""
    # One minibatch's loss varies, hence twice.
    guess = math.log(vocab_size)
    return len(losses) > 0 and last_loss_of(losses) > 2 * max(float(losses[0]), guess)


def last_loss_of(losses: Float32) -> float:
    """Return the mean of the last `LAST_STEPS` losses; NaN without any."""
    return float(losses[-LAST_STEPS:].mean(dtype=np.float64)) if len(losses) else math.nan
