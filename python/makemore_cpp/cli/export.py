"""The command `export`, which writes a trained net in another form."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import click

from makemore_cpp import evaluation, files, runs
from makemore_cpp._core import ArgumentError, FileError
from makemore_cpp.cli import console
from makemore_cpp.cli.common import json_option, path_of
from makemore_cpp.export import header as header_export
from makemore_cpp.export import onnx as onnx_export
from makemore_cpp.export import page_file as page_export
from makemore_cpp.models.mlp import MLP

WHAT_FOR = {"name": "headers", "data": "pages"}  # options that belong to one form


class _Asked(NamedTuple):
    """The arguments of the command."""

    run: str
    file: str
    name: str | None
    data: str | None

    def refuse(self, form: str, *options: str) -> None:
        """Raise ArgumentError if one of these options, which are not for this form, is given."""
        for option in options:
            if getattr(self, option) is not None:
                raise ArgumentError(
                    f"--{option} is for {WHAT_FOR[option]}, and {self.file} is {form}"
                )


def _header(model: MLP, asked: _Asked) -> dict[str, str]:
    asked.refuse("a header", "data")
    name = header_export.header_name(asked.file) if asked.name is None else asked.name
    header_export.export_header(model, asked.file, name)
    return {"header": asked.file, "name": name}


def _onnx(model: MLP, asked: _Asked) -> dict[str, str]:
    asked.refuse("an ONNX file", "name", "data")
    try:
        onnx_export.export_onnx(model, asked.file)
    except ImportError as error:
        raise ArgumentError(str(error)) from error
    return {"onnx": asked.file}


def _page(model: MLP, asked: _Asked) -> dict[str, str]:
    asked.refuse("a page", "name")
    data = None
    try:
        texts = evaluation.find_texts(model, path_of(asked.data))
        data = evaluation.split_as_trained(model, texts)
    except (ArgumentError, FileError) as error:
        if asked.data is not None:
            raise
        console.note(f"the page has no texts: {error}")
    is_folder = os.path.isdir(asked.run)
    folder = asked.run if is_folder else os.path.dirname(asked.run)
    is_of_run = is_folder or os.path.basename(asked.run) == runs.MODEL_FILE
    course = runs.read_course(folder) if is_of_run else None
    page_export.page(model, asked.file, history=course, data=data)
    return {"page": asked.file}


# The form for each suffix of FILE: a function that writes the file and returns its name for output.
FORMS: dict[str, Callable[[MLP, _Asked], dict[str, str]]] = {
    ".h": _header,
    ".hpp": _header,
    ".hh": _header,
    ".onnx": _onnx,
    ".html": _page,
}


@click.command("export", help="""\
Write RUN, a run folder or model file, as FILE; the suffix of FILE chooses the form.

.h, .hpp or .hh: a header for C99 and C++11 with functions that score, predict and sample; they need
only C's standard library, and the first comment shows how to use them. .onnx: a model for any
runtime of that format. .html: one page for a browser, which needs no network and shows the model at
work.
""")  # fmt: skip
@click.argument("run")
@click.argument("file")
@click.option("--name", help="Beginning of all names in a header.  [default: the name of FILE]")
@click.option("--data", metavar="TEXTS", help="For a page: the file of the texts, if it has moved.")
@json_option
def export(run: str, file: str, name: str | None, data: str | None, as_json: bool) -> None:
    """Write a model in the form that the suffix of the file chooses."""
    suffix = Path(file).suffix.lower()
    if suffix not in FORMS:
        known = ", ".join(FORMS)
        what = f"the suffix {suffix}" if suffix else "no suffix"
        raise ArgumentError(f"{file} has {what}; what can be written is {known}")
    files.check_replaceable(file)
    model = MLP.load(run)
    written = FORMS[suffix](model, _Asked(run, file, name, data))
    size = os.path.getsize(file)
    if as_json:
        console.print_json({"run": run, **written, "bytes": size})
        return
    kind, *_ = written
    console.print_line(f"{kind}: {file}, {size:,} bytes with {model.n_parameters:,} parameters")
    if "name" in written:
        begin = written["name"]
        functions = f"{begin}_score, {begin}_log_probs and {begin}_sample"
        console.print_line(f"functions: {functions}; its first comment shows how")
