"""Time per training step of the lecture's shape: every instruction set, threads, the reference.

    pytest benchmarks --benchmark-only --benchmark-sort=name

One round is `STEPS` steps in one call; the table's times are therefore for that many steps.  The
candidates are first checked to compute the same losses.
"""

import numpy as np
import pytest

from makemore_cpp import _core, reference

BATCH_SIZE, BLOCK_SIZE, N_EMBD, N_HIDDEN, VOCAB_SIZE = 32, 3, 10, 200, 27
STEPS = 200
RNG = np.random.default_rng(0)
X = RNG.integers(0, VOCAB_SIZE, (100_000, BLOCK_SIZE)).astype(np.int32)
Y = RNG.integers(0, VOCAB_SIZE, 100_000).astype(np.int32)
LR = np.full(STEPS, 0.1)


def parameters():
    return _core.initial_parameters(BLOCK_SIZE, N_EMBD, N_HIDDEN, VOCAB_SIZE, seed=1)


@pytest.mark.parametrize("threads", [1, 2])
def test_core_200_steps(benchmark, isa, threads):
    expected = reference.train_steps(*parameters(), X, Y, LR)
    losses = _core.train_steps(*parameters(), X, Y, LR, threads=threads)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    arrays = parameters()
    flop = 6 * BATCH_SIZE * N_HIDDEN * (BLOCK_SIZE * N_EMBD + VOCAB_SIZE) * STEPS  # if done naively
    benchmark.extra_info.update(flop=flop, isa=isa)
    benchmark(_core.train_steps, *arrays, X, Y, LR, threads=threads)


def test_reference_200_steps(benchmark):
    arrays = parameters()
    benchmark(reference.train_steps, *arrays, X, Y, LR)
