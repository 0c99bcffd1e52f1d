"""A picture of the embeddings: each token where the model has put it."""

from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties, findfont, get_font

from makemore_cpp import checks
from makemore_cpp.evaluation.embedding_plane import EmbeddingPlane
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
    plane = EmbeddingPlane.of(model.C)
    points, axis_labels = plane.points(model.C), plane.labels
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


def _label(token: str) -> str:
    """The token where it can be seen in matplotlib's font, else the code points that cannot."""
    if token == " ":
        return "␣"
    font = get_font(findfont(FontProperties(weight="bold")))
    return "".join(
        c if c.isprintable() and font.get_char_index(ord(c)) else f"U+{ord(c):04X}"
        for c in token[:MAX_LABEL]
    )
