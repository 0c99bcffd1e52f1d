"""The embeddings that a run had on its way, so that one can see how they came to lie."""

from typing import NamedTuple

from makemore_cpp.arrays import Float32
from makemore_cpp.models.mlp import MLP

MAX_SNAPSHOTS = 50  # beside that of the start
MAX_ELEMENTS = 4_096  # of C: larger ones are no picture for people, and would fill checkpoints


class Snapshot(NamedTuple):
    """The embeddings C (V,E) after `step` steps."""

    step: int
    C: Float32


class Snapshots:
    """Those of the start and of the evaluations; of more than 50 every second, fourth, ... one."""

    def __init__(self, model: MLP) -> None:
        self._model = model
        self.kept: list[Snapshot] = []
        if model.C.size <= MAX_ELEMENTS:
            self.kept.append(Snapshot(0, model.C.copy()))

    def see(self, step: int, evaluations: int) -> None:
        """Keep the embeddings that the model has now, at the last of so many evaluations."""
        if not self.kept:
            return
        every = every_of(evaluations)
        if every > every_of(evaluations - 1):
            del self.kept[1::2]
        if evaluations % every == 0:
            self.kept.append(Snapshot(step, self._model.C.copy()))


def every_of(evaluations: int) -> int:
    """Return n where each n-th of so many evaluations is kept."""
    every = 1
    while evaluations > MAX_SNAPSHOTS * every:
        every *= 2
    return every
