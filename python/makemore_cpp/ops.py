"""The lecture's operations, forward and backward, each usable alone on NumPy arrays.

Arrays of floats are float32, tokens integers of any type; results are new arrays.  Sizes: B or N
examples, T tokens of context, E embedding, H hidden units, V vocabulary.  `threads` is by default
the CPUs that this process may use, and never changes a bit of a result.  `makemore_cpp.reference`
has the same functions in NumPy, as their definition.

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
an array of another type TypeError, each with a sentence that names the argument.
"""

from makemore_cpp._core import (
    cross_entropy,
    embedding_backward,
    embedding_forward,
    linear_backward,
    linear_forward,
    linear_tanh_backward,
    linear_tanh_forward,
    log_softmax,
    sample_tokens,
    sgd_update,
)

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
