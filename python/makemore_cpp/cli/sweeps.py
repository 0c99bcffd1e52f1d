"""The commands `sweep grid` and `sweep lr`."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from makemore_cpp import files, sweeps
from makemore_cpp.cli import common as cli_common
from makemore_cpp.cli import console
from makemore_cpp.cli.common import Value, run_options, sweep_options
from makemore_cpp.sweeps import lr_search
from makemore_cpp.sweeps.grids import with_steps
from makemore_cpp.sweeps.one_run import DEFAULTS
from makemore_cpp.sweeps.table import Table
from makemore_cpp.training.history import LAST_STEPS

DEFAULT_STEPS = 50_000
CURVE_PICTURE_FILE = "growing_rate.png"
# The option betas is left out, because its values are pairs.
GRID_OPTIONS = [name for name in DEFAULTS if name != "betas"]
SEARCH_OPTIONS = [name for name in lr_search.SEARCHED if name != "betas"]


SWEEP_HELP = """\
Train many models: all combinations of options, or a search for a learning rate.
"""


@click.group(help=SWEEP_HELP)
def sweep() -> None:
    """Train many models: all combinations of options, or a search for a learning rate."""


GRID_HELP = """\
Train a model for every combination of options.

An option takes one value, or several with commas between them:
--n-hidden 100,200 --lr 0.03,0.1 trains four models.
"""


@sweep.command(context_settings={"show_default": True}, help=GRID_HELP)
@run_options(GRID_OPTIONS, is_list=True, steps=DEFAULT_STEPS)
@sweep_options
@click.option("--csv", "csv_path", help="Write the table to this file too.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the table in Markdown.")
def grid(
    seeds: list[int],
    jobs: int | None,
    dask: str | None,
    out: str | None,
    csv_path: str | None,
    as_markdown: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a model for every combination of options."""
    dataset = cli_common.take_data(options)
    given = {name: values for name, values in options.items() if values is not None}
    combinations = sweeps.combine(with_steps(given, DEFAULT_STEPS))
    if csv_path is not None:
        files.check_replaceable(csv_path)
    with cli_common.sweeping(out, seeds, jobs, dask) as (folder, settings):
        table = sweeps.run(dataset, combinations, **settings)
        cli_common.save_table(folder, table.csv())
        if csv_path is not None:
            files.replace(csv_path, table.csv().encode())
        if as_json:
            console.print_json({"sweep": str(folder), "cells": table.records()})
        elif as_markdown:
            console.print_lines(table.markdown().splitlines())
        else:
            cli_common.print_table("Loss in nats per token", table)
            cli_common.print_best(table)
            console.print_line(f"sweep folder: {folder}")
        cli_common.draw(
            folder, [cli_common.PICTURE_FILE], lambda pictures: [partial(pictures.sweep, table)]
        )


SEARCH_LR_HELP = """\
Search for a learning rate, in two ways.

In one run the rate grows from 10**LOW to 10**HIGH, step by step; and there is a short run at each
of several rates.
"""


@sweep.command("lr", context_settings={"show_default": True}, help=SEARCH_LR_HELP)
@click.option(
    "--rates",
    type=Value(float, is_list=True),
    help="Rates of the short runs.  [default: 10, 1e-4 to 1]",
)
@click.option("--low", default=lr_search.LOW, help="First exponent of the growing rate.")
@click.option("--high", default=lr_search.HIGH, help="Last exponent of the growing rate.")
@click.option("--steps", default=lr_search.STEPS, help="Steps of each run.")
@run_options(SEARCH_OPTIONS, is_list=False)
@sweep_options
def search_lr(
    seeds: list[int],
    jobs: int | None,
    dask: str | None,
    out: str | None,
    rates: list[float] | None,
    low: float,
    high: float,
    steps: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Search for a learning rate, in two ways."""
    dataset = cli_common.take_data(options)
    given = {name: value for name, value in options.items() if value is not None}
    with cli_common.sweeping(out, seeds, jobs, dask) as (folder, settings):
        curve = lr_search.growing_rate(
            dataset, given, low=low, high=high, steps=steps, seed=seeds[0]
        )
        table = lr_search.fixed_rates(
            dataset, lr_search.RATES if rates is None else rates, given, steps=steps, **settings
        )
        cli_common.save_table(folder, table.csv())
        _print_search(folder, table, curve, low, high, steps, as_json)
        cli_common.draw(
            folder,
            [cli_common.PICTURE_FILE, CURVE_PICTURE_FILE],
            lambda pictures: [
                partial(pictures.fixed_rates, table),
                partial(pictures.rate_curve, curve),
            ],
        )


def _print_search(
    folder: Path,
    table: Table,
    curve: lr_search.RateCurve,
    low: float,
    high: float,
    steps: int,
    as_json: bool,
) -> None:
    found = lr_search.recommended(table)
    if as_json:
        console.print_json(
            {
                "sweep": str(folder),
                "suggested": curve.suggestion,
                "is_at_edge": curve.is_at_edge,
                "recommended": None if found is None else found._asdict(),
                "cells": table.records(),
            }
        )
        return
    cli_common.print_table(f"{steps:,} steps at each rate", table)
    console.print_line(f"last_{LAST_STEPS} is the mean loss of the last {LAST_STEPS} minibatches")
    if found is None:
        console.print_line("every rate diverged: try lower ones with --rates")
    else:
        console.print_line(
            f"recommended: {found.low:g} to {found.high:g}, where last_{LAST_STEPS} is at most "
            f"{lr_search.NOISE} above the lowest, that of {found.best:g}"
        )
    console.print_line(
        f"suggested: {curve.suggestion:.2g}, where the smoothed loss is lowest while the rate "
        f"grows from {10**low:g} to {10**high:g} in {steps:,} steps"
    )
    if curve.is_at_edge:
        console.print_line(
            "that is at the edge of what was tried: look beyond it with --low or --high"
        )
    console.print_line(
        f"sweep folder: {folder}, with {cli_common.PICTURE_FILE} and {CURVE_PICTURE_FILE}"
    )
