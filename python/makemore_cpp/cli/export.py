"""The command `export`: a trained net in another form. Parses, calls the library and prints."""

import os
from collections.abc import Callable
from pathlib import Path

import click

from makemore_cpp import evaluation, files, runs
from makemore_cpp._core import ArgumentError
from makemore_cpp.cli import console
from makemore_cpp.cli.common import json_option
from makemore_cpp.export import header as header_export
from makemore_cpp.export import onnx as onnx_export
from makemore_cpp.export import page_file as page_export
from makemore_cpp.models.mlp import MLP


def _header(run: str, model: MLP, file: str, name: str | None) -> dict[str, str]:
    name = header_export.header_name(file) if name is None else name
    header_export.export_header(model, file, name)
    return {"header": file, "name": name}


def _onnx(run: str, model: MLP, file: str, name: str | None) -> dict[str, str]:
    _refuse_name(name, "an ONNX file")
    try:
        onnx_export.export_onnx(model, file)
    except ImportError as error:
        raise ArgumentError(str(error)) from error
    return {"onnx": file}


def _page(run: str, model: MLP, file: str, name: str | None) -> dict[str, str]:
    _refuse_name(name, "a page")
    try:
        data = evaluation.split_as_trained(model, evaluation.find_texts(model))
    except ArgumentError as error:
        console.note(f"the page has no texts: {error}")
        data = None
    folder = run if os.path.isdir(run) else os.path.dirname(run)
    is_of_run = os.path.isdir(run) or os.path.basename(run) == runs.MODEL_FILE
    course = runs.read_course(folder) if is_of_run else None
    page_export.page(model, file, history=course, data=data)
    return {"page": file}


def _refuse_name(name: str | None, what: str) -> None:
    if name is not None:
        raise ArgumentError(f"--name is for headers: {what} has no names to begin")


# What FILE's suffix stands for; each writes the file and returns what it is called.
FORMS: dict[str, Callable[[str, MLP, str, str | None], dict[str, str]]] = {
    ".h": _header,
    ".hpp": _header,
    ".hh": _header,
    ".onnx": _onnx,
    ".html": _page,
}


@click.command("export", help="""\
Write RUN, a run folder or model file, as FILE, whose suffix says in which form.

.h, .hpp or .hh: a header for C99 and C++11, whose functions score, predict and sample, and need no
library but C's; its comment shows how. .onnx: a model for any runtime of that format.
.html: one page for a browser, without a network, in which the model can be watched at work.
""")  # fmt: skip
@click.argument("run")
@click.argument("file")
@click.option("--name", help="Begins all names in a header.  [default: that of FILE]")
@json_option
def export(run: str, file: str, name: str | None, as_json: bool) -> None:
    """Write a model in the form that the suffix of the file says."""
    suffix = Path(file).suffix.lower()
    if suffix not in FORMS:
        known = ", ".join(FORMS)
        what = f"the suffix {suffix}" if suffix else "no suffix"
        raise ArgumentError(f"{file} has {what}; what can be written is {known}")
    files.check_replaceable(file)
    model = MLP.load(run)
    written = FORMS[suffix](run, model, file, name)
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
