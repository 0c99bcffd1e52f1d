"""The result of a sweep: a row for each training run, and the table made of them."""

import csv
import io
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Value = float | int | str | None

LOSSES = ("parameters", "train", "dev", "gap", "seconds")
SPREAD = " std"  # the end of the name of a column with standard deviations over the seeds
DIGITS = {"seconds": 2}  # digits after the point; losses have 4


@dataclass(frozen=True)
class Row:
    """The result of one training run of a sweep; losses are in nats per token.

    `train`, `dev` and `last_100`, the mean loss of the last 100 minibatches, are None where the
    run diverged (`dev` also where that split is empty).
    """

    options: dict[str, Any]  # every option of the run, by the names that `grid` takes
    seed: int
    parameters: int
    steps: int  # the steps that were done
    examples: int  # the examples of all these steps
    train: float | None
    dev: float | None
    last_100: float | None
    seconds: float  # the time of the training alone
    isa: str  # the instruction set that computed it; another one rounds differently
    diverged: bool
    samples: list[str] = field(default_factory=list)

    @property
    def gap(self) -> float | None:
        """``dev - train``."""
        return None if self.train is None or self.dev is None else self.dev - self.train


@dataclass(frozen=True)
class Table:
    """The rows of a sweep. Rows that differ only in the seed are a cell of the table.

    Attributes
    ----------
    rows : list of Row
    columns : tuple of str
        The columns of `records`, `csv` and `markdown`: names of options and attributes of `Row`.
    """

    rows: list[Row]
    columns: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Table({len(self.rows):,} rows in {len(self.cells):,} cells: {self.columns})"

    @classmethod
    def of(cls, rows: Iterable[Row], columns: Sequence[str] = ()) -> "Table":
        """Return a table; by default its columns are the options that vary, and the losses."""
        kept = list(rows)
        return cls(kept, tuple(columns) or (*varying([row.options for row in kept]), *LOSSES))

    @property
    def varying(self) -> list[str]:
        """The options that have more than one value, in the order of their declaration."""
        return varying([row.options for row in self.rows])

    @property
    def cells(self) -> list[list[Row]]:
        """The cells, each with its rows."""
        found: dict[tuple[Any, ...], list[Row]] = {}
        for row in self.rows:
            found.setdefault(tuple(row.options.values()), []).append(row)
        return list(found.values())

    @property
    def best(self) -> list[Row] | None:
        """The cell with the lowest mean loss on dev, None if no cell has one."""
        losses = [(mean(cell, "dev"), cell) for cell in self.cells]
        known = [(loss, cell) for loss, cell in losses if loss is not None]
        return min(known, key=lambda pair: pair[0])[1] if known else None

    def records(self) -> list[dict[str, Value]]:
        """Return a dict for each cell: means over its seeds, and the spread of dev.

        A cell with a run that diverged has no losses; `diverged` is the number of such runs.
        """
        several = max(map(len, self.cells), default=1) > 1
        records = []
        for cell in self.cells:
            record: dict[str, Value] = {}
            for name in self.columns:
                record[name] = cell[0].options[name] if _is_option(cell, name) else mean(cell, name)
                if several and name == "dev":
                    record[name + SPREAD] = spread(cell, name)
            record["diverged"] = sum(row.diverged for row in cell)
            record["isa"] = "/".join(sorted({row.isa for row in cell}))
            records.append(record)
        return records

    def lines(self) -> tuple[list[str], list[list[str]]]:
        """Return the table as text: a header, and a list of strings for each cell."""
        records = self.records()
        hidden = {"diverged"}
        if len({record["isa"] for record in records}) <= 1:
            hidden.add("isa")
        header = [name for name in records[0] if name not in hidden] if records else []
        return header, [
            [self._text(name, record, cell) for name in header]
            for record, cell in zip(records, self.cells, strict=True)
        ]

    def csv(self) -> str:
        """Return the table as comma-separated values; numbers are not rounded, None is empty."""
        return to_csv(self.records())

    def markdown(self) -> str:
        """Return the table in Markdown, with rounded numbers."""
        header, lines = self.lines()
        rows = [header, ["---:"] * len(header), *lines]
        return "".join(f"| {' | '.join(row)} |\n" for row in rows)

    def _text(self, name: str, record: Mapping[str, Value], cell: list[Row]) -> str:
        if name == "dev" and record["diverged"]:
            share = f"{record['diverged']} of {len(cell)} " if len(cell) > 1 else ""
            return share + "diverged"
        value = record[name]
        if _is_option(cell, name):
            return cell_text(value)
        if isinstance(value, float):
            whole = name in ("parameters", "steps", "examples")
            return f"{value:,.0f}" if whole else f"{value:.{DIGITS.get(name, 4)}f}"
        return "n/a" if value is None else cell_text(value)


def to_csv(records: Sequence[Mapping[str, Value]]) -> str:
    """Return records with the same names as comma-separated values; None is empty."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(records[0]) if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return stream.getvalue()


def cell_text(value: Value) -> str:
    """Return an option's value or a count as text: 2,000, 0.0001, adamw; None is a dash."""
    if value is None:
        return "-"
    if not isinstance(value, int | float) or isinstance(value, bool):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def varying(options: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names whose values differ, in order."""
    names = options[0] if options else ()
    return [name for name in names if any(o[name] != options[0][name] for o in options)]


def mean(cell: Sequence[Row], name: str) -> float | None:
    """Return the mean of an attribute over a cell's seeds, None if it is None for one of them."""
    return _over_seeds(cell, name, statistics.fmean)


def spread(cell: Sequence[Row], name: str) -> float | None:
    """Return the standard deviation of an attribute over a cell's seeds, None as in `mean`."""
    return _over_seeds(cell, name, statistics.stdev) if len(cell) > 1 else None


def _over_seeds(
    cell: Sequence[Row], name: str, statistic: Callable[[list[float]], float]
) -> float | None:
    values = [getattr(row, name) for row in cell]
    known = [value for value in values if value is not None and math.isfinite(value)]
    if len(known) < len(values):
        return None
    return (
        values[0] if statistic is statistics.fmean and len(set(values)) == 1 else statistic(known)
    )


def _is_option(cell: Sequence[Row], name: str) -> bool:
    # "steps" and "seconds" are options and attributes of Row; the table shows what was done.
    return name in cell[0].options and not hasattr(cell[0], name)
