"""The reference is right: its gradients agree with central differences in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from makemore_cpp import reference

# T, E, H, V, B: single sizes, repeated tokens (B*T far above V), unseen tokens (V far above B*T).
MODELS = [
    (1, 1, 1, 2, 1),
    (3, 2, 5, 4, 7),
    (2, 3, 4, 23, 2),
    (4, 1, 3, 3, 16),
    (1, 5, 2, 6, 9),
    (5, 2, 7, 5, 3),
]


def numerical_gradient(f: Callable[[], float], w: np.ndarray, step: float = 1e-3) -> np.ndarray:
    """Return df/dw, element by element, by central differences with one Richardson step.

    The truncation error is of order step^4 = 1e-12, the rounding error 1e-16/step = 1e-13, each
    times derivatives of f of moderate size: compare within 1e-9.
    """
    gradient = np.empty_like(w)
    for i in np.ndindex(w.shape):
        kept, values = w[i], []
        for d in (step, -step, 2 * step, -2 * step):
            w[i] = kept + d
            values.append(f())
        w[i] = kept
        near, far = values[0] - values[1], values[2] - values[3]
        gradient[i] = (4 * near / (2 * step) - far / (4 * step)) / 3
    return gradient


def assert_gradient(found: np.ndarray, f: Callable[[], float], w: np.ndarray) -> None:
    np.testing.assert_allclose(found, numerical_gradient(f, w), rtol=1e-9, atol=1e-9)


def model(sizes: tuple[int, ...], rng: np.random.Generator) -> tuple[list, np.ndarray, np.ndarray]:
    T, E, H, V, B = sizes
    shapes = [(V, E), (T * E, H), (H,), (H, V), (V,)]
    parameters = [0.7 * rng.standard_normal(s) for s in shapes]
    return parameters, rng.integers(0, V, (B, T)), rng.integers(0, V, B)


# -- operations ----------------------------------------------------------------------------------
def test_numerical_gradient_notices_a_wrong_gradient(rng):
    w = rng.standard_normal(4)
    assert_gradient(np.cos(w), lambda: float(np.sin(w).sum()), w)
    with pytest.raises(AssertionError):
        assert_gradient(np.cos(w) + 1e-8, lambda: float(np.sin(w).sum()), w)


@pytest.mark.parametrize(("N", "T", "E", "V"), [(1, 1, 1, 1), (5, 3, 2, 4), (2, 2, 3, 17)])
def test_embedding_backward(rng, N, T, E, V):
    C, X = rng.standard_normal((V, E)), rng.integers(0, V, (N, T))
    demb = rng.standard_normal((N, T, E))
    dC = reference.embedding_backward(demb, X, V)
    assert_gradient(dC, lambda: float((reference.embedding_forward(C, X) * demb).sum()), C)


@pytest.mark.parametrize("op", ["linear", "linear_tanh"])
@pytest.mark.parametrize(("N", "K", "H"), [(1, 1, 1), (4, 3, 2), (2, 5, 7)])
def test_linear_backward(rng, op, N, K, H):
    x, W, b = rng.standard_normal((N, K)), rng.standard_normal((K, H)), rng.standard_normal(H)
    dy = rng.standard_normal((N, H))
    forward = getattr(reference, f"{op}_forward")
    if op == "linear":
        found = reference.linear_backward(dy, x, W)
    else:
        found = reference.linear_tanh_backward(dy, forward(x, W, b), x, W)
    for gradient, w in zip(found, (x, W, b), strict=True):
        assert_gradient(gradient, lambda: float((forward(x, W, b) * dy).sum()), w)


@pytest.mark.parametrize(("N", "V"), [(1, 1), (1, 2), (6, 5), (3, 40)])
def test_cross_entropy_gradient(rng, N, V):
    logits, Y = 2 * rng.standard_normal((N, V)), rng.integers(0, V, N)
    dlogits = reference.cross_entropy(logits, Y)[1]
    assert_gradient(dlogits, lambda: float(reference.cross_entropy(logits, Y)[0]), logits)


def test_cross_entropy_of_known_numbers():
    logits = np.array([[1000.0, 1001.0, 1002.0]])
    probabilities = [0.0900306, 0.2447285, 0.6652410]
    np.testing.assert_allclose(np.exp(reference.log_softmax(logits))[0], probabilities, atol=5e-8)
    for y, p in enumerate(probabilities):
        loss, dlogits = reference.cross_entropy(logits, np.array([y]))
        assert loss == pytest.approx(-math.log(p), abs=1e-6)
        np.testing.assert_allclose(dlogits[0], probabilities - np.eye(3)[y], atol=5e-8)


def test_cross_entropy_of_huge_logits_is_finite():
    loss, dlogits = reference.cross_entropy(np.array([[1e4, -1e4, 0.0]]), np.array([1]))
    assert loss == 2e4
    np.testing.assert_array_equal(dlogits, [[1, -1, 0]])


def test_uniform_loss_is_ln_of_the_vocabulary():
    loss, _ = reference.cross_entropy(np.full((3, 27), 5.0), np.array([0, 13, 26]))
    assert loss == pytest.approx(math.log(27), abs=1e-15)


def test_sgd_update(rng):
    w, dw = rng.standard_normal(5), rng.standard_normal(5)
    expected = w - 0.5 * (dw + 0.25 * w)
    reference.sgd_update(w, dw, 0.5, 0.25)
    np.testing.assert_array_equal(w, expected)


def test_sample_tokens():
    p = np.array([[0.25, 0.0, 0.5, 0.25]] * 5 + [[0.5, 0.499, 0.0, 0.0]])
    with np.errstate(divide="ignore"):
        log_p = np.log(p)
    u = np.array([0.0, 0.2499, 0.25, 0.75, 0.9999999, 0.9999])
    np.testing.assert_array_equal(reference.sample_tokens(log_p, u), [0, 0, 2, 3, 3, 1])


def weights_of(p, temperature=1.0, top_k=None, top_p=1.0):
    with np.errstate(divide="ignore"):
        weights = reference.sampling_weights(np.log(np.array(p)), temperature, top_k, top_p)
    return weights / weights.sum()


def test_sampling_weights():
    p = [0.125, 0.5, 0.125, 0.25]
    same = {"rtol": 1e-12, "atol": 1e-300}
    np.testing.assert_allclose(weights_of(p), p, **same)
    squares = np.array([1, 16, 1, 4]) / 22
    np.testing.assert_allclose(weights_of(p, temperature=0.5), squares, **same)
    np.testing.assert_allclose(weights_of(p, temperature=0), [0, 1, 0, 0], **same)
    np.testing.assert_allclose(weights_of(p, top_k=1), [0, 1, 0, 0], **same)
    np.testing.assert_allclose(weights_of(p, top_k=3), [1 / 7, 4 / 7, 0, 2 / 7], **same)
    np.testing.assert_allclose(weights_of(p, top_p=0.5), [0, 1, 0, 0], **same)
    np.testing.assert_allclose(weights_of(p, top_p=0.51), [0, 2 / 3, 0, 1 / 3], **same)
    np.testing.assert_allclose(weights_of(p, top_p=0.8), [1 / 7, 4 / 7, 0, 2 / 7], **same)
    np.testing.assert_allclose(weights_of(p, top_k=2, top_p=0.7), [0, 2 / 3, 0, 1 / 3], **same)
    np.testing.assert_allclose(
        weights_of(p, temperature=0.5, top_p=0.72), [0, 1, 0, 0], **same
    )  # 16 of 22 are 0.727
    np.testing.assert_allclose(weights_of([0.5, 0.0, 0.5], temperature=2), [0.5, 0, 0.5], **same)
    np.testing.assert_allclose(weights_of([0.25] * 4, temperature=0), [1, 0, 0, 0], **same)
    np.testing.assert_allclose(weights_of([0.25] * 4, top_p=0.5), [0.5, 0.5, 0, 0], **same)


def test_sample_tokens_of_a_text_that_may_not_end():
    with np.errstate(divide="ignore"):
        log_p = np.log(np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0], [0.9, 0.0, 0.1]]))
    u = np.array([0.499, 0.5, 0.0])
    for options in ({}, {"temperature": 0.5}, {"top_p": 0.9}, {"top_k": 2}):
        tokens = reference.sample_tokens(log_p, u, may_end=False, **options)
        np.testing.assert_array_equal(tokens, [1, -1, 2])
        assert tokens.dtype == np.int32
    np.testing.assert_array_equal(
        reference.sample_tokens(log_p, u, temperature=0, may_end=False), [1, -1, 2]
    )


# -- the model -----------------------------------------------------------------------------------
@pytest.mark.parametrize("sizes", MODELS)
def test_loss_and_gradients(rng, sizes):
    parameters, X, Y = model(sizes, rng)
    _, gradients = reference.loss_and_gradients(*parameters, X, Y)
    for gradient, w in zip(gradients, parameters, strict=True):
        assert_gradient(
            gradient, lambda: float(reference.loss_and_gradients(*parameters, X, Y)[0]), w
        )


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize("sizes", MODELS)
def test_train_steps_walks_down_the_gradient(rng, sizes, weight_decay):
    """A step with rate 1 is the negative gradient of loss + decay/2 (|C|^2 + |W1|^2 + |W2|^2)."""
    before, X, Y = model(sizes, rng)
    rows = rng.integers(0, len(X), (1, 2 * len(X)))  # with repetitions

    def objective() -> float:
        loss, _ = reference.loss_and_gradients(*before, X[rows[0]], Y[rows[0]])
        squares = sum(float((before[i] ** 2).sum()) for i in (0, 1, 3))
        return float(loss) + weight_decay / 2 * squares

    after = [w.copy() for w in before]
    losses = reference.train_steps(*after, X, Y, [1.0], rows=rows, weight_decay=weight_decay)
    assert losses[0] == reference.loss_and_gradients(*before, X[rows[0]], Y[rows[0]])[0]
    for w, stepped in zip(before, after, strict=True):
        assert_gradient(w - stepped, objective, w)


def test_train_steps_draws_its_rows(rng):
    first, X, Y = model((3, 2, 5, 4, 50), rng)
    drawn, given, divided = ([w.copy() for w in first] for _ in range(3))
    lr = np.linspace(0.5, 0.1, 6)
    options = {"batch_size": 8, "seed": 5, "first_step": 3}
    losses = reference.train_steps(*drawn, X, Y, lr, **options)
    rows = reference.batch_rows(5, 3, 6, 8, 50)
    np.testing.assert_array_equal(reference.train_steps(*given, X, Y, lr, rows=rows), losses)
    for start, stop in ((0, 1), (1, 6)):
        part = {**options, "first_step": 3 + start}
        part_losses = reference.train_steps(*divided, X, Y, lr[start:stop], **part)
        np.testing.assert_array_equal(part_losses, losses[start:stop])
    for a, b, c in zip(drawn, given, divided, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)


def test_full_batch_is_every_row_once(rng):
    first, X, Y = model((2, 3, 4, 5, 11), rng)
    full, listed = ([w.copy() for w in first] for _ in range(2))
    reference.train_steps(*full, X, Y, [0.1, 0.2], rows="all")
    reference.train_steps(*listed, X, Y, [0.1, 0.2], rows=np.tile(np.arange(11), (2, 1)))
    for a, b in zip(full, listed, strict=True):
        np.testing.assert_array_equal(a, b)


def test_mean_loss_and_log_probs_agree_with_the_training_loss(rng):
    parameters, X, Y = model((3, 2, 5, 6, 9000), rng)  # more examples than one piece holds
    loss, _ = reference.loss_and_gradients(*parameters, X, Y)
    log_p = reference.log_probs(*parameters, X)
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1, rtol=1e-14)
    assert reference.mean_loss(*parameters, X, Y) == pytest.approx(loss, rel=1e-13)
    assert -log_p[np.arange(9000), Y].mean() == pytest.approx(loss, rel=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_results_have_the_type_of_the_arrays(rng, dtype):
    parameters, X, Y = model((3, 2, 5, 6, 4), rng)
    parameters = [w.astype(dtype) for w in parameters]
    loss, gradients = reference.loss_and_gradients(*parameters, X, Y)
    assert {loss.dtype, *(g.dtype for g in gradients)} == {np.dtype(dtype)}
    losses = reference.train_steps(*parameters, X, Y, [0.1], rows="all", weight_decay=0.1)
    assert losses.dtype == dtype
    assert reference.log_probs(*parameters, X).dtype == dtype
