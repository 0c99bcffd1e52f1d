"""The command line: train, eval and info; other files hold the rest. Parses, calls and prints."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import click
from click.core import ParameterSource

from makemore_cpp import (
    checkpoint,
    checks,
    cli_experiments,
    cli_export,
    cli_score,
    cli_sweeps,
    cli_text,
    console,
    diagnosis,
    evaluation,
    exits,
    package_paths,
    runs,
    training,
)
from makemore_cpp._core import (
    ArgumentError,
    DivergedError,
    FileError,
    __version__,
    build_info,
    how_cut,
)
from makemore_cpp.cli_common import (
    boundary_option,
    data_option,
    json_option,
    split_seed_option,
)
from makemore_cpp.dataset import Dataset
from makemore_cpp.language_model import CHECKPOINT_FILE
from makemore_cpp.model import MLP
from makemore_cpp.presets import PRESETS
from makemore_cpp.sampling import iter_samples
from makemore_cpp.schedules import SCHEDULES
from makemore_cpp.training_state import TrainingState
from makemore_cpp.words import load_words

OPTIMIZERS = ("sgd", "momentum", "adam", "adamw")
MAX_SAMPLES = checkpoint.MAX_SAMPLES  # of a training; they are kept until the end
# What may stand beside --resume: nothing that the result depends on.
RESUME_OPTIONS = {"resume", "checkpoint_every", "samples", "threads", "as_json"}

threads_option = click.option(
    "--threads", type=int, help="Threads; never changes a result.  [default: all CPUs]"
)


class BatchSize(click.ParamType[int | str]):
    """A number of examples, or all of them."""

    name = "integer|all"

    def convert(self, value: Any, param: Any, context: Any) -> int | str:  # noqa: D102
        return "all" if value == "all" else click.INT.convert(value, param, context)


def _use_preset(context: click.Context, _: click.Parameter, name: str | None) -> None:
    """Let the options that are not given be the preset's."""
    if name is not None:
        preset = PRESETS[name]
        context.default_map = {**preset.sizes, **preset.training}


def size_options(command: Any) -> Any:
    """Add the options for the sizes of a net, with the lecture's as defaults."""
    for name, default, help_text in (
        ("--n-hidden", 200, "Hidden units."),
        ("--n-embd", 10, "Length of an embedding."),
        ("--block-size", 3, "Tokens of context."),
    ):
        command = click.option(name, default=default, show_default=True, help=help_text)(command)
    return command


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="makemore_cpp")
@click.pass_context
def cli(context: click.Context) -> None:
    """Train a character-level neural language model on names, and sample new ones."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@cli.command(context_settings={"show_default": True})
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    is_eager=True,
    expose_value=False,
    callback=_use_preset,
    help="Other defaults: the lecture's, or those of the best dev loss known.",
)
@data_option
@click.option("--steps", default=200_000, help="Steps of the optimizer.")
@size_options
@click.option("--batch-size", default=32, type=BatchSize(), help="Examples in a step.")
@click.option("--optimizer", default="sgd", help=f"One of {', '.join(OPTIMIZERS)}.")
@click.option("--momentum", default=0.9, help="Of the optimizer of that name.")
@click.option("--beta1", default=0.9, help="Of adam and adamw.")
@click.option("--beta2", default=0.999, help="Of adam and adamw.")
@click.option("--lr", default=0.1, help="First learning rate.")
@click.option("--schedule", default="step", help=f"One of {', '.join(SCHEDULES)}.")
@click.option("--lr-floor", type=float, help="End of the cosine schedule.  [default: lr / 10]")
@click.option("--lr-decay", type=float, help="r of lr / (1 + r t).  [default: 9 / steps]")
@click.option("--weight-decay", default=0.0, help="lambda, on C, W1 and W2.")
@click.option("--decay-biases", is_flag=True, help="Weight decay on b1 and b2 too.")
@click.option("--dropout", default=0.0, help="Share of the hidden units that are left out.")
@click.option("--init", default="scaled", help="Initial parameters: scaled or lecture.")
@click.option("--seed", default=1, help="Seed of the initial parameters and the minibatches.")
@split_seed_option
@boundary_option
@click.option("--eval-every", type=int, help="Steps between dev losses.  [default: steps / 10]")
@click.option("--patience", type=int, help="Stop after so many dev losses that are no better.")
@click.option("--samples", default=20, help="Samples to print at the end.")
@click.option("--out", help="Run folder.  [default: runs/<n>]")
@click.option("--overwrite", is_flag=True, help="Allow --out to hold files already.")
@click.option(
    "--checkpoint-every",
    type=int,
    help="Steps between checkpoints, 0 for none.  [default: about 30 seconds]",
)
@click.option("--resume", metavar="RUN", help="Go on with an interrupted run, as it was begun.")
@threads_option
@json_option
def train(
    samples: int, checkpoint_every: int | None, threads: int | None, as_json: bool, **options: Any
) -> None:
    """Train a model; without options, the lecture's recipe on the bundled names."""
    samples = checks.integer("samples", samples, 0, MAX_SAMPLES)
    # Its remarks on where it caches fonts are not this command's.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    begin = _new_run if options["resume"] is None else _resumed_run
    try:
        with begin(samples, options) as run, exits.stop_on_interrupt() as received:
            history = _train(run, received, checkpoint_every, threads)
            done = len(history.losses)
            if done == 0:
                raise KeyboardInterrupt
            comparison = evaluation.compare(run.model, run.data, threads)
            for name, loss in (("train", comparison[-1].train), ("dev", comparison[-1].dev)):
                if loss is not None:
                    training.check_loss(name, loss, done - 1, history.lr[-1])
            best_step = None if history.best is None else history.best.step
            settings = {"init": run.init, "steps_done": done, "best_step": best_step}
            settings |= {"diverged": history.diverged, **history.options, "builds": run.builds}
            has_checkpoint = checkpoint_every != 0 or run.state is not None
            is_resumable = history.stopped and has_checkpoint
            runs.save_run(run.folder, run.model, history, comparison, settings, is_resumable)
    except DivergedError as error:
        raise ArgumentError(f"{error}; try a smaller --lr") from error
    if received:
        steps = f"{done:,} of {history.options['steps']:,} steps"
        how = f"; train --resume {run.folder} goes on" * is_resumable
        console.note(f"interrupted after {steps}, kept in {run.folder}{how}")
        sys.exit(exits.INTERRUPTED)
    _show_run(run, history, comparison, threads, as_json)


class _Run(NamedTuple):
    """A training run that is to begin, or to go on from a state."""

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
    names = ("data", "block_size", "n_embd", "n_hidden", "split_seed", "boundary", "init", "out")
    data, block_size, n_embd, n_hidden, split_seed, boundary, init, out = map(options.pop, names)
    overwrite = options.pop("overwrite")
    del options["resume"]
    options["betas"] = (options.pop("beta1"), options.pop("beta2"))
    floor_source = click.get_current_context().get_parameter_source("lr_floor")
    if options["schedule"] != "cosine" and floor_source is ParameterSource.DEFAULT_MAP:
        options["lr_floor"] = None  # the preset's is that of its own schedule
    split_seed = checks.integer("split_seed", split_seed, 0, checks.MAX_SEED)
    dataset = Dataset.split(load_words(data), block_size, split_seed, boundary=boundary)
    model = MLP(dataset.vocab, block_size, n_embd, n_hidden, options["seed"], init)
    with runs.new_run(out, overwrite) as folder:
        yield _Run(folder, model, dataset, options, init, samples, (checkpoint.this_build(),))


@contextmanager
def _resumed_run(samples: int, options: dict[str, Any]) -> Iterator[_Run]:
    """Give the run of a checkpoint; no other options may be given."""
    context = click.get_current_context()
    for name in context.params.keys() | {"preset"}:
        source = context.get_parameter_source(name)
        if source is ParameterSource.COMMANDLINE and name not in RESUME_OPTIONS:
            shown = name.replace("_", "-")
            raise ArgumentError(f"--{shown} cannot be given with --resume: the run has its own")
    folder = Path(options["resume"])
    with runs.locked(folder):
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
        data = checkpoint.find_data(state)
        yield _Run(folder, state.model, data, state.options, kept.init, samples, kept.builds, state)


def _train(
    run: _Run, received: list[int], checkpoint_every: int | None, threads: int | None
) -> training.History:
    def save(state: TrainingState) -> None:
        kept = checkpoint.Checkpoint(state, run.init, run.samples, run.builds)
        checkpoint.save(run.folder / CHECKPOINT_FILE, kept)

    with console.training_progress(run.options["steps"]) as show:
        return training.train(
            run.model,
            run.data,
            threads=threads,
            on_progress=show,
            should_stop=lambda: bool(received),
            on_checkpoint=save,
            checkpoint_every=checkpoint_every,
            resume=run.state,
            **run.options,
        )


def _show_run(
    run: _Run,
    history: training.History,
    comparison: list[evaluation.SplitLosses],
    threads: int | None,
    as_json: bool,
) -> None:
    model = run.model
    findings = diagnosis.diagnose(model, run.data, threads, comparison=comparison, quick=True)
    known_words = set(run.data.words)
    texts = [text + console.CUT_MARK * cut for text, cut in iter_samples(model, run.samples)]
    new = [text for text in texts if text not in known_words]
    known = [text for text in texts if text in known_words]
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
    print(f"{model!r}, {done:,} steps in {history.seconds:.1f} s")
    if history.best is not None:
        print(f"kept the parameters of step {history.best.step:,}, whose dev loss was the best")
    console.print_diagnosis(findings)
    if history.diverged:
        print(
            f"The run diverged: its minibatch losses rose from {history.losses[0]:.4g} to "
            f"{history.last_loss:.4g}; try a smaller --lr."
        )
    console.print_samples(new, known)
    print(f"run folder: {run.folder}")


@cli.command("eval", context_settings={"show_default": True})
@click.argument("run")
@click.option("--data", help="Evaluate on this file.  [default: the file of the training]")
@click.option(
    "--split",
    "split_name",
    type=click.Choice(["train", "dev", "test", "all"]),
    help="What to evaluate; a look at test is recorded.  [default: train and dev]",
)
@click.option("--pictures", help="Write pictures of embeddings and hidden units to this folder.")
@threads_option
@json_option
def evaluate(
    run: str,
    data: str | None,
    split_name: str | None,
    pictures: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Print the losses of RUN, a run folder or model file, on its data, split as in training.

    Beside them stand those of counts, and a sentence says whether the model is underfitting, a
    good fit or overfitting. All words together are read one by one, however many they are, and only
    their loss is printed.
    """
    model = MLP.load(run)
    if split_name == "all":
        _evaluate_file(run, model, data, pictures, threads, as_json)
        return
    words = evaluation.find_words(model, data)
    dataset = evaluation.split_as_trained(model, words)
    rows = evaluation.evaluate(model, dataset, split_name, threads)
    findings = diagnosis.diagnose(model, dataset, threads)
    files = [] if pictures is None else _save_pictures(pictures, model, dataset)
    result = {"data": words.name, "sha256": words.sha256, "losses": [row._asdict() for row in rows]}
    looks = None
    if split_name == "test":
        looks = runs.record_test_look(run, result)
    if as_json:
        more = {"diagnosis": findings.as_dict(), "pictures": files, "test_looks": looks}
        console.print_json({"run": run, **result, **more})
        return
    console.print_evaluation(f"Loss of {run} on {words.name}", rows)
    console.print_diagnosis(findings)
    for file in files:
        print(f"picture: {file}")
    if looks is not None:
        print(f"looks at the test split recorded beside this model: {looks}")


def _evaluate_file(
    run: str,
    model: MLP,
    data: str | None,
    pictures: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    if pictures is not None:
        raise ArgumentError("--pictures needs the words split as in training, without --split all")
    row, origin = evaluation.evaluate_file(model, data, threads)
    result = {"data": origin.name, "sha256": origin.sha256, "losses": [row._asdict()]}
    looks = runs.record_test_look(run, result)  # all words hold those of the test split
    if as_json:
        console.print_json({"run": run, **result, "test_looks": looks})
        return
    console.print_evaluation(f"Loss of {run} on {origin.name}", [row])
    print(f"looks at the test split recorded beside this model: {looks}")


def _save_pictures(folder: str, model: MLP, data: Dataset) -> list[str]:
    from makemore_cpp import plotting

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # as in `train`
    return [str(file) for file in plotting.save_model_pictures(folder, model, data.train.X)]


@cli.command(context_settings={"show_default": True})
@size_options
@click.option("--batch-size", default=32, help="Examples in a step.")
@click.option("--vocab-size", default=27, help="Tokens, the boundary included.")
@json_option
def info(as_json: bool, **sizes: int) -> None:
    """Print how the core was built, what it uses here and how a training step would be cut."""
    build = {**build_info(), **_cpp_package()}
    cut = how_cut(**sizes)
    if as_json:
        console.print_json({"build": build, "sizes": sizes, "cut": cut})
        return
    console.print_fields("makemore_cpp", build)
    console.print_fields("a training step of these sizes", sizes)
    console.print_fields("is cut so, whatever the number of threads", cut)


def _cpp_package() -> dict[str, str]:
    """Return where a C++ program finds the library, if it was installed with this package."""
    try:
        return {
            "include_dir": package_paths.get_include(),
            "cmake_dir": package_paths.get_cmake_dir(),
        }
    except FileError:
        return {}


for text_command in (cli_text.sample, cli_text.complete, cli_score.score, cli_score.detect):
    cli.add_command(text_command)
cli.add_command(cli_sweeps.sweep)
cli.add_command(cli_experiments.experiment)
cli.add_command(cli_export.export)


def main() -> NoReturn:
    """Run the command line and exit: 0, 2 after an error, 130 when interrupted."""
    sys.exit(exits.run(cli))
