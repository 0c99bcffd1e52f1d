"""Writes a trained net as one C header: the weights, and functions that score and sample."""

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from string import Template
from textwrap import fill

from makemore_cpp import checks, files
from makemore_cpp._core import ArgumentError, __version__
from makemore_cpp.arrays import Float32
from makemore_cpp.models.mlp import MLP

TEMPLATE_FILE = "header_template.h"
# About 80 MB of text, for which a compiler takes 20 seconds and 1 to 2.5 GB of memory.
MAX_PARAMETERS = 5_000_000
# Half of the stack that some systems give a thread.
MAX_STACK_BYTES = 1 << 18
MAX_NAME = 40  # C tells names apart by 63 characters, of which the header adds up to 16
MAX_SPANS = 100  # of the vocabulary in the comment
NAME_RULE = (
    "cannot begin the names of a header: that takes a letter, then letters, digits and single "
    f"underscores between them, at most {MAX_NAME} of ASCII"
)


def export_header(
    model: MLP, path: str | bytes | os.PathLike[str], name: str | None = None
) -> None:
    """Write the model as one header for C99 and C++11, which needs only the standard C library.

    Its functions are ``<name>_score``, ``<name>_log_probs`` and ``<name>_sample``; the comment at
    its top shows how to use them. A failed write leaves an older file as it was.

    Parameters
    ----------
    model : MLP
    path : str, bytes or path
        The file.
    name : str, optional
        The beginning of every name in the header, so that one program can hold several models; by
        default the name of the file without its ending.

    Raises
    ------
    TypeError
        `model` is not an MLP, `path` not a path, or `name` not a str.
    ArgumentError
        `name` cannot begin a C identifier, the model is too large for a header, or one of its
        parameters is not finite.
    FileError
        The file cannot be written.
    """
    place = checks.path("path", path)
    text = header_text(model, header_name(place) if name is None else name)
    files.replace(place, text.encode("ascii"))


def header_name(path: str) -> str:
    """Return the default name for a header in this file; raise ArgumentError if it is unusable."""
    stem = Path(path).stem
    if not _is_name(stem):
        raise ArgumentError(
            f"the name of the file {checks.quoted(path)} {NAME_RULE}; give another with name"
        )
    return stem


def header_text(model: MLP, name: str) -> str:
    """Return the header of `export_header` as ASCII text; the same model gives the same text.

    The errors are those of `export_header`.
    """
    if not isinstance(model, MLP):
        raise TypeError(f"model must be a makemore_cpp.MLP, not {type(model).__name__}")
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {type(name).__name__}")
    if not _is_name(name):
        raise ArgumentError(f"name {checks.quoted(name)} {NAME_RULE}")
    if not model.vocab.is_plain:
        raise ArgumentError("a header holds no words and no token for unknown ones")
    if model.direct:
        raise ArgumentError("a header holds no direct connections")
    stack_bytes = _stack_bytes(model)
    _check_size(model, stack_bytes)
    code_points = [ord(character) for character in model.vocab.itos]
    tables = {key: _table(array) for key, array in model.parameters.items()}
    template = Path(__file__).with_name(TEMPLATE_FILE).read_text(encoding="ascii")
    return Template(template.replace("NAME", name)).substitute(
        tables,
        V=model.vocab_size,
        T=model.block_size,
        E=model.n_embd,
        H=model.n_hidden,
        n_parameters=f"{model.n_parameters:,}",
        max_bytes=len(max(model.vocab.characters).encode()),
        table_bytes=f"{4 * (model.n_parameters + model.vocab_size):,}",
        stack_bytes=f"{stack_bytes:,}",
        characters=_braces(f"0x{code_point:X}" for code_point in code_points),
        vocabulary=_spans(code_points[1:]),
        model_sha256=hashlib.sha256(model.to_bytes()).hexdigest(),
        data="unknown data" if model.data is None else f"data of SHA-256 {model.data.sha256}",
        version=__version__,
    )


def _is_name(name: str) -> bool:
    """Whether identifiers may begin with this; C++ reserves two underscores in a row."""
    is_identifier = re.fullmatch("[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", name)
    return is_identifier is not None and len(name) <= MAX_NAME


def _stack_bytes(model: MLP) -> int:
    """Return the stack of a call in bytes: hidden units and logits in double, and the context."""
    return 8 * (model.n_hidden + model.vocab_size) + 4 * model.block_size


def _check_size(model: MLP, stack_bytes: int) -> None:
    if model.n_parameters > MAX_PARAMETERS:
        raise ArgumentError(
            f"the model has {model.n_parameters:,} parameters; a header holds at most "
            f"{MAX_PARAMETERS:,}"
        )
    if stack_bytes > MAX_STACK_BYTES:
        raise ArgumentError(
            f"the model has {model.n_hidden:,} hidden units and {model.vocab_size:,} tokens, for "
            f"which the header's functions would take {stack_bytes:,} bytes of stack; at most "
            f"{MAX_STACK_BYTES:,} are allowed"
        )


def _table(array: Float32) -> str:
    """Return a C initializer of one or two dimensions that gives exactly these bits."""
    if array.ndim == 2:
        return "{\n" + ",\n".join(map(_table, array)) + "}"
    return _braces(map(_literal, array.tolist()))


def _literal(number: float) -> str:
    text = f"{number:.9g}"  # nine digits tell all float32 numbers apart
    return text + ("f" if "." in text or "e" in text else ".0f")


def _braces(items: Iterable[str]) -> str:
    """Return items in braces, in lines of eight."""
    each = list(items)
    lines = [", ".join(each[i : i + 8]) for i in range(0, len(each), 8)]
    return "{" + ",\n ".join(lines) + "}"


def _spans(code_points: list[int]) -> str:
    """Return the comment's lines on the vocabulary, like "a-z U+00E9".

    Only ASCII letters and digits are shown as they are, so that nothing can end the comment or
    rearrange an editor's lines.
    """
    spans: list[list[int]] = []
    for code_point in code_points:
        if spans and spans[-1][-1] + 1 == code_point:
            spans[-1] = [spans[-1][0], code_point]
        else:
            spans.append([code_point])
    shown = ["-".join(map(_escaped, span)) for span in spans[:MAX_SPANS]]
    if len(spans) > MAX_SPANS:
        shown.append("and others")
    return fill(
        f"Vocabulary:  the end of a text, {' '.join(shown)}", 100, subsequent_indent=" " * 13
    )


def _escaped(code_point: int) -> str:
    character = chr(code_point)
    is_plain = character.isascii() and character.isalnum()
    return character if is_plain else f"U+{code_point:04X}"
