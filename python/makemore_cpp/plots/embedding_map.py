"""A picture of the embeddings: each token stands where the model has put it."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from makemore_cpp import checks
from makemore_cpp.evaluation.embedding_plane import EmbeddingPlane
from makemore_cpp.evaluation.vowels import kind, vowel_clustering
from makemore_cpp.models.mlp import MLP
from makemore_cpp.plots.style import BLUE, GREY, ORANGE, RED, new_axes, styled, tidy

MAX_LABEL = 20  # characters of a word
MAX_LABELS = 400  # of characters; more would cover each other, and the rest are dots
MAX_WORDS = 100  # of a picture; the embeddings of rarer words mean less


@styled
def embeddings(model: MLP, ax: Axes | None = None) -> Axes:
    """Draw each token at its embedding, vowels and consonants in two colours.

    With more than two dimensions, the first two principal components are shown, and the axes say
    how much of the variance they carry. The title says how well vowels and consonants form two
    clusters by their angles in all dimensions; see `evaluation.vowel_clustering`.

    Where tokens are words, the first 100 are shown, which are the most frequent in a vocabulary of
    `Vocab.from_texts`, and no label covers an earlier one.
    """
    checks.instance("model", model, MLP)
    ax = new_axes(7, 7) if ax is None else ax
    if model.vocab.level == "word":
        return _words(model, ax)
    plane = EmbeddingPlane.of(model.C)
    points = plane.points(model.C)
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
            fontsize=12,
            fontweight="bold",
            parse_math=False,
        )
    ax.set_title(_title(model))
    ax.legend(frameon=False, loc="best")
    return _finished(ax, plane)


def _words(model: MLP, ax: Axes) -> Axes:
    shown = model.vocab.itos[: MAX_WORDS + 1]
    C = model.C[: len(shown)]
    plane = EmbeddingPlane.of(C)
    points = plane.points(C)
    ax.scatter(points[:, 0], points[:, 1], s=12, color=ORANGE, alpha=0.6, linewidths=0)
    labels = [
        ax.annotate(
            _label(token),
            (float(x), float(y)),
            ha="center",
            va="bottom",
            color=BLUE,
            fontsize=8,
            parse_math=False,
        )
        for token, (x, y) in zip(shown, points, strict=True)
    ]
    ax.set_title(f"Embeddings of the first {len(shown) - 1:,} of {model.vocab_size - 1:,} words")
    _finished(ax, plane)
    _keep_apart(ax, labels)
    return ax


def _keep_apart(ax: Axes, labels: Sequence[Text]) -> None:
    """Remove each label that would cover an earlier one."""
    figure = ax.figure if isinstance(ax.figure, Figure) else ax.figure.figure
    for label in labels:
        label.set_in_layout(False)  # the layout then stays when some labels are removed
    figure.draw_without_rendering()  # puts everything in its final place
    kept: list[Bbox] = []
    for label in labels:
        box = label.get_window_extent().padded(1)  # letters differ a little with the resolution
        if any(box.overlaps(other) for other in kept):
            label.remove()
        else:
            kept.append(box)


def _finished(ax: Axes, plane: EmbeddingPlane) -> Axes:
    ax.margins(0.08)
    ax.set_xlabel(plane.labels[0])
    ax.set_ylabel(plane.labels[1])
    tidy(ax)
    if plane.heights is not None:
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


def _label(token: str) -> str:
    """Return a token as matplotlib's font can show it, with code points for other characters."""
    if token == " ":
        return "␣"
    font = get_font(findfont(FontProperties(weight="bold")))
    return "".join(
        c if c.isprintable() and font.get_char_index(ord(c)) else f"U+{ord(c):04X}"
        for c in token[:MAX_LABEL]
    )
