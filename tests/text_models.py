"""Models of every kind, small and trained on a few names, for tests of what all of them can do."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import makemore_cpp as mm

KINDS = ["MLP", "frozen", "tabulated", "NGram", "KneserNey", "Mixture", "one's own"]


class OfOnesOwn(mm.Model):
    """A user's class, with another model's vocab, block_size and log_probs and no more."""

    def __init__(self, model: Any) -> None:
        self.vocab, self.block_size, self.model = model.vocab, model.block_size, model

    def log_probs(self, X: np.ndarray) -> np.ndarray:
        return self.model.log_probs(X)


class Table(mm.Model):
    """A model that predicts row x of a table (V,V) of probabilities after the token x."""

    block_size = 1

    def __init__(self, vocab: mm.Vocab, p: Any) -> None:
        self.vocab = vocab
        with np.errstate(divide="ignore"):
            self.table = np.log(np.array(p, np.float64)).astype(np.float32)

    def log_probs(self, X: np.ndarray) -> np.ndarray:
        return self.table[X[:, -1]]


@cache
def small_data() -> mm.Dataset:
    return mm.Dataset.split(mm.load_texts()[:2000], block_size=3)


@cache
def tiny_data() -> mm.Dataset:
    """Return texts of three letters."""
    texts = ["a", "ab", "abc", "bab", "cab", "abba", "caba", "acab", "bc", "cc", "baca", "b"]
    return mm.Dataset.split(texts * 5, block_size=3, vocab=mm.Vocab(["a", "b", "c"]))


@cache
def model_of(kind: str, is_tiny: bool = False) -> Any:
    data = tiny_data() if is_tiny else small_data()
    if kind in ("NGram", "KneserNey"):
        return getattr(mm, kind)(data.vocab, data.train.texts, order=3)
    if kind == "Mixture":
        members = [model_of(member, is_tiny) for member in ("MLP", "KneserNey", "NGram")]
        return mm.Mixture(members, [0.5, 0.3, 0.2])
    if kind == "one's own":
        return OfOnesOwn(model_of("MLP", is_tiny))
    mlp = mm.MLP(data.vocab, block_size=3, n_embd=4, n_hidden=30)
    mlp.train_steps(data.train.X, data.train.Y, np.full(1000, 0.1))
    if kind == "MLP":
        return mlp
    frozen = mlp.freeze()
    if kind == "tabulated":  # by asking for more contexts than there are
        frozen.score(data.texts * 20)
    return frozen
