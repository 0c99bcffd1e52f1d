"""The character-level neural language model of Bengio et al. (2003), on a fast C++ core."""

from makemore_cpp import ops
from makemore_cpp._core import (
    ArgumentError,
    DivergedError,
    Error,
    FileError,
    FormatError,
    RangeError,
    __version__,
    build_info,
)
from makemore_cpp.dataset import Dataset, Split, build_dataset
from makemore_cpp.diagnosis import Diagnosis, diagnose
from makemore_cpp.hidden_units import Saturation, hidden_activations, saturation
from makemore_cpp.jelinek_mercer import InterpolatedNGram
from makemore_cpp.kneser_ney import KneserNey
from makemore_cpp.mixture import Mixture
from makemore_cpp.model import MLP
from makemore_cpp.ngram import NGram
from makemore_cpp.ngram_counts import NGramCounts
from makemore_cpp.ngram_table import NGramRow, ngram_table
from makemore_cpp.sampling import LengthWarning, sample
from makemore_cpp.schedules import learning_rates
from makemore_cpp.training import Evaluation, History, Progress, train
from makemore_cpp.vocab import Vocab
from makemore_cpp.vowels import VowelClustering, vowel_clustering
from makemore_cpp.words import DataOrigin, Words, load_words

__all__ = [
    "MLP",
    "ArgumentError",
    "DataOrigin",
    "Dataset",
    "Diagnosis",
    "DivergedError",
    "Error",
    "Evaluation",
    "FileError",
    "FormatError",
    "History",
    "InterpolatedNGram",
    "KneserNey",
    "LengthWarning",
    "Mixture",
    "NGram",
    "NGramCounts",
    "NGramRow",
    "Progress",
    "RangeError",
    "Saturation",
    "Split",
    "Vocab",
    "VowelClustering",
    "Words",
    "__version__",
    "build_dataset",
    "build_info",
    "diagnose",
    "hidden_activations",
    "learning_rates",
    "load_words",
    "ngram_table",
    "ops",
    "sample",
    "saturation",
    "train",
    "vowel_clustering",
]
