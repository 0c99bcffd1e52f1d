"""Examples with a large vocabulary, whose tokens are as rare as words."""

import numpy as np


def zipf_examples(V, T, N=200_000, seed=0):
    """Return contexts X (N-T,T) and targets Y (N-T,) from text whose r-th token has p ~ 1 / r."""
    p = 1 / np.arange(1, V + 1)
    text = np.random.default_rng(seed).choice(V, N, p=p / p.sum()).astype(np.int32)
    windows = np.lib.stride_tricks.sliding_window_view(text, T + 1)
    return windows[:, :T].copy(), windows[:, T].copy()
