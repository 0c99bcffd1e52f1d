"""A float64 training run, and how far the losses and parameters of a float32 run may lie from it.

Step k is a map F_k of the parameters w, and a float32 run computes it with some rounding errors.
To first order its distance e_k from the float64 run obeys e_(k+1) = J_k e_k + errors of step k,
J_k = I - lr (Hessian_k + decay).  A functional f of w_s (a loss; a sum of parameters with signs)
is therefore off by the sum over k < s of a_(k+1) . (errors of step k), with a_s = gradient of f and
a_k = J_k a_(k+1), J_k being symmetric: the sensitivities of this very run, not norms.

What a . (errors of step k) can be follows from the same idea inside a step.  a . gradient is the
derivative of the loss in the direction a, so one tangent pass gives what is needed: an error in an
activation counts with the tangent of its gradient, an error in a gradient with the tangent of its
activation, and the tangents of the parameters' gradients are the Hessian times a.

Roundings of sums are counted as in Higham and Mary (2019), "A new approach to probabilistic
rounding error analysis": independent, of mean zero, each within its bound c_i.  By the inequality
of Azuma and Hoeffding their sum leaves +- LAMBDA sqrt(sum c_i^2) with a probability below
2 exp(-LAMBDA^2/2) = 5e-11, whatever their distribution.  (The plain sum of all c_i is a thousand
times what happens, and would let real mistakes pass.)  The errors of exp, log and tanh need not
have mean zero: they are added up without a square root.  What is neglected is quadratic in e.
"""

from __future__ import annotations

from dataclasses import dataclass

import bounds
import numpy as np
from bounds import TANH_ULP, ULP, Array, Parameters, U

from makemore_cpp import reference

LAMBDA = 7.0
DECAYED = (True, True, False, True, False)  # C, W1, b1, W2, b2


@dataclass
class Error:
    """Random errors (sum of the squares of their bounds) and systematic errors (their sum)."""

    squares: float = 0.0
    systematic: float = 0.0

    def add(self, sensitivity: Array, bound: Array, shared_by: int = 1) -> None:
        """Add independent errors; one that m elements share counts m times at most in squares."""
        self.squares += shared_by * float(np.sum((sensitivity * bound) ** 2))

    def add_systematic(self, sensitivity: Array, bound: Array) -> None:
        self.systematic += float(np.sum(np.abs(sensitivity * bound)))

    def add_scaled(self, other: Error, scale: float) -> None:
        self.squares += scale**2 * other.squares
        self.systematic += scale * other.systematic

    def bound(self) -> float:
        return self.systematic + LAMBDA * self.squares**0.5


def sum_bound(n: int, magnitude: Array) -> Array:
    """Bound a sum of n products: 2n roundings, each of a number below the sum of magnitudes."""
    return (2 * n) ** 0.5 * U * magnitude


class Step:
    """The arrays of one step in float64."""

    def __init__(self, w: Parameters, X: Array, Y: Array) -> None:
        C, W1, b1, W2, b2 = w
        self.w, self.X, self.Y = w, X, Y
        self.x = C[X].reshape(len(X), len(W1))
        self.h = np.tanh(self.x @ W1 + b1)
        self.logits = self.h @ W2 + b2
        self.loss, self.dlogits = reference.cross_entropy(self.logits, Y)
        self.dh = self.dlogits @ W2.T
        self.dz = self.dh * (1 - self.h**2)
        self.gradient = list(reference.loss_and_gradients(*w, X, Y)[1])
        # How many examples of the batch may share one row of a table of C @ W1.
        self.shared = max(int(np.bincount(column).max()) for column in X.T)
        self.z_error = sum_bound(len(W1) + 1, np.abs(self.x) @ np.abs(W1) + np.abs(b1))
        self.h_error = TANH_ULP * ULP * np.abs(self.h)
        self.logits_error = sum_bound(len(W2) + 1, np.abs(self.h) @ np.abs(W2) + np.abs(b2))

    def loss_error(self) -> Error:
        error = Error(systematic=bounds.cross_entropy(self.logits, self.Y)[0])
        self.add_forward(error, self.dz, self.dh, self.dlogits)
        return error

    def add_forward(self, error: Error, z: Array, h: Array, logits: Array) -> None:
        error.add(z, self.z_error, self.shared)
        error.add_systematic(h, self.h_error)
        error.add(logits, self.logits_error)

    def along(self, a: Parameters) -> tuple[Parameters, Error]:
        """Return the Hessian times a, and the error of a . gradient in float32."""
        _, W1, _, W2, _ = self.w
        a_C, a_W1, a_b1, a_W2, a_b2 = a
        (B, T), H, V = self.X.shape, W1.shape[1], W2.shape[1]
        x, h, dlogits, dh, dz = self.x, self.h, self.dlogits, self.dh, self.dz
        # t_q is the tangent of q: its derivative when the parameters move along a.
        t_x = a_C[self.X].reshape(x.shape)
        t_z = t_x @ W1 + x @ a_W1 + a_b1
        t_h = (1 - h**2) * t_z
        t_logits = t_h @ W2 + h @ a_W2 + a_b2
        p = np.exp(reference.log_softmax(self.logits))
        t_dlogits = p * (t_logits - (p * t_logits).sum(axis=1, keepdims=True)) / B
        t_dh = t_dlogits @ W2.T + dlogits @ a_W2.T
        t_dz = t_dh * (1 - h**2) - dh * 2 * h * t_h
        t_dx = (t_dz @ W1.T + dz @ a_W1.T).reshape(B, T, -1)
        hessian_a = [
            reference.embedding_backward(t_dx, self.X, len(a_C)),
            t_x.T @ dz + x.T @ t_dz,
            t_dz.sum(axis=0),
            t_h.T @ dlogits + h.T @ t_dlogits,
            t_dlogits.sum(axis=0),
        ]

        error = Error()
        self.add_forward(error, t_dz, t_dh, t_dlogits)
        error.add_systematic(t_logits, bounds.cross_entropy(self.logits, self.Y)[1])
        error.add(t_h, sum_bound(V, np.abs(dlogits) @ np.abs(W2.T)))
        error.add(t_z, bounds.tanh_backward(dh, h))
        # dz may be summed over the examples that share a token before it meets C and W1.
        m = self.shared
        for t in range(T):
            part = slice(t * W1.shape[0] // T, (t + 1) * W1.shape[0] // T)
            pair = t_x[:, part] @ W1[part] + x[:, part] @ a_W1[part]
            error.add(pair, m * U * dz)
        error.add(t_x, sum_bound(H + m * T, np.abs(dz) @ np.abs(W1.T)), m)
        error.add(a_W1, sum_bound(B, np.abs(x.T) @ np.abs(dz)))
        error.add(a_b1, sum_bound(B, np.abs(dz).sum(axis=0)))
        error.add(a_W2, sum_bound(B, np.abs(h.T) @ np.abs(dlogits)))
        error.add(a_b2, sum_bound(B, np.abs(dlogits).sum(axis=0)))
        return hessian_a, error


class Trajectory:
    """The whole run; lr and weight_decay should be float32 numbers, so that nothing rounds them."""

    def __init__(
        self, first: Parameters, X: Array, Y: Array, lr: Array, rows: Array, weight_decay: float
    ) -> None:
        w = [np.asarray(p, np.float64) for p in first]
        self.lr, self.decays = lr.astype(np.float64), [d * weight_decay for d in DECAYED]
        self.steps: list[Step] = []
        self.rounding: list[Parameters] = []  # of each update
        for batch, rate in zip(rows, self.lr, strict=True):
            step = Step(w, X[batch], Y[batch])
            dw = [g + d * p for g, d, p in zip(step.gradient, self.decays, w, strict=True)]
            w = [p - rate * g for p, g in zip(w, dw, strict=True)]
            self.steps.append(step)
            self.rounding.append(
                [U * (np.abs(p) + 4 * rate * np.abs(g)) for p, g in zip(w, dw, strict=True)]
            )
        self.parameters = w
        self.losses = np.array([step.loss for step in self.steps])

    def functional_error(self, s: int, a: Parameters) -> Error:
        """Return the error of a . w_s; it is slow, as it walks back through all steps before s."""
        total = Error()
        for k in range(s - 1, -1, -1):
            hessian_a, error = self.steps[k].along(a)
            total.add_scaled(error, self.lr[k])
            for sensitivity, bound in zip(a, self.rounding[k], strict=True):
                total.add(sensitivity, bound)
            a = [
                v - self.lr[k] * (g + d * v)
                for v, g, d in zip(a, hessian_a, self.decays, strict=True)
            ]
        return total

    def loss_bounds(self) -> Array:
        found = []
        for s, step in enumerate(self.steps):
            error = self.functional_error(s, step.gradient)
            error.add_scaled(step.loss_error(), 1.0)
            found.append(error.bound() + U * step.loss)  # the loss itself is stored as float32
        return np.array(found)

    def parameter_bound(self, a: Parameters) -> float:
        """Return the bound for the sum of all final parameters, each times its element of a."""
        return self.functional_error(len(self.steps), a).bound()
