"""Watches over a run: its best parameters, the time of checkpoints, losses that overflow."""

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError, DivergedError
from makemore_cpp.arrays import Float32
from makemore_cpp.data.dataset import Dataset
from makemore_cpp.models.mlp import MLP
from makemore_cpp.recipe.schedules import MAX_STEPS
from makemore_cpp.training.state import Evaluation, examples_digest

# By default, training between two checkpoints takes at least this time, which is the work that an
# interruption may lose, and at least this multiple of the time of writing one.
SECONDS_PER_CHECKPOINT = 30.0
TRAINING_PER_CHECKPOINT = 20


class Best:
    """With patience, the best evaluation so far and its parameters; without patience, nothing."""

    def __init__(self, model: MLP, patience: int | None) -> None:
        self.evaluation: Evaluation | None = None
        self.parameters: dict[str, Float32] = {}
        self._model = model
        self._patience = patience
        self._worse_in_a_row = 0

    def see(self, evaluation: Evaluation) -> None:
        """Store the parameters that the model has now if the evaluation is the best so far."""
        if self._is_better(evaluation):
            self.parameters = {k: array.copy() for k, array in self._model.parameters.items()}

    def replay(self, evaluations: list[Evaluation], parameters: dict[str, Float32]) -> None:
        """Take over the evaluations of an earlier run, and the parameters of the best one."""
        for evaluation in evaluations:
            self._is_better(evaluation)
        self.parameters = {name: array.copy() for name, array in parameters.items()}

    def _is_better(self, evaluation: Evaluation) -> bool:
        if self._patience is None:
            return False
        if self.evaluation is None or evaluation.dev_loss < self.evaluation.dev_loss:
            self.evaluation = evaluation
            self._worse_in_a_row = 0
            return True
        self._worse_in_a_row += 1
        return False

    def is_final(self) -> bool:
        """Return whether patience has ended: the last evaluations were no better."""
        return self._patience is not None and self._worse_in_a_row >= self._patience

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        for name, array in self.parameters.items():
            self._model.parameters[name][...] = array


class CheckpointClock:
    """Tells when the next checkpoint is due, by the number of steps or by the time."""

    def __init__(self, every: int | None) -> None:
        if every is not None:
            every = checks.integer("checkpoint_every", every, 0, MAX_STEPS)
        self.steps = every or 0
        self._by_time = every is None
        self._due = time.perf_counter() + SECONDS_PER_CHECKPOINT
        self._digest: str | None = None

    def is_due(self, done: int) -> bool:
        """Return whether a checkpoint is due after `done` steps."""
        if self._by_time:
            return time.perf_counter() >= self._due
        return self.steps > 0 and done % self.steps == 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure the time of a checkpoint, on which the time of the next one depends."""
        begin = time.perf_counter()
        yield
        end = time.perf_counter()
        self._due = end + max(SECONDS_PER_CHECKPOINT, TRAINING_PER_CHECKPOINT * (end - begin))

    def digest_of(self, data: Dataset) -> str:
        """Return the digest of the examples, computed once."""
        if self._digest is None:
            self._digest = examples_digest(data)
        return self._digest


def check_loss(split_name: str, loss: float, step: int, learning_rate: float) -> None:
    """Raise DivergedError unless the loss on a split after the update of `step` is finite.

    Finite parameters can be so large that the logits, and so the loss, overflow.
    """
    if not math.isfinite(loss):
        error = DivergedError(
            f"step {step}: the {split_name} loss after its update is not finite "
            f"(loss {loss}, learning rate {learning_rate:g})"
        )
        error.step, error.loss, error.learning_rate = step, loss, float(learning_rate)
        raise error


_models_in_training: dict[tuple[int, int], object] = {}


@contextmanager
def trained_alone(model: MLP) -> Iterator[None]:
    """Raise ArgumentError where another run, in a thread or around this one, trains the model."""
    key = os.getpid(), id(model)  # the runs of a parent process do not count
    this = object()
    if _models_in_training.setdefault(key, this) is not this:
        raise ArgumentError("model is being trained by another call, which has not ended")
    try:
        yield
    finally:
        del _models_in_training[key]


@contextmanager
def restored_on_divergence(model: MLP) -> Iterator[None]:
    """Restore the model's parameters and the origin of its data when the run diverges."""
    parameters = {name: array.copy() for name, array in model.parameters.items()}
    origin = model.data
    try:
        yield
    except DivergedError:
        for name, array in model.parameters.items():
            array[...] = parameters[name]
        model.data = origin
        raise
