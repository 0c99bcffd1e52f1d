"""A small training problem that the trainer's tests share, and how they compare its results."""

from __future__ import annotations

from typing import Any

import numpy as np

from makemore_cpp import _core, reference
from makemore_cpp.models.mlp import NAMES

Parameters = list[np.ndarray]


def copies(parameters: Parameters) -> Parameters:
    return [p.copy() for p in parameters]


def assert_equal(found: Parameters, expected: Parameters) -> None:
    for name, f, e in zip(("C", "W1", "b1", "W2", "b2"), found, expected, strict=True):
        assert f.tobytes() == e.tobytes(), f"{name} differs"


class Run:
    """Sizes, initial parameters, and random examples from which something can be learnt."""

    def __init__(
        self, T: int = 3, E: int = 10, H: int = 200, V: int = 27, N: int = 500,
        init: str = "scaled", seed: int = 1, direct: bool = False,
    ) -> None:  # fmt: skip
        rng = np.random.default_rng([T, E, H, V, N])
        self.first = list(reference.initial_parameters(T, E, H, V, seed, init, direct))
        self.X = rng.integers(0, V, (N, T)).astype(np.int32)
        noise = rng.integers(0, V, N)
        self.Y = np.where(rng.random(N) < 0.5, self.X.sum(axis=1) % V, noise).astype(np.int32)

    def train(
        self, lr: Any, train: Any = _core.train_steps, **options: Any
    ) -> tuple[np.ndarray, Parameters]:
        """Return losses and trained parameters; the initial ones stay as they are."""
        parameters = copies(self.first)
        return train(*parameters, self.X, self.Y, lr, **options), parameters


def new_state(run: Run, optimizer: str, dtype: type = np.float32) -> dict[str, np.ndarray]:
    return {
        f"{moment}.{name}": np.zeros(p.shape, dtype)
        for moment in reference.MOMENTS[optimizer]
        for name, p in zip(NAMES, run.first, strict=True)
    }


def in_float64(run: Run, lr: Any, **options: Any) -> tuple[np.ndarray, Parameters]:
    """Return the reference's losses and parameters of the run in float64."""
    parameters = [p.astype(np.float64) for p in run.first]
    return reference.train_steps(*parameters, run.X, run.Y, lr, **options), parameters


States = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]


def assert_follows_the_reference(run: Run, optimizer: str, lr: Any, **options: Any) -> States:
    """Compare losses, parameters and states; return the core's state and the reference's."""
    exact_state = new_state(run, optimizer, np.float64)
    expected, exact = in_float64(run, lr, optimizer=optimizer, state=exact_state, **options)
    state = new_state(run, optimizer)
    losses, found = run.train(lr, optimizer=optimizer, state=state, **options)
    np.testing.assert_allclose(losses, expected, rtol=2e-5)
    for before, after, e in zip(run.first, found, exact, strict=True):
        # Where a gradient is hardly more than rounding, Adam may go either way.
        wrong = np.abs(after - e) > 1e-4 * np.abs(e - before).max(initial=0) + 1e-6 * np.abs(e)
        assert wrong.sum() <= 0.01 * wrong.size
    for name, array in state.items():
        scale = np.abs(exact_state[name]).max(initial=0)
        np.testing.assert_allclose(array, exact_state[name], rtol=1e-3, atol=1e-4 * scale)
    return state, exact_state


# Sizes at which nearly all of the work is in the output layer.
LARGE = {"T": 2, "E": 4, "H": 12, "V": 20_000, "N": 300}
