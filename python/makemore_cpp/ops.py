"""The lecture's operations, forward and backward, each usable alone on NumPy arrays.

Floats are float32; what is something else, as lists or float64, is rounded to it.  Tokens are
integers of any type; results are new arrays.  A forward operation takes one row, (K,) in place of
(1,K), and gives one.  Sizes: B or N examples, T tokens of context, E embedding, H hidden units, V
vocabulary.  `threads` is by default the CPUs that this process may use, and never changes a bit of
a result.  `makemore_cpp.reference.net` has the same functions in NumPy, as their definition.

==================================================  =============================================
``embedding_forward(C, X)``                         emb (N,T,E) = C[X];  C (V,E), X (N,T)
``embedding_backward(demb, X, vocab_size)``         dC (V,E)
``linear_forward(x, W, b)``                         y (B,N) = x @ W + b;  x (B,K), W (K,N), b (N,)
``linear_backward(dy, x, W)``                       dx (B,K), dW (K,N), db (N,)
``linear_tanh_forward(x, W, b)``                    h (B,H) = tanh(x @ W + b)
``linear_tanh_backward(dh, h, x, W)``               dx (B,K), dW (K,H), db (H,)
``cross_entropy(logits, Y)``                        mean loss in nats, dlogits (B,V)
``log_softmax(logits)``                             (B,V)
``sgd_update(w, dw, lr, weight_decay=0)``           in place: w -= lr * (dw + weight_decay * w)
``sample_tokens(log_probs, u)``                     (N,) int32, the first token of each row whose
                                                    cumulative float64 probability exceeds u
==================================================  =============================================

A shape or value that does not fit raises ArgumentError, a token outside the vocabulary RangeError,
what holds no real numbers TypeError, each with a sentence that names the argument.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from makemore_cpp import _core
from makemore_cpp._core import (
    cross_entropy,
    embedding_backward,
    linear_backward,
    linear_tanh_backward,
    sample_tokens,
    sgd_update,
)
from makemore_cpp.arrays import Float32

__all__ = [
    "cross_entropy",
    "embedding_backward",
    "embedding_forward",
    "linear_backward",
    "linear_forward",
    "linear_tanh_backward",
    "linear_tanh_forward",
    "log_softmax",
    "sample_tokens",
    "sgd_update",
]


def embedding_forward(C: ArrayLike, X: ArrayLike, threads: int | None = None) -> Float32:
    """Return emb (N,T,E) = C[X] for C (V,E) and X (N,T), or (T,E) for one context (T,)."""
    rows, is_one = _rows(X)
    emb = _core.embedding_forward(C, rows, threads)
    return emb[0] if is_one else emb


def linear_forward(x: ArrayLike, W: ArrayLike, b: ArrayLike, threads: int | None = None) -> Float32:
    """Return y (B,N) = x @ W + b for x (B,K), W (K,N) and b (N,), or (N,) for one row (K,)."""
    rows, is_one = _rows(x)
    y = _core.linear_forward(rows, W, b, threads)
    return y[0] if is_one else y


def linear_tanh_forward(
    x: ArrayLike, W: ArrayLike, b: ArrayLike, threads: int | None = None
) -> Float32:
    """Return h (B,H) = tanh(x @ W + b), as `linear_forward` does."""
    rows, is_one = _rows(x)
    h = _core.linear_tanh_forward(rows, W, b, threads)
    return h[0] if is_one else h


def log_softmax(logits: ArrayLike, threads: int | None = None) -> Float32:
    """Return the log-probabilities (B,V) of logits (B,V), or (V,) of one row (V,)."""
    rows, is_one = _rows(logits)
    log_probs = _core.log_softmax(rows, threads)
    return log_probs[0] if is_one else log_probs


def _rows(x: Any) -> tuple[Any, bool]:
    """Return an argument, one row as a table of one, and whether it was one row."""
    try:
        is_one = np.ndim(x) == 1
    except Exception:  # a foreign object's own; the core says what is wrong
        is_one = False
    return (np.asarray(x)[None], True) if is_one else (x, False)
