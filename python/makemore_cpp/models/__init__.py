"""The models, which predict the next token: the net, its frozen copy, counts and mixtures.

It imports text, data and files.
"""

from makemore_cpp.models.counts import NGramCounts
from makemore_cpp.models.frozen import LanguageModel
from makemore_cpp.models.jelinek_mercer import InterpolatedNGram
from makemore_cpp.models.kneser_ney import KneserNey
from makemore_cpp.models.layers import Layer, layers
from makemore_cpp.models.loading import load
from makemore_cpp.models.mixture import Mixture
from makemore_cpp.models.mlp import MLP
from makemore_cpp.models.ngram import NGram

__all__ = [
    "MLP",
    "InterpolatedNGram",
    "KneserNey",
    "LanguageModel",
    "Layer",
    "Mixture",
    "NGram",
    "NGramCounts",
    "layers",
    "load",
]
