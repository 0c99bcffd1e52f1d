"""The paper's nets over words: their data, the recipe of their training, their perplexities."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from makemore_cpp.arrays import Float64
from makemore_cpp.data.dataset import Dataset
from makemore_cpp.models.jelinek_mercer import frequency_bins
from makemore_cpp.models.mixture import fit_weights
from makemore_cpp.models.mlp import MLP
from makemore_cpp.recipe.options import OPTIONS, Recipe
from makemore_cpp.sweeps.one_run import with_block_size
from makemore_cpp.text.model import Model

PAPER_SIZES = (800_000, 200_000)  # tokens of train and dev
QUICK_SIZES = (100_000, 20_000)
QUICK_TEST = 20_000
EPOCHS, QUICK_EPOCHS = 10, 3  # of a training whose steps are not given
# The perplexity on train is computed from one in this many examples, to save time.
TRAIN_STRIDE = 8
LEAST_EXAMPLES = 50  # of dev in a bin that gets a weight of its own

# The options of the nets' training. On the Brown corpus, with one seed, a net of n=5, h=100, m=60
# has the dev perplexity 303 after five epochs and 297 after ten; the Kneser-Ney 5-gram has 347.
# Larger nets need more dropout: n=9, h=200, m=100 has 283 after five epochs; after ten, with a
# dropout of 0.5, it has 280, with h=400 and m=150 284, and with half the weight decay 295.
RECIPE: dict[str, Any] = {
    "batch_size": 256,
    "lr": 5e-3,
    "schedule": "cosine",
    "lr_floor": 0.0,
    "optimizer": "adamw",
    "weight_decay": 0.3,
    "dropout": 0.3,
    "negatives": 2000,
}


class Shape(NamedTuple):
    """The shape of a net in the paper's letters: n - 1 words of context, h hidden units."""

    n: int
    h: int
    m: int  # features of a word, n_embd
    direct: bool = False  # whether the words are connected with the output directly

    @property
    def options(self) -> dict[str, Any]:
        """The options of `MLP` for this shape; ArgumentError where no net can have it."""
        sizes = {"block_size": self.n - 1, "n_embd": self.m, "n_hidden": self.h}
        options = {**sizes, "direct": self.direct}
        Recipe.of(options, "model")
        return options


def read_stream(
    texts: Sequence[str],
    sizes: tuple[int, int] | None,
    block_size: int,
    *,
    is_quick: bool = False,
    **of_texts: Any,
) -> Dataset:
    """Return texts as a stream, by default cut like the paper's 1,181,041 tokens.

    Of at most a million tokens, 80 % are train and 10 % dev. With `is_quick` only the texts of the
    first 140,000 tokens are used.
    """
    if is_quick:
        texts = _first(texts, sum(QUICK_SIZES) + QUICK_TEST)
    wanted = QUICK_SIZES if is_quick else PAPER_SIZES
    if sizes is None and sum(len(text.split()) for text in texts) > sum(wanted):
        sizes = wanted
    return Dataset.stream(texts, sizes, block_size, **of_texts)


def _first(texts: Sequence[str], tokens: int) -> list[str]:
    """Return the first texts that together hold this many words."""
    lengths = np.cumsum([len(text.split()) for text in texts])
    return list(texts[: int(np.searchsorted(lengths, tokens)) + 1])


def train_net(
    shape: Shape, data: Dataset, seed: int, options: Mapping[str, Any], is_quick: bool = False
) -> tuple[MLP, float]:
    """Return a trained net and the seconds that its steps took.

    `options` replace those of `RECIPE`.
    """
    recipe = recipe_of(data, options, is_quick)
    model = MLP(data.vocab, seed=seed, **shape.options)
    data = with_block_size(data, model.block_size)
    # The output biases begin at the logarithms of the words' frequencies: a step moves a bias by
    # only about lr, and a rare word's would have a long way from 0.
    counts = np.bincount(data.train.Y, minlength=len(data.vocab)) + 1
    model.b2[:] = np.log(counts / counts.sum())
    state = model.optimizer_state(recipe.optimizer)
    started = time.perf_counter()
    model.train_steps(
        data.train.X,
        data.train.Y,
        recipe.learning_rates(0, recipe.steps),
        seed=seed,
        state=state or None,
        **recipe.minibatches(),
        **recipe.options("update"),
    )
    model.data = data.origin
    return model, time.perf_counter() - started


def recipe_of(data: Dataset, options: Mapping[str, Any], is_quick: bool = False) -> Recipe:
    """Return `RECIPE` with these options instead of its own; by default with steps for `EPOCHS`."""
    wanted = {**RECIPE, **options}
    if wanted["schedule"] != "cosine" and "lr_floor" not in options:
        wanted["lr_floor"] = None
    if wanted["negatives"] is not None:  # a small vocabulary has fewer tokens
        wanted["negatives"] = min(wanted["negatives"], len(data.vocab) - 1)
    if "steps" not in wanted:
        examples = (QUICK_EPOCHS if is_quick else EPOCHS) * len(data.train.Y)
        batch = len(data.train.Y) if wanted["batch_size"] == "all" else wanted["batch_size"]
        OPTIONS["batch_size"].check_value("batch_size", batch)
        wanted["steps"] = max(1, math.ceil(examples / batch))
    return Recipe.of(wanted, "training", "update")


class TargetLogProbs(NamedTuple):
    """The log-probabilities that a model gives to the targets of each split."""

    train: Float64  # those of every eighth example
    dev: Float64
    test: Float64

    @classmethod
    def of(cls, model: Model, data: Dataset) -> "TargetLogProbs":
        """Return the log-probabilities of a model."""
        T = model.block_size
        splits = (
            (data.train.X[::TRAIN_STRIDE, -T:], data.train.Y[::TRAIN_STRIDE]),
            (data.dev.X[:, -T:], data.dev.Y),
            (data.test.X[:, -T:], data.test.Y),
        )
        return cls(*(model.target_log_probs(X, Y) if len(Y) else np.empty(0) for X, Y in splits))

    def mixed(self, other: Self, weights: Sequence[Float64 | float]) -> "TargetLogProbs":
        """Return those of a mixture; `weights` are this model's, one for each split or target."""
        splits = zip(self, other, weights, strict=True)
        with np.errstate(divide="ignore"):
            return TargetLogProbs(
                *(np.logaddexp(a + np.log(w), b + np.log(np.subtract(1, w))) for a, b, w in splits)
            )

    def weight(self, other: Self) -> float:
        """Return the weight of this model in the mixture that is best on dev."""
        return float(fit_weights(np.array([self.dev, other.dev]))[0])

    def weights_by_frequency(self, other: Self, data: Dataset) -> list[Float64]:
        """Return the weights of this model in train, dev and test, by the last word's frequency.

        Every one of the `frequency_bins` has the weight that is best on dev.
        """
        seen = np.bincount(data.train.Y, minlength=len(data.vocab))
        of_word = frequency_bins(seen, len(data.train.Y))
        in_dev = of_word[data.dev.X[:, -1]]
        weights = np.full(of_word.max() + 1, self.weight(other))
        for i in np.flatnonzero(np.bincount(in_dev) >= LEAST_EXAMPLES):
            its = in_dev == i
            weights[i] = fit_weights(np.array([self.dev[its], other.dev[its]]))[0]
        contexts = (data.train.X[::TRAIN_STRIDE], data.dev.X, data.test.X)
        return [weights[of_word[X[:, -1]]] for X in contexts]

    def perplexities(self) -> list[float | None]:
        """Return the perplexities of train, dev and test, None for an empty split."""
        return [float(np.exp(-each.mean())) if len(each) else None for each in self]
