"""Snapshots of the embeddings during a run, which show how they came to lie where they are."""

from typing import NamedTuple

from makemore_cpp.arrays import Float32
from makemore_cpp.models.mlp import MLP

MAX_SNAPSHOTS = 50  # not counting that of the start
MAX_ELEMENTS = 4_096  # of C: a larger one makes no readable picture and would fill checkpoints


class Snapshot(NamedTuple):
    """The embeddings C (V,E) after `step` steps."""

    step: int
    C: Float32


class Snapshots:
    """The snapshots of the start and of evaluations: all, or every second, fourth, ... above 50."""

    def __init__(self, model: MLP) -> None:
        self._model = model
        self.kept: list[Snapshot] = []
        if model.C.size <= MAX_ELEMENTS:
            self.kept.append(Snapshot(0, model.C.copy()))

    def see(self, step: int, evaluations: int) -> None:
        """Take a snapshot if one is due; `evaluations` is their number, this one included."""
        if not self.kept:
            return
        every = every_of(evaluations)
        if every > every_of(evaluations - 1):
            del self.kept[1::2]
        if evaluations % every == 0:
            self.kept.append(Snapshot(step, self._model.C.copy()))


def every_of(evaluations: int) -> int:
    """Return n where every n-th of this number of evaluations has a snapshot."""
    every = 1
    while evaluations > MAX_SNAPSHOTS * every:
        every *= 2
    return every
