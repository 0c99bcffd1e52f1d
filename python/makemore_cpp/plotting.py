"""Pictures of a training run: its losses and its embeddings. Needs matplotlib, but never pyplot."""

import os
import unicodedata
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ticker import StrMethodFormatter
from numpy.typing import ArrayLike

from makemore_cpp._core import ArgumentError
from makemore_cpp.arrays import Float64
from makemore_cpp.model import MLP
from makemore_cpp.training import Evaluation, History

BLUE, ORANGE, GREY, RED = "#2b6cb0", "#dd6b20", "#718096", "#c53030"
SMOOTHING_WINDOWS = 100  # the smoothed line averages over 1/100 of the run
RAW_BINS = 1500  # more would be narrower than a pixel
MAX_LABELS = 400  # beyond, labels cover each other; the rest are dots
VOWELS = frozenset("aeiouæœøαεηιουωаеиоуыэюяєі")  # noqa: RUF001 - three alphabets


def loss_curve(
    history: History | ArrayLike,
    evaluations: Sequence[Evaluation] = (),
    ax: Axes | None = None,
) -> Axes:
    """Draw the loss of every step, its moving average and the losses on dev.

    Parameters
    ----------
    history : History, or array of losses (steps,)
        A History brings its own evaluations.
    evaluations : list of Evaluation
        For an array of losses.
    ax : matplotlib Axes, optional
        Where to draw; without it, on a new figure (``ax.figure``).
    """
    if isinstance(history, History):
        losses, evaluations = np.asarray(history.losses, np.float64), history.evaluations
    else:
        losses = np.asarray(history, np.float64)
    if losses.ndim != 1 or len(losses) == 0:
        raise ArgumentError(f"losses have the shape {losses.shape}; it must be (steps,), steps > 0")
    ax = _new_axes(8, 4.5) if ax is None else ax

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
    ax.legend(loc="upper right", edgecolor="none")
    _tidy(ax)
    return ax


def embeddings(model: MLP, ax: Axes | None = None) -> Axes:
    """Draw each token at its embedding, as its character, vowels and consonants in two colours.

    With more than two dimensions, the first two principal components are shown, and the axes say
    how much of the variance they carry.
    """
    ax = _new_axes(7, 7) if ax is None else ax
    points, axis_labels = _plane(np.asarray(model.C, np.float64))
    kinds = ["boundary", *map(_kind, model.vocab.characters)]
    colours = {"vowel": RED, "consonant": BLUE, "other": GREY, "boundary": GREY}
    for name, members in (
        ("vowels", ("vowel",)),
        ("consonants", ("consonant",)),
        ("others", ("other", "boundary")),
    ):
        chosen = points[[kind in members for kind in kinds]]
        if len(chosen):
            colour = colours[members[0]]
            ax.scatter(chosen[:, 0], chosen[:, 1], s=260, color=colour, alpha=0.16, linewidths=0)
            ax.scatter([], [], s=60, color=colour, label=name)
    for character, kind, point in list(zip(model.vocab.itos, kinds, points, strict=True))[
        :MAX_LABELS
    ]:
        ax.annotate(
            _label(character),
            (float(point[0]), float(point[1])),
            ha="center",
            va="center",
            color=colours[kind],
            fontsize=12,
            fontweight="bold",
            parse_math=False,
        )
    ax.margins(0.08)
    ax.set_xlabel(axis_labels[0])
    ax.set_ylabel(axis_labels[1])
    ax.set_title(f"Embeddings of {len(points)} tokens")
    ax.legend(frameon=False, loc="best")
    _tidy(ax)
    if model.n_embd == 1:
        ax.set_yticks([])
    return ax


def save(figure: Figure | SubFigure, path: str | os.PathLike[str]) -> None:
    """Write a figure, such as ``ax.figure``, as PNG; the same figure gives the same bytes."""
    whole = figure if isinstance(figure, Figure) else figure.figure
    whole.savefig(path, format="png", dpi=150, metadata={"Software": None})


def _new_axes(width: float, height: float) -> Axes:
    return Figure(figsize=(width, height), layout="constrained").add_subplot()


def _tidy(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25)
    ax.set_axisbelow(True)


def _decimate(losses: Float64) -> tuple[Float64, Float64]:
    """Keep the least and the greatest loss of each bin, so that a long line looks the same."""
    size = -(-len(losses) // RAW_BINS)
    if size <= 2:
        return np.arange(1.0, len(losses) + 1), losses
    whole = len(losses) // size * size
    bins = losses[:whole].reshape(-1, size)
    extremes = np.column_stack([bins.min(axis=1), bins.max(axis=1)]).ravel()
    steps = np.arange(len(extremes), dtype=np.float64) * (size / 2) + 1
    return steps, extremes


def _moving_average(losses: Float64, window: int) -> tuple[Float64, Float64]:
    """Means of all runs of `window` losses, thinned out, and the steps at their centres."""
    sums = np.concatenate([[0.0], np.cumsum(losses)])
    means = (sums[window:] - sums[:-window]) / window
    centres = np.arange(len(means), dtype=np.float64) + (window + 1) / 2
    thin = slice(None, None, max(1, window // 10))
    return centres[thin], means[thin]


def _limit_losses(ax: Axes, losses: Float64, smooth: Float64, dev: Sequence[float]) -> None:
    """Leave rare losses and a bad start outside the picture, or they would flatten the rest."""
    low, high = np.quantile(losses, [0.001, 0.999])
    # The dev losses are all inside: their marks are drawn whole, wherever they are.
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


def _plane(C: Float64) -> tuple[Float64, tuple[str, str]]:
    """Embeddings C (V,E) as points (V,2), with what to write at the two axes."""
    if C.shape[1] == 1:
        # Neighbours take turns on five levels, so that their labels stay apart.
        rank = np.argsort(np.argsort(C[:, 0], kind="stable"), kind="stable")
        levels = (rank * 2 % 5).astype(np.float64)
        return np.column_stack([C[:, 0], levels]), ("dimension 1", "(the height has no meaning)")
    if C.shape[1] == 2:
        return C, ("dimension 1", "dimension 2")
    centred = C - C.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    points = u[:, :2] * s[:2]
    points *= np.where(points[np.abs(points).argmax(axis=0), [0, 1]] < 0, -1.0, 1.0)  # fixed signs
    share = 100 * s[:2] ** 2 / max(float((s**2).sum()), np.finfo(np.float64).tiny)
    return points, (
        f"principal component 1 ({share[0]:.0f} % of the variance)",
        f"principal component 2 ({share[1]:.0f} % of the variance)",
    )


def _kind(character: str) -> str:
    """Vowel or consonant for Latin, Greek and Cyrillic letters, accents aside; else other."""
    base = unicodedata.normalize("NFD", character)[0].lower()
    if base in VOWELS:
        return "vowel"
    script = unicodedata.name(base, "").split(" ")[0]
    return "consonant" if script in ("LATIN", "GREEK", "CYRILLIC") and base.isalpha() else "other"


def _label(character: str) -> str:
    """The character where it can be seen in matplotlib's font, else its code point."""
    if character == " ":
        return "␣"
    font = get_font(findfont(FontProperties(weight="bold")))
    if character.isprintable() and font.get_char_index(ord(character)):
        return character
    return f"U+{ord(character):04X}"
