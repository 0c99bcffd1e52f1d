"""Finds the tokens that a net treats alike: their embeddings point the same way."""

import numpy as np
from numpy.typing import ArrayLike

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError
from makemore_cpp.data.vocab import MAX_TOKENS, Vocab

DEFAULT_NEIGHBOURS = 10


def nearest(vocab: Vocab, C: ArrayLike, token: str, k: int) -> list[tuple[str, float]]:
    """Return the result of `Net.nearest` for embeddings C (V,E)."""
    k = checks.integer("k", k, 1, MAX_TOKENS)
    if not isinstance(token, str):
        raise TypeError(f"token must be a str, not {type(token).__name__}")
    itos = vocab.itos
    try:
        query = itos.index(token)
    except ValueError:
        raise ArgumentError(f"token {checks.quoted(token)} is not in the vocabulary") from None
    rows = np.asarray(C, np.float64)
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise ArgumentError(f"C[{bad[0]}] is not finite: it has no direction")
    # Sums row by row, so that equal embeddings have equal cosines; float32 squared fits float64.
    lengths = np.sqrt((rows * rows).sum(axis=1))
    units = rows / np.where(lengths > 0, lengths, 1)[:, None]
    cosines = np.clip((units * units[query]).sum(axis=1), -1, 1)
    order = np.argsort(-cosines, kind="stable")
    return [(itos[i], float(cosines[i])) for i in order[order != query][:k]]
