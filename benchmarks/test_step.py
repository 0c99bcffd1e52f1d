"""Time per training step: every instruction set, and a grid of shapes around the lecture's.

    pytest benchmarks/test_step.py --benchmark-only --benchmark-sort=name

One round is one call of several steps; their number is `steps` in the extra info of
--benchmark-json.
Every case is first checked to compute the reference's losses.
"""

import numpy as np
import pytest
from flops import naive_flop

from makemore_cpp import _core, reference

N_EMBD = 10
N_EXAMPLES = 100_000
LECTURE = {"B": 32, "T": 3, "H": 200, "V": 27}
# One size at a time is changed.
SHAPES = (
    [LECTURE]
    + [
        LECTURE | {size: value}
        for size, value in [("B", 256), ("B", 4096), ("T", 8), ("H", 50), ("H", 1024), ("V", 1000)]
    ]
    + [LECTURE | {"B": 256, "V": 16_384} | sampled for sampled in ({}, {"negatives": 1024})]
)
ROUND_FLOP = 1e9  # some milliseconds
CHECKED_STEPS = 5


class Problem:
    """Examples and parameters of one shape, and the number of steps in a round."""

    def __init__(self, B, T, H, V, negatives=None):
        rng = np.random.default_rng(0)
        self.X = rng.integers(0, V, (N_EXAMPLES, T))
        self.Y = rng.integers(0, V, N_EXAMPLES)
        self.parameters = _core.initial_parameters(T, N_EMBD, H, V, seed=1)
        self.options = {"batch_size": B, "negatives": negatives}
        flop = naive_flop(B, T, N_EMBD, H, V)  # of the full softmax, also where it is sampled
        self.steps = max(CHECKED_STEPS, round(ROUND_FLOP / flop))
        self.flop = flop * self.steps

    def train(self, train_steps, steps, **options):
        """Do training steps on the parameters in place and return their losses."""
        lr = np.full(steps, 0.01)
        return train_steps(*self.parameters, self.X, self.Y, lr, **self.options, **options)

    def check(self, **options):
        """Compare the losses of some steps with the reference's, then restore the parameters."""
        first = [p.copy() for p in self.parameters]
        losses = self.train(_core.train_steps, CHECKED_STEPS, **options)
        self.parameters = [p.copy() for p in first]
        expected = self.train(reference.train_steps, CHECKED_STEPS)
        self.parameters = first
        np.testing.assert_allclose(losses, expected, rtol=1e-4)


def time_core(benchmark, problem, isa, threads):
    problem.check(threads=threads)
    benchmark.extra_info.update(flop=problem.flop, isa=isa, threads=threads, steps=problem.steps)
    benchmark(problem.train, _core.train_steps, problem.steps, threads=threads)


@pytest.mark.parametrize("threads", [1, 2])
def test_instruction_set(benchmark, isa, threads):
    time_core(benchmark, Problem(**LECTURE), isa, threads)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "-".join(f"{k}{v}" for k, v in s.items()))
def test_shape(benchmark, shape, threads):
    time_core(benchmark, Problem(**shape), _core.build_info()["isa"]["used"], threads)


def test_reference(benchmark):
    problem = Problem(**LECTURE)
    benchmark(problem.train, reference.train_steps, problem.steps)
