"""The output of commands: results on stdout, progress on stderr and only on a terminal."""

import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from makemore_cpp.evaluation.diagnosis import Diagnosis
from makemore_cpp.evaluation.losses import SplitLoss

WIDEST_TABLE = 200  # characters; more than any table needs
LONGEST_INTEGER = 10**10  # below this, a table shows all digits of an integer
# Characters that a terminal would obey, or that change the direction of text; but not the tab.
COMMANDS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
JSON = json.JSONEncoder(allow_nan=False)


def is_open() -> bool:
    """Whether there is an stdout."""
    return sys.stdout is not None


def flush() -> None:
    """Flush stdout: only then it is known whether everything could be written."""
    sys.stdout.flush()


def print_lines(lines: Iterable[str]) -> None:
    """Print lines and flush, so that a reader has them at once.

    Everything that a command prints goes through here, or through `note`: on a terminal control
    characters and those that change the direction of text are escaped.
    """
    if sys.stdout.isatty():
        lines = map(printable, lines)
    text = "".join(f"{line}\n" for line in lines)
    try:
        sys.stdout.write(text)
    except UnicodeEncodeError as error:  # the lines before are written all the same
        sys.stdout.write(text[: text.rfind("\n", 0, error.start) + 1])
        raise
    sys.stdout.flush()


def print_line(line: str) -> None:
    """Print one line."""
    print_lines([line])


def cut_mark(is_for_people: bool) -> str:
    """Return the mark for a text that was cut, in characters that stdout can show.

    Lines that a program may read have the mark only on a terminal: elsewhere it would be taken for
    a part of the text.
    """
    if not is_for_people and not sys.stdout.isatty():
        return ""
    try:
        "…".encode(sys.stdout.encoding)
    except (UnicodeEncodeError, LookupError):
        return "..."
    return "…"


def printable(text: str) -> str:
    r"""Return a text whose COMMANDS are replaced by escapes, like \x1b."""
    return COMMANDS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _fit_for(stream: TextIO, text: str) -> str:
    return printable(text) if stream.isatty() else text


def json_line(value: Mapping[str, Any]) -> str:
    """Return a value as a line of JSON."""
    return JSON.encode(value)


def finite(value: float | None) -> float | None:
    """Return a finite number, which JSON can hold, or None instead of any other."""
    return value if value is not None and math.isfinite(value) else None


def print_json(value: Mapping[str, Any]) -> None:
    """Print one line of JSON."""
    print_line(json_line(value))


def note(sentence: str) -> None:
    """Print a sentence on stderr."""
    if sys.stderr is not None:  # None if closed, as by `2>&-`
        sys.stderr.write(f"makemore_cpp: {_fit_for(sys.stderr, sentence)}\n")


@contextmanager
def passing_notes() -> Iterator[Callable[[str], object] | None]:
    """Give a function that shows a short note on a terminal in the place of the one before.

    Without a terminal on stderr, give None.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return

    def show(text: str) -> None:
        with suppress(OSError):  # a terminal that goes away does not end the command
            sys.stderr.write(f"\r{printable(text)}")
            sys.stderr.flush()

    try:
        yield show
    finally:
        show(" " * 40)
        show("")


def print_fields(title: str, fields: Mapping[str, Any]) -> None:
    """Print names and values, one a line."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        nested = value if isinstance(value, dict) else None
        flat |= {name: value} if nested is None else {f"{name} {k}": v for k, v in nested.items()}
    lines = [title]
    width = max(map(len, flat), default=0)
    for name, value in flat.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
        lines.append(f"  {name:<{width}}  {shown}")
    print_lines(lines)


def print_losses(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table: in each row a name, then numbers or text, n/a for None.

    On a narrow terminal headings take more lines, on a narrower one the frame is left out too; no
    figure is ever cut.
    """
    from rich.console import Console
    from rich.measure import Measurement

    console = Console()
    for is_split, has_frame in ((False, True), (True, True), (True, False)):
        table = _table(title, columns, rows, is_split, has_frame)
        whole = Measurement.get(console, console.options.update(width=WIDEST_TABLE), table).maximum
        if whole <= console.width:
            break
    console.width = max(console.width, whole)
    console.print(table)


def _table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], is_split: bool, framed: bool
) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    frame = box.HEAVY_HEAD if framed else None
    table = Table(
        title=Text(_fit_for(sys.stdout, title)),
        title_justify="left",
        box=frame,
        pad_edge=framed,
        collapse_padding=not framed,
    )
    for i, column in enumerate(columns):
        heading = re.sub("[_ ]", "\n", column) if is_split else column
        table.add_column(Text(heading), justify="right" if i > 0 else "left")
    for name, *values in rows:
        table.add_row(Text(_fit_for(sys.stdout, name)), *map(_cell, values))
    return table


def _cell(value: float | int | str | None) -> str:
    if value is None:
        return "n/a"
    if isinstance(value, str):
        return _fit_for(sys.stdout, value)
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < LONGEST_INTEGER else f"{float(value):.1e}"
    return f"{value:.4f}" if abs(value) < 1e6 else f"{value:.4e}"


def print_evaluation(title: str, rows: Sequence[SplitLoss]) -> None:
    """Print losses and perplexities of splits."""
    columns = ("split", "texts", "nats per token", "perplexity")
    shown = []
    for row in rows:
        is_beyond_floats = row.loss is not None and row.perplexity is None
        shown.append((*row[:3], "> 1e308" if is_beyond_floats else row.perplexity))
    print_losses(title, columns, shown)


def print_diagnosis(found: Diagnosis) -> None:
    """Print the model's losses beside those of counts, and the verdict."""
    rows: list[tuple[Any, ...]] = [(*row, row.gap) for row in found.losses]
    tokens = f"{found.block_size:,} token{'s' * (found.block_size > 1)}"
    rows.append((f"floor with {tokens} of context", found.floor, "", ""))
    print_losses("Loss in nats per token", ("", "train", "dev", "gap"), rows)
    if found.known_share is not None:
        print_line(f"{100 * found.known_share:.1f} % of the dev texts also stand in train.")
    print_line(found.sentence)


def print_samples(new: Sequence[str], known: Sequence[str], are_sentences: bool) -> None:
    """Print new samples and, apart from them, those that the data hold; sentences one a line."""
    for texts, kind in ((new, "new samples"), (known, "already in the data")):
        head = f"{len(texts)} {kind}{': ' if texts and not are_sentences else ''}"
        print_lines([head, *texts] if are_sentences else [head + ", ".join(texts)])
