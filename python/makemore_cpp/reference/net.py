"""The NumPy specification of every operation and of a training step: it defines what is right.

Floats may have any type: results have the type of the given arrays.  Sizes: B or N examples, T
tokens of context, E embedding, H hidden units, V vocabulary, K = T*E.  The gradient of x is dx.
Nothing is checked here; the compiled core, which computes the same, refuses bad input.

The model (Bengio et al. 2003, "A neural probabilistic language model"): C (V,E), W1 (K,H), b1 (H,),
W2 (H,V), b2 (V,);

    emb = C[X]      h = tanh(emb @ W1 + b1)      logits = h @ W2 + b2      loss = -mean log p[Y]

The paper's direct connections are K more rows of W2, (H+K,V), for the embeddings, which are then
features behind the hidden units: logits = [h, emb] @ W2 + b2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from makemore_cpp.reference.negatives import candidates, proposal_weights
from makemore_cpp.reference.random import (
    batch_rows,
    dropout_mask,
    initial_parameters,
    sample_uniforms,
)
from makemore_cpp.reference.updates import MOMENTS, sgd_update, update

__all__ = [
    "MOMENTS", "batch_rows", "cross_entropy", "dropout_mask", "embedding_backward",
    "embedding_forward", "initial_parameters", "linear_backward", "linear_forward",
    "linear_tanh_backward", "linear_tanh_forward", "log_probs", "log_softmax",
    "loss_and_gradients", "mean_loss", "sample_tokens", "sample_uniforms",
    "sampling_weights", "sgd_update", "train_steps", "update",
]  # fmt: skip

Array = NDArray[Any]  # float arrays of one type
Tokens = NDArray[np.integer[Any]]


# -- the lecture's operations --------------------------------------------------------------------
def embedding_forward(C: Array, X: Tokens) -> Array:
    """Look up emb[n,t,:] = C[X[n,t],:].     C (V,E)  X (N,T)  ->  emb (N,T,E)."""
    return C[X]


def embedding_backward(demb: Array, X: Tokens, vocab_size: int) -> Array:
    """Sum demb[n,t,:] into dC[X[n,t],:].    demb (N,T,E)  X (N,T)  ->  dC (V,E)."""
    dC = np.zeros((vocab_size, demb.shape[-1]), demb.dtype)
    np.add.at(dC, X, demb)
    return dC


def linear_forward(x: Array, W: Array, b: Array) -> Array:
    """Compute x @ W + b.         x (N,K)  W (K,H)  b (H,)  ->  y (N,H)."""
    return x @ W + b


def linear_backward(dy: Array, x: Array, W: Array) -> tuple[Array, Array, Array]:
    """Compute the gradients of `linear_forward`.

    dy (N,H)  x (N,K)  W (K,H)  ->  dx (N,K), dW (K,H), db (H,)
    """
    return dy @ W.T, x.T @ dy, dy.sum(axis=0)


def linear_tanh_forward(x: Array, W: Array, b: Array) -> Array:
    """Compute tanh(x @ W + b).   x (N,K)  W (K,H)  b (H,)  ->  h (N,H)."""
    h: Array = np.tanh(x @ W + b)
    return h


def linear_tanh_backward(dh: Array, h: Array, x: Array, W: Array) -> tuple[Array, Array, Array]:
    """Compute the gradients of `linear_tanh_forward`; its result h gives tanh' = 1 - h^2.

    dh (N,H)  h (N,H)  x (N,K)  W (K,H)  ->  dx (N,K), dW (K,H), db (H,)
    """
    return linear_backward(dh * (1 - h * h), x, W)


def log_softmax(logits: Array) -> Array:
    """Compute logits - log(sum(exp(logits))) of each row.     logits (N,V)  ->  log_p (N,V)."""
    z = logits - logits.max(axis=1, keepdims=True)  # for stability: the result does not change
    log_p: Array = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return log_p


def cross_entropy(logits: Array, Y: Tokens) -> tuple[Any, Array]:
    """Compute the mean negative log-probability of the targets, in nats, and its gradient.

    logits (N,V)  Y (N,)  ->  loss, dlogits (N,V) = (softmax - onehot(Y)) / N
    """
    N = len(Y)
    log_p = log_softmax(logits)
    loss = -log_p[np.arange(N), Y].mean()
    dlogits = np.exp(log_p)
    dlogits[np.arange(N), Y] -= 1
    dlogits /= N
    return loss, dlogits


# -- the model -----------------------------------------------------------------------------------
def features(h: Array, x: Array, W2: Array) -> Array:
    """Return the inputs of the output layer: h (N,H), then x (N,K) if W2 has rows for it."""
    return h if len(W2) == h.shape[1] else np.concatenate([h, x], axis=1)


def loss_and_gradients(
    C: Array, W1: Array, b1: Array, W2: Array, b2: Array, X: Tokens, Y: Tokens,
    mask: Array | None = None,
) -> tuple[Any, tuple[Array, Array, Array, Array, Array]]:  # fmt: skip
    """Compute the mean loss of the examples X (B,T), Y (B,), and dC, dW1, db1, dW2, db2.

    With a mask (B,H), of dropout, each example's hidden units are multiplied by a row of the mask;
    embeddings that are features are not.
    """
    emb = embedding_forward(C, X)
    x = emb.reshape(len(X), len(W1))
    h = linear_tanh_forward(x, W1, b1)
    dropped = h if mask is None else h * mask
    seen = features(dropped, x, W2)
    logits = linear_forward(seen, W2, b2)
    loss, dlogits = cross_entropy(logits, Y)

    dseen, dW2, db2 = linear_backward(dlogits, seen, W2)
    ddropped, dx_direct = dseen[:, : len(b1)], dseen[:, len(b1) :]
    dh = ddropped if mask is None else ddropped * mask
    dx, dW1, db1 = linear_tanh_backward(dh, h, x, W1)
    if dx_direct.size:
        dx = dx + dx_direct
    dC = embedding_backward(dx.reshape(emb.shape), X, len(C))
    return loss, (dC, dW1, db1, dW2, db2)


def train_steps(
    C: Array,
    W1: Array,
    b1: Array,
    W2: Array,
    b2: Array,
    X: Tokens,
    Y: Tokens,
    lr: Iterable[float],
    *,
    batch_size: int = 32,
    seed: int = 1,
    first_step: int = 0,
    rows: NDArray[np.integer[Any]] | Literal["all"] | None = None,
    optimizer: str = "sgd",
    state: Mapping[str, Array] | None = None,
    weight_decay: float = 0.0,
    decay_biases: bool = False,
    momentum: float = 0.9,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    dropout: float = 0.0,
    negatives: int | None = None,
) -> Array:
    """Do one step of minibatch descent for each learning rate, on the five parameters in place.

    Weight decay applies to C, W1 and W2, as in the paper, and to the biases only if asked for;
    losses never include it.

    With negatives, a step's softmax, and so its loss, is over its `candidates`, for which all
    targets Y give the weights.  The step changes only the candidates' elements of W2, b2 and their
    moments, also by weight decay and momentum; PyTorch's SparseAdam does the same.

    Parameters
    ----------
    X, Y : (N,T) and (N,), the examples
    lr : (steps,)
    seed, first_step : minibatches are `batch_rows(seed, first_step, steps, batch_size, N)`
    rows : (steps, B), the rows of the examples to use instead, or "all", every example each step
    state : the optimiser's moments by names like "m.W1", updated in place

    Returns
    -------
    losses (steps,), those of the steps' minibatches, with dropout, before the update
    """
    rates = np.asarray(lr, np.float64).tolist()
    if rows is None:
        rows = batch_rows(seed, first_step, len(rates), batch_size, len(X))
    parameters = {"C": C, "W1": W1, "b1": b1, "W2": W2, "b2": b2}
    losses = np.empty(len(rates), C.dtype)
    weights = proposal_weights(Y, len(b2)) if negatives else None
    tokens: Any = slice(None)  # the tokens of the softmax: all
    for s, rate in enumerate(rates):
        batch = slice(None) if isinstance(rows, str) else rows[s]
        x, y, step = X[batch], Y[batch], first_step + s
        mask = dropout_mask(seed, step, len(x), len(b1), dropout) if dropout else None
        first_logits = b2
        if weights is not None and negatives:
            tokens, expected = candidates(seed, step, weights, y, negatives)
            y = np.searchsorted(np.unique(y), y)  # the targets' places among the candidates
            first_logits = (b2[tokens] - np.log(expected)).astype(b2.dtype)
        losses[s], gradients = loss_and_gradients(
            C, W1, b1, W2[:, tokens], first_logits, x, y, mask
        )
        for (name, w), dw in zip(parameters.items(), gradients, strict=True):
            decay = weight_decay if decay_biases or w.ndim == 2 else 0.0
            moments = [(state or {})[f"{moment}.{name}"] for moment in MOMENTS[optimizer]]
            place = (..., tokens) if name in ("W2", "b2") else ...
            arrays = [array[place] for array in (w, *moments)]  # copies, if tokens is an array
            update(
                optimizer, arrays[0], arrays[1:], dw, rate, decay, step + 1,
                momentum, beta1, beta2, epsilon,
            )  # fmt: skip
            for array, changed in zip((w, *moments), arrays, strict=True):
                array[place] = changed
    return losses


def log_probs(C: Array, W1: Array, b1: Array, W2: Array, b2: Array, X: Tokens) -> Array:
    """Compute the log-probabilities of the next token.      X (N,T)  ->  (N,V), in nats."""
    x = embedding_forward(C, X).reshape(len(X), len(W1))
    h = linear_tanh_forward(x, W1, b1)
    return log_softmax(linear_forward(features(h, x, W2), W2, b2))


def mean_loss(C: Array, W1: Array, b1: Array, W2: Array, b2: Array, X: Tokens, Y: Tokens) -> float:
    """Compute the mean negative log-probability of Y (N,) after X (N,T), in nats per token."""
    total = 0.0
    for start in range(0, len(X), 4096):  # in pieces, so that memory does not grow with N
        y = Y[start : start + 4096]
        log_p = log_probs(C, W1, b1, W2, b2, X[start : start + 4096])
        total -= float(log_p[np.arange(len(y)), y].sum(dtype=np.float64))
    return total / len(X)


def sample_tokens(
    log_probs: Array,
    u: NDArray[np.float64],
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    may_end: bool = True,
) -> NDArray[np.int32]:
    """Draw a token for each row: the first whose cumulative weight exceeds u times the total.

    log_probs (N,V)  u (N,) in [0, 1)  ->  (N,) int32, -1 where no token has a weight.  Sums are
    float64, added in the order of the tokens; for top_p, from the most probable token on.

    The weights are the probabilities, changed in this order: where a text may not end, token 0 has
    no weight; a temperature divides log-probabilities, and 0 leaves only the most probable token;
    top_k leaves the k greatest weights; top_p leaves the fewest greatest weights that have this
    share of what is left.  Among equal weights the lower token comes first.
    """
    tokens = np.empty(len(log_probs), np.int32)
    for i, row in enumerate(log_probs.astype(np.float64)):
        if not may_end:
            row[0] = -np.inf
        cumulative = np.cumsum(sampling_weights(row, temperature, top_k, top_p))
        target = u[i] * cumulative[-1]
        # Rounding may leave no sum that exceeds the target: then the first that reaches the total.
        exceeding = np.append(
            np.flatnonzero(cumulative > target), np.argmax(cumulative == cumulative[-1])
        )
        tokens[i] = exceeding[0] if cumulative[-1] > 0 else -1
    return tokens


def sampling_weights(log_p: Array, temperature: float, top_k: int | None, top_p: float) -> Array:
    """Compute the weights by which `sample_tokens` draws a token.     log_p (V,)  ->  (V,)."""
    best = np.argmax(log_p)
    if temperature == 1:
        weights = np.exp(log_p)
    elif temperature > 0 and log_p[best] > -np.inf:
        weights = np.exp((log_p - log_p[best]) / temperature)
    else:
        weights = (np.arange(len(log_p)) == best) * np.exp(log_p[best])
    order = np.argsort(-weights, kind="stable")
    kept = len(order) if top_k is None else min(top_k, len(order))
    if top_p < 1:
        sums = np.cumsum(weights[order[:kept]])
        kept = int(np.argmax(sums >= top_p * sums[-1])) + 1
    weights[order[kept:]] = 0
    return weights
