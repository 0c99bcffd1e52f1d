"""The trainer's results: single steps element by element, the golden trajectory, long runs."""

from __future__ import annotations

from typing import Any

import bounds
import numpy as np
import pytest
from example_run import LARGE, Run
from trajectory import Trajectory

from makemore_cpp import _core, reference

# The single steps exercise: no table (V > B*T), B of 1, one hidden unit, lane edges in H and V, T
# of 1.
SHAPES = [  # T, E, H, V, B
    (3, 10, 200, 27, 32), (1, 1, 1, 2, 1), (2, 3, 5, 4, 7), (4, 2, 17, 65, 3), (8, 10, 33, 31, 16),
    (1, 7, 64, 16, 33), (5, 3, 127, 8, 2), (3, 16, 500, 100, 128), (2, 2, 3, 1, 4),
    # From 1,000 tokens on and with 8 examples the output layer is cut along tokens: panels of 64
    # examples, of which the last may be narrow; groups and tiles that are not equal.
    (2, 3, 20, 96, 16), (2, 3, 20, 97, 16), (2, 3, 20, 999, 9), (3, 4, 33, 1000, 8),
    (1, 3, 100, 1001, 130), (4, 6, 100, 16384, 32), (2, 2, 7, 20011, 65), (2, 2, 7, 20011, 7),
]  # fmt: skip


# -- values --------------------------------------------------------------------------------------
@pytest.mark.parametrize("weight_decay", [0.0, 0.02])
@pytest.mark.parametrize("init", ["scaled", "lecture"])
@pytest.mark.parametrize(("T", "E", "H", "V", "B"), SHAPES)
def test_one_step(implementation, T, E, H, V, B, init, weight_decay):
    """Every parameter after one step, element by element."""
    run = Run(T, E, H, V, N=200, init=init)
    rows = np.random.default_rng(1).integers(0, 200, (1, B))
    options = {"rows": rows, "weight_decay": weight_decay}
    losses, found = run.train([0.1], implementation.train_steps, **options)
    assert losses.dtype == np.float32
    assert losses.shape == (1,)
    exact = [p.astype(np.float64) for p in run.first]
    x, y = run.X[rows[0]], run.Y[rows[0]]
    loss, gradients = reference.loss_and_gradients(*exact, x, y)
    e_loss, e_gradients = bounds.gradients(exact, x, y)
    assert abs(losses[0] - loss) <= e_loss + bounds.U * loss
    for w, after, g, e in zip(exact, found, gradients, e_gradients, strict=True):
        decay = weight_decay if w.ndim == 2 else 0.0
        expected = w - 0.1 * (g + decay * w)
        bounds.assert_within(after, expected, bounds.sgd_update(w, g, 0.1, decay, e))


GOLDEN_STEPS = 50
GOLDEN_RATES = np.linspace(0.1, 0.05, GOLDEN_STEPS).astype(np.float32)
DECAY = 2.0**-7  # a float32 number


class Golden:
    """A float64 run and its bounds, computed once for all implementations."""

    def __init__(self, run: Run, seed: int, lr: np.ndarray, batch_size: int, decay: float) -> None:
        rows = reference.batch_rows(seed, 0, len(lr), batch_size, len(run.X))
        self.run, self.lr = run, lr
        self.options = {"seed": seed, "batch_size": batch_size, "weight_decay": decay}
        self.exact = Trajectory(run.first, run.X, run.Y, lr, rows, decay)
        self.loss_bounds = self.exact.loss_bounds()
        # Of each array, the sum of its elements with random signs.
        rng = np.random.default_rng(3)
        self.signs = [rng.choice([-1.0, 1.0], p.shape) for p in run.first]
        self.sum_bounds = []
        for i, signs in enumerate(self.signs):
            direction = [np.zeros(p.shape) for p in run.first]
            direction[i] = signs
            self.sum_bounds.append(self.exact.parameter_bound(direction))

    def check(self, train: Any) -> None:
        losses, found = self.run.train(self.lr, train, **self.options)
        bounds.assert_within(losses, self.exact.losses, self.loss_bounds)
        errors = [
            np.sum(signs * (f.astype(np.float64) - e))
            for signs, f, e in zip(self.signs, found, self.exact.parameters, strict=True)
        ]
        bounds.assert_within(np.array(errors), np.zeros(5), np.array(self.sum_bounds))


@pytest.fixture(scope="module")
def golden() -> dict[str, Golden]:
    return {
        "scaled": Golden(Run(init="scaled"), 7, GOLDEN_RATES, 32, 0.0),
        "lecture": Golden(Run(init="lecture"), 7, GOLDEN_RATES, 32, DECAY),
    }


@pytest.mark.parametrize("init", ["scaled", "lecture"])
def test_golden_trajectory(implementation, golden, init):
    """Fifty steps of the lecture's net: every loss, and every array in a random direction."""
    golden[init].check(implementation.train_steps)


def test_golden_bound_notices_a_wrong_run(golden):
    """The wrong runs have a rate off by 1e-3, a decay off by a tenth, and a wrong seed."""
    right = golden["lecture"]
    exact = right.exact.losses
    assert (right.loss_bounds / exact).max() < 2e-4
    for wrong in ({"lr": right.lr * 1.001}, {"weight_decay": 1.1 * DECAY}, {"seed": 8}):
        options = {"lr": right.lr, **right.options, **wrong}
        losses, _ = right.run.train(train=reference.train_steps, **options)
        assert bounds.excess(losses, exact, right.loss_bounds) > 5


def test_tangents_are_central_differences_of_gradients(golden):
    """The bound rests on the product of the Hessian with a direction."""
    step = golden["lecture"].exact.steps[5]
    rng = np.random.default_rng(2)
    a = [rng.standard_normal(p.shape) for p in step.w]
    sides = []
    for eps in (1e-5, -1e-5):
        moved = [p + eps * v for p, v in zip(step.w, a, strict=True)]
        sides.append(reference.loss_and_gradients(*moved, step.X, step.Y)[1])
    for plus, minus, tangent in zip(*sides, step.along(a)[0], strict=True):
        error = (plus - minus) / 2e-5 - tangent
        assert np.abs(error).max() < 1e-6 * np.abs(tangent).max()


def test_training_learns(isa):
    """Longer runs are compared by their losses."""
    run = Run(T=2, E=4, H=32, V=6, N=400)
    lr = np.full(3000, 0.2)
    losses, parameters = run.train(lr)
    expected, _ = run.train(lr, reference.train_steps)
    assert losses[-300:].mean() < losses[:10].mean() - 0.3
    assert abs(losses[-300:].mean() - expected[-300:].mean()) < 0.01
    mean = _core.mean_loss(*parameters, run.X, run.Y)
    assert abs(mean - reference.mean_loss(*parameters, run.X, run.Y)) < 1e-5


@pytest.mark.parametrize(
    "sizes",
    [
        {"H": 40, "V": 27},  # more contexts than go through the net together
        {"H": 40, "V": 4},  # 64 contexts, each with many examples
        {"H": 200, "V": 700},  # several chunks of contexts and several tiles of tokens
        {"H": 40, "V": 1000},  # the same, cut along tokens
        {"T": 1, "H": 90, "V": 1500},  # contexts with several examples there
    ],
)
def test_a_full_batch(implementation, sizes):
    run = Run(N=3001, **sizes)
    exact = [p.astype(np.float64) for p in run.first]
    loss, gradients = reference.loss_and_gradients(*exact, run.X, run.Y)
    losses, found = run.train([0.5], implementation.train_steps, rows="all")
    e_loss, e_gradients = bounds.gradients(exact, run.X, run.Y)
    assert abs(losses[0] - loss) <= e_loss + bounds.U * loss
    for w, after, g, e in zip(exact, found, gradients, e_gradients, strict=True):
        bounds.assert_within(after, w - 0.5 * g, bounds.sgd_update(w, g, 0.5, 0.0, e))


# -- a large vocabulary --------------------------------------------------------------------------
# The two cuts of the output layer, and tiles that divide the vocabulary evenly or not.
@pytest.fixture(scope="module", params=[96, 97, 999, 1000, 16_384, 20_011])
def large(request: pytest.FixtureRequest) -> Golden:
    return Golden(Run(**{**LARGE, "V": request.param}), 1, np.full(3, 0.5), 16, DECAY)


def test_large_vocabulary(implementation, large):
    large.check(implementation.train_steps)
