"""The activations of a model's hidden units, and how many of them are saturated."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from makemore_cpp import checks, ops
from makemore_cpp._core import ArgumentError
from makemore_cpp.arrays import Float32
from makemore_cpp.models.mlp import MLP

# tanh multiplies a gradient by 1 - h**2: beyond this activation by less than 2 %.
SATURATED = 0.99


class Saturation(NamedTuple):
    """The saturated part of a hidden layer, which hardly learns, for some examples."""

    share: float  # the share of the activations with abs(h) > 0.99
    dead_units: int  # units that are saturated in every example: none changes their weights
    units: int
    examples: int


def hidden_activations(model: MLP, X: ArrayLike, threads: int | None = None) -> Float32:
    """Return h (N,H), the hidden units' activations, of contexts X (N,T).

    Raises
    ------
    TypeError
        `model` is not an MLP, or X does not hold integers.
    ArgumentError
        N is 0, X has another shape, `threads` is not positive, or an activation is not a number.
    RangeError
        A token is outside the vocabulary [0, V).
    """
    checks.instance("model", model, MLP)
    contexts = checks.tokens("X", X, model.block_size, model.vocab_size)
    if len(contexts) == 0:
        raise ArgumentError("X is empty; there must be at least one context")
    emb = ops.embedding_forward(model.C, contexts, threads=threads)
    x = emb.reshape(len(contexts), -1)
    h = ops.linear_tanh_forward(x, model.W1, model.b1, threads=threads)
    if np.isnan(h).any():
        raise ArgumentError("an activation is not a number: C, W1 or b1 is too large")
    return h


def saturation(h: ArrayLike) -> Saturation:
    """Count the saturated activations in h (N,H), the result of `hidden_activations`.

    Raises
    ------
    TypeError
        h does not hold floats.
    ArgumentError
        h has another shape, or is empty.
    """
    activations = checks.floats("h", h)
    if activations.ndim != 2 or activations.size == 0:
        raise ArgumentError(f"h has the shape {activations.shape}; it must be (N, H), not empty")
    is_saturated = np.abs(activations) > SATURATED
    examples, units = activations.shape
    dead = int(is_saturated.all(axis=0).sum())
    return Saturation(float(is_saturated.mean()), dead, units, examples)
