"""Pictures of a training run: its losses, embeddings and hidden units."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter
from numpy.typing import ArrayLike

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError
from makemore_cpp.arrays import Float64, Int32
from makemore_cpp.files import folders
from makemore_cpp.models.mlp import MLP
from makemore_cpp.plots.embedding_map import embeddings
from makemore_cpp.plots.hidden import hidden_units
from makemore_cpp.plots.style import BLUE, GREY, ORANGE, new_axes, save, styled, tidy
from makemore_cpp.training.history import History
from makemore_cpp.training.state import Evaluation

MODEL_PICTURES = ("embeddings.png", "hidden.png")
HIDDEN_EXAMPLES = 1000  # the most contexts of the picture of the hidden units

SMOOTHING_WINDOWS = 100  # the smoothed line averages over 1/100 of the run
RAW_BINS = 1500  # more would be narrower than a pixel


@styled
def loss_curve(
    history: History | ArrayLike,
    evaluations: Sequence[Evaluation] = (),
    ax: Axes | None = None,
) -> Axes:
    """Draw the loss of every step, its moving average and the losses on dev.

    Parameters
    ----------
    history : History, or array of losses (steps,)
    evaluations : list of Evaluation
        The evaluations that belong to an array of losses; a History has its own.
    ax : matplotlib Axes, optional
        Where to draw; without it, on a new figure (``ax.figure``).
    """
    if isinstance(history, History):
        losses, evaluations = np.asarray(history.losses, np.float64), history.evaluations
    else:
        losses = checks.numbers("losses", history)
    if losses.ndim != 1 or len(losses) == 0:
        raise ArgumentError(f"losses have the shape {losses.shape}; it must be (steps,), steps > 0")
    ax = new_axes(8, 4.5) if ax is None else ax

    steps, raw = _decimate(losses)
    ax.plot(steps, raw, color=BLUE, alpha=0.25, linewidth=0.5, label="each step (minibatch)")
    window = max(1, len(losses) // SMOOTHING_WINDOWS)
    centres, smooth = _moving_average(losses, window)
    if window > 1:
        ax.plot(centres, smooth, color=BLUE, linewidth=1.6, label=f"mean of {window:,} steps")
    if evaluations:
        ax.plot(
            [evaluation.step for evaluation in evaluations],
            [evaluation.dev_loss for evaluation in evaluations],
            "o-",
            color=ORANGE,
            markersize=5,
            linewidth=1,
            markeredgecolor="white",
            clip_on=False,
            zorder=3,
            label=f"dev split (last: {evaluations[-1].dev_loss:.4f})",
        )
    _limit_losses(ax, losses, smooth, [evaluation.dev_loss for evaluation in evaluations])
    ax.set_xlim(0, len(losses))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.set_xlabel("step")
    ax.set_ylabel("loss (nats per token)")
    ax.set_title("Training loss")
    low, top = ax.get_ylim()
    ends_high = bool(evaluations) and evaluations[-1].dev_loss > low + 0.75 * (top - low)
    ax.legend(loc="lower left" if ends_high else "upper right", edgecolor="none")
    tidy(ax)
    return ax


def model_pictures(model: MLP, X: Int32) -> list[Callable[[], Axes | Figure]]:
    """Return the functions that draw the MODEL_PICTURES: embeddings and hidden units.

    Of more than 1,000 contexts X (N,T) for the hidden units, evenly spaced ones are used.
    """
    some = X[:: -(-len(X) // HIDDEN_EXAMPLES)]
    return [partial(embeddings, model), partial(hidden_units, model, some)]


def save_model_pictures(folder: str | bytes | os.PathLike[str], model: MLP, X: Int32) -> list[Path]:
    """Write the pictures of a model, its embeddings and hidden units; return the files' paths.

    Parameters
    ----------
    folder : str, bytes or path
        The folder, which is made if there is none; pictures of the same names are replaced.
    model : MLP
    X : int32 array, shape (N,T)
        Contexts for the hidden units; of more than 1,000, evenly spaced ones are used.

    Raises
    ------
    FileError
        A picture cannot be written.
    """
    place = Path(checks.path("folder", folder))
    paths = [place / name for name in MODEL_PICTURES]
    folders.make(place)
    for path, picture in zip(paths, model_pictures(model, X), strict=True):
        shown = picture()
        save(shown if isinstance(shown, Figure) else shown.figure, path)
    return paths


def _decimate(losses: Float64) -> tuple[Float64, Float64]:
    """Keep the least and the greatest loss of each bin, which leaves a long line's look."""
    size = -(-len(losses) // RAW_BINS)
    if size <= 2:
        return np.arange(1.0, len(losses) + 1), losses
    whole = len(losses) // size * size
    bins = losses[:whole].reshape(-1, size)
    extremes = np.column_stack([bins.min(axis=1), bins.max(axis=1)]).ravel()
    steps = np.arange(len(extremes), dtype=np.float64) * (size / 2) + 1
    return steps, extremes


def _moving_average(losses: Float64, window: int) -> tuple[Float64, Float64]:
    """Return the steps at the centres of windows of `window` losses and their means, thinned."""
    sums = np.concatenate([[0.0], np.cumsum(losses)])
    means = (sums[window:] - sums[:-window]) / window
    centres = np.arange(len(means), dtype=np.float64) + (window + 1) / 2
    thin = slice(None, None, max(1, window // 10))
    return centres[thin], means[thin]


def _limit_losses(ax: Axes, losses: Float64, smooth: Float64, dev: Sequence[float]) -> None:
    """Leave rare losses and a bad start outside the picture: they would flatten the rest."""
    low, high = np.quantile(losses, [0.001, 0.999])
    # All dev losses stay inside.
    low, top = min(low, smooth.min(), *dev), max(high, smooth.min() * 1.2, *dev)
    margin = 0.04 * (top - low) or 0.1
    ax.set_ylim(low - margin, top + margin)
    highest = float(losses.max())
    if highest > 1.5 * top:
        ax.annotate(
            f"up to {highest:.4g} at step {int(losses.argmax()) + 1:,}, outside",
            (0.01, 0.985),
            xycoords="axes fraction",
            va="top",
            color=GREY,
            fontsize=8,
        )
