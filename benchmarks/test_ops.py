"""Time of every operation with every instruction set on one thread.

    pytest benchmarks/test_ops.py --benchmark-only --benchmark-sort=name

The shapes are those of a minibatch of 256 with the lecture's sizes.  `flop` counts multiply-adds as
two operations and everything else as none.
"""

import numpy as np
import pytest

from makemore_cpp import ops, reference

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
