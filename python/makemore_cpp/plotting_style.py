"""What all pictures share: colours, new axes, a tidy frame, and how they are written."""

import os

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

BLUE, ORANGE, GREY, RED = "#2b6cb0", "#dd6b20", "#718096", "#c53030"


def new_axes(width: float, height: float) -> Axes:
    """Return the axes of a new figure, of this size in inches."""
    return Figure(figsize=(width, height), layout="constrained").add_subplot()


def tidy(ax: Axes) -> None:
    """Leave two of the four lines of the frame, and draw a faint grid behind everything."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25)
    ax.set_axisbelow(True)


def save(figure: Figure | SubFigure, path: str | os.PathLike[str]) -> None:
    """Write a figure, such as ``ax.figure``, as PNG; the same figure gives the same bytes."""
    whole = figure if isinstance(figure, Figure) else figure.figure
    whole.savefig(path, format="png", dpi=150, metadata={"Software": None})
