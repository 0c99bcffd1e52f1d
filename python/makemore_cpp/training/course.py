"""The course of a run, small enough to be kept and drawn."""

from typing import NamedTuple

import numpy as np

from makemore_cpp.training.history import History
from makemore_cpp.training.snapshots import Snapshot
from makemore_cpp.training.state import Evaluation

WINDOWS = 200


class Window(NamedTuple):
    """Steps up to `step`: the mean of their minibatches' losses, and the last learning rate."""

    step: int
    loss: float
    lr: float


class Course(NamedTuple):
    """What a run folder keeps of a `History`: at most 200 windows of steps, and the rest whole."""

    windows: list[Window]
    evaluations: list[Evaluation]
    snapshots: list[Snapshot]

    @classmethod
    def of(cls, history: History) -> "Course":
        """Return the course of a run, of its history."""
        steps = len(history.losses)
        size = -(-steps // WINDOWS)
        windows = []
        for first in range(0, steps, max(size, 1)):
            part = history.losses[first : first + size]
            last = first + len(part)
            loss = float(part.mean(dtype=np.float64))
            windows.append(Window(last, loss, float(history.lr[last - 1])))
        return cls(windows, history.evaluations, history.snapshots)
