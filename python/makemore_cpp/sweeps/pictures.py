"""Pictures of sweeps: heat maps, lines, the search for a learning rate."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from makemore_cpp._core import ArgumentError
from makemore_cpp.arrays import Float64
from makemore_cpp.evaluation.ngram_losses import NGramRow
from makemore_cpp.plots.style import BLUE, GREY, ORANGE, new_axes, styled, tidy
from makemore_cpp.sweeps.bengio import BengioRow
from makemore_cpp.sweeps.lr_search import NOISE, RateCurve, recommended
from makemore_cpp.sweeps.table import Row, Table, cell_text, mean, spread

LOSS_LABEL = "loss (nats per token)"
LINE_COLOURS = (BLUE, ORANGE, "#2f855a", "#6b46c1", "#c53030", "#0987a0", "#b7791f", GREY)
MAX_LINES = 24  # of a picture; the eye could not tell apart more


@styled
def sweep(table: Table, ax: Axes | None = None) -> Axes:
    """Draw a sweep: a heat map of the dev loss if two options vary, else lines."""
    return heat_map(table, ax) if len(table.varying) == 2 else lines(table, ax=ax)


@styled
def heat_map(table: Table, ax: Axes | None = None) -> Axes:
    """Draw the mean dev loss for each pair of values of the two options that vary.

    Raises
    ------
    ArgumentError
        Not exactly two options vary.
    """
    if len(table.varying) != 2:
        raise ArgumentError(f"a heat map needs two options that vary; here {table.varying} do")
    down, across = sorted(table.varying, key=lambda name: len(_values(table, name)))
    rows, columns = _values(table, down), _values(table, across)
    ax = new_axes(2.5 + 1.15 * len(columns), 1.9 + 0.7 * len(rows)) if ax is None else ax
    cells = {(c[0].options[down], c[0].options[across]): c for c in table.cells}
    losses = np.full((len(rows), len(columns)), np.nan)
    for (row, column), cell in cells.items():
        loss = mean(cell, "dev")
        losses[rows.index(row), columns.index(column)] = np.nan if loss is None else loss
    known = bool(np.isfinite(losses).any())
    image = ax.imshow(losses, cmap="viridis_r", aspect="auto")
    ax.set_facecolor("#e2e8f0")  # the colour of cells without a loss
    # The higher half of the losses has dark colours; a cell without a loss compares false.
    is_dark = losses > (np.nanmin(losses) + np.nanmax(losses)) / 2 if known else losses > 0
    for (row, column), cell in cells.items():
        y, x = rows.index(row), columns.index(column)
        colour = "white" if is_dark[y, x] else "black"
        ax.annotate(_cell_text(cell), (x, y), ha="center", va="center", color=colour, fontsize=10)
    ax.set_xticks(range(len(columns)), [cell_text(value) for value in columns])
    ax.set_yticks(range(len(rows)), [cell_text(value) for value in rows])
    ax.set_xlabel(across)
    ax.set_ylabel(down)
    ax.spines[:].set_visible(False)
    if known:
        ax.figure.colorbar(image, ax=ax, label=LOSS_LABEL)
    ax.set_title("Loss on dev")
    return ax


def lines(
    table: Table,
    x: str | None = None,
    y: Sequence[str] = ("train", "dev"),
    by: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw losses against one option, a line for each combination of others.

    Parameters
    ----------
    table : Table
    x : str, optional
        The option; by default the one with the most values.
    y : list of str
        The losses of `Row` to draw; with more than one combination of options only the last.
    by : list of str, optional
        The options whose combinations are lines; by default all other options that vary.
    ax : matplotlib Axes, optional
        Where to draw; without it, on a new figure (``ax.figure``).
    """
    ax = new_axes(7.5, 4.5) if ax is None else ax
    if x is None:
        x = max(table.varying or ["lr"], key=lambda name: len(_values(table, name)))
    values = _sorted(_values(table, x))
    others = [name for name in table.varying if name != x] if by is None else by
    groups: dict[str, list[list[Row]]] = {}
    for cell in table.cells:
        values_of = {name: cell[0].options[name] for name in others}
        label = ", ".join(f"{k} {cell_text(v)}" for k, v in values_of.items() if v is not None)
        groups.setdefault(label, []).append(cell)
    places, ticks = _places(values)
    if ticks is None:
        ax.set_xscale("log")
    drawn = [(label, name) for label in groups for name in (y[-1:] if others else y)]
    for number, (label, name) in enumerate(drawn[:MAX_LINES]):
        points = [
            (places[values.index(cell[0].options[x])], loss, spread(cell, name) or 0.0)
            for cell in groups[label]
            if (loss := mean(cell, name)) is not None
        ]
        points.sort()
        colour = LINE_COLOURS[number % len(LINE_COLOURS)]
        style = ("-", "--", ":")[number // len(LINE_COLOURS) % 3]
        ax.errorbar(
            [point[0] for point in points],
            [point[1] for point in points],
            yerr=[point[2] for point in points] if any(point[2] for point in points) else None,
            fmt="o" + style,
            color=colour,
            markersize=5,
            linewidth=1.5,
            capsize=3,
            label=label or name,
        )
    if ticks is not None:
        ax.set_xticks(places, ticks)
    ax.set_xlabel(x)
    ax.set_ylabel(LOSS_LABEL if not others else f"{y[-1]} {LOSS_LABEL}")
    _mark_diverged(ax, table, x, values, places)
    ax.set_title(f"Loss by {x}")
    if ax.get_legend_handles_labels()[0]:
        ax.legend(edgecolor="none", fontsize=9)
    tidy(ax)
    return ax


@styled
def rate_curve(curve: RateCurve, ax: Axes | None = None) -> Axes:
    """Draw the losses of a run in which the rate grew, smoothed too, and the suggested rate."""
    ax = new_axes(7.5, 4.5) if ax is None else ax
    exponents = np.log10(curve.rates)
    ax.plot(exponents, curve.losses, color=BLUE, alpha=0.3, linewidth=0.7, label="each step")
    ax.plot(
        np.log10(curve.smooth_rates),
        curve.smooth_losses,
        color=BLUE,
        linewidth=1.8,
        label=f"mean of {curve.window:,} steps",
    )
    ax.axvline(
        float(np.log10(curve.suggestion)),
        color=ORANGE,
        linewidth=1.5,
        label=f"suggested rate {curve.suggestion:.2g}",
    )
    _limit(ax, curve.losses)
    ax.set_xlim(float(exponents[0]), float(exponents[-1]))
    ax.set_xlabel("exponent e of the learning rate 10**e")
    ax.set_ylabel(LOSS_LABEL)
    ax.set_title("One run with a growing learning rate")
    ax.legend(edgecolor="none")
    tidy(ax)
    return ax


@styled
def fixed_rates(table: Table, ax: Axes | None = None) -> Axes:
    """Draw the last losses of short runs against their rates, and the recommended range."""
    ax = lines(table, "lr", ("last_100",), ax=ax)
    found = recommended(table)
    if found is not None:
        ax.axvspan(found.low, found.high, color=ORANGE, alpha=0.18, linewidth=0)
        for rate in {found.low, found.high}:
            ax.axvline(rate, color=ORANGE, linewidth=1)
        ax.plot(
            [], [], color=ORANGE, linewidth=6, alpha=0.4, label=f"within {NOISE} of the lowest loss"
        )
    for line in ax.containers:
        line.set_label("mean loss of the last 100 steps")
    if ax.get_legend_handles_labels()[0]:
        ax.legend(edgecolor="none")
    ax.set_xlabel("learning rate")
    ax.set_title("A short run at each rate")
    return ax


@styled
def ngrams(rows: Sequence[NGramRow], ax: Axes | None = None) -> Axes:
    """Draw the losses of n-grams by the length of the context, and the share of unseen contexts."""
    ax = new_axes(7.5, 4.5) if ax is None else ax
    sizes = [row.block_size for row in rows]
    for name, label, colour in (
        ("floor", "least possible on train", GREY),
        ("additive", "additive smoothing, dev", BLUE),
        ("kneser_ney", "modified Kneser-Ney, dev", "#2f855a"),
    ):
        losses = [np.nan if getattr(row, name) is None else getattr(row, name) for row in rows]
        ax.plot(sizes, losses, "o-", color=colour, markersize=5, linewidth=1.5, label=label)
    shares = [np.nan if row.unseen_share is None else 100 * row.unseen_share for row in rows]
    right = ax.twinx()
    right.bar(sizes, shares, color=ORANGE, alpha=0.25, width=0.6)
    right.set_ylabel("dev positions with an unseen context (%)", color=ORANGE)
    right.set_ylim(0, 100)
    right.spines[["top", "left"]].set_visible(False)
    ax.set_zorder(right.get_zorder() + 1)  # the lines in front of the bars
    ax.patch.set_visible(False)
    ax.set_xticks(sizes)
    ax.set_xlabel("tokens of context")
    ax.set_ylabel(LOSS_LABEL)
    ax.set_title("N-grams: the curse of dimensionality")
    ax.legend(edgecolor="none", loc="lower left", fontsize=9)
    tidy(ax)
    return ax


@styled
def bengio(rows: Sequence[BengioRow], ax: Axes | None = None) -> Axes:
    """Draw dev perplexity against seconds of training: nets and mixtures, n-grams as lines."""
    ax = new_axes(8, 5.5) if ax is None else ax
    nets = [row for row in rows if row.model == "net" and row.dev is not None]
    shapes = list(dict.fromkeys((row.n, row.h, row.m, row.direct) for row in nets))
    for number, (n, h, m, direct) in enumerate(shapes):
        colour = LINE_COLOURS[number % len(LINE_COLOURS)]
        its = [row for row in nets if (row.n, row.h, row.m, row.direct) == (n, h, m, direct)]
        for is_mixed in (False, True):
            chosen = [row for row in its if (row.mixed_with is not None) == is_mixed]
            ax.plot(
                [row.seconds for row in chosen],
                [row.dev or np.nan for row in chosen],
                "o",
                color=colour,
                markersize=7,
                markerfacecolor="white" if is_mixed else colour,
                label=None if is_mixed else f"n={n}, h={h}, m={m}" + ", direct" * bool(direct),
            )
    others = [row for row in rows if row.model != "net" and row.dev is not None and row.n > 1]
    for number, row in enumerate(others):
        style = ("-", "--", ":", "-.")[number % 4]
        label = f"{row.model}: {row.dev:.0f}"
        ax.axhline(row.dev or np.nan, color=GREY, linestyle=style, linewidth=1, label=label)
    if nets:
        ax.set_xscale("log")
    ax.set_xlabel("seconds of training")
    ax.set_ylabel("perplexity on dev")
    ax.set_title("Nets (filled), mixed with n-grams (hollow), and n-grams (lines)")
    ax.legend(edgecolor="none", fontsize=8)
    tidy(ax)
    return ax


def _cell_text(cell: Sequence[Row]) -> str:
    loss, deviation = mean(cell, "dev"), spread(cell, "dev")
    if loss is None:
        return "diverged" if any(row.diverged for row in cell) else "n/a"
    return f"{loss:.4f}" + ("" if deviation is None else f"\n± {deviation:.4f}")


def _mark_diverged(
    ax: Axes, table: Table, x: str, values: list[Any], places: Sequence[float]
) -> None:
    """Draw a cross at the top for each value with which a run diverged."""
    found = {row.options[x] for row in table.rows if row.diverged}
    crosses = [places[values.index(value)] for value in found]
    if crosses:
        ax.plot(
            crosses,
            [0.97] * len(crosses),
            "x",
            color=GREY,
            markersize=9,
            transform=ax.get_xaxis_transform(),
            label="diverged",
        )


def _places(values: list[Any]) -> tuple[list[float], list[str] | None]:
    """Return the places of values on a logarithmic axis, or on one with their names as ticks."""
    if len(values) > 1 and all(isinstance(value, float) and value > 0 for value in values):
        return values, None
    return [float(i) for i in range(len(values))], [cell_text(value) for value in values]


def _values(table: Table, name: str) -> list[Any]:
    return list(dict.fromkeys(row.options[name] for row in table.rows))


def _sorted(values: list[Any]) -> list[Any]:
    """Return numbers by size, then all other values in their order."""
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    return sorted(numbers) + [value for value in values if value not in numbers]


def _limit(ax: Axes, losses: Float64) -> None:
    """Leave losses that explode at the end outside the picture: they would flatten the rest."""
    low, start = float(losses.min()), float(losses[: max(1, len(losses) // 10)].max())
    high = min(float(losses.max()), start + 0.5 * (start - low))
    margin = 0.04 * (high - low) or 0.1
    ax.set_ylim(low - margin, high + margin)
