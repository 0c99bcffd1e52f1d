"""A small training problem that the trainer's tests share, and how they compare its results."""

from __future__ import annotations

from typing import Any

import numpy as np

from makemore_cpp import _core, reference

Parameters = list[np.ndarray]


def copies(parameters: Parameters) -> Parameters:
    return [p.copy() for p in parameters]


def assert_equal(found: Parameters, expected: Parameters) -> None:
    for name, f, e in zip(("C", "W1", "b1", "W2", "b2"), found, expected, strict=True):
        assert f.tobytes() == e.tobytes(), f"{name} differs"


class Run:
    """Sizes, initial parameters and random examples with something in them to be learnt."""

    def __init__(
        self, T: int = 3, E: int = 10, H: int = 200, V: int = 27, N: int = 500,
        init: str = "scaled", seed: int = 1,
    ) -> None:  # fmt: skip
        rng = np.random.default_rng([T, E, H, V, N])
        self.first = list(reference.initial_parameters(T, E, H, V, seed, init))
        self.X = rng.integers(0, V, (N, T)).astype(np.int32)
        noise = rng.integers(0, V, N)
        self.Y = np.where(rng.random(N) < 0.5, self.X.sum(axis=1) % V, noise).astype(np.int32)

    def train(
        self, lr: Any, train: Any = _core.train_steps, **options: Any
    ) -> tuple[np.ndarray, Parameters]:
        """Losses and trained parameters; the initial ones stay as they are."""
        parameters = copies(self.first)
        return train(*parameters, self.X, self.Y, lr, **options), parameters


# Where the output layer is everything.
LARGE = {"T": 2, "E": 4, "H": 12, "V": 20_000, "N": 300}
