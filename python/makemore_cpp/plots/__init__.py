"""Pictures of a training and of its net; each function draws on `ax` and returns the Axes.

It imports evaluation, training and models.
"""

from makemore_cpp.plots.embedding_map import embeddings
from makemore_cpp.plots.hidden import activation_histogram, hidden_units, saturation_image
from makemore_cpp.plots.style import save
from makemore_cpp.plots.training import loss_curve, model_pictures, save_model_pictures

__all__ = [
    "activation_histogram",
    "embeddings",
    "hidden_units",
    "loss_curve",
    "model_pictures",
    "saturation_image",
    "save",
    "save_model_pictures",
]
