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
from makemore_cpp.model import MLP
from makemore_cpp.ngram import Bigram
from makemore_cpp.sampling import LengthWarning, sample
from makemore_cpp.schedules import learning_rates
from makemore_cpp.training import Evaluation, History, Progress, train
from makemore_cpp.vocab import Vocab
from makemore_cpp.words import DataOrigin, Words, load_words

__all__ = [
    "MLP",
    "ArgumentError",
    "Bigram",
    "DataOrigin",
    "Dataset",
    "DivergedError",
    "Error",
    "Evaluation",
    "FileError",
    "FormatError",
    "History",
    "LengthWarning",
    "Progress",
    "RangeError",
    "Split",
    "Vocab",
    "Words",
    "__version__",
    "build_dataset",
    "build_info",
    "learning_rates",
    "load_words",
    "ops",
    "sample",
    "train",
]
