"""One training run: many steps a call, with evaluations and progress in between."""

import functools
import math
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, ParamSpec, Unpack

import numpy as np

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError, DivergedError
from makemore_cpp.arrays import Float32, Float64
from makemore_cpp.data.dataset import Dataset
from makemore_cpp.models.mlp import MLP
from makemore_cpp.recipe.options import Recipe, TrainingOptions
from makemore_cpp.recipe.schedules import MAX_STEPS
from makemore_cpp.training.state import Evaluation as Evaluation
from makemore_cpp.training.state import TrainingState, check_resumable, examples_digest

# How long one call of the core should take: short enough for a stop to seem immediate, while the
# 40 us that a call costs do not count.
SECONDS_PER_CALL = 0.05
# How much work an interruption may lose where nothing is said; and no more than a twentieth of the
# time goes into checkpoints, however large they are.
SECONDS_PER_CHECKPOINT = 30.0
LEAST_SHARE_OF_TRAINING = 20
LAST_STEPS = 100  # whose mean loss says where a run has ended


P = ParamSpec("P")


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

    def __repr__(self) -> str:
        evaluations = f"{len(self.evaluations)} evaluations, {self.seconds:.1f} s"
        what = "stopped, " * self.stopped + "diverged, " * self.diverged
        steps = f"{len(self.losses):,} steps"
        return f"History({steps}, {what}last loss {self.last_loss:.4f}, {evaluations})"

    @property
    def last_loss(self) -> float:
        """The mean loss of the last 100 steps, or of all if there are fewer; NaN without any."""
        return _last_loss(self.losses)


def _warned(function: Callable[P, History]) -> Callable[P, History]:
    """Return the function with a warning where the losses rose."""

    @functools.wraps(function)
    def train(*args: P.args, **kwargs: P.kwargs) -> History:
        history = function(*args, **kwargs)
        if history.diverged:
            warnings.warn(
                f"the losses rose from {history.losses[0]:.4g} to {history.last_loss:.4g}; "
                "try a smaller lr",
                DivergenceWarning,
                stacklevel=2,
            )
        return history

    train.__name__ = train.__qualname__ = "train"
    return train


def train_quietly(
    model: MLP,
    data: Dataset,
    *,
    threads: int | None = None,
    on_progress: Callable[[Progress], object] | None = None,
    should_stop: Callable[[], bool] | None = None,
    on_checkpoint: Callable[[TrainingState], object] | None = None,
    checkpoint_every: int | None = None,
    resume: TrainingState | None = None,
    **options: Unpack[TrainingOptions],
) -> History:
    """Train the model in place on ``data.train``; the defaults are the lecture's recipe.

    The resulting parameters depend on the model, the data and the options alone: not on threads
    or the machine's speed, not on interruptions and checkpoints nor, without patience, on
    evaluations.

    Parameters
    ----------
    model : MLP
    data : Dataset
        With the model's vocabulary and block size.
    batch_size : int or "all"
        Examples in a step; "all" takes every example in every step.
    steps, seed, threads
        As in `MLP.train_steps`.
    lr, schedule, lr_floor, lr_decay
        As in `learning_rates`.
    eval_every : int, optional
        Steps between losses on ``data.dev``; by default a tenth of `steps`, and 0 for never. The
        last step is evaluated too.
    patience : int, optional
        Stop after so many evaluations in a row that are no better than the best one before. The
        model then has the parameters of the best evaluation, also when the run was stopped.
    on_progress : callable, optional
        Called with a `Progress` some 20 times a second.
    should_stop : callable, optional
        Asked some 20 times a second; true ends the run early, after a completed step.
    on_checkpoint : callable, optional
        Called with a `TrainingState` now and then, and when `should_stop` ends the run; it refers
        to arrays that training changes. `checkpoint.save` writes a `checkpoint.Checkpoint` of it.
    checkpoint_every : int, optional
        Steps between these calls; by default every 30 seconds or so, and 0 for none at all.
    resume : TrainingState, optional
        Go on from there. `data` and all options must be those of that run, whose `options` the
        state holds; the model gets the state's parameters.
    optimizer, momentum, betas, epsilon, weight_decay, decay_biases, dropout
        As in `MLP.train_steps`.

    Returns
    -------
    history : History
        Where the losses rose, there is a DivergenceWarning too.

    Raises
    ------
    DivergedError
        A loss or parameter is not finite, on ``data.dev`` after the last step too (on
        ``data.train`` if dev is empty); the model is as it was before the run.
    ArgumentError, TypeError
        An option is out of range or of a wrong type, `data` does not fit the model, or one of
        them is not that of the run to resume.
    KeyboardInterrupt
        As usual; the model is as it was after some completed step, with patience the best one.
    """
    _check_fit(model, data)
    recipe = Recipe.of(options, "training", "update")
    if resume is not None:
        checks.instance("resume", resume, TrainingState)
    for name, function in (
        ("on_progress", on_progress),
        ("should_stop", should_stop),
        ("on_checkpoint", on_checkpoint),
    ):
        checks.function(name, function)
    started = time.perf_counter() - (0.0 if resume is None else resume.seconds)
    steps, eval_every = recipe.steps, recipe.evaluation_every
    if recipe.patience is not None and (eval_every == 0 or len(data.dev.Y) == 0):
        raise ArgumentError("patience needs evaluations on dev, of which there are none")
    all_options = {**recipe.options("training", "update"), "eval_every": eval_every}
    if len(data.dev.Y) == 0:
        eval_every = 0
    rates = recipe.learning_rates

    losses = np.empty(steps, np.float32)
    evaluations: list[Evaluation] = []
    best = _Best(model, recipe.patience)
    state = model.optimizer_state(recipe.optimizer)
    clock = _CheckpointClock(checkpoint_every)
    done = 0
    count = 1

    if resume is not None:
        check_resumable(resume, model, data, all_options)
        done = len(resume.losses)
        losses[:done] = resume.losses
        evaluations += resume.evaluations
        state = {name: array.copy() for name, array in resume.optimizer_state.items()}
        if state:
            state["step"] = np.array([done])  # also where an older release has not counted

    def evaluate() -> None:
        loss = model.loss(data.dev.X, data.dev.Y, threads=threads)
        check_loss("dev", loss, done - 1, rates(done - 1, 1)[0])
        evaluations.append(Evaluation(done, loss))
        best.see(evaluations[-1])

    def give_checkpoint() -> None:
        if on_checkpoint is None or checkpoint_every == 0 or done == 0:
            return
        with clock.running():
            on_checkpoint(
                TrainingState(
                    options=all_options,
                    model=model,
                    optimizer_state=state,
                    losses=losses[:done],
                    evaluations=evaluations,
                    best=best.parameters,
                    examples_sha256=clock.digest_of(data),
                    seconds=time.perf_counter() - started,
                )
            )

    stopped = False
    with _restored_on_divergence(model), best:
        if resume is not None:
            for name, array in model.parameters.items():
                array[...] = resume.model.parameters[name]
            model.data = data.origin
            best.replay(resume.evaluations, resume.best)
        while done < steps and not best.is_final():
            stopped = bool(should_stop and should_stop())
            if stopped:
                give_checkpoint()
                break
            pause = min(_next_multiple(every, done, steps) for every in (eval_every, clock.steps))
            count = min(count, pause - done)
            call_started = time.perf_counter()
            losses[done : done + count] = model.train_steps(
                data.train.X,
                data.train.Y,
                rates(done, count),
                **recipe.minibatches(),
                seed=recipe.seed,
                first_step=done,
                state=state,
                threads=threads,
                **recipe.options("update"),
            )
            model.data = data.origin
            done += count
            now = time.perf_counter()
            if on_progress is not None:
                latest = float(losses[done - count : done].mean(dtype=np.float64))
                on_progress(Progress(done, steps, latest, now - started))
            count = _next_count(count, now - call_started)
            if eval_every and (done % eval_every == 0 or done == steps):
                evaluate()
            if done < steps and not best.is_final() and clock.is_due(done):
                give_checkpoint()
        # The core looks at a loss before its update: the last update may still be too large.
        if done > 0 and eval_every == 0:
            name, split = ("dev", data.dev) if len(data.dev.Y) else ("train", data.train)
            loss = model.loss(split.X, split.Y, threads=threads)
            check_loss(name, loss, done - 1, rates(done - 1, 1)[0])
        elif done > 0 and not (evaluations and evaluations[-1].step == done):
            evaluate()
    return History(
        losses[:done],
        rates(0, done),
        evaluations,
        time.perf_counter() - started,
        best.evaluation,
        all_options,
        stopped,
        diverged=_diverged(losses[:done], len(data.vocab)),
    )


train = _warned(train_quietly)


def _diverged(losses: Float32, vocab_size: int) -> bool:
    # One minibatch's loss varies, hence twice.
    guess = math.log(vocab_size)
    return len(losses) > 0 and _last_loss(losses) > 2 * max(float(losses[0]), guess)


def _last_loss(losses: Float32) -> float:
    return float(losses[-LAST_STEPS:].mean(dtype=np.float64)) if len(losses) else math.nan


class _Best:
    """With patience, the best evaluation so far and its parameters; without, nothing."""

    def __init__(self, model: MLP, patience: int | None) -> None:
        self.evaluation: Evaluation | None = None
        self.parameters: dict[str, Float32] = {}
        self._model = model
        self._patience = patience
        self._worse_in_a_row = 0

    def see(self, evaluation: Evaluation) -> None:
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
        return self._patience is not None and self._worse_in_a_row >= self._patience

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        for name, array in self.parameters.items():
            self._model.parameters[name][...] = array


class _CheckpointClock:
    """Knows when the next checkpoint is due: after so many steps, or so many seconds."""

    def __init__(self, every: int | None) -> None:
        if every is not None:
            every = checks.integer("checkpoint_every", every, 0, MAX_STEPS)
        self.steps = every or 0
        self._by_time = every is None
        self._due = time.perf_counter() + SECONDS_PER_CHECKPOINT
        self._digest: str | None = None

    def is_due(self, done: int) -> bool:
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


@contextmanager
def _restored_on_divergence(model: MLP) -> Iterator[None]:
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


def _next_count(count: int, seconds: float) -> int:
    """Steps for the next call, from what the last one took; at most twice as many."""
    return max(1, min(2 * count, int(count * SECONDS_PER_CALL / max(seconds, 1e-9))))


def _next_multiple(every: int, done: int, steps: int) -> int:
    """Return the step after `done` at which something is due that is due every so many steps."""
    return min(steps, (done // every + 1) * every) if every else steps


def _check_fit(model: MLP, data: Dataset) -> None:
    checks.instance("model", model, MLP)
    checks.instance("data", data, Dataset)
    data.check_fits(model.vocab, model.block_size)
