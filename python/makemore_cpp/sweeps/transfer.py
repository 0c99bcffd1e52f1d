"""Compares nets with counts on contexts that were never seen, of which counts know nothing."""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from makemore_cpp.data.dataset import Dataset
from makemore_cpp.models.counts import NGramCounts
from makemore_cpp.models.jelinek_mercer import InterpolatedNGram
from makemore_cpp.models.kneser_ney import KneserNey
from makemore_cpp.models.mlp import MLP
from makemore_cpp.sweeps.word_nets import Shape, train_net
from makemore_cpp.text.model import Model
from makemore_cpp.training.loop import train_quietly

NGRAM_ORDER = 5


# -- contexts that were never seen -----------------------------------------------------------------
class UnseenRow(NamedTuple):
    """Mean losses, in nats per token, at the positions of dev whose context is not in train.

    A position counts if the last `length` tokens before it do not stand together in train; in the
    row of length 0 all positions count. Losses are None where there is no position.
    """

    length: int
    positions: int
    share: float  # of all positions
    net: float | None
    kneser_ney: float | None
    mixture: float | None  # of net and Kneser-Ney, with equal weights


def unseen_losses(net: Model, ngram: Model, data: Dataset) -> list[UnseenRow]:
    """Return a row for each length of context up to the net's, and one for all positions.

    Raises
    ------
    ArgumentError
        A model has another vocabulary than the data, or dev is empty.
    """
    X, Y = data.dev.X[:, -net.block_size :], data.dev.Y
    own, other = (model.target_log_probs(X[:, -model.block_size :], Y) for model in (net, ngram))
    mixed = np.logaddexp(own, other) - math.log(2)
    counts = NGramCounts(data.vocab, data.train.texts, net.block_size + 1)
    rows = []
    for length, ids in enumerate(counts.find_contexts(X.astype(np.int64))):
        chosen = ids < 0 if length else np.ones(len(Y), np.bool_)
        n = int(chosen.sum())
        means = [-float(each[chosen].mean()) if n else None for each in (own, other, mixed)]
        rows.append(UnseenRow(length, n, n / len(Y), *means))
    return rows


def run_unseen(
    data: Dataset, shape: Shape, seed: int, options: Mapping[str, Any], is_quick: bool = False
) -> list[UnseenRow]:
    """Train a net and count a Kneser-Ney 5-gram, and return `unseen_losses` of both."""
    net, _ = train_net(shape, data, seed, options, is_quick)
    ngram = KneserNey(data.vocab, data.train.texts, min(NGRAM_ORDER, shape.n))
    return unseen_losses(net.freeze(), ngram, data)


# -- a grammar in which words come in pairs --------------------------------------------------------
# The two words of a pair have the same verbs and places, but no sentence says that a dog sat.
GRAMMAR = {
    ("dog", "cat"): (("sat", "slept", "jumped", "ran", "lay"), ("mat", "rug")),
    ("man", "woman"): (("read", "wrote", "spoke", "sang", "thought"), ("chair", "sofa")),
    ("king", "queen"): (("ruled", "dined", "waited", "stood", "prayed"), ("throne", "dais")),
    ("car", "truck"): (("stopped", "turned", "parked", "drove", "broke"), ("road", "street")),
    ("bird", "bat"): (("flew", "landed", "perched", "nested", "fed"), ("roof", "branch")),
}
UNSEEN, SEEN = "a dog sat on the mat", "a cat sat on the mat"
SENTENCES = 2000
GRAMMAR_SHAPE: dict[str, Any] = {"block_size": 4, "n_embd": 10, "n_hidden": 30}
GRAMMAR_RECIPE: dict[str, Any] = {
    "steps": 2000, "lr": 0.01, "schedule": "cosine", "lr_floor": 0.0,
    "optimizer": "adamw", "weight_decay": 0.1, "eval_every": 0,
}  # fmt: skip


class GrammarRow(NamedTuple):
    """The probabilities of `UNSEEN` and `SEEN` by a net and by an interpolated trigram."""

    seed: int
    net: float  # the probability of `UNSEEN`
    trigram: float
    ratio: float  # net / trigram
    seen_net: float  # the probability of `SEEN`
    seen_trigram: float
    nearest: dict[str, str]  # the nearest neighbour of each word that has a pair

    @property
    def pairs_found(self) -> int:
        """The number of words, of 10, whose nearest neighbour is the other word of their pair."""
        others = {a: b for pair in GRAMMAR for a, b in (pair, pair[::-1])}
        return sum(self.nearest[word] == other for word, other in others.items())


def sentences(n: int, seed: int) -> list[str]:
    """Return n sentences of the grammar, such as "the cat sat on a mat"; in none a dog sat."""
    source = random.Random(seed)
    pairs = list(GRAMMAR)
    found: list[str] = []
    while len(found) < n:
        pair = source.choice(pairs)
        verbs, places = GRAMMAR[pair]
        noun, verb = source.choice(pair), source.choice(verbs)
        if (noun, verb) == ("dog", "sat"):
            continue
        first, second = source.choice(("the", "a")), source.choice(("the", "a"))
        found.append(f"{first} {noun} {verb} on {second} {source.choice(places)}")
    return found


def run_grammar(seeds: Sequence[int] = (1, 2, 3, 4, 5)) -> list[GrammarRow]:
    """Train a net and count a trigram on sentences drawn with each seed; return a row for each."""
    rows = []
    for seed in seeds:
        data = Dataset.split(sentences(SENTENCES, seed), 4, seed, level="word")
        net = MLP(data.vocab, seed=seed, **GRAMMAR_SHAPE)
        train_quietly(net, data, seed=seed, **GRAMMAR_RECIPE)
        trigram = InterpolatedNGram(
            data.vocab, data.train.texts, 3, data.dev.texts, by_frequency=True
        )
        own, other = (np.exp(model.score([UNSEEN, SEEN])).tolist() for model in (net, trigram))
        nearest = {word: net.nearest(word, 1)[0][0] for pair in GRAMMAR for word in pair}
        rows.append(
            GrammarRow(seed, own[0], other[0], own[0] / other[0], own[1], other[1], nearest)
        )
    return rows
