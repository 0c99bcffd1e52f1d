"""The lecture's operations, forward and backward, each usable alone on NumPy arrays.

Floats are float32; other numbers, such as lists or float64 arrays, are rounded to float32.  Tokens
are integers of any type.  Results are new arrays.  A forward operation also takes a single row,
(K,) in place of (1,K), and then returns one.  Sizes: B or N examples, T tokens of context, E
embedding, H hidden units, V vocabulary.  `threads` is by default the number of CPUs that this
process may use, and never changes a bit of a result.  `makemore_cpp.reference.net` defines the same
functions in NumPy.

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
and an argument that does not hold real numbers TypeError.  Each error names the argument.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from makemore_cpp import _core
from makemore_cpp.arrays import Float32, Float64, Int32

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


def embedding_backward(
    demb: ArrayLike, X: ArrayLike, vocab_size: int, threads: int | None = None
) -> Float32:
    """Return dC (V,E), the sum of the rows of demb (N,T,E) that belong to each token of X (N,T).

    V is `vocab_size`, in [1, 2**20].
    """
    return _core.embedding_backward(demb, X, vocab_size, threads)


def linear_forward(x: ArrayLike, W: ArrayLike, b: ArrayLike, threads: int | None = None) -> Float32:
    """Return y (B,N) = x @ W + b for x (B,K), W (K,N) and b (N,), or (N,) for one row (K,)."""
    rows, is_one = _rows(x)
    y = _core.linear_forward(rows, W, b, threads)
    return y[0] if is_one else y


def linear_backward(
    dy: ArrayLike, x: ArrayLike, W: ArrayLike, threads: int | None = None
) -> tuple[Float32, Float32, Float32]:
    """Return dx (B,K), dW (K,N) and db (N,) for dy (B,N), x (B,K) and W (K,N)."""
    return _core.linear_backward(dy, x, W, threads)


def linear_tanh_forward(
    x: ArrayLike, W: ArrayLike, b: ArrayLike, threads: int | None = None
) -> Float32:
    """Return h (B,H) = tanh(x @ W + b), as `linear_forward` does."""
    rows, is_one = _rows(x)
    h = _core.linear_tanh_forward(rows, W, b, threads)
    return h[0] if is_one else h


def linear_tanh_backward(
    dh: ArrayLike, h: ArrayLike, x: ArrayLike, W: ArrayLike, threads: int | None = None
) -> tuple[Float32, Float32, Float32]:
    """Return dx (B,K), dW (K,H) and db (H,) for dh (B,H), h (B,H), x (B,K) and W (K,H)."""
    return _core.linear_tanh_backward(dh, h, x, W, threads)


def cross_entropy(
    logits: ArrayLike, Y: ArrayLike, threads: int | None = None
) -> tuple[float, Float32]:
    """Return the mean loss of targets Y (N,) in nats, and its gradient in the logits (N,V).

    Neither N nor V may be 0.
    """
    return _core.cross_entropy(logits, Y, threads)


def log_softmax(logits: ArrayLike, threads: int | None = None) -> Float32:
    """Return the log-probabilities (B,V) of logits (B,V), or (V,) of one row (V,)."""
    rows, is_one = _rows(logits)
    log_probs = _core.log_softmax(rows, threads)
    return log_probs[0] if is_one else log_probs


def sgd_update(w: Float32, dw: ArrayLike, lr: float, weight_decay: float = 0.0) -> None:
    """Do w -= lr * (dw + weight_decay * w) in place.

    w, of any shape, is float32, C-contiguous and writable, and shares no memory with dw; lr and
    weight_decay are finite and not negative.
    """
    _core.sgd_update(w, dw, lr, weight_decay)


def sample_tokens(log_probs: Float32, u: Float64) -> Int32:
    """Return the first token (N,) of each row whose cumulative float64 probability exceeds u (N,).

    Where rounding leaves no such token, it is the last one of positive probability. u is in [0, 1);
    a row of log_probs (N,V) must be the logarithm of a distribution.
    """
    return _core.sample_tokens(log_probs, u)


def _rows(x: Any) -> tuple[Any, bool]:
    """Return an argument, a single row as a table of one row, and whether it was a single row."""
    try:
        is_one = np.ndim(x) == 1
    except Exception:  # an object's own error; the core says what is wrong
        is_one = False
    return (np.asarray(x)[None], True) if is_one else (x, False)
