"""Writes a trained model as one page for a browser, which needs no network."""

import base64
import hashlib
import json
import os
import re
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from makemore_cpp import checks, files
from makemore_cpp._core import ArgumentError
from makemore_cpp.data.dataset import Dataset
from makemore_cpp.export.page_data import page_data
from makemore_cpp.models.mlp import MLP
from makemore_cpp.training.course import Course
from makemore_cpp.training.history import History

PARTS = Path(__file__).with_name("page_parts")
# In the order in which a browser runs them.
SCRIPTS = (
    "net.js", "texts.js", "dom.js", "section_type.js", "section_map.js", "section_losses.js",
    "section_training.js", "section_sampling.js", "section_nearest.js", "section_cards.js",
    "main.js",
)  # fmt: skip
MAX_PARAMETERS = 500_000  # about 2.7 MB of page
# Characters that could end a script element or a comment in it, that end a line in JavaScript only,
# and lone surrogates, which UTF-8 cannot hold.
UNSAFE = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


def page(
    model: MLP,
    path: str | bytes | os.PathLike[str],
    *,
    history: History | Course | None = None,
    data: Dataset | None = None,
) -> None:
    """Write the model as one HTML file, in which it can be watched at work and played with.

    The file holds the parameters and the script; it needs no network, and nothing in texts or
    tokens can become markup of the page. Without `history` or `data`, sections that need them are
    replaced by a sentence. A failed write leaves an older file as it was.

    Parameters
    ----------
    model : MLP
        It has at most 500,000 parameters.
    path : str, bytes or path
        The file.
    history : History or Course, optional
        The result of `train` or of `runs.read_course`.
    data : Dataset, optional
        The data on which the model was trained.

    Raises
    ------
    TypeError
        An argument has a wrong type.
    ArgumentError
        The model has too many parameters or one that is not finite, or `data` do not fit it.
    FileError
        The file cannot be written.
    """
    checks.instance("model", model, MLP)
    place = checks.path("path", path)
    if isinstance(history, History):
        history = Course.of(history)
    if history is not None:
        checks.instance("history", history, Course)
        history = history if history.windows else None  # a run that has taken no step
    if data is not None:
        checks.instance("data", data, Dataset)
        data.check_fits(model.vocab, model.block_size)
    _check_parameters(model)
    for snapshot in () if history is None else history.snapshots:
        if snapshot.C.shape != model.C.shape:
            raise ArgumentError(
                f"history has embeddings of shape {snapshot.C.shape}, and the model's have "
                f"{model.C.shape}: it is not the model's history"
            )
    files.replace(place, page_text(page_data(model, history, data)).encode())


def _check_parameters(model: MLP) -> None:
    if model.n_parameters > MAX_PARAMETERS:
        raise ArgumentError(
            f"the model has {model.n_parameters:,} parameters; a page holds at most "
            f"{MAX_PARAMETERS:,}"
        )
    for name, array in model.parameters.items():
        bad = np.argwhere(~np.isfinite(array))
        if len(bad):
            place = ", ".join(map(str, bad[0]))
            raise ArgumentError(f"{name}[{place}] is {array[tuple(bad[0])]}; it must be finite")


def page_text(content: dict[str, Any]) -> str:
    """Return the page that shows this content, of `page_data`."""
    style = part("page.css")
    script = '"use strict";\n' + "".join(map(part, SCRIPTS))
    return Template(part("page.html")).substitute(
        style=style,
        script=script,
        policy=policy(style, script),
        content=as_script_data(content),
    )


def part(name: str) -> str:
    """Return the text of a file in the folder ``page_parts``."""
    return (PARTS / name).read_text(encoding="utf-8")


def policy(style: str, script: str | None = None) -> str:
    """Return the policy by which a browser runs only this script and applies only this style.

    Without a script, the page may hold pictures. The last rules are a second safeguard: even a
    faulty script cannot turn text into markup.
    """
    return "; ".join(
        (
            "default-src 'none'",
            "img-src data:" if script is None else f"script-src {_source(script)}",
            f"style-src {_source(style)}",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _source(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def as_script_data(content: Any) -> str:
    """Return JSON that can stand in a script element, whatever its texts hold."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
