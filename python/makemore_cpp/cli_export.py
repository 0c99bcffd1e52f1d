"""The command `export`: a trained net as a C header. Parses, calls the library and prints."""

import os

import click

from makemore_cpp import console, header_export
from makemore_cpp.cli_common import json_option
from makemore_cpp.model import MLP


@click.command("export")
@click.argument("run")
@click.argument("file")
@click.option("--name", help="Begins all names in it.  [default: that of FILE]")
@json_option
def export(run: str, file: str, name: str | None, as_json: bool) -> None:
    """Write RUN, a run folder or model file, as the header FILE for C99 and C++11.

    Its functions score, predict and sample, and need no library but C's; its comment shows how.
    """
    model = MLP.load(run)
    name = header_export.header_name(file) if name is None else name
    header_export.export_header(model, file, name)
    size = os.path.getsize(file)
    if as_json:
        console.print_json({"run": run, "header": file, "name": name, "bytes": size})
        return
    console.print_line(f"header: {file}, {size:,} bytes with {model.n_parameters:,} parameters")
    functions = f"{name}_score, {name}_log_probs and {name}_sample"
    console.print_line(f"functions: {functions}; its first comment shows how")
