"""Every operation, on every implementation, against the float64 reference within derived bounds."""

from __future__ import annotations

import math
from typing import Any

import bounds
import numpy as np
import pytest

from makemore_cpp import _core, reference

# The shapes (N, K, H) that can go wrong: sizes 1 and 2; primes on both sides of 4, 8, 16, 32 and 64
# lanes and of tiles of several vectors, in each of the three places; zero rows; the lecture's
# layers; and products large enough to be cut into blocks, along the rows and along the columns.
PRODUCTS = [
    (1, 1, 1), (2, 2, 2), (1, 2, 3), (3, 1, 2), (2, 3, 1), (0, 3, 5), (0, 17, 33),
    (3, 4, 5), (5, 7, 8), (7, 8, 9), (8, 9, 7), (11, 13, 15), (13, 16, 17), (17, 15, 16),
    (16, 17, 31), (31, 5, 32), (5, 31, 33), (29, 32, 37), (33, 61, 63), (61, 64, 65), (67, 3, 64),
    (2, 67, 127), (1, 129, 131), (32, 30, 200), (32, 200, 27), (257, 30, 200), (3, 500, 1000),
    (1031, 24, 53), (7, 1, 4099),
]  # fmt: skip

ROWS_AND_V = [
    (1, 1), (1, 2), (2, 3), (3, 4), (5, 5), (2, 7), (7, 8), (3, 9), (13, 15), (2, 16), (3, 17),
    (32, 27), (5, 31), (4, 32), (3, 33), (5, 61), (2, 64), (3, 67), (2, 127), (3, 1031),
    (2, 20_000), (5003, 27),
]  # fmt: skip


def f32(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> np.ndarray:
    return (scale * rng.standard_normal(shape)).astype(np.float32)


def wide(*arrays: np.ndarray) -> list[np.ndarray]:
    return [a.astype(np.float64) for a in arrays]


def check(found: Any, expected: Any, bound: Any) -> None:
    """Compare arrays or tuples of arrays, whose type must be exactly float32."""
    if not isinstance(found, tuple):
        found, expected, bound = (found,), (expected,), (bound,)
    for f, e, b in zip(found, expected, bound, strict=True):
        assert f.dtype == np.float32
        bounds.assert_within(f, e, b)


# -- the bounds themselves -----------------------------------------------------------------------
def test_bounds_notice_what_is_wrong(rng):
    """The faults are a product in half precision, a missing bias, one wrong element and a NaN."""
    x, W, b = f32(rng, 9, 30), f32(rng, 30, 20), f32(rng, 20)
    exact, bound = reference.linear_forward(*wide(x, W, b)), bounds.linear(*wide(x, W, b))
    right = reference.linear_forward(x, W, b)
    bounds.assert_within(right, exact, bound)
    one_wrong, nan = right.copy(), right.copy()
    one_wrong[8, 19] *= 1 + 1e-4
    nan[0, 0] = np.nan
    half = x.astype(np.float16).astype(np.float32) @ W + b
    for wrong in (x @ W, half, one_wrong, nan):
        with pytest.raises(AssertionError, match="times its bound"):
            bounds.assert_within(wrong, exact, bound)


def test_bounds_are_not_far_from_what_happens(rng):
    """Worst cases are rare, but for short sums errors reach at least a hundredth of the bound."""
    x, W, b = f32(rng, 50, 3), f32(rng, 3, 50), f32(rng, 50)
    exact, bound = reference.linear_forward(*wide(x, W, b)), bounds.linear(*wide(x, W, b))
    assert bounds.excess(reference.linear_forward(x, W, b), exact, bound) > 0.1
    logits, Y = f32(rng, 50, 27), rng.integers(0, 27, 50)
    exact = reference.log_softmax(*wide(logits))
    found = reference.log_softmax(logits)
    assert bounds.excess(found, exact, bounds.log_softmax(*wide(logits))) > 0.05
    found = reference.cross_entropy(logits, Y)[1]
    exact = reference.cross_entropy(*wide(logits), Y)[1]
    assert bounds.excess(found, exact, bounds.cross_entropy(*wide(logits), Y)[1]) > 0.01


# -- values --------------------------------------------------------------------------------------
EMBEDDINGS = [  # N, T, E, V
    (1, 1, 1, 1), (2, 3, 2, 5), (0, 3, 4, 5), (5, 3, 10, 27), (33, 8, 7, 3), (7, 1, 17, 101),
    (32, 3, 10, 27), (400, 3, 33, 27), (64, 4, 256, 1000),
]  # fmt: skip


@pytest.mark.parametrize(("N", "T", "E", "V"), EMBEDDINGS)
def test_embedding(implementation, rng, N, T, E, V):
    C, X = f32(rng, V, E), rng.integers(0, V, (N, T))
    emb = implementation.embedding_forward(C, X)
    assert emb.dtype == np.float32
    np.testing.assert_array_equal(emb, C[X])  # exact
    demb = f32(rng, N, T, E)
    check(
        implementation.embedding_backward(demb, X, V),
        reference.embedding_backward(*wide(demb), X, V),
        bounds.embedding_backward(*wide(demb), X, V),
    )


@pytest.mark.parametrize(("N", "K", "H"), PRODUCTS)
def test_linear(implementation, rng, N, K, H):
    x, W, b, dy = f32(rng, N, K), f32(rng, K, H), f32(rng, H), f32(rng, N, H)
    check(
        implementation.linear_forward(x, W, b),
        reference.linear_forward(*wide(x, W, b)),
        bounds.linear(*wide(x, W, b)),
    )
    check(
        implementation.linear_backward(dy, x, W),
        reference.linear_backward(*wide(dy, x, W)),
        bounds.linear_backward(*wide(dy, x, W)),
    )


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])  # no unit saturated, some, nearly all
@pytest.mark.parametrize(("N", "K", "H"), PRODUCTS)
def test_linear_tanh(implementation, rng, N, K, H, scale):
    x, W, b = f32(rng, N, K), f32(rng, K, H, scale=scale / math.sqrt(K)), f32(rng, H, scale=scale)
    h = implementation.linear_tanh_forward(x, W, b)
    check(h, reference.linear_tanh_forward(*wide(x, W, b)), bounds.linear_tanh(*wide(x, W, b)))
    assert np.abs(h).max(initial=0) <= 1
    dh = f32(rng, N, H)
    check(
        implementation.linear_tanh_backward(dh, h, x, W),
        reference.linear_tanh_backward(*wide(dh, h, x, W)),
        bounds.linear_tanh_backward(*wide(dh, h, x, W)),
    )


@pytest.mark.parametrize("scale", [0.0, 1.0, 40.0])
@pytest.mark.parametrize(("N", "V"), ROWS_AND_V)
def test_softmax(implementation, rng, N, V, scale):
    logits = f32(rng, N, V, scale=scale) + np.float32(3)
    Y = rng.integers(0, V, N)
    check(
        implementation.log_softmax(logits),
        reference.log_softmax(*wide(logits)),
        bounds.log_softmax(*wide(logits)),
    )
    loss, dlogits = implementation.cross_entropy(logits, Y)
    expected_loss, expected = reference.cross_entropy(*wide(logits), Y)
    e_loss, bound = bounds.cross_entropy(*wide(logits), Y)
    assert abs(loss - expected_loss) <= e_loss
    check(dlogits, expected, bound)


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
@pytest.mark.parametrize("shape", [(1,), (7,), (16,), (33,), (27, 10), (3, 5, 7), (100_003,), (0,)])
def test_sgd_update(implementation, rng, shape, weight_decay):
    w, dw = f32(rng, *shape), f32(rng, *shape)
    before = w.astype(np.float64)
    assert implementation.sgd_update(w, dw, 0.1, weight_decay) is None
    expected = before.copy()
    reference.sgd_update(expected, dw.astype(np.float64), 0.1, weight_decay)
    bound = bounds.sgd_update(before, dw.astype(np.float64), 0.1, weight_decay)
    check(w, expected, bound)


MODELS = [  # N, T, E, H, V
    (1, 1, 1, 1, 1), (5, 3, 2, 7, 4), (0, 3, 2, 5, 4), (33, 3, 10, 200, 27), (300, 4, 5, 33, 61),
    (513, 8, 10, 65, 27), (40, 2, 4, 8, 20_000),
]  # fmt: skip


@pytest.mark.parametrize(("N", "T", "E", "H", "V"), MODELS)
def test_log_probs_and_mean_loss(implementation, rng, N, T, E, H, V):
    parameters = [f32(rng, V, E), f32(rng, T * E, H, scale=1 / math.sqrt(T * E)), f32(rng, H),
                  f32(rng, H, V, scale=0.3), f32(rng, V)]  # fmt: skip
    X, Y = rng.integers(0, V, (N, T)), rng.integers(0, V, N)
    exact = wide(*parameters)
    found = implementation.log_probs(*parameters, X)
    check(found, reference.log_probs(*exact, X), bounds.log_probs(exact, X) if N else 0.0)
    if N:
        loss = implementation.mean_loss(*parameters, X, Y)
        assert isinstance(loss, float)
        expected = reference.mean_loss(*exact, X, Y)
        assert abs(loss - expected) <= bounds.mean_loss(exact, X, Y)


def test_chunks_of_a_large_vocabulary(isa, rng):
    """At this V few examples make a chunk, and threads share the chunks out."""
    N, T, E, H, V = 330, 2, 3, 5, 20_000
    parameters = [f32(rng, V, E), f32(rng, T * E, H, scale=0.4), f32(rng, H), f32(rng, H, V),
                  f32(rng, V)]  # fmt: skip
    X, Y = rng.integers(0, V, (N, T)), rng.integers(0, V, N)
    one = _core.log_probs(*parameters, X, threads=1)
    loss = _core.mean_loss(*parameters, X, Y, threads=1)
    exact = wide(*parameters)
    check(one, reference.log_probs(*exact, X), bounds.log_probs(exact, X))
    assert abs(loss - reference.mean_loss(*exact, X, Y)) <= bounds.mean_loss(exact, X, Y)
    for threads in (2, 7):
        assert _core.log_probs(*parameters, X, threads=threads).tobytes() == one.tobytes()
        assert _core.mean_loss(*parameters, X, Y, threads=threads) == loss


@pytest.mark.parametrize(("N", "V"), [(1, 1), (200, 2), (300, 27), (50, 1000), (0, 5)])
def test_sample_tokens(implementation, rng, N, V):
    log_p = reference.log_softmax(f32(rng, N, V, scale=2.0)) if N else np.zeros((0, V), np.float32)
    u = rng.random(N)
    tokens = implementation.sample_tokens(log_p, u)
    assert tokens.dtype == np.int32
    # The sums may differ by the rounding of exp, so a u that close to an edge may go either way.
    edges = np.cumsum(np.exp(log_p.astype(np.float64)), axis=1)
    distance = np.abs(edges - u[:, None]).min(axis=1, initial=1)
    clear = distance > (bounds.EXP_ULP * bounds.ULP + V * 2.0**-52)
    np.testing.assert_array_equal(tokens[clear], reference.sample_tokens(log_p, u)[clear])
    assert clear.sum() >= 0.99 * N


@pytest.mark.parametrize(("N", "T", "E"), [(1_000_000, 0, 3), (100_000, 0, 2), (0, 0, 0)])
def test_no_context_means_no_tokens(N, T, E):
    X = np.zeros((N, T), np.int32)
    assert _core.embedding_forward(np.zeros((4, E), np.float32), X).shape == (N, T, E)
    dC = _core.embedding_backward(np.zeros((N, T, E), np.float32), X, 4)
    np.testing.assert_array_equal(dC, np.zeros((4, E)))


# -- numbers that everybody can check ------------------------------------------------------------
def test_cross_entropy_of_known_numbers(implementation):
    logits = np.array([[1000, 1001, 1002]], np.float32)
    probabilities = [0.0900306, 0.2447285, 0.6652410]
    found = np.exp(implementation.log_softmax(logits))[0]
    np.testing.assert_allclose(found, probabilities, atol=2e-7)
    for y, p in enumerate(probabilities):
        loss, dlogits = implementation.cross_entropy(logits, np.array([y]))
        assert abs(loss + math.log(p)) < 1e-6
        np.testing.assert_allclose(dlogits[0], probabilities - np.eye(3)[y], atol=2e-7)


def test_huge_logits_stay_finite(implementation):
    logits = np.array([[1e4, -1e4, 0], [-1e4, -1e4, -1e4]], np.float32)
    loss, dlogits = implementation.cross_entropy(logits, np.array([1, 2]))
    assert abs(loss - (2e4 + math.log(3)) / 2) < 1e-3
    third = 1 / 6
    np.testing.assert_allclose(dlogits, [[0.5, -0.5, 0], [third, third, third - 0.5]], atol=1e-7)
    assert np.isfinite(implementation.log_softmax(logits)).all()


def test_uniform_loss(implementation):
    logits = np.full((4, 27), -2.5, np.float32)
    loss, _ = implementation.cross_entropy(logits, np.array([0, 1, 13, 26]))
    assert abs(loss - 3.2958369) < 1e-6


def test_tanh_saturates_to_one(implementation):
    z = np.array([[0.0, -0.0, 1e-30, 20.0, -20.0, 1e30, -1e30]], np.float32)
    h = implementation.linear_tanh_forward(np.ones((1, 1), np.float32), z, 0 * z[0])
    np.testing.assert_array_equal(h[0], [0, 0, np.float32(1e-30), 1, -1, 1, -1])


def test_tanh_is_within_its_stated_error(isa):
    """The inputs are every 61st float where tanh is neither x nor 1, and the two worst of all."""
    bits = np.arange(*np.array([2**-12, 10], np.float32).view(np.int32), 61, dtype=np.int32)
    worst = np.array([4.97978401184082, 5.357973575592041], np.float32)
    x = np.concatenate([bits.view(np.float32), worst])
    h = _core.linear_tanh_forward(np.ones((1, 1), np.float32), x[None], 0 * x)[0]
    exact = np.tanh(x.astype(np.float64))
    error = np.abs(h - exact) / np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)
    assert error.max() <= bounds.TANH_ULP
    negative = _core.linear_tanh_forward(np.ones((1, 1), np.float32), -x[None], 0 * x)[0]
    np.testing.assert_array_equal(negative, -h)


def test_sample_tokens_at_the_edges(implementation):
    with np.errstate(divide="ignore"):
        log_p = np.log(np.array([[0.25, 0, 0.5, 0.25]] * 4 + [[0.5, 0.25, 0, 0]], np.float32))
    u = np.array([0, 0.2, 0.3, 0.9999, 0.999])
    np.testing.assert_array_equal(implementation.sample_tokens(log_p, u), [0, 0, 2, 3, 1])


# -- the number of threads never changes a bit ---------------------------------------------------
def run_all(threads: int | None, rng: np.random.Generator) -> list[bytes]:
    N, T, E, H, V = 700, 3, 40, 333, 61
    C, W1, b1 = f32(rng, V, E), f32(rng, T * E, H, scale=0.1), f32(rng, H)
    W2, b2 = f32(rng, H, V, scale=0.1), f32(rng, V)
    X, Y = rng.integers(0, V, (N, T)), rng.integers(0, V, N)
    emb = _core.embedding_forward(C, X, threads=threads)
    x = emb.reshape(N, -1)
    h = _core.linear_tanh_forward(x, W1, b1, threads=threads)
    logits = _core.linear_forward(h, W2, b2, threads=threads)
    loss, dlogits = _core.cross_entropy(logits, Y, threads=threads)
    dh, *rest2 = _core.linear_backward(dlogits, h, W2, threads=threads)
    dx, *rest1 = _core.linear_tanh_backward(dh, h, x, W1, threads=threads)
    dC = _core.embedding_backward(dx.reshape(N, T, E), X, V, threads=threads)
    parameters = (C, W1, b1, W2, b2)
    log_p = _core.log_probs(*parameters, X, threads=threads)
    mean = _core.mean_loss(*parameters, X, Y, threads=threads)
    softmax = _core.log_softmax(logits, threads=threads)
    arrays = [emb, h, logits, dlogits, dh, *rest2, dx, *rest1, dC, log_p, softmax]
    return [a.tobytes() for a in arrays] + [loss.hex().encode(), mean.hex().encode()]


def test_threads_do_not_change_a_bit(isa):
    results = [run_all(threads, np.random.default_rng(5)) for threads in (1, 2, 7, None)]
    assert results[0] == results[1] == results[2] == results[3]


# -- what inputs may be --------------------------------------------------------------------------
def test_inputs_that_are_only_read_may_have_any_strides(isa, rng):
    x, W, b, dy = f32(rng, 9, 5), f32(rng, 5, 7), f32(rng, 7), f32(rng, 9, 7)
    strided = [np.asfortranarray(x), W[::-1][::-1], np.repeat(b, 2)[::2], dy.T.copy().T]
    for a in strided:
        a.flags.writeable = False
    xs, Ws, bs, dys = strided
    np.testing.assert_array_equal(_core.linear_forward(xs, Ws, bs), _core.linear_forward(x, W, b))
    for f, e in zip(
        _core.linear_backward(dys, xs, Ws), _core.linear_backward(dy, x, W), strict=True
    ):
        np.testing.assert_array_equal(f, e)
    logits = np.asfortranarray(dy)
    np.testing.assert_array_equal(_core.log_softmax(logits), _core.log_softmax(dy))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"])
def test_tokens_of_any_integer_type_and_strides(dtype, rng):
    C, X = f32(rng, 27, 4), rng.integers(0, 27, (12, 3))
    expected = _core.embedding_forward(C, X)
    for tokens in (X.astype(dtype), np.asfortranarray(X.astype(dtype)),
                   np.repeat(X.astype(dtype), 2, axis=1)[:, ::2], X.astype(f">{dtype[0]}8"),
                   X.tolist()):  # fmt: skip
        np.testing.assert_array_equal(_core.embedding_forward(C, tokens), expected)
