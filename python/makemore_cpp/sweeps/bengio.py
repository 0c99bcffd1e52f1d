"""Table 1 of Bengio et al. (2003): nets of several shapes, n-grams, and mixtures of both."""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from makemore_cpp._core import ArgumentError
from makemore_cpp.data.dataset import Dataset
from makemore_cpp.models.jelinek_mercer import InterpolatedNGram
from makemore_cpp.models.kneser_ney import KneserNey
from makemore_cpp.models.ngram import CountModel, NGram
from makemore_cpp.sweeps.word_nets import Shape, TargetLogProbs, train_net

# The paper's table 1 for the Brown corpus: perplexities on its dev and test splits.
PAPER_NETS = {  # of the net alone, and of its mixture with the interpolated trigram
    Shape(5, 50, 60, direct=True): ((284, 268), (275, 257)),
    Shape(5, 0, 60, direct=True): ((327, 310), (286, 272)),
    Shape(5, 50, 30, direct=True): ((296, 279), (273, 259)),
    Shape(3, 50, 30, direct=True): ((309, 293), (284, 270)),
    Shape(5, 100, 30): ((280, 276), (265, 252)),
}
PAPER_NGRAMS = {
    "interpolated trigram": (352, 336),
    "Kneser-Ney 3": (334, 323),
    "Kneser-Ney 4": (332, 321),
    "Kneser-Ney 5": (332, 321),
}
# The last three nets are not in the paper: its longest embeddings without direct connections, and a
# larger net.
LARGER = Shape(9, 200, 100)
SHAPES = (*PAPER_NETS, Shape(5, 50, 60), Shape(3, 50, 60), LARGER)
OPTIONS_OF_LARGER = {"dropout": 0.5}  # the option of LARGER that differs from `word_nets.RECIPE`
QUICK_SHAPES = (Shape(5, 0, 30, direct=True), Shape(5, 50, 30, direct=True), Shape(5, 50, 30),
                Shape(3, 50, 30))  # fmt: skip
TRIGRAM, BEST_NGRAM = "interpolated trigram", "Kneser-Ney 5"


class BengioRow(NamedTuple):
    """A row of the table: `train`, `dev` and `test` are perplexities; n, h, m are as in `Shape`.

    The perplexity on train is that of every eighth token.
    """

    model: str
    mixed_with: str | None
    n: int
    h: int | None
    m: int | None
    direct: bool | None
    seed: int | None
    parameters: int  # the number of parameters, or of counts
    seconds: float  # the time of training, or of counting
    train: float | None
    dev: float | None
    test: float | None
    paper_dev: int | None = None
    paper_test: int | None = None


def run_bengio(
    data: Dataset,
    *,
    seeds: Sequence[int] = (1,),
    shapes: Sequence[Shape] = SHAPES,
    options: Mapping[str, Any] | None = None,
    is_quick: bool = False,
    on_rows: Callable[[list[BengioRow]], object] = lambda rows: None,
) -> list[BengioRow]:
    """Return the rows of the table: the n-grams, then for each net and seed four rows.

    The four rows are the net alone, its mixture with the interpolated trigram at equal weights, as
    in the paper, and two mixtures with the 5-gram: at the weights that are best on dev, and at the
    weights that are best on dev for each frequency of the last word.

    Parameters
    ----------
    data : Dataset
        A stream of words, with contexts that are long enough for every shape.
    seeds : list of int
        The seeds of the nets.
    shapes : list of Shape
    options : dict, optional
        Options of the nets' training that replace those of `word_nets.RECIPE`.
    is_quick : bool
        Whether to train for fewer epochs.
    on_rows : callable
        A function that is called with all rows so far whenever there are more.

    Raises
    ------
    ArgumentError
        No net can have one of the shapes, a shape needs longer contexts, a split is empty, or an
        option is wrong.
    """
    for shape in shapes:
        if shape.options["block_size"] > data.block_size:
            raise ArgumentError(f"data has block_size {data.block_size}, but {shape} needs more")
    if not (len(data.dev.Y) and len(data.test.Y)):
        raise ArgumentError("the data are too few: dev and test must not be empty")
    rows: list[BengioRow] = []
    looks: dict[str, TargetLogProbs] = {}
    for name, model, seconds in _ngrams(data):
        looks[name] = TargetLogProbs.of(model, data)
        size = sum(len(level.ngrams) for level in model.counts.levels)
        fixed = (name, None, model.order, None, None, None, None)
        rows.append(_row((*fixed, size, seconds), looks[name], PAPER_NGRAMS.get(name)))
        on_rows(rows)
    for shape in shapes:
        for seed in seeds:
            its_options = {**(OPTIONS_OF_LARGER if shape == LARGER else {}), **(options or {})}
            net, seconds = train_net(shape, data, seed, its_options, is_quick)
            own = TargetLogProbs.of(net.freeze(), data)
            other = looks[BEST_NGRAM]
            weight = own.weight(other)
            by_frequency = own.weights_by_frequency(other, data)
            papers = PAPER_NETS.get(shape, (None, None))
            for mixed_with, look, paper in (
                (None, own, papers[0]),
                (f"{TRIGRAM}, 0.5", own.mixed(looks[TRIGRAM], [0.5] * 3), papers[1]),
                (f"{BEST_NGRAM}, {1 - weight:.2f}", own.mixed(other, [weight] * 3), None),
                (f"{BEST_NGRAM} by frequency", own.mixed(other, by_frequency), None),
            ):
                what = ("net", mixed_with, *shape, seed)
                rows.append(_row((*what, net.n_parameters, seconds), look, paper))
            on_rows(rows)
    return rows


def _row(fixed: tuple[Any, ...], looks: TargetLogProbs, paper: tuple[int, int] | None) -> BengioRow:
    return BengioRow(*fixed, *looks.perplexities(), *(paper or (None, None)))


def _ngrams(data: Dataset) -> list[tuple[str, CountModel, float]]:
    """Return the n-grams of the table, and the seconds that each took."""
    vocab, train, dev = data.vocab, data.train.texts, data.dev.texts
    made: list[tuple[str, CountModel, float]] = []
    started = time.perf_counter()

    def add(name: str, model: CountModel) -> None:
        nonlocal started
        made.append((name, model, time.perf_counter() - started))
        started = time.perf_counter()

    add("unigram, add one", NGram(vocab, train, order=1))
    add(TRIGRAM, InterpolatedNGram(vocab, train, 3, dev, by_frequency=True))
    for model in islice(KneserNey.rising(vocab, train), 2, 5):
        add(f"Kneser-Ney {model.order}", model)
    return made
