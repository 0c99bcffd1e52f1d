"""What the commands show: results on stdout, progress on stderr and only on a terminal."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from makemore_cpp.evaluation import SplitLosses
from makemore_cpp.training import Progress

CUT_MARK = "…"


def print_json(value: Mapping[str, Any]) -> None:
    """Print one line of JSON."""
    print(json.dumps(value, allow_nan=False))


def note(sentence: str) -> None:
    """Print a sentence on stderr."""
    print(f"makemore_cpp: {sentence}", file=sys.stderr)


def print_fields(title: str, fields: Mapping[str, Any]) -> None:
    """Print names and values, one a line."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        nested = value if isinstance(value, dict) else None
        flat |= {name: value} if nested is None else {f"{name} {k}": v for k, v in nested.items()}
    print(title)
    width = max(map(len, flat), default=0)
    for name, value in flat.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
        print(f"  {name:<{width}}  {shown}")


def print_losses(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table: a name, then losses in nats per token with four digits, n/a for None."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    table.add_column(columns[0])
    for column in columns[1:]:
        table.add_column(column, justify="right")
    for name, *values in rows:
        table.add_row(Text(name), *map(_shown, values))
    Console().print(table)


def _shown(value: float | int | None) -> str:
    if value is None:
        return "n/a"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def print_comparison(comparison: Sequence[SplitLosses]) -> None:
    """Print train and dev losses of the model beside what they mean."""
    print_losses("Loss in nats per token", ("", "train", "dev"), comparison)


def print_samples(new: Sequence[str], known: Sequence[str]) -> None:
    """Print samples, apart those that the data already holds."""
    for texts, kind in ((new, "new samples"), (known, "already in the data")):
        print(f"{len(texts)} {kind}{': ' if texts else ''}{', '.join(texts)}")


@contextmanager
def training_progress(steps: int) -> Iterator[Callable[[Progress], object] | None]:
    """Show a live bar with loss, speed and time left; give None where nobody would see it."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    with Bar(
        TextColumn("step {task.completed:,.0f} of {task.total:,.0f}"),
        BarColumn(),
        TextColumn("loss {task.fields[loss]:.4f}"),
        TextColumn("{task.fields[speed]:,.0f} steps/s"),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task("train", total=steps, loss=float("nan"), speed=0.0)

        def show(progress: Progress) -> None:
            speed = progress.step / progress.seconds
            bar.update(task, completed=progress.step, loss=progress.loss, speed=speed)

        yield show
