"""The command line: the commands `eval` and `info`, and those of the other files together."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import click

from makemore_cpp import evaluation, package_paths, runs
from makemore_cpp._core import ArgumentError, FileError, __version__, build_info, how_cut
from makemore_cpp.cli import common as cli_common
from makemore_cpp.cli import console, exits, experiments, export, lecture, score, sweeps, words
from makemore_cpp.cli import pictures as cli_pictures
from makemore_cpp.cli import sample as cli_text
from makemore_cpp.cli import train as cli_train
from makemore_cpp.cli.common import json_option, recipe_options, threads_option
from makemore_cpp.data.dataset import Dataset
from makemore_cpp.evaluation import diagnosis
from makemore_cpp.files import folders
from makemore_cpp.models.mlp import MLP

MODEL_PICTURES = ("embeddings.png", "hidden.png")


CLI_HELP = """\
Train a character-level neural language model on names, and sample new ones.
"""


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help=CLI_HELP,
)
@click.version_option(__version__, prog_name="makemore_cpp")
@click.pass_context
def cli(context: click.Context) -> None:
    """Train a character-level neural language model on names, and sample new ones."""
    if context.invoked_subcommand is None:
        console.print_lines(context.get_help().split("\n"))


EVALUATE_HELP = """\
Print the losses of RUN, a run folder or model file, on its data, split as in training.

It also prints the losses of counting models, and a sentence that says whether the model is
underfitting, a good fit or overfitting. With --split all, texts are read one by one, however many
there are, and only their loss is printed.
"""


@cli.command("eval", context_settings={"show_default": True}, help=EVALUATE_HELP)
@click.argument("run")
@click.option("--data", help="Evaluate on this file.  [default: the file of the training]")
@click.option(
    "--split",
    "split_name",
    type=click.Choice(["train", "dev", "test", "all"]),
    help="Split to evaluate; a look at test is recorded.  [default: train and dev]",
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
    """Print the losses of RUN, a run folder or model file, on its data, split as in training."""
    model = MLP.load(run)
    if split_name == "all":
        _evaluate_file(run, model, data, pictures, threads, as_json)
        return
    if pictures is not None:
        folders.make(pictures)
    texts = evaluation.find_texts(model, cli_common.path_of(data))
    dataset = evaluation.split_as_trained(model, texts)
    rows = evaluation.evaluate(model, dataset, split_name, threads)
    findings = diagnosis.diagnose(model, dataset, threads)
    result = {"data": texts.name, "sha256": texts.sha256, "losses": [row._asdict() for row in rows]}
    looks = None
    if split_name == "test":
        looks = _record(run, result)
    if as_json:
        files = _draw(pictures, model, dataset)
        more = {"diagnosis": findings.as_dict(), "pictures": files, "test_looks": looks}
        console.print_json({"run": run, **result, **more})
        return
    console.print_evaluation(f"Loss of {run} on {texts.name}", rows)
    console.print_diagnosis(findings)
    if looks is not None:
        console.print_line(f"looks at the test split recorded beside this model: {looks}")
    for file in _draw(pictures, model, dataset):
        console.print_line(f"picture: {file}")


def _evaluate_file(
    run: str,
    model: MLP,
    data: str | None,
    pictures: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    if pictures is not None:
        raise ArgumentError("--pictures needs the texts split as in training, without --split all")
    row, origin = evaluation.evaluate_file(model, cli_common.path_of(data), threads)
    result = {"data": origin.name, "sha256": origin.sha256, "losses": [row._asdict()]}
    looks = _record(run, result)  # all texts hold those of the test split
    if as_json:
        console.print_json({"run": run, **result, "test_looks": looks})
        return
    console.print_evaluation(f"Loss of {run} on {origin.name}", [row])
    if looks is not None:
        console.print_line(f"looks at the test split recorded beside this model: {looks}")


def _record(run: str, look: dict[str, Any]) -> int | None:
    """Record a look at the test split beside the model, if its folder can be written to."""
    try:
        return runs.record_test_look(run, look)
    except FileError as error:
        console.note(f"this look at the test split is not recorded: {error}")
        return None


def _draw(folder: str | None, model: MLP, data: Dataset) -> list[str]:
    def pictures() -> Sequence[Callable[[], Any]]:
        from makemore_cpp import plots

        return plots.model_pictures(model, data.train.X)

    return [] if folder is None else cli_pictures.draw(folder, MODEL_PICTURES, pictures)


INFO_HELP = """\
Print how the core was built, what it uses here and how a training step would be cut.
"""


@cli.command(context_settings={"show_default": True}, help=INFO_HELP)
@recipe_options(("block_size", "n_embd", "n_hidden"))
@click.option("--batch-size", default=32, help="Examples in a step.")
@click.option("--vocab-size", default=27, help="Tokens, the boundary included.")
@json_option
def info(as_json: bool, **sizes: Any) -> None:
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
    """Return the folders of the C++ library, if they were installed with this package."""
    try:
        return {
            "include_dir": package_paths.get_include(),
            "cmake_dir": package_paths.get_cmake_dir(),
        }
    except FileError:
        return {}


cli.add_command(cli_train.train)
for text_command in (
    cli_text.sample, cli_text.complete, cli_text.similar, score.score, score.detect,
):  # fmt: skip
    cli.add_command(text_command)
cli.add_command(sweeps.sweep)
for word_command in (words.bengio, words.transfer):
    experiments.experiment.add_command(word_command)
cli.add_command(experiments.experiment)
cli.add_command(export.export)
cli.add_command(lecture.lecture)


def main() -> NoReturn:
    """Run the command line and exit: 0, 2 after an error, 130 when interrupted."""
    for name in ("COLUMNS", "LINES"):  # libraries take these for numbers without a check
        value = os.environ.get(name, "")
        if not (value.isascii() and value.isdecimal()):
            os.environ.pop(name, None)
    sys.exit(exits.run(cli))
