"""One training run: calls of many steps each, with evaluations and progress in between."""

import functools
import hashlib
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import ParamSpec, Unpack

import numpy as np

from makemore_cpp import checks
from makemore_cpp._core import __version__, build_info
from makemore_cpp.arrays import Float32
from makemore_cpp.data.dataset import Dataset
from makemore_cpp.models.mlp import MLP
from makemore_cpp.recipe.options import Recipe, TrainingOptions
from makemore_cpp.training.bar import live_bar
from makemore_cpp.training.history import DivergenceWarning, History, Progress, has_diverged
from makemore_cpp.training.ranks import Ranks
from makemore_cpp.training.snapshots import Snapshots
from makemore_cpp.training.state import (
    Evaluation,
    TrainingState,
    check_resumable,
    examples_digest,
)
from makemore_cpp.training.watch import (
    Best,
    CheckpointClock,
    check_loss,
    restored_on_divergence,
    trained_alone,
)

P = ParamSpec("P")

# A call of the core copies all parameters and moments, and begins with cold caches. With 17,000
# words (2.2 million parameters) that takes some 15 ms, 3 % of a call of this length. A call should
# not be longer than two seconds, since nobody is asked meanwhile whether to stop.
SECONDS_PER_NUMBER = 2e-7
MOST_SECONDS_PER_CALL = 2.0


class _Run:
    """A run between two of its steps: its results so far, and all that it needs to go on."""

    def __init__(
        self, model: MLP, data: Dataset, recipe: Recipe, threads: int | None, ranks: Ranks
    ) -> None:
        self.model = model
        self.data = data
        self.recipe = recipe
        self.threads = ranks.threads(threads)
        self.ranks = ranks
        self.eval_every = recipe.evaluation_every_of(len(data.dev.Y))
        self.options = recipe.options("training", "update")
        self.options["eval_every"] = recipe.evaluation_every
        self.done = 0
        self.losses: Float32 = np.empty(recipe.steps, np.float32)
        self.evaluations: list[Evaluation] = []
        self.best = Best(model, recipe.patience)
        self.snapshots = Snapshots(model)
        self.state = model.optimizer_state(recipe.optimizer)
        numbers = sum(array.size for array in (*model.parameters.values(), *self.state.values()))
        self.seconds_per_call = max(
            ranks.seconds_per_call, min(SECONDS_PER_NUMBER * numbers, MOST_SECONDS_PER_CALL)
        )
        self.started = time.perf_counter()

    def go_on_from(self, earlier: TrainingState) -> None:
        """Take over the state of an earlier run."""
        self.done = len(earlier.losses)
        self.losses[: self.done] = earlier.losses
        self.evaluations += earlier.evaluations
        self.snapshots.kept = list(earlier.snapshots)
        self.state = {name: array.copy() for name, array in earlier.optimizer_state.items()}
        if self.state:
            self.state["step"] = np.array([self.done])  # states of older releases have no count
        for name, array in self.model.parameters.items():
            array[...] = earlier.model.parameters[name]
        self.model.data = self.data.origin
        self.best.replay(earlier.evaluations, earlier.best)
        self.started -= earlier.seconds

    def check_ranks(self) -> None:
        """Raise ArgumentError where the ranks would not all do the same."""
        digest = hashlib.sha256()
        for array in (*self.model.parameters.values(), *self.state.values()):
            digest.update(np.ascontiguousarray(array).data)
        self.ranks.check_same(
            {
                "the build": f"{__version__}, {build_info()['isa']['used']}",
                "data": examples_digest(self.data),
                "options": str(self.options),
                "the number of steps done": str(self.done),
                "model": digest.hexdigest(),
            }
        )

    @property
    def is_over(self) -> bool:
        """Whether all steps are done, or patience has ended."""
        return self.done == self.recipe.steps or self.best.is_final()

    def calls(self, pause_every: int) -> Iterator[Progress]:
        """Take the steps that are left; yield after each call of the core.

        No call goes beyond an evaluation, or beyond a multiple of `pause_every` (0: no pauses).
        """
        count, steps = 1, self.recipe.steps
        while self.done < steps:
            first = self.done
            pauses = (
                _next_multiple(every, first, steps) for every in (self.eval_every, pause_every)
            )
            count = self.ranks.agreed(min(count, *(pause - first for pause in pauses)))
            call_started = time.perf_counter()
            losses = self.model.train_steps(
                self.data.train.X,
                self.data.train.Y,
                self.recipe.learning_rates(first, count),
                **self.recipe.minibatches(),
                seed=self.recipe.seed,
                first_step=first,
                state=self.state,
                threads=self.threads,
                exchange=self.ranks.exchange,
                **self.recipe.options("update"),
            )
            self.model.data = self.data.origin
            self.losses[first : first + count] = losses
            self.done += count
            now = time.perf_counter()
            yield Progress(
                self.done, steps, float(losses.mean(dtype=np.float64)), now - self.started
            )
            count = _next_count(count, (now - call_started) / self.seconds_per_call)

    @property
    def is_evaluation_due(self) -> bool:
        """Whether dev is to be evaluated after the steps that are done."""
        is_last = self.done == self.recipe.steps
        return self.eval_every > 0 and (self.done % self.eval_every == 0 or is_last)

    def evaluate(self) -> None:
        """Add the loss on dev to the evaluations."""
        self.evaluations.append(Evaluation(self.done, self._checked_loss("dev")))
        self.best.see(self.evaluations[-1])
        self.snapshots.see(self.done, len(self.evaluations))

    def check_last_update(self) -> None:
        """Raise DivergedError if the last update, which no step's loss shows, was too large."""
        if self.eval_every == 0:
            self._checked_loss("dev" if len(self.data.dev.Y) else "train")
        elif not (self.evaluations and self.evaluations[-1].step == self.done):
            self.evaluate()

    def _checked_loss(self, name: str) -> float:
        split = self.data.dev if name == "dev" else self.data.train
        loss = self.ranks.loss(self.model, split.X, split.Y, self.threads)
        last = self.done - 1
        check_loss(name, loss, last, self.recipe.learning_rates(last, 1)[0])
        return loss

    def state_now(self, examples_sha256: str) -> TrainingState:
        """Return the state of the run; the next step changes its arrays."""
        return TrainingState(
            options=self.options,
            model=self.model,
            optimizer_state=self.state,
            losses=self.losses[: self.done],
            evaluations=self.evaluations,
            best=self.best.parameters,
            examples_sha256=examples_sha256,
            seconds=time.perf_counter() - self.started,
            snapshots=self.snapshots.kept,
        )

    def history(self, stopped: bool) -> History:
        """Return the history of the run so far."""
        losses = self.losses[: self.done]
        return History(
            losses,
            self.recipe.learning_rates(0, self.done),
            self.evaluations,
            time.perf_counter() - self.started,
            self.best.evaluation,
            self.options,
            stopped,
            diverged=has_diverged(losses, len(self.data.vocab)),
            snapshots=self.snapshots.kept,
        )


def train_quietly(
    model: MLP,
    data: Dataset,
    *,
    threads: int | None = None,
    progress: bool = False,
    on_progress: Callable[[Progress], object] | None = None,
    should_stop: Callable[[], bool] | None = None,
    on_checkpoint: Callable[[TrainingState], object] | None = None,
    checkpoint_every: int | None = None,
    resume: TrainingState | None = None,
    ranks: Ranks | None = None,
    **options: Unpack[TrainingOptions],
) -> History:
    """Train the model in place on ``data.train``; the defaults are the lecture's recipe.

    The resulting parameters depend on the model, the data and the options alone: not on threads or
    the machine's speed, not on interruptions and checkpoints, and without patience not on
    evaluations. `train` also warns with a DivergenceWarning where the losses rose; `train_quietly`
    does not.

    Parameters
    ----------
    model : MLP
    data : Dataset
        It has the model's vocabulary and block size.
    batch_size : int or "all"
        The number of examples in a step; "all" takes every example in every step.
    steps, seed, threads
        The same as in `MLP.train_steps`.
    lr, schedule, lr_floor, lr_decay
        The same as lr, schedule, floor and decay in `learning_rates`.
    eval_every : int, optional
        Steps between losses on ``data.dev``; by default a tenth of `steps`; 0 means never. The last
        step is evaluated too.
    patience : int, optional
        Stop after this many evaluations in a row that are no better than the best one before. The
        model then has the parameters of the best evaluation, also when the run was stopped.
    progress : bool
        Show a live bar in a notebook, or on a terminal's stderr; nothing elsewhere.
    on_progress : callable, optional
        A function that is called with a `Progress` some 20 times a second, and less often where
        there are more than 250,000 parameters and moments: with 7 million every 1.4 seconds, and
        with more every two seconds.
    should_stop : callable, optional
        A function that is called as often; true ends the run early, after a completed step.
    on_checkpoint : callable, optional
        A function that is called with a `TrainingState` now and then, and when `should_stop` ends
        the run. The next step changes the state's arrays. `runs.checkpoint.save` writes a state.
    checkpoint_every : int, optional
        Steps between these calls; by default there is one about every 30 seconds; 0 means none.
    resume : TrainingState, optional
        The state from which to go on. `data` and all options must be those of the earlier run,
        whose `options` the state holds; the model gets the state's parameters.
    ranks : Ranks, optional
        The processes that share the work; `Ranks.of_launch` makes them. All must make this call
        with equal models, data and options; `threads` is then by default this process's share of
        the CPUs. Each process calls its own `should_stop` and other functions, and has the whole
        model at the end. Only nets whose output layer is cut along tokens have work to share.
    **options
        The options on how a step changes the parameters; see `recipe.UpdateOptions`.

    Returns
    -------
    history : History

    Raises
    ------
    DivergedError
        A loss or parameter is not finite, or after the last step the loss on ``data.dev`` (on
        ``data.train`` if dev is empty); the model is as it was before the run.
    ArgumentError, TypeError
        An option is out of range or of a wrong type, `data` does not fit the model, one of them
        differs from the run to resume, or another call that has not ended trains the model.
    KeyboardInterrupt
        Ctrl-C was pressed; the model is as it was after some completed step, with patience after
        the best evaluation.
    """
    _check_fit(model, data)
    recipe = Recipe.of(options, "training", "update")
    if resume is not None:
        checks.instance("resume", resume, TrainingState)
    if ranks is not None:
        checks.instance("ranks", ranks, Ranks)
    for name, function in (
        ("on_progress", on_progress),
        ("should_stop", should_stop),
        ("on_checkpoint", on_checkpoint),
    ):
        checks.function(name, function)
    run = _Run(model, data, recipe, threads, ranks or Ranks())
    clock = CheckpointClock(checkpoint_every)
    bar = live_bar(recipe.steps) if checks.flag("progress", progress) else nullcontext()
    if resume is not None:
        check_resumable(resume, model, data, run.options)

    def give_checkpoint() -> None:
        if on_checkpoint is not None and checkpoint_every != 0 and run.done > 0:
            with clock.running():
                on_checkpoint(run.state_now(clock.digest_of(data)))

    stopped = False
    with trained_alone(model), restored_on_divergence(model), run.best, bar as show:
        if resume is not None:
            run.go_on_from(resume)
        if run.ranks.size > 1:
            run.check_ranks()
        calls = run.calls(clock.steps)
        while not run.is_over:
            if run.ranks.any_of(should_stop is not None and should_stop()):
                stopped = True
                give_checkpoint()
                break
            latest = next(calls)
            for told in (show, on_progress):
                if told is not None:
                    told(latest)
            if run.is_evaluation_due:
                run.evaluate()
            if not run.is_over and clock.is_due(run.done):
                give_checkpoint()
        if run.done > 0:
            run.check_last_update()
    return run.history(stopped)


def _warned(function: Callable[P, History]) -> Callable[P, History]:
    """Return the function `train`, which also warns where the losses rose."""

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


train = _warned(train_quietly)


def _next_count(count: int, share: float) -> int:
    """Return the steps of the next call, at most twice as many as the last one's `count`.

    `share` is the time of the last call, divided by the time that a call should take.
    """
    return max(1, min(2 * count, int(count / max(share, 1e-9))))


def _next_multiple(every: int, done: int, steps: int) -> int:
    """Return the next multiple of `every` after `done`, at most `steps`; `steps` for every 0."""
    return min(steps, (done // every + 1) * every) if every else steps


def _check_fit(model: MLP, data: Dataset) -> None:
    checks.instance("model", model, MLP)
    checks.instance("data", data, Dataset)
    data.check_fits(model.vocab, model.block_size)
