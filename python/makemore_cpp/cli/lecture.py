"""The command `lecture`, which shows the whole lecture in one walk."""

import os
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

import click

from makemore_cpp import lecture as lectures
from makemore_cpp._core import ArgumentError
from makemore_cpp.cli import console
from makemore_cpp.cli import pictures as cli_pictures
from makemore_cpp.cli.common import data_option, json_option, recipe_options
from makemore_cpp.files import folders
from makemore_cpp.lecture import Shown

ROOT = "lectures"


@click.command("lecture", context_settings={"show_default": True}, help="""\
Walk through the lecture: its claims, the calls that show them, and their results.

All its parts and exercises, in their order, take a minute or two. The folder then holds them as a
page for a browser, as a notebook with the same code, and as pictures.
""")  # fmt: skip
@data_option
@recipe_options(("steps", "seed"))
@click.option("--out", help="Folder, which may hold no file yet.  [default: lectures/<n>]")
@json_option
def lecture(data: str | None, steps: int, seed: int, out: str | None, as_json: bool) -> None:
    """Walk through the lecture: its claims, the calls that show them, and their results."""
    if data == "-" or (data is not None and os.path.exists(data) and not os.path.isfile(data)):
        raise ArgumentError(f"--data {data} is no file, from which the notebook could read again")
    parts = lectures.segments(None if data is None else os.path.abspath(data), seed, steps)
    with (
        folders.new_folder(out, root=ROOT) as folder,
        console.passing_notes() as note,
        warnings.catch_warnings(),  # nets that diverge and samples that do not end are on show
    ):
        warnings.simplefilter("ignore")
        shown: list[Shown] = []
        for one in lectures.walk(parts, partial(cli_pictures.quiet_matplotlib, folder)):
            shown.append(one)
            if not as_json:  # at once: whatever happens to the files, this is seen
                console.print_lines([one.segment.title, f"  {one.sentence}", ""])
            elif note is not None:
                note(f"{len(shown)} of {len(parts)} parts  ")
        lectures.save(folder, shown)
    if as_json:
        console.print_json({"folder": str(folder), "parts": _records(shown)})
        return
    for number, one in enumerate(shown, 1):
        if one.missing:
            path = folder / lectures.picture_file(number, one)
            console.note(f"the picture {path} is missing: {one.missing}")
    console.print_line(f"lecture folder: {folder}, with {lectures.PAGE_FILE}")


def _records(shown: Sequence[Shown]) -> list[dict[str, Any]]:
    return [
        {
            **one.segment._asdict(),
            "values": one.values,
            "sentence": one.sentence,
            "picture": None if one.png is None else lectures.picture_file(number, one),
            "seconds": one.seconds,
        }
        for number, one in enumerate(shown, 1)
    ]
