"""Pictures of the hidden units: the distribution of their activations, and the saturated ones."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike

from makemore_cpp.evaluation.hidden_units import SATURATED, hidden_activations, saturation
from makemore_cpp.models.mlp import MLP
from makemore_cpp.plots.style import BLUE, RED, new_axes, new_figure, styled, tidy

BINS = 200  # of width 0.01, so that the two outermost bins hold the saturated activations
ROWS = 100  # of the image; the eye could not tell apart more


@styled
def activation_histogram(model: MLP, X: ArrayLike, ax: Axes | None = None) -> Axes:
    """Draw the distribution over [-1, 1] of the hidden units' activations for contexts X (N,T)."""
    ax = new_axes(8, 4) if ax is None else ax
    h = hidden_activations(model, X)
    edges = np.linspace(-1, 1, BINS + 1)
    shares = np.histogram(h, edges)[0] / h.size
    ax.stairs(shares, edges, fill=True, color=BLUE, alpha=0.8)
    for tail in (slice(0, 1), slice(BINS - 1, BINS)):
        ax.stairs(shares[tail], edges[tail.start : tail.stop + 1], fill=True, color=RED)
    ax.set_xlim(-1, 1)
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    ax.set_xlabel("activation h")
    ax.set_ylabel(f"share, in bins of {2 / BINS:g}")
    found = saturation(h)
    ax.set_title(
        f"Activations of {found.units:,} hidden units for {found.examples:,} examples\n"
        f"{100 * found.share:.1f} % are saturated, beyond ±{SATURATED} (red)"
    )
    tidy(ax)
    return ax


@styled
def saturation_image(model: MLP, X: ArrayLike, ax: Axes | None = None) -> Axes:
    """Draw a row for each context of X (N,T) and a column for each unit: white means saturated.

    A column that is white from top to bottom is a dead unit. Of more than 100 contexts, evenly
    spaced ones are drawn, but all are counted.
    """
    ax = new_axes(8, 4) if ax is None else ax
    h = hidden_activations(model, X)
    image = (np.abs(h[:: -(-len(h) // ROWS)]) > SATURATED).astype(np.float32)
    ax.imshow(image, cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="antialiased")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("hidden unit")
    ax.set_ylabel("example")
    found = saturation(h)
    ax.set_title(
        f"Saturated (white): {100 * found.share:.1f} % in {found.examples:,} examples; "
        f"dead units: {found.dead_units:,} of {found.units:,}"
    )
    return ax


@styled
def hidden_units(model: MLP, X: ArrayLike) -> Figure:
    """Draw both pictures of the hidden units, one above the other."""
    figure = new_figure(8, 8)
    above, below = figure.subplots(2, 1)
    activation_histogram(model, X, above)
    saturation_image(model, X, below)
    return figure
