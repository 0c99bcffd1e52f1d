"""How far a correct float32 result may lie from the float64 reference: rounding analysis.

Every bound is derived, none is tuned.  U is the unit roundoff: one float32 operation is off by at
most U times its result.  A sum of n terms, in whatever order and with or without fused
multiply-adds, carries at most n roundings on each term (Higham, "Accuracy and stability of
numerical algorithms", section 3.1), hence gamma(n) times the sum of the terms' absolute values.
The functions take the exact inputs as float64 arrays, with a bound e_... on the error that each
brings along from earlier operations, and return a bound for each element of the result.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from makemore_cpp import reference

U = 2.0**-24  # half the distance from 1 to the next float32
ULP = 2.0**-23  # a relative error of n ulp is at most n * ULP

# The largest errors of the kernels' elementary functions over all floats, rounded up: tanh is off
# by 6.50 ulp at most without fused multiply-adds and by 5.15 with them.
EXP_ULP = 2
TANH_ULP = 7
LOG_ULP = 2

# The number of tokens from which on the core takes them in tiles, and the smallest tile; each tile
# is summed relative to the greatest logit so far.
MANY_TOKENS, MIN_TILE = 1000, 48

# Products of two errors are left out of the formulas below.  In these tests no relative error
# exceeds 2^-8, so that what is left out is at most this part of what is counted.
SECOND_ORDER = 1 + 2.0**-7

# exp may return 0 below the smallest normal number, 2^-126; sums of such terms stay below this.
UNDERFLOW = 2.0**-120

Array = np.ndarray
Parameters = list[Array]  # C, W1, b1, W2, b2


def gamma(n: float) -> float:
    """Relative error of each term after n roundings."""
    return n * U / (1 - n * U)


def finish(bound: Array) -> Array:
    return bound * SECOND_ORDER + UNDERFLOW


# -- the operations ------------------------------------------------------------------------------
def product(a: Array, b: Array, e_a: Array | float = 0.0, e_b: Array | float = 0.0) -> Array:
    """Bound for a @ b: n multiplications and n - 1 additions for each element."""
    bound = gamma(a.shape[1]) * (np.abs(a) @ np.abs(b))
    if np.ndim(e_a):
        bound = bound + e_a @ np.abs(b)
    if np.ndim(e_b):
        bound = bound + np.abs(a) @ e_b
    return finish(bound)


def column_sum(a: Array, e_a: Array | float = 0.0) -> Array:
    return finish((gamma(len(a)) * np.abs(a) + e_a).sum(axis=0))


def linear(x: Array, W: Array, b: Array, e_x: Array | float = 0.0) -> Array:
    """Bound for x @ W + b: the bias is one more term of the sum."""
    one = np.ones((len(x), 1))
    e_x = np.hstack([e_x, 0 * one]) if np.ndim(e_x) else 0.0
    return product(np.hstack([x, one]), np.vstack([W, b]), e_x)


def linear_backward(
    dy: Array, x: Array, W: Array, e_dy: Array | float = 0.0, e_x: Array | float = 0.0
) -> tuple[Array, Array, Array]:
    e_x = np.transpose(e_x)
    return product(dy, W.T, e_dy), product(x.T, dy, e_x, e_dy), column_sum(dy, e_dy)


def tanh(z: Array, e_z: Array) -> Array:
    """The error of z times the steepest slope within reach of z, and the function's own error."""
    slope = 1 - np.tanh(np.maximum(np.abs(z) - e_z, 0.0)) ** 2
    return finish(slope * e_z + TANH_ULP * ULP * np.abs(np.tanh(z)))


def linear_tanh(x: Array, W: Array, b: Array) -> Array:
    return tanh(x @ W + b, linear(x, W, b))


def tanh_backward(
    dh: Array, h: Array, e_dh: Array | float = 0.0, e_h: Array | float = 0.0
) -> Array:
    """Bound for dh * (1 - h*h), where 1 - h*h may also be computed as (1 - h) * (1 + h)."""
    slope = np.abs(1 - h * h)
    e_slope = U * (h * h + 3 * slope) + 2 * np.abs(h) * e_h
    return finish(slope * e_dh + np.abs(dh) * e_slope + U * np.abs(dh) * slope)


def linear_tanh_backward(dh: Array, h: Array, x: Array, W: Array) -> tuple[Array, Array, Array]:
    return linear_backward(dh * (1 - h * h), x, W, tanh_backward(dh, h))


def log_softmax(logits: Array, e_logits: Array | float = 0.0) -> Array:
    """Bound for z - log(sum(exp(z))), z = logits - max.

    z is off by U |z|, exp(z) relatively by that and EXP_ULP, the sum s relatively by the weighted
    mean of its terms' errors and gamma(V), log s absolutely by as much and LOG_ULP, and the last
    subtraction rounds once more.  An error in the logits moves the result by at most itself and
    the largest error of its row.
    """
    z = logits - logits.max(axis=1, keepdims=True)
    log_p = reference.log_softmax(logits)
    e_terms = U * np.abs(z) + EXP_ULP * ULP
    e_sum = (np.exp(log_p) * e_terms).sum(axis=1, keepdims=True) + gamma(logits.shape[1])
    log_sum = np.log(np.exp(z).sum(axis=1, keepdims=True))
    bound = U * np.abs(z) + e_sum + LOG_ULP * ULP * log_sum + U * np.abs(log_p)
    if np.ndim(e_logits):
        bound = bound + e_logits + e_logits.max(axis=1, keepdims=True)
    return finish(bound)


def cross_entropy(logits: Array, Y: Array, e_logits: Array | float = 0.0) -> tuple[float, Array]:
    """Bounds for the mean loss and for dlogits = (p - onehot(Y)) / N.

    p is relatively off by the absolute error of its logarithm, EXP_ULP and a division; the
    subtraction, and 1/N and the multiplication by it, round three times.

    Where tokens come in tiles, p has a second exponential as a factor, and two roundings more; and
    each tile may bring the sum to a greater logit, by a factor off by EXP_ULP and a rounding.
    """
    N, V = logits.shape
    e_exp = EXP_ULP * ULP + U
    tiles = V // MIN_TILE if V >= MANY_TOKENS else 0
    e_log_p = log_softmax(logits, e_logits) + e_exp * tiles
    log_p = reference.log_softmax(logits)
    right = np.arange(N), Y
    loss = e_log_p[right].mean() + gamma(N + 1) * np.abs(log_p[right]).mean()
    p, dlogits = np.exp(log_p), reference.cross_entropy(logits, Y)[1]
    e_p = p * (e_log_p + e_exp * (2 if tiles else 1) + (U if tiles else 0))
    return float(loss * SECOND_ORDER), finish(e_p / N + 3 * U * np.abs(dlogits))


def embedding_backward(demb: Array, X: Array, V: int, e_demb: Array | float = 0.0) -> Array:
    """Bound for a sum of as many terms as the token occurs."""
    count = np.bincount(X.ravel(), minlength=V)[:, None]
    magnitude = reference.embedding_backward(np.abs(demb), X, V)
    bound = count * U / (1 - count * U) * magnitude
    if np.ndim(e_demb):
        bound = bound + reference.embedding_backward(e_demb, X, V)
    return finish(bound)


def sgd_update(
    w: Array, dw: Array, lr: float, weight_decay: float = 0.0, e_dw: Array | float = 0.0
) -> Array:
    """Bound for w - lr * (dw + weight_decay * w); lr and weight_decay are rounded as well."""
    g = np.abs(dw + weight_decay * w)
    e_g = e_dw + 2 * U * weight_decay * np.abs(w) + U * g
    step = lr * (e_g + 2 * U * g)
    return finish(step + U * np.abs(w - lr * (dw + weight_decay * w)))


# -- the model -----------------------------------------------------------------------------------
@dataclass
class Forward:
    """The activations in float64 and bounds for their float32 twins."""

    x: Array
    h: Array
    logits: Array
    e_h: Array
    e_logits: Array


def forward(parameters: Parameters, X: Array) -> Forward:
    """The hidden layer may be summed per position first: E + T roundings, no more than K + 1."""
    C, W1, b1, W2, b2 = parameters
    x = C[X].reshape(len(X), len(W1))
    h, e_h = np.tanh(x @ W1 + b1), linear_tanh(x, W1, b1)
    return Forward(x, h, h @ W2 + b2, e_h, linear(h, W2, b2, e_h))


def log_probs(parameters: Parameters, X: Array) -> Array:
    f = forward(parameters, X)
    return log_softmax(f.logits, f.e_logits)


def mean_loss(parameters: Parameters, X: Array, Y: Array) -> float:
    f = forward(parameters, X)
    return cross_entropy(f.logits, Y, f.e_logits)[0]


def gradients(parameters: Parameters, X: Array, Y: Array) -> tuple[float, Parameters]:
    """Bounds for the loss and dC, dW1, db1, dW2, db2 of one minibatch."""
    C, W1, _, W2, _ = parameters
    f = forward(parameters, X)
    e_loss, e_dlogits = cross_entropy(f.logits, Y, f.e_logits)
    dlogits = reference.cross_entropy(f.logits, Y)[1]
    dh = dlogits @ W2.T
    e_dh, e_dW2, e_db2 = linear_backward(dlogits, f.h, W2, e_dlogits, f.e_h)
    dz, e_dz = dh * (1 - f.h**2), tanh_backward(dh, f.h, e_dh, f.e_h)
    _, e_dW1, e_db1 = linear_backward(dz, f.x, W1, e_dz)
    # dC may be summed over examples before or after the product with W1: at most H*T + B*T + 1
    # roundings on each of the terms dz * W1, whatever the order.
    B, T = X.shape
    roundings = W1.shape[1] * T + B * T + 1
    e_dx = gamma(roundings) * (np.abs(dz) @ np.abs(W1.T)) + e_dz @ np.abs(W1.T)
    e_dC = finish(reference.embedding_backward(e_dx.reshape(B, T, -1), X, len(C)))
    return e_loss, [e_dC, e_dW1, e_db1, e_dW2, e_db2]


# -- comparison ---------------------------------------------------------------------------------
def excess(found: Array, expected: Array, bound: Array | float) -> float:
    """The largest error in units of its bound: at most 1 for a correct result, inf for a NaN."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape, f"shape {found.shape}, expected {expected.shape}"
    if found.size == 0:
        return 0.0
    ratio = np.abs(found - expected) / bound
    return float(np.where(np.isnan(ratio), np.inf, ratio).max())


def assert_within(found: Array, expected: Array, bound: Array | float) -> None:
    largest = excess(found, expected, bound)
    assert largest <= 1, f"the error is {largest:.3g} times its bound"
