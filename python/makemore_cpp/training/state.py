"""The state of a training run between two steps: all that it needs to go on, except its data."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from makemore_cpp._core import ArgumentError
from makemore_cpp.arrays import Float32
from makemore_cpp.data.dataset import Dataset
from makemore_cpp.models.mlp import MLP, OptimizerState
from makemore_cpp.training.snapshots import Snapshot


class Evaluation(NamedTuple):
    """The loss on the dev split after `step` steps, in nats per token."""

    step: int
    dev_loss: float


@dataclass(frozen=True, eq=False)
class TrainingState:
    """The state of a run after some of its steps; `train` gives it out and goes on from it.

    The next step changes its arrays: save or copy them at once.

    Attributes
    ----------
    options : dict
        All options of `train` that its result depends on.
    model : MLP
        The model after the last completed step.
    optimizer_state : dict of arrays
        The state that `MLP.optimizer_state` makes.
    losses : float32 array, shape (steps done,)
    evaluations : list of Evaluation
    best : dict of float32 arrays
        With patience, the parameters of the best evaluation so far; else, or before it, empty.
    examples_sha256 : str
        The result of `examples_digest`.
    seconds : float
        The time that the run has taken so far.
    snapshots : list of Snapshot
        The snapshots so far; see `History`.
    """

    options: dict[str, Any]
    model: MLP
    optimizer_state: OptimizerState
    losses: Float32
    evaluations: list[Evaluation]
    best: dict[str, Float32]
    examples_sha256: str
    seconds: float
    snapshots: list[Snapshot] = field(default_factory=list)

    def __repr__(self) -> str:
        steps = f"{len(self.losses):,} of {self.options['steps']:,} steps"
        return f"TrainingState({steps}, {self.model!r})"


def examples_digest(data: Dataset) -> str:
    """Return the SHA-256 of the examples of train and dev, in hexadecimal digits."""
    digest = hashlib.sha256()
    for split in (data.train, data.dev):
        for array in (split.X, split.Y):
            digest.update(f"{array.shape}".encode())
            digest.update(np.ascontiguousarray(array, "<i4").data)
    return digest.hexdigest()


def check_resumable(
    state: TrainingState, model: MLP, data: Dataset, options: Mapping[str, Any]
) -> None:
    """Raise ArgumentError, which names the first difference from the run of the state, if any."""
    for name in ("vocab", "block_size", "n_embd", "n_hidden", "direct"):
        here, there = getattr(model, name), getattr(state.model, name)
        if here != there:
            raise ArgumentError(f"model has {name} {here!r}, but the run to resume has {there!r}")
    for name, value in options.items():
        if value != state.options[name]:
            raise ArgumentError(
                f"{name} is {value!r}, but {state.options[name]!r} in the run to resume"
            )
    digest = examples_digest(data)
    if digest != state.examples_sha256:
        raise ArgumentError(
            "data is not that of the run to resume: the SHA-256 of its examples is "
            f"{digest} and was {state.examples_sha256}"
        )
    eval_every = options["eval_every"] if len(data.dev.Y) else 0
    done = len(state.losses)
    expected = list(range(eval_every, done + 1, eval_every)) if eval_every else []
    if [evaluation.step for evaluation in state.evaluations] != expected:
        raise ArgumentError(
            f"the run to resume has {len(state.evaluations)} evaluations after {done} steps, "
            f"but eval_every {eval_every} makes {len(expected)}"
        )
