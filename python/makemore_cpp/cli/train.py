"""The command `train`, which begins a run or goes on with one."""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
from click.core import ParameterSource

from makemore_cpp import checks, evaluation, files, runs, training
from makemore_cpp._core import ArgumentError, DivergedError
from makemore_cpp.cli import common as cli_common
from makemore_cpp.cli import console, exits, launch
from makemore_cpp.cli import pictures as cli_pictures
from makemore_cpp.cli.common import (
    json_option,
    option_of,
    recipe_options,
    text_options,
    threads_option,
)
from makemore_cpp.data import origin
from makemore_cpp.data.dataset import Dataset
from makemore_cpp.evaluation import diagnosis
from makemore_cpp.files import folders
from makemore_cpp.models.frozen import CHECKPOINT_FILE
from makemore_cpp.models.mlp import MLP
from makemore_cpp.recipe.options import names_of
from makemore_cpp.recipe.presets import PRESETS
from makemore_cpp.runs import checkpoint
from makemore_cpp.text.sampling import iter_samples
from makemore_cpp.training.ranks import Ranks
from makemore_cpp.training.state import TrainingState
from makemore_cpp.training.watch import check_loss

MAX_SAMPLES = checkpoint.MAX_SAMPLES  # all are held in memory
# The options that may stand beside --resume: the result depends on none of them, since --data must
# name the same data.
RESUME_OPTIONS = {"resume", "data", "checkpoint_every", "samples", "threads", "as_json"}


def _use_preset(context: click.Context, _: click.Parameter, name: str | None) -> None:
    """Make the preset's values the defaults of the options."""
    if name is not None:
        preset = PRESETS[name]
        context.default_map = {**preset.sizes, **preset.training}


TRAIN_HELP = """\
Train a model; without options, the lecture's recipe on the bundled names.

The default differs from the lecture in one thing: the initial parameters are scaled, so that the
first loss is about ln V, and the last loss is lower. --preset lecture is the lecture to the letter.
"""


@click.command(context_settings={"show_default": True}, help=TRAIN_HELP)
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    is_eager=True,
    expose_value=False,
    callback=_use_preset,
    help="Other defaults: the lecture's to the letter, or the best known for a time of training.",
)
@text_options
@recipe_options(names_of("model", "training", "update"))
@click.option("--samples", default=20, help="Samples to print at the end.")
@click.option("--out", help="Run folder.  [default: runs/<n>]")
@click.option("--overwrite", is_flag=True, help="Allow --out to hold files already.")
@click.option(
    "--checkpoint-every",
    type=int,
    help="Steps between checkpoints, 0 for none.  [default: about 30 seconds]",
)
@click.option("--resume", metavar="RUN", help="Go on with an interrupted run, with its options.")
@threads_option
@json_option
def train(
    samples: int, checkpoint_every: int | None, threads: int | None, as_json: bool, **options: Any
) -> None:
    """Train a model; without options, the lecture's recipe on the bundled names."""
    samples = checks.integer("samples", samples, 0, MAX_SAMPLES)
    ranks = Ranks.of_launch()
    with launch.together(ranks):
        if ranks.is_first:
            _lead(ranks, samples, checkpoint_every, threads, as_json, options)
        else:
            _follow(ranks, checkpoint_every, threads)


def _lead(
    ranks: Ranks,
    samples: int,
    checkpoint_every: int | None,
    threads: int | None,
    as_json: bool,
    options: dict[str, Any],
) -> None:
    """Train as the only rank, or the first, which alone reads, writes and prints."""
    begin = _new_run if options["resume"] is None else _resumed_run
    try:
        with _shared(ranks, begin(samples, options)) as run:
            with exits.stop_on_signal() as received:
                history = _train(run, received, checkpoint_every, threads, ranks)
                # An interrupted run ends at once; numbers and pictures are left to the resumed run.
                is_resumable = history.stopped and (checkpoint_every != 0 or run.state is not None)
                if len(history.losses) == 0:
                    raise exits.Ended(received[0])
                if is_resumable:
                    runs.save_unfinished(run.folder, run.model)
                else:
                    comparison = _save(run, history, threads)
            try:
                if received:
                    _say_ended(run, history, received[0], is_resumable, checkpoint_every)
                else:
                    _show_run(run, history, comparison, threads, as_json)
            finally:  # so that no picture of an older run stays beside this model
                if not is_resumable:
                    _draw(run, history)
    except DivergedError as error:
        raise ArgumentError(f"{error}; try a smaller --lr") from error
    if received:
        sys.exit(exits.code_of(received[0]))


def _follow(ranks: Ranks, checkpoint_every: int | None, threads: int | None) -> None:
    """Train along with the first rank, with its run; without a run, that rank has said why."""
    run: _Run | None = ranks.agreed(None)
    if run is None:
        return
    with exits.stop_on_signal() as received:
        training.train_quietly(
            run.model,
            run.data,
            threads=threads,
            should_stop=lambda: bool(received),
            checkpoint_every=checkpoint_every,
            resume=run.state,
            ranks=ranks,
            **run.options,
        )


@contextmanager
def _shared(ranks: Ranks, begun: AbstractContextManager["_Run"]) -> Iterator["_Run"]:
    """Give the run and send it to the other ranks; where it cannot begin, send None."""
    with ExitStack() as stack:
        try:
            run = stack.enter_context(begun)
        except BaseException:
            ranks.agreed(None)
            raise
        yield ranks.agreed(run)


def _say_ended(
    run: "_Run",
    history: training.History,
    number: int,
    is_resumable: bool,
    checkpoint_every: int | None,
) -> None:
    """Print which signal ended a run, where it is kept and how to go on with it."""
    steps = f"{len(history.losses):,} of {history.options['steps']:,} steps"
    how = f"; train --resume {run.folder} goes on" * is_resumable
    if is_resumable and checkpoint_every == 0 and run.state is not None:
        how += f" from step {len(run.state.losses):,}"
    console.note(f"{exits.word_for(number)} after {steps}, kept in {run.folder}{how}")


class _Run(NamedTuple):
    """A training run before it begins, or goes on from a state."""

    folder: Path
    model: MLP
    data: Dataset
    options: dict[str, Any]  # of `training.train`
    init: str
    samples: int
    builds: tuple[str, ...]
    state: TrainingState | None = None


@contextmanager
def _new_run(samples: int, options: dict[str, Any]) -> Iterator[_Run]:
    """Give the run of these options of the command line."""
    names = ("block_size", "n_embd", "n_hidden", "init", "direct", "out")
    block_size, n_embd, n_hidden, init, direct, out = map(options.pop, names)
    overwrite = options.pop("overwrite")
    del options["resume"]
    options["betas"] = (options.pop("beta1"), options.pop("beta2"))
    floor_source = click.get_current_context().get_parameter_source("lr_floor")
    if options["schedule"] != "cosine" and floor_source is ParameterSource.DEFAULT_MAP:
        options["lr_floor"] = None  # the preset's floor belongs to the preset's schedule
    dataset = cli_common.take_data(options, block_size)
    model = MLP(dataset.vocab, block_size, n_embd, n_hidden, options["seed"], init, direct)
    with folders.new_folder(out, overwrite) as folder:
        yield _Run(folder, model, dataset, options, init, samples, (checkpoint.this_build(),))


@contextmanager
def _resumed_run(samples: int, options: dict[str, Any]) -> Iterator[_Run]:
    """Give the run of a checkpoint; no other options may be given."""
    context = click.get_current_context()
    for name in context.params.keys() | {"preset"}:
        source = context.get_parameter_source(name)
        if source is ParameterSource.COMMANDLINE and name not in RESUME_OPTIONS:
            raise ArgumentError(
                f"{option_of(name)} cannot be given with --resume: the run has its own"
            )
    folder = Path(options["resume"])
    with folders.locked(folder):
        files.check_folder(folder)
        kept = checkpoint.load_run(folder)
        build = checkpoint.this_build()
        if build != kept.builds[-1]:
            console.note(
                f"the run was at work with {kept.builds[-1]} and goes on with {build}: its results "
                "will not be, to the last bit, those that it would have had"
            )
            kept = kept._replace(builds=(*kept.builds, build))
        if context.get_parameter_source("samples") is not ParameterSource.COMMANDLINE:
            samples = kept.samples
        state = kept.state
        data = checkpoint.find_data(state, folder, cli_common.path_of(options["data"]))
        yield _Run(folder, state.model, data, state.options, kept.init, samples, kept.builds, state)


def _train(
    run: _Run,
    received: list[int],
    checkpoint_every: int | None,
    threads: int | None,
    ranks: Ranks,
) -> training.History:
    def save(state: TrainingState) -> None:
        kept = checkpoint.Checkpoint(state, run.init, run.samples, run.builds)
        origin.remember(run.folder, run.data.origin)
        checkpoint.save(run.folder / CHECKPOINT_FILE, kept)

    history = training.train_quietly(
        run.model,
        run.data,
        threads=threads,
        progress=True,
        should_stop=lambda: bool(received),
        on_checkpoint=save,
        checkpoint_every=checkpoint_every,
        resume=run.state,
        ranks=ranks,
        **run.options,
    )
    if history.stopped and not received:  # only another rank has received a signal
        received.append(signal.SIGTERM)
    return history


def _save(
    run: _Run, history: training.History, threads: int | None
) -> list[evaluation.ModelLosses]:
    """Write the model, then its description; return its losses beside those of counts."""
    losses = evaluation.model_losses(run.model, run.data, threads)
    done = len(history.losses)
    for name, loss in (("train", losses.train), ("dev", losses.dev)):
        if loss is not None:
            check_loss(name, loss, done - 1, history.lr[-1])
    runs.save_model(run.folder, run.model)
    comparison = evaluation.compare(run.model, run.data, threads, losses)
    settings = {
        "init": run.init,
        "steps_done": done,
        "best_step": None if history.best is None else history.best.step,
        "diverged": history.diverged,
        **history.options,
        "builds": run.builds,
    }
    runs.save_description(run.folder, run.model, history, comparison, settings)
    return comparison


def _draw(run: _Run, history: training.History) -> None:
    def pictures() -> Sequence[Callable[[], Any]]:
        from makemore_cpp import plots

        return [partial(plots.loss_curve, history), partial(plots.embeddings, run.model)]

    cli_pictures.draw(run.folder, runs.PICTURES, pictures)


def _show_run(
    run: _Run,
    history: training.History,
    comparison: list[evaluation.ModelLosses],
    threads: int | None,
    as_json: bool,
) -> None:
    model = run.model
    findings = diagnosis.diagnose(model, run.data, threads, comparison=comparison, quick=True)
    if history.diverged and history.best is None:  # with patience the model is of an earlier step
        first, last = history.losses[0], history.last_loss
        sentence = f"Diverged: the losses rose from {first:.4g} to {last:.4g}; try a smaller --lr."
        findings = findings._replace(verdict="diverged", sentence=sentence)
    known_texts = set(run.data.texts)
    texts = [
        text + console.cut_mark(is_for_people=True) * cut
        for text, cut in iter_samples(model, run.samples)
    ]
    new = [text for text in texts if text not in known_texts]
    known = [text for text in texts if text in known_texts]
    done = len(history.losses)
    if as_json:
        console.print_json(
            {
                "run": str(run.folder),
                "n_parameters": model.n_parameters,
                "steps": done,
                "best_step": None if history.best is None else history.best.step,
                "seconds": history.seconds,
                "diverged": history.diverged,
                "losses": [row._asdict() for row in comparison],
                "diagnosis": findings.as_dict(),
                "samples": {"new": new, "known": known},
            }
        )
        return
    console.print_line(f"{model!r}, {done:,} steps in {history.seconds:.1f} s")
    if history.best is not None:
        console.print_line(
            f"kept the parameters of step {history.best.step:,}, whose dev loss was the best"
        )
    console.print_diagnosis(findings)
    console.print_samples(new, known, model.vocab.level == "word")
    console.print_line(f"run folder: {run.folder}")
