"""The commands `experiment ...`: the lecture's experiments."""

from collections.abc import Callable
from functools import partial
from typing import Any

import click

from makemore_cpp.cli import common as cli_common
from makemore_cpp.cli import console
from makemore_cpp.cli.common import data_options, run_options, sweep_options
from makemore_cpp.data.dataset import Dataset
from makemore_cpp.evaluation.ngram_losses import NGramRow, ngram_table
from makemore_cpp.files import folders
from makemore_cpp.sweeps import experiments
from makemore_cpp.sweeps.experiments import EXPERIMENTS, Experiment
from makemore_cpp.sweeps.record import ROOT
from makemore_cpp.sweeps.table import Table, cell_text, to_csv

# The options that describe all runs, where an experiment does not vary them.
DESCRIBING = ("block_size", "n_embd", "n_hidden", "init", "steps", "batch_size", "lr", "schedule",
              "optimizer", "weight_decay", "dropout")  # fmt: skip
# The options of all runs that can be given, where an experiment does not vary them.
OVERRIDES = ("block_size", "n_embd", "n_hidden", "batch_size", "lr", "schedule", "weight_decay",
             "dropout")  # fmt: skip

EXPERIMENT_HELP = """\
Run an experiment of the lecture: a table and a picture.
"""


@click.group(help=EXPERIMENT_HELP)
def experiment() -> None:
    """Run an experiment of the lecture: a table and a picture."""


def _add(name: str) -> None:
    described = EXPERIMENTS[name]

    def command(
        seeds: list[int],
        jobs: int | None,
        dask: str | None,
        out: str | None,
        is_quick: bool,
        as_json: bool,
        train_texts: int | None,
        steps: int | None = None,
        **options: Any,
    ) -> None:
        dataset = cli_common.take_data(options)
        given = {option: value for option, value in options.items() if value is not None}
        texts = train_texts or described.train_texts or len(dataset.train.texts)
        texts = min(texts, len(dataset.train.texts))
        with cli_common.sweeping(out, seeds, jobs, dask) as (folder, settings):
            table = experiments.run_experiment(
                name,
                dataset,
                steps=steps,
                is_quick=is_quick,
                options=given,
                train_texts=train_texts,
                **settings,
            )
            cli_common.save_table(folder, table.csv())
            setting = _setting(dataset, texts, table)
            if as_json:
                samples = [cell[0].samples for cell in table.cells]
                result = {"cells": table.records(), "samples": samples}
                console.print_json({"sweep": str(folder), **setting, **result})
            else:
                _print_result(described.question, table, setting)
                console.print_line(f"sweep folder: {folder}")
            cli_common.draw(
                folder,
                [cli_common.PICTURE_FILE],
                lambda pictures: [_picture(pictures, described, table)],
            )

    options: list[Any] = [
        click.option("--quick", "is_quick", is_flag=True, help="Do a fiftieth of the work.")
    ]
    if described.steps is not None:
        text = f"Steps of each run.  [default: {described.steps:,}]"
        options.append(click.option("--steps", type=int, help=text))
    given_for_all = [option for option in OVERRIDES if option not in described.varied]
    fixed = {k: v for grid in described.grids for k, v in grid.items() if k in given_for_all}
    few = "all" if described.train_texts is None else cell_text(described.train_texts)
    text = f"Number of texts to train on.  [default: {few}]"
    options.append(click.option("--train-texts", type=int, help=text))
    decorated: Any = run_options(given_for_all, is_list=False, **fixed)(sweep_options(command))
    for option in options:
        decorated = option(decorated)
    settings = {"show_default": True}
    experiment.command(name, context_settings=settings, help=described.question)(decorated)


def _picture(pictures: Any, described: Experiment, table: Table) -> Callable[[], Any]:
    if described.x is None:
        return partial(pictures.sweep, table)
    return partial(pictures.lines, table, described.x, described.y, described.by)


for _name in EXPERIMENTS:
    _add(_name)


NGRAM_HELP = """\
Show how well n-grams predict, and how a longer context changes that.
"""


@experiment.command("ngram", context_settings={"show_default": True}, help=NGRAM_HELP)
@click.option("--max-block-size", default=9, help="The longest context, in tokens.")
@partial(data_options, folder="Folder, which may hold no file yet.")
def ngram(
    out: str | None,
    max_block_size: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Show how well n-grams predict, and how a longer context changes that."""
    dataset = cli_common.take_data(options)
    with folders.new_folder(out, root=ROOT) as folder:
        rows = ngram_table(dataset, max_block_size)
        cli_common.save_table(folder, to_csv([row._asdict() for row in rows]))
        if as_json:
            console.print_json({"sweep": str(folder), "rows": [row._asdict() for row in rows]})
        else:
            columns = [name.replace("_", " ") for name in NGramRow._fields]
            console.print_losses(
                "N-grams of train; losses in nats per token, the last two on dev",
                columns,
                [(str(row.block_size), *row[1:]) for row in rows],
            )
            console.print_line(f"sweep folder: {folder}")
        cli_common.draw(
            folder, [cli_common.PICTURE_FILE], lambda pictures: [partial(pictures.ngrams, rows)]
        )


def _setting(data: Dataset, train_texts: int, table: Table) -> dict[str, Any]:
    """Return the data and the options that all runs of an experiment have in common."""
    runs = [cell[0] for cell in table.cells]
    names = [name for name in DESCRIBING if name not in table.varying]
    return {
        "data": {
            "name": "given" if data.origin is None else data.origin.name or "given",
            "train texts": train_texts,
            "dev texts": len(data.dev.texts),
            "seeds": sorted({row.seed for row in table.rows}),
        },
        "all runs": {name: runs[0].options[name] for name in names},
    }


def _print_result(question: str, table: Table, setting: dict[str, Any]) -> None:
    cli_common.print_table(question, table)
    for name, value in setting.items():
        console.print_line(f"{name}: {_sentence(value)}")
    cli_common.print_best(table)
    _print_samples(table)


def _sentence(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in values.items())


def _value(value: Any) -> str:
    return "/".join(map(str, value)) if isinstance(value, list | tuple) else cell_text(value)


def _print_samples(table: Table) -> None:
    """Print the samples of the first seed's model in each cell."""
    for cell in table.cells:
        if cell[0].samples:
            options = cli_common.describe(cell[0], table)
            console.print_line(f"samples with {options}: {', '.join(cell[0].samples)}")
