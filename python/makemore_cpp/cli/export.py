"""The command `export`: a trained net in another form. Parses, calls the library and prints."""

import os
from collections.abc import Callable
from pathlib import Path

import click

from makemore_cpp import files
from makemore_cpp._core import ArgumentError
from makemore_cpp.cli import console
from makemore_cpp.cli.common import json_option
from makemore_cpp.export import header as header_export
from makemore_cpp.export import onnx as onnx_export
from makemore_cpp.models.mlp import MLP


def _header(model: MLP, file: str, name: str | None) -> dict[str, str]:
    name = header_export.header_name(file) if name is None else name
    header_export.export_header(model, file, name)
    return {"header": file, "name": name}


def _onnx(model: MLP, file: str, name: str | None) -> dict[str, str]:
    if name is not None:
        raise ArgumentError("--name is for headers: an ONNX file has no names to begin")
    try:
        onnx_export.export_onnx(model, file)
    except ImportError as error:
        raise ArgumentError(str(error)) from error
    return {"onnx": file}


# What FILE's suffix stands for; each writes the file and returns what it is called.
FORMS: dict[str, Callable[[MLP, str, str | None], dict[str, str]]] = {
    ".h": _header,
    ".hpp": _header,
    ".hh": _header,
    ".onnx": _onnx,
}


@click.command("export", help="""\
Write RUN, a run folder or model file, as FILE, whose suffix says in which form.

.h, .hpp or .hh: a header for C99 and C++11, whose functions score, predict and sample, and need no
library but C's; its comment shows how. .onnx: a model for any runtime of that format.
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
    written = FORMS[suffix](model, file, name)
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
