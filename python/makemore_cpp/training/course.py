"""The course of a run: its losses, shortened so that they can be stored and drawn."""

from typing import NamedTuple

import numpy as np

from makemore_cpp.training.history import History
from makemore_cpp.training.snapshots import Snapshot
from makemore_cpp.training.state import Evaluation

WINDOWS = 200


class Window(NamedTuple):
    """A window of steps that ends with `step`: the mean of their losses, and the last rate."""

    step: int
    loss: float
    lr: float


class Course(NamedTuple):
    """The part of a `History` that a run folder stores; losses become at most 200 windows."""

    windows: list[Window]
    evaluations: list[Evaluation]
    snapshots: list[Snapshot]

    @classmethod
    def of(cls, history: History) -> "Course":
        """Return the course of the run that has this history."""
        steps = len(history.losses)
        size = -(-steps // WINDOWS)
        windows = []
        for first in range(0, steps, max(size, 1)):
            part = history.losses[first : first + size]
            last = first + len(part)
            loss = float(part.mean(dtype=np.float64))
            windows.append(Window(last, loss, float(history.lr[last - 1])))
        return cls(windows, history.evaluations, history.snapshots)
