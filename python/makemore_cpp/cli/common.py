"""The common parts of commands: options, and the progress and results of many trainings."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from makemore_cpp import checks, files, sweeps
from makemore_cpp._core import ArgumentError
from makemore_cpp.cli import console, exits
from makemore_cpp.cli import pictures as cli_pictures
from makemore_cpp.data.dataset import Dataset
from makemore_cpp.data.texts import load_texts
from makemore_cpp.files import folders
from makemore_cpp.models.loading import load
from makemore_cpp.recipe.options import OPTIONS
from makemore_cpp.sweeps.record import ROOT
from makemore_cpp.sweeps.table import Row, Table, cell_text
from makemore_cpp.text.model import Model

# Options of several commands.
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
boundary_option = click.option(
    "--boundary",
    help="How token 0 is shown; no text may contain it.  [default: ., among words </s>]",
)
level_option = click.option(
    "--level",
    type=click.Choice(["char", "word"]),
    default="char",
    help="Whether tokens are characters, or words between white space.",
    show_default=True,
)
min_count_option = click.option(
    "--min-count",
    default=1,
    help="Replace rarer tokens by an unknown token, <unk> among words.",
    show_default=True,
)
max_size_option = click.option(
    "--max-size",
    type=int,
    help="Largest number of tokens; rarer ones are replaced as by --min-count.",
)
lower_option = click.option(
    "--lower",
    is_flag=True,
    help="Take the data in lower case; score, complete and detect take texts as they are.",
)
stream_option = click.option(
    "--stream", is_flag=True, help="Read all texts as a single one; see --line-ends."
)
sizes_option = click.option(
    "--sizes",
    type=int,
    nargs=2,
    metavar="TRAIN DEV",
    help="Tokens of a stream in train and dev; the rest is test.  [default: 80 % and 10 %]",
)
line_ends_option = click.option(
    "--line-ends", is_flag=True, help="End each text of a stream with a token: newline, or <eos>."
)
split_seed_option = click.option(
    "--split-seed", default=42, help="Seed of the split in train, dev and test."
)
data_option = click.option(
    "--data",
    help="File of texts, one a line, gzipped or not; - reads stdin.  "
    "[default: bundled US names of 2017]",
)
TEXT_OPTIONS = (
    data_option,
    split_seed_option,
    boundary_option,
    level_option,
    min_count_option,
    max_size_option,
    lower_option,
    stream_option,
    sizes_option,
    line_ends_option,
)
threads_option = click.option(
    "--threads", type=int, help="Number of threads; never changes a result.  [default: all CPUs]"
)

TABLE_FILE = "table.csv"
PICTURE_FILE = "picture.png"
KINDS = {int: "an integer", float: "a number", bool: "true or false"}


class Value(click.ParamType):  # type: ignore[type-arg]
    """A value of some type, or several with commas between them, which become a list."""

    def __init__(self, kind: type, words: Sequence[str] = (), is_list: bool = False) -> None:
        self.name = "|".join(["text" if kind is str else kind.__name__, *words])
        self.name += ",..." * is_list
        self._kind, self._words, self._is_list = kind, words, is_list

    def convert(self, value: Any, param: Any, context: Any) -> Any:  # noqa: D102
        if not isinstance(value, str):
            return value
        if not self._is_list:
            return self._one(value, param, context)
        return [self._one(part.strip(), param, context) for part in value.split(",")]

    def _one(self, text: str, param: Any, context: Any) -> Any:
        if text in self._words:
            return text
        try:
            if self._kind is bool:
                return {"true": True, "false": False}[text.lower()]
            return self._kind(text)
        except (ValueError, KeyError):
            expected = " or ".join([KINDS[self._kind], *self._words])
            self.fail(f"{checks.quoted(text)} is not {expected}", param, context)


def option_of(name: str) -> str:
    """Return the name on the command line of an option of a recipe."""
    return "--" + name.replace("_", "-")


def recipe_options(names: Sequence[str]) -> Callable[[Any], Any]:
    """Add these options of a recipe, with their defaults."""

    def add(command: Any) -> Any:
        for name in reversed(names):
            for decorate in reversed(_declared(name)):
                command = decorate(command)
        return command

    return add


def _declared(name: str) -> list[Callable[[Any], Any]]:
    """Return the options of the command line for an option of a recipe, two for a pair."""
    option = OPTIONS[name]
    if option.kind is tuple:
        return [
            click.option(f"--{name.removesuffix('s')}{i}", default=default, help=option.help)
            for i, default in enumerate(option.default, 1)
        ]
    if option.kind is bool:
        return [click.option(option_of(name), is_flag=True, help=option.help)]
    kind: Any = Value(option.kind, option.words) if option.words else option.kind
    default_text = f"  [default: {option.default_text}]" if option.default_text else ""
    return [
        click.option(
            option_of(name),
            type=kind,
            default=option.default,
            show_default=True,
            help=option.help + default_text,
        )
    ]


def run_options(names: Sequence[str], is_list: bool, **defaults: Any) -> Callable[[Any], Any]:
    """Add options of a run by name; an option that is not given is None."""

    def add(command: Any) -> Any:
        for name in reversed(names):
            option = OPTIONS[name]
            default = defaults.get(name, option.default)
            by_default = "" if default is None else f"  [default: {cell_text(default)}]"
            command = click.option(
                option_of(name),
                type=Value(option.kind, option.words, is_list),
                help=option.help + by_default,
            )(command)
        return command

    return add


def text_options(command: Any) -> Any:
    """Add the options for texts: their file, their tokens and their split."""
    for decorate in reversed(TEXT_OPTIONS):
        command = decorate(command)
    return command


def data_options(command: Any, folder: str = "Folder; an old sweep's goes on.") -> Any:
    """Add the options for the data, for the folder and for JSON."""
    for decorate in (
        json_option,
        click.option("--out", help=f"{folder}  [default: sweeps/<n>]"),
    ):
        command = decorate(command)
    return text_options(command)


def sweep_options(command: Any) -> Any:
    """Add the options of every sweep: `data_options`, seeds, and where models are trained."""
    for decorate in (
        click.option("--dask", help="Address of a Dask scheduler whose workers do the training."),
        click.option(
            "--jobs", type=int, help="Number of models trained at a time.  [default: all CPUs]"
        ),
        click.option(
            "--seeds", type=Value(int, is_list=True), default="1", help="Seeds of each combination."
        ),
    ):
        command = decorate(command)
    return data_options(command)


def take_data(options: dict[str, Any], block_size: int = 3) -> Dataset:
    """Return the data that the `text_options` name, which are taken out of `options`."""
    names = ("boundary", "level", "min_count", "max_size", "lower")
    of_texts = {name: options.pop(name) for name in names}
    data, seed, sizes = (options.pop(name) for name in ("data", "split_seed", "sizes"))
    is_stream, line_ends = options.pop("stream"), options.pop("line_ends")
    if not is_stream and sizes is not None:
        raise ArgumentError("--sizes belongs to --stream: other data are cut at 80 % and 90 %")
    if not is_stream and line_ends:
        raise ArgumentError("--line-ends belongs to --stream: other texts end in a boundary")
    source = click.get_current_context().get_parameter_source("split_seed")
    if is_stream and source is ParameterSource.COMMANDLINE:
        raise ArgumentError("--split-seed has no use with --stream, which is not shuffled")
    seed = checks.integer("split_seed", seed, 0, checks.MAX_SEED)
    texts = load_texts(path_of(data))
    if is_stream:
        return Dataset.stream(texts, sizes, block_size, line_ends=line_ends, **of_texts)
    return Dataset.split(texts, block_size, seed, **of_texts)


def model_of(run: str) -> Model:
    """Return the model in a run folder or a file; a net is frozen."""
    model = load(run)
    if not isinstance(model, Model):
        raise ArgumentError(f"{run} holds a detector, which does not predict; detect takes it")
    return model


def path_of(data: str | None) -> str | None:
    """Return the path that the option --data names; - means standard input."""
    return "/dev/stdin" if data == "-" else data


@contextmanager
def sweeping(
    out: str | None, seeds: list[int], jobs: int | None, dask: str | None
) -> Iterator[tuple[Path, sweeps.Settings]]:
    """Give the folder of a sweep and its settings, which show the number of finished models.

    An interrupt ends the command, and says how to go on.
    """
    with folders.made(out, ROOT) as folder, _counted() as on_row:
        files.check_folder(folder)
        settings: sweeps.Settings = {
            "out": folder, "seeds": seeds, "jobs": jobs, "dask": dask, "on_row": on_row,
        }  # fmt: skip
        try:
            yield folder, settings
        except exits.Ended as ended:
            word = exits.word_for(ended.number)
            console.note(f"{word}; the same command with --out {folder} goes on from here")
            sys.exit(exits.code_of(ended.number))


@contextmanager
def _counted() -> Iterator[Callable[[Row, int, int], object] | None]:
    """Give a function that shows the number of finished models, or None without a terminal."""
    with console.passing_notes() as note:
        if note is None:
            yield None
        else:
            yield lambda row, done, of: note(f"{done:,} of {of:,} models")


def save_table(folder: Path, text: str) -> None:
    """Write a table as CSV into the folder."""
    files.replace(folder / TABLE_FILE, text.encode())


def draw(
    folder: Path,
    names: Sequence[str],
    pictures: Callable[[Any], Sequence[Callable[[], Any]]],
) -> None:
    """Draw the pictures of a sweep; the argument of `pictures` is the module that draws them."""

    def functions() -> Sequence[Callable[[], Any]]:
        from makemore_cpp.sweeps import pictures as plotting_sweeps

        return pictures(plotting_sweeps)

    cli_pictures.draw(folder, names, functions)


def print_table(title: str, table: Table) -> None:
    """Print a sweep's table on a terminal."""
    header, lines = table.lines()
    console.print_losses(title, header, lines)


def print_best(table: Table) -> None:
    """Print the options of the cell with the lowest loss on dev."""
    best = table.best
    if best is None or not table.varying:
        return
    console.print_line(f"lowest dev loss: {describe(best[0], table)}")


def describe(row: Row, table: Table) -> str:
    """Return the options in which a row differs from others of its table."""
    values = {name: row.options[name] for name in table.varying}
    return ", ".join(f"{name} {cell_text(v)}" for name, v in values.items() if v is not None)
