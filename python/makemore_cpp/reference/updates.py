"""The NumPy specification of the optimisers: how one step changes one array of parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# The arrays that each optimiser keeps for a parameter; they are zeros before the first step.
MOMENTS: dict[str, tuple[str, ...]] = {
    "sgd": (),
    "momentum": ("velocity",),
    "adam": ("m", "v"),
    "adamw": ("m", "v"),
}


def sgd_update(w: Array, dw: Array, lr: float, weight_decay: float = 0.0) -> None:
    """Do w -= lr * (dw + weight_decay * w), in place."""
    w -= lr * (dw + weight_decay * w if weight_decay else dw)


def momentum_update(
    w: Array, velocity: Array, dw: Array, lr: float, weight_decay: float, momentum: float
) -> None:
    """Do velocity = momentum * velocity + g;  w -= lr * velocity, in place, like PyTorch's SGD.

    g is dw + weight_decay * w.
    """
    velocity *= momentum
    velocity += dw + weight_decay * w
    w -= lr * velocity


def adam_update(
    w: Array, m: Array, v: Array, dw: Array, lr: float, weight_decay: float, t: int,
    beta1: float, beta2: float, epsilon: float, decoupled: bool,
) -> None:  # fmt: skip
    """Do step t of Adam, or of AdamW if the decay is decoupled, in place; t counts from 1.

    Sources: Kingma and Ba (2015), "Adam: a method for stochastic optimization"; Loshchilov and
    Hutter (2019), "Decoupled weight decay regularization".
    """
    g = dw if decoupled else dw + weight_decay * w
    m += (1 - beta1) * (g - m)
    v += (1 - beta2) * (g * g - v)
    m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
    direction = m_hat / (np.sqrt(v_hat) + epsilon)
    if decoupled:  # not w *= 1 - lr * weight_decay: float32 may round that factor to 1
        direction = direction + weight_decay * w
    w -= lr * direction


def update(
    optimizer: str, w: Array, moments: list[Array], dw: Array, lr: float, weight_decay: float,
    t: int, momentum: float, beta1: float, beta2: float, epsilon: float,
) -> None:  # fmt: skip
    """Do one step of the named optimiser on w and its moments, in place."""
    if optimizer == "sgd":
        sgd_update(w, dw, lr, weight_decay)
    elif optimizer == "momentum":
        momentum_update(w, moments[0], dw, lr, weight_decay, momentum)
    else:
        decoupled = {"adam": False, "adamw": True}[optimizer]
        m, v = moments
        adam_update(w, m, v, dw, lr, weight_decay, t, beta1, beta2, epsilon, decoupled)
