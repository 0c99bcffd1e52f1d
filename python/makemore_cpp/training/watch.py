"""What watches over a run: the best parameters, the time of checkpoints, losses that overflow."""

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

# How much work an interruption may lose where nothing is said; and no more than a twentieth of the
# time goes into checkpoints, however large they are.
SECONDS_PER_CHECKPOINT = 30.0
LEAST_SHARE_OF_TRAINING = 20


class Best:
    """With patience, the best evaluation so far and its parameters; without, nothing."""

    def __init__(self, model: MLP, patience: int | None) -> None:
        self.evaluation: Evaluation | None = None
        self.parameters: dict[str, Float32] = {}
        self._model = model
        self._patience = patience
        self._worse_in_a_row = 0

    def see(self, evaluation: Evaluation) -> None:
        """Keep the parameters that the model has now if the evaluation is the best so far."""
        if self._is_better(evaluation):
            self.parameters = {k: array.copy() for k, array in self._model.parameters.items()}

    def replay(self, evaluations: list[Evaluation], parameters: dict[str, Float32]) -> None:
        """Be as after these evaluations, of which the best one had these parameters."""
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
        """Return whether there were so many evaluations in a row that were no better."""
        return self._patience is not None and self._worse_in_a_row >= self._patience

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        for name, array in self.parameters.items():
            self._model.parameters[name][...] = array


class CheckpointClock:
    """Knows when the next checkpoint is due: after so many steps, or so many seconds."""

    def __init__(self, every: int | None) -> None:
        if every is not None:
            every = checks.integer("checkpoint_every", every, 0, MAX_STEPS)
        self.steps = every or 0
        self._by_time = every is None
        self._due = time.perf_counter() + SECONDS_PER_CHECKPOINT
        self._digest: str | None = None

    def is_due(self, done: int) -> bool:
        """Return whether a checkpoint is due after so many steps."""
        if self._by_time:
            return time.perf_counter() >= self._due
        return self.steps > 0 and done % self.steps == 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Time a checkpoint, on which the next one depends."""
        begin = time.perf_counter()
        yield
        end = time.perf_counter()
        self._due = end + max(SECONDS_PER_CHECKPOINT, LEAST_SHARE_OF_TRAINING * (end - begin))

    def digest_of(self, data: Dataset) -> str:
        """Return the digest of the examples, computed once."""
        if self._digest is None:
            self._digest = examples_digest(data)
        return self._digest


def check_loss(split_name: str, loss: float, step: int, learning_rate: float) -> None:
    """Raise DivergedError unless the loss on a split after the update of `step` is finite.

    Finite parameters can be so large that the logits overflow, and then the loss does.
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
    """Raise ArgumentError where another run trains the model, in a thread or around this one."""
    key = os.getpid(), id(model)  # a forked child has none of the other runs
    this = object()
    if _models_in_training.setdefault(key, this) is not this:
        raise ArgumentError("model is being trained by another call, which has not ended")
    try:
        yield
    finally:
        del _models_in_training[key]


@contextmanager
def restored_on_divergence(model: MLP) -> Iterator[None]:
    """Put the parameters and the origin of the data back when the run diverges."""
    parameters = {name: array.copy() for name, array in model.parameters.items()}
    origin = model.data
    try:
        yield
    except DivergedError:
        for name, array in model.parameters.items():
            array[...] = parameters[name]
        model.data = origin
        raise
