"""The common parts of all pictures: colours, axes, the frame, drawing and writing."""

import contextlib
import functools
import io
import os
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from makemore_cpp import checks, files

BLUE, ORANGE, GREY, RED = "#2b6cb0", "#dd6b20", "#718096", "#c53030"
# Settings that belong to the calling program, not to a picture.
NOT_STYLE = ("backend", "date.epoch", "docstring", "interactive", "savefig.directory", "timezone",
             "tk.", "toolbar", "webagg")  # fmt: skip

P = ParamSpec("P")
R = TypeVar("R")


@contextlib.contextmanager
def own_style() -> Iterator[None]:
    """Let matplotlib's own defaults hold inside, not those of a matplotlibrc or the program."""
    defaults = {
        name: value
        for name, value in matplotlib.rcParamsDefault.items()
        if not name.startswith(NOT_STYLE)
    }
    with matplotlib.rc_context(defaults):
        yield


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Return `draw` in `own_style`; it keeps the caller's style if the caller passes Axes."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        if kwargs.get("ax") is not None or any(isinstance(one, Axes) for one in args):
            return draw(*args, **kwargs)
        with own_style():
            return draw(*args, **kwargs)

    return drawn


class ShownFigure(Figure):
    """A figure that a notebook shows where it is the last value of a cell."""

    def _repr_png_(self) -> bytes:
        return png_of(self)


class ShownAxes(Axes):
    """The same of axes."""

    def _repr_png_(self) -> bytes:
        return png_of(self.figure)


def new_figure(width: float, height: float) -> Figure:
    """Return a new figure, of this size in inches."""
    return ShownFigure(figsize=(width, height), layout="constrained")


def new_axes(width: float, height: float) -> Axes:
    """Return the axes of a new figure, of this size in inches."""
    return new_figure(width, height).add_subplot(axes_class=ShownAxes)


def tidy(ax: Axes) -> None:
    """Leave two of the four lines of the frame, and draw a faint grid behind everything."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25)
    ax.set_axisbelow(True)


@styled
def png_of(figure: Figure | SubFigure) -> bytes:
    """Return a figure, such as ``ax.figure``, as PNG; the same figure gives the same bytes."""
    whole = figure if isinstance(figure, Figure) else figure.figure
    stream = io.BytesIO()
    whole.savefig(stream, format="png", dpi=150, metadata={"Software": None})
    return stream.getvalue()


def save(figure: Figure | SubFigure, path: str | bytes | os.PathLike[str]) -> None:
    """Write a figure as PNG, as `png_of` gives it, replacing a file of that name atomically.

    Raises
    ------
    TypeError
        `path` is not a path.
    FileError
        The file cannot be written; an older one is as it was.
    """
    files.replace(checks.path("path", path), png_of(figure))
