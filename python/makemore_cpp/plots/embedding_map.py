"""A picture of the embeddings: each token where the model has put it."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties, findfont, get_font

from makemore_cpp import checks
from makemore_cpp.arrays import Float64
from makemore_cpp.evaluation.vowels import kind, vowel_clustering
from makemore_cpp.models.mlp import MLP
from makemore_cpp.plots.style import BLUE, GREY, RED, new_axes, styled, tidy

MAX_LABEL = 20  # characters of a word
MAX_LABELS = 400  # beyond, labels cover each other; the rest are dots


@styled
def embeddings(model: MLP, ax: Axes | None = None) -> Axes:
    """Draw each token at its embedding, vowels and consonants in two colours.

    With more than two dimensions, the first two principal components are shown, and the axes say
    how much of the variance they carry. The title says how well vowels and consonants form two
    clusters by their angles in all dimensions; see `evaluation.vowel_clustering`.
    """
    checks.instance("model", model, MLP)
    ax = new_axes(7, 7) if ax is None else ax
    points, axis_labels = _plane(np.asarray(model.C, np.float64))
    kinds = ["boundary", *map(kind, model.vocab.tokens)]
    colours = {"vowel": RED, "consonant": BLUE, "other": GREY, "boundary": GREY}
    for name, members in (
        ("vowels", ("vowel",)),
        ("consonants", ("consonant",)),
        ("others", ("other", "boundary")),
    ):
        chosen = points[[its_kind in members for its_kind in kinds]]
        if len(chosen):
            colour = colours[members[0]]
            ax.scatter(chosen[:, 0], chosen[:, 1], s=260, color=colour, alpha=0.16, linewidths=0)
            ax.scatter([], [], s=60, color=colour, label=name)
    labelled = list(zip(model.vocab.itos, kinds, points, strict=True))[:MAX_LABELS]
    for token, its_kind, point in labelled:
        ax.annotate(
            _label(token),
            (float(point[0]), float(point[1])),
            ha="center",
            va="center",
            color=colours[its_kind],
            fontsize=12 if model.vocab.level == "char" else 7,
            fontweight="bold",
            parse_math=False,
        )
    ax.margins(0.08)
    ax.set_xlabel(axis_labels[0])
    ax.set_ylabel(axis_labels[1])
    ax.set_title(_title(model))
    ax.legend(frameon=False, loc="best")
    tidy(ax)
    if model.n_embd == 1:
        ax.set_yticks([])
    return ax


def _title(model: MLP) -> str:
    first_line = f"Embeddings of {model.vocab_size:,} tokens"
    found = vowel_clustering(model)
    if found is None:
        return first_line
    return (
        f"{first_line}\nvowels against consonants, by angle: "
        f"silhouette {found.silhouette:.2f}, p = {found.p_value:.4f}"
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


def _label(token: str) -> str:
    """The token where it can be seen in matplotlib's font, else the code points that cannot."""
    if token == " ":
        return "␣"
    font = get_font(findfont(FontProperties(weight="bold")))
    return "".join(
        c if c.isprintable() and font.get_char_index(ord(c)) else f"U+{ord(c):04X}"
        for c in token[:MAX_LABEL]
    )
