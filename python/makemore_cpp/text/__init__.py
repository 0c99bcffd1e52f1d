"""The questions about texts that every model answers: score, sample, complete, detect.

It holds the base class `Model`, imports data and files, and knows no particular model.
"""

from makemore_cpp._core import TextColumn
from makemore_cpp.text.completion import Completion, complete, next_probs
from makemore_cpp.text.detection_report import (
    DetectionReport,
    auc,
    random_letters,
    shuffled_letters,
)
from makemore_cpp.text.detector import Detector
from makemore_cpp.text.model import Model
from makemore_cpp.text.predictor import Exhausted
from makemore_cpp.text.sampling import LengthWarning, Sample, iter_samples, sample
from makemore_cpp.text.scoring import bits_per_char, loss, per_char, perplexity, score

__all__ = [
    "Completion",
    "DetectionReport",
    "Detector",
    "Exhausted",
    "LengthWarning",
    "Model",
    "Sample",
    "TextColumn",
    "auc",
    "bits_per_char",
    "complete",
    "iter_samples",
    "loss",
    "next_probs",
    "per_char",
    "perplexity",
    "random_letters",
    "sample",
    "score",
    "shuffled_letters",
]
