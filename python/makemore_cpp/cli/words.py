"""The commands `experiment bengio` and `experiment transfer`: nets over words."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from makemore_cpp._core import ArgumentError
from makemore_cpp.cli import common as cli_common
from makemore_cpp.cli import console
from makemore_cpp.cli.common import (
    Value,
    json_option,
    line_ends_option,
    lower_option,
    max_size_option,
    option_of,
    run_options,
    sizes_option,
)
from makemore_cpp.data.dataset import Dataset
from makemore_cpp.data.texts import load_texts
from makemore_cpp.files import folders
from makemore_cpp.sweeps import bengio as table_1
from makemore_cpp.sweeps import transfer as transfers
from makemore_cpp.sweeps.bengio import BengioRow
from makemore_cpp.sweeps.record import ROOT
from makemore_cpp.sweeps.table import to_csv
from makemore_cpp.sweeps.word_nets import RECIPE, Shape, read_stream, recipe_of

# The options of a training that can be given, instead of those of `word_nets.RECIPE`.
OVERRIDES = ("steps", "batch_size", "lr", "schedule", "optimizer", "weight_decay", "dropout",
             "negatives")  # fmt: skip
NET = {"block_size": 4, "n_embd": 60, "n_hidden": 100}  # the default net of `transfer`
# The columns of the printed table 1.
COLUMNS = ("model", "params", "seconds", "train", "dev", "test", "paper dev", "paper test")


def _text_options(command: Any) -> Any:
    """Add the options for data of words, for the training of nets and for the output."""
    for decorate in reversed(
        (
            click.option("--data", help="File of texts, one a line, gzipped or not."),
            click.option(
                "--min-count", default=4, show_default=True, help="Rarer words are <unk>."
            ),
            max_size_option,
            lower_option,
            sizes_option,
            line_ends_option,
            click.option("--quick", "is_quick", is_flag=True, help="Few tokens, for few epochs."),
            run_options(OVERRIDES, is_list=False, **RECIPE),
            click.option(
                "--out", help="Folder, which may hold no file yet.  [default: sweeps/<n>]"
            ),
            json_option,
        )
    ):
        command = decorate(command)
    return command


def _read(options: dict[str, Any], block_size: int, is_quick: bool) -> Dataset | None:
    """Return the data that these options name, or None without --data."""
    data = options.pop("data")
    if data is None:
        return None
    texts = load_texts(cli_common.path_of(data))
    return read_stream(texts, options.pop("sizes"), block_size, is_quick=is_quick, **options)


def _refuse_options() -> None:
    """Raise ArgumentError if an option is given that needs --data."""
    context = click.get_current_context()
    for name in context.params:
        is_given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if is_given and name not in {"seeds", "out", "as_json"}:
            raise ArgumentError(
                f"{option_of(name.removeprefix('is_'))} belongs to --data, which is missing"
            )


def _parted(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options of the texts, and the options of the training that were given."""
    given = {name: options.pop(name) for name in OVERRIDES}
    return options, {name: value for name, value in given.items() if value is not None}


def _describe(data: Dataset, training: dict[str, Any], is_quick: bool) -> dict[str, Any]:
    """Return the data and the training that all nets have in common."""
    recipe = recipe_of(data, training, is_quick)
    sizes = {name: len(getattr(data, name).Y) for name in ("train", "dev", "test")}
    names = [name for name in (*OVERRIDES, "lr_floor") if getattr(recipe, name) is not None]
    return {
        "data": {"vocab_size": len(data.vocab), **sizes},
        "training": {name: getattr(recipe, name) for name in names},
    }


def _print_description(described: dict[str, Any]) -> None:
    for name, values in described.items():
        shown = ", ".join(f"{option_of(key)[2:]} {value}" for key, value in values.items())
        console.print_line(f"{name}: {shown}")


BENGIO_HELP = """\
Fill in table 1 of Bengio et al. (2003), beside its figures for the Brown corpus.

The texts of --data are read as one stream of words, of which the first 800,000 are train and the
next 200,000 dev, or 80 % and 10 % of fewer than a million. Boundaries stand only at the ends of
splits. Each net is shown alone, mixed with the interpolated trigram at equal weights as in the
paper, and mixed with the Kneser-Ney 5-gram at the weight that is best on dev, for all words and for
each frequency of the last word. The net of n=9 has a dropout of 0.5 by default. Perplexity on train
is that of every eighth token.
"""


@click.command("bengio", help=BENGIO_HELP)
@click.option("--seeds", type=Value(int, is_list=True), default="1", help="Seeds of each net.")
@_text_options
def bengio(
    seeds: list[int],
    is_quick: bool,
    out: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Fill in table 1 of Bengio et al. (2003)."""
    of_texts, training = _parted(options)
    shapes = table_1.QUICK_SHAPES if is_quick else table_1.SHAPES
    block_size = max(shape.n for shape in shapes) - 1
    dataset = _read(of_texts, block_size, is_quick)
    if dataset is None:
        raise ArgumentError("--data is missing: name a file of sentences")
    described = _describe(dataset, training, is_quick)
    with folders.new_folder(out, root=ROOT) as folder, console.passing_notes() as note:
        rows = table_1.run_bengio(
            dataset,
            seeds=seeds,
            shapes=shapes,
            options=training,
            is_quick=is_quick,
            on_rows=partial(_keep, folder, note),
        )
        if as_json:
            records = [row._asdict() for row in rows]
            console.print_json({"sweep": str(folder), **described, "rows": records})
        else:
            _print_description(described)
            console.print_losses("Perplexities", COLUMNS, list(_lines(rows)))
            console.print_line(f"sweep folder: {folder}")
        cli_common.draw(
            folder, [cli_common.PICTURE_FILE], lambda pictures: [partial(pictures.bengio, rows)]
        )


def _keep(folder: Path, note: Callable[[str], object] | None, rows: list[BengioRow]) -> None:
    """Write the rows so far, so that an interrupt leaves them, and show their number."""
    cli_common.save_table(folder, to_csv([row._asdict() for row in rows]))
    if note is not None:
        note(f"{len(rows)} rows")


def _lines(rows: Sequence[BengioRow]) -> Any:
    """Yield the lines of the printed table: one for each net, with means over its seeds."""

    def key(row: BengioRow) -> tuple[Any, ...]:
        mixed = "" if row.mixed_with is None else row.mixed_with.split(",")[0]
        return (row.model, row.n, row.h, row.m, row.direct, mixed)

    for (model, n, h, m, direct, mixed), some in groupby(sorted(rows, key=_place(rows, key)), key):
        its = list(some)
        name = model
        if model == "net":
            name = f"n={n} h={h} m={m}" + " direct" * direct + f" + {mixed}" * bool(mixed)
        means = [
            f"{sum(values) / len(values):.1f}"
            for column in ("seconds", "train", "dev", "test")
            if (values := [getattr(row, column) for row in its])
        ]
        yield (name, its[0].parameters, *means, its[0].paper_dev, its[0].paper_test)


def _place(
    rows: Sequence[BengioRow], key: Callable[[BengioRow], Any]
) -> Callable[[BengioRow], int]:
    """Return a sort key by which rows of one `key` stand together, in the order of their first."""
    places = {one: i for i, one in reversed(list(enumerate(map(key, rows))))}
    return lambda row: places[key(row)]


TRANSFER_HELP = """\
Compare nets with counts on contexts that were never seen, of which counts know nothing.

Nets and trigrams learn sentences of a small grammar, in which words come in pairs that are used in
the same way; then they give the probability of a combination of which there was no example. With
--data, a net of words is compared with a Kneser-Ney 5-gram where the last 1, 2, ... words never
stood together in train.
"""


@click.command("transfer", help=TRANSFER_HELP)
@click.option(
    "--seeds",
    type=Value(int, is_list=True),
    default="1,2,3,4,5",
    help="Seeds of the grammar's nets.",
)
@run_options(tuple(NET), is_list=False, **NET)
@_text_options
def transfer(
    seeds: list[int],
    block_size: int | None,
    n_embd: int | None,
    n_hidden: int | None,
    is_quick: bool,
    out: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Compare nets with counts on contexts that were never seen, of which counts know nothing."""
    if options["data"] is None:
        _refuse_options()
    of_texts, training = _parted(options)
    given = zip(NET.values(), (block_size, n_embd, n_hidden), strict=True)
    T, E, H = (default if value is None else value for default, value in given)
    shape = Shape(T + 1, H, E)
    dataset = _read(of_texts, shape.options["block_size"], is_quick)
    with folders.new_folder(out, root=ROOT) as folder:
        rows = transfers.run_grammar(seeds)
        unseen = []
        if dataset is not None:
            unseen = transfers.run_unseen(dataset, shape, 1, training, is_quick)
            cli_common.save_table(folder, to_csv([row._asdict() for row in unseen]))
        if as_json:
            grammar = [{**row._asdict(), "pairs_found": row.pairs_found} for row in rows]
            result = {"grammar": grammar, "unseen": [row._asdict() for row in unseen]}
            console.print_json({"sweep": str(folder), **result})
            return
        columns = ("seed", "net", "trigram", "times", "net, seen", "trigram, seen", "pairs")
        console.print_losses(
            f'Probability of "{transfers.UNSEEN}", though no dog sat in train, and of '
            f'"{transfers.SEEN}"',
            columns,
            [
                (str(row.seed), *(f"{p:.2e}" for p in row[1:3]), f"{row.ratio:,.0f}",
                 *(f"{p:.2e}" for p in row[4:6]), f"{row.pairs_found} of {len(row.nearest)}")
                for row in rows
            ],
        )  # fmt: skip
        if dataset is not None:
            _print_description(_describe(dataset, training, is_quick))
            names = ("length", "positions", "share", "net", "Kneser-Ney", "both, 0.5")
            console.print_losses(
                "Loss on dev in nats per token where the last words never stood together in train",
                names,
                [(str(row.length) if row.length else "all", *row[1:]) for row in unseen],
            )
        console.print_line(f"sweep folder: {folder}")
