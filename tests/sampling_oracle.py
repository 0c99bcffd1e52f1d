"""Sampling and completing texts by their definitions alone, one token at a time.

A model is anything with vocab, block_size and log_probs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from makemore_cpp import reference

END, CUT, STUCK = 0, 1, 2


def next_log_probs(model: Any, text: str) -> np.ndarray:
    """Return the log-probabilities (V,) of the token that follows after `text`."""
    tokens = [0] * model.block_size + [model.vocab.stoi[c] for c in text]
    return model.log_probs(np.array([tokens[-model.block_size :]], np.int32))[0]


def draw(
    model: Any,
    i: int,
    *,
    seed: int = 42,
    prefix: str = "",
    min_length: int = 0,
    max_length: int = 100,
    **choice: Any,
) -> tuple[str, int]:
    """Return candidate number i and how it ended; `choice` has temperature, top_k and top_p."""
    text = prefix
    while True:
        u = reference.sample_uniforms(seed, i, 1, len(text))
        row = next_log_probs(model, text)[None]
        token = reference.sample_tokens(row, u, **choice, may_end=len(text) >= min_length)[0]
        if token == 0:
            return text, END
        if token < 0:
            return text, STUCK
        if len(text) == max_length:
            return text, CUT
        text += model.vocab.itos[token]


def sample(
    model: Any, n: int, *, unique: bool = False, exclude: Iterable[str] = (), **options: Any
) -> list[str]:
    """Return the first n candidates that pass."""

    def passing() -> Iterator[str]:
        left_out = set(exclude)
        for i in itertools.count():
            text, ending = draw(model, i, **options)
            if ending == STUCK or text in left_out:
                continue
            if unique:
                left_out.add(text)
            yield text

    return list(itertools.islice(passing(), n))


def per_char(model: Any, text: str) -> list[float]:
    tokens = [model.vocab.stoi[c] for c in text] + [0]
    return [-float(next_log_probs(model, text[:i])[token]) for i, token in enumerate(tokens)]


def score(model: Any, text: str) -> float:
    total = 0.0
    for surprisal in per_char(model, text):
        total -= surprisal
    return total


def completions(model: Any, prefix: str, k: int, max_length: int) -> list[tuple[str, float]]:
    """Score all texts of at most max_length characters; return the best k that are possible."""
    characters = model.vocab.characters
    found = [
        (text, score(model, text))
        for length in range(max_length - len(prefix) + 1)
        for rest in itertools.product(characters, repeat=length)
        for text in [prefix + "".join(rest)]
    ]
    possible = [(text, log_prob) for text, log_prob in found if log_prob > -math.inf]
    return sorted(possible, key=lambda pair: -pair[1])[:k]


def chi_square_limit(freedom: int, z: float = 3.719) -> float:
    """Return the value that chi-square exceeds as rarely as a normal variable exceeds z: 1e-4.

    E. B. Wilson and M. M. Hilferty, "The distribution of chi-square" (1931).
    """
    a = 2 / (9 * freedom)
    return freedom * (1 - a + z * math.sqrt(a)) ** 3


def chi_square(counts: np.ndarray, p: np.ndarray) -> tuple[float, int]:
    """Return chi-square and its degrees of freedom; cells expecting fewer than 5 become one."""
    expected = p * counts.sum()
    rare = expected < 5
    observed = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    observed, expected = observed[expected > 0], expected[expected > 0]
    return float(((observed - expected) ** 2 / expected).sum()), len(expected) - 1
