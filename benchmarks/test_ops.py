"""Time of every operation with every instruction set on one thread.

    pytest benchmarks/test_ops.py --benchmark-only --benchmark-sort=name

The shapes are those of a minibatch of 256 with the lecture's sizes.  The tiles of the output layer
of many tokens have no operation of their own: a mean loss (one pass over the tiles) and a training
step (two) are timed instead, which do little else.  `flop` counts multiply-adds as two operations
and everything else as none.
"""

import numpy as np
import pytest

from makemore_cpp import _core, ops, reference

B, T, E, H, V = 256, 3, 10, 200, 27
K = T * E
RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


X = RNG.integers(0, V, (B, T)).astype(np.int32)
Y = RNG.integers(0, V, B).astype(np.int32)
C, W1, b1, W2, b2 = floats(V, E), floats(K, H), floats(H), floats(H, V), floats(V)
x, h, dh, logits, demb = (
    floats(B, K),
    np.tanh(floats(B, H)),
    floats(B, H),
    floats(B, V),
    floats(B, T, E),
)
OPERATIONS = {
    "embedding_forward": ((C, X), 0),
    "embedding_backward": ((demb, X, V), 0),
    "linear_forward": ((h, W2, b2), 2 * B * H * V),
    "linear_backward": ((logits, h, W2), 4 * B * H * V),
    "linear_tanh_forward": ((x, W1, b1), 2 * B * K * H),
    "linear_tanh_backward": ((dh, h, x, W1), 4 * B * K * H),
    "cross_entropy": ((logits, Y), 0),
    "log_softmax": ((logits,), 0),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_op(benchmark, isa, name):
    arguments, flop = OPERATIONS[name]
    result = getattr(ops, name)(*arguments, threads=1)
    expected = getattr(reference, name)(*arguments)
    pairs = (
        zip(result, expected, strict=True) if isinstance(result, tuple) else [(result, expected)]
    )
    for value, exact in pairs:
        np.testing.assert_allclose(value, exact, rtol=1e-3, atol=1e-3)
    if flop:
        benchmark.extra_info.update(flop=flop, isa=isa, threads=1)
    benchmark(getattr(ops, name), *arguments, threads=1)


MANY = 16_384  # tokens
WORDS = {"mean_loss": 2, "train_steps": 6}  # products of (B,H) and (H,V), and their operations


@pytest.mark.parametrize("name", WORDS)
def test_tiles(benchmark, isa, name):
    parameters = _core.initial_parameters(T, E, H, MANY, seed=1)
    # Contexts that are all distinct: the loss is that of B hidden vectors.
    contexts, targets = RNG.permutation(MANY)[: B * T].reshape(B, T), RNG.integers(0, MANY, B)
    arguments = (*parameters, contexts, targets)
    assert _core.how_cut(B, T, E, H, MANY)["tile_tokens"] > 0
    np.testing.assert_allclose(
        _core.mean_loss(*arguments, threads=1), reference.mean_loss(*arguments), rtol=1e-5
    )
    if name == "train_steps":
        arguments = (*arguments, [1e-4])
    options = {"rows": "all"} if name == "train_steps" else {}
    benchmark.extra_info.update(flop=WORDS[name] * B * H * (K + MANY), isa=isa, threads=1)
    benchmark(getattr(_core, name), *arguments, threads=1, **options)
