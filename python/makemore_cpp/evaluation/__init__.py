"""How good a model is: its losses, baselines, a verdict, its hidden units and its embeddings.

It imports models, text and data.
"""

from makemore_cpp.evaluation.diagnosis import Diagnosis, diagnose
from makemore_cpp.evaluation.hidden_units import Saturation, hidden_activations, saturation
from makemore_cpp.evaluation.losses import (
    DEFAULT_SPLIT_SEED,
    ModelLosses,
    SplitLoss,
    compare,
    evaluate,
    evaluate_file,
    find_texts,
    held_out_texts,
    model_losses,
    split_as_trained,
)
from makemore_cpp.evaluation.ngram_losses import NGramRow, ngram_table
from makemore_cpp.evaluation.vowels import VowelClustering, vowel_clustering

__all__ = [
    "DEFAULT_SPLIT_SEED",
    "Diagnosis",
    "ModelLosses",
    "NGramRow",
    "Saturation",
    "SplitLoss",
    "VowelClustering",
    "compare",
    "diagnose",
    "evaluate",
    "evaluate_file",
    "find_texts",
    "held_out_texts",
    "hidden_activations",
    "model_losses",
    "ngram_table",
    "saturation",
    "split_as_trained",
    "vowel_clustering",
]
