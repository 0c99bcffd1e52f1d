"""The definition of every operation and of a training step, written in NumPy alone.

It imports nothing of the package.
"""

from makemore_cpp.reference.negatives import candidates, proposal_weights
from makemore_cpp.reference.net import (
    cross_entropy,
    embedding_backward,
    embedding_forward,
    linear_backward,
    linear_forward,
    linear_tanh_backward,
    linear_tanh_forward,
    log_probs,
    log_softmax,
    loss_and_gradients,
    mean_loss,
    sample_tokens,
    sampling_weights,
    train_steps,
)
from makemore_cpp.reference.random import (
    batch_rows,
    dropout_mask,
    initial_parameters,
    sample_uniforms,
)
from makemore_cpp.reference.updates import MOMENTS, adam_update, momentum_update, sgd_update, update

__all__ = [
    "MOMENTS",
    "adam_update",
    "batch_rows",
    "candidates",
    "cross_entropy",
    "dropout_mask",
    "embedding_backward",
    "embedding_forward",
    "initial_parameters",
    "linear_backward",
    "linear_forward",
    "linear_tanh_backward",
    "linear_tanh_forward",
    "log_probs",
    "log_softmax",
    "loss_and_gradients",
    "mean_loss",
    "momentum_update",
    "proposal_weights",
    "sample_tokens",
    "sample_uniforms",
    "sampling_weights",
    "sgd_update",
    "train_steps",
    "update",
]
