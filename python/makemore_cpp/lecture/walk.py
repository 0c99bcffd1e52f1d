"""Reads the parts of the lecture from its script, and runs them."""

import ast
import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import takewhile
from pathlib import Path
from string import Formatter
from typing import Any, NamedTuple

import numpy as np

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError
from makemore_cpp.data.dataset import Dataset
from makemore_cpp.recipe.options import OPTIONS

PARTS = Path(__file__).with_name("parts")
PICTURE = "picture "
MIN_TEXTS, MAX_VOCABULARY = 200, 256
NOTHING = "These texts have nothing to show here."


class Segment(NamedTuple):
    """A part of the lecture: code that is run, shown and written into the notebook as it is.

    The last expression of `code` is a dict of values by name, to which the braces of `sentence`
    refer; the last expression of `picture_code` is a picture. A part without a picture has two
    empty texts for it.
    """

    title: str
    claim: str
    code: str
    sentence: str
    picture_title: str = ""
    picture_code: str = ""


class Shown(NamedTuple):
    """The results of a segment."""

    segment: Segment
    values: dict[str, Any]  # of types that JSON has
    sentence: str
    png: bytes | None
    missing: str  # the reason why a picture is missing
    seconds: float


def segments(
    path: str | None = None, seed: int = 1, steps: int = OPTIONS["steps"].default
) -> list[Segment]:
    """Return the parts of the lecture, in its order.

    Parameters
    ----------
    path : str, optional
        A file of texts; without it the bundled names.
    seed : int
        The seed of initial parameters, minibatches and samples.
    steps : int
        The steps of the lecture's training; other trainings have shares of them.

    Raises
    ------
    TypeError, ArgumentError
        An argument has a wrong type or is out of its range.
    """
    OPTIONS["seed"].check_value("seed", seed)
    OPTIONS["steps"].check_value("steps", steps)
    script = (PARTS / "afternoon.py").read_text(encoding="utf-8")
    if path is not None:
        script = script.replace("load_texts()", f"load_texts({checks.path('path', path)!r})", 1)
    script = script.replace("seed, steps = 1, 200_000", f"seed, steps = {seed}, {steps:_}", 1)
    found: list[Segment] = []
    for part in script.split("\n# %% ")[1:]:
        title, _, body = part.partition("\n")
        if title.startswith(PICTURE):
            picture = {"picture_title": title.removeprefix(PICTURE), "picture_code": body.strip()}
            found[-1] = found[-1]._replace(**picture)
        else:
            body, _, sentence = body.partition("\n# => ")
            lines = body.splitlines()
            claim = list(takewhile(lambda line: line.startswith("#"), lines))
            code = "\n".join(lines[len(claim) :]).strip()
            found.append(Segment(title, _prose(claim), code, _prose(sentence.splitlines())))
    return found


def _prose(comment: Iterable[str]) -> str:
    return " ".join(line.removeprefix("#").strip() for line in comment).strip()


def walk(
    parts: Iterable[Segment], drawing: Callable[[], AbstractContextManager[Any]] = nullcontext
) -> Iterator[Shown]:
    """Run the segments one after another, as a notebook would, and yield what each shows.

    A picture that cannot be drawn costs its place and nothing else.

    Parameters
    ----------
    parts : list of Segment
    drawing : callable
        A function that returns the context manager in which a picture is drawn.

    Raises
    ------
    ArgumentError, FileError, FormatError
        The texts cannot be read, or are too few for the lecture.
    """
    namespace: dict[str, Any] = {}
    for part in parts:
        started = time.perf_counter()
        values = _plain(run(part.code, namespace))
        _check(namespace.get("data"))
        sentence = filled(part, values)
        png, missing = None, ""
        if part.picture_code:
            try:
                with drawing():
                    png = run(part.picture_code, namespace)._repr_png_()
            except Exception as error:  # of any kind: the values are there already
                missing = f"{type(error).__name__}: {' '.join(str(error).split())}"
        yield Shown(part, values, sentence, png, missing, time.perf_counter() - started)


def filled(
    part: Segment,
    values: dict[str, Any],
    plain: Callable[[str], str] = str,
    field: Callable[[str, str], str] = lambda name, text: text,
) -> str:
    """Return the sentence of a part with its values, or NOTHING if one of these is None.

    `plain` is what becomes of the text between them, and `field` of a value's name and text.
    """
    if any(value is None for value in values.values()):
        return plain(NOTHING)
    return "".join(
        plain(text) + ("" if name is None else field(name, format(values[name], form or "")))
        for text, name, form, _ in Formatter().parse(part.sentence)
    )


def _check(data: Any) -> None:
    """Refuse texts that are too few to show much, or whose vocabulary makes the walk too long."""
    if not isinstance(data, Dataset):
        return
    if len(data.texts) < MIN_TEXTS:
        raise ArgumentError(
            f"the lecture needs {MIN_TEXTS} texts or more; there are {len(data.texts)}"
        )
    if len(data.vocab) > MAX_VOCABULARY:
        raise ArgumentError(
            f"the lecture takes texts of at most {MAX_VOCABULARY} different characters, the "
            f"boundary included; there are {len(data.vocab)}"
        )


def run(code: str, namespace: dict[str, Any]) -> Any:
    """Run code in a namespace and return the value of its last expression."""
    tree = ast.parse(code)
    last = tree.body.pop()
    if not isinstance(last, ast.Expr):
        raise ArgumentError(f"the code ends in no expression: {checks.shown(code)}")
    exec(compile(tree, "<lecture>", "exec"), namespace)
    return eval(compile(ast.Expression(last.value), "<lecture>", "eval"), namespace)


def _plain(value: Any) -> Any:
    """Return a value as types that JSON has; a number that is not finite becomes None."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, np.generic | np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
