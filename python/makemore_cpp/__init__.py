"""The character-level neural language model of Bengio et al. (2003), on a fast C++ core."""

from makemore_cpp import early_ctrl_c  # noqa: F401 - the first, as those below take their time

# isort: split
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
from makemore_cpp.completion import Completion, complete, next_probs
from makemore_cpp.dataset import Dataset, Split, build_dataset
from makemore_cpp.detection_report import DetectionReport, auc, random_letters, shuffled_letters
from makemore_cpp.detector import Detector
from makemore_cpp.diagnosis import Diagnosis, diagnose
from makemore_cpp.header_export import export_header
from makemore_cpp.hidden_units import Saturation, hidden_activations, saturation
from makemore_cpp.interop import from_lecture, from_makemore_py, to_lecture, to_makemore_py
from makemore_cpp.jelinek_mercer import InterpolatedNGram
from makemore_cpp.kneser_ney import KneserNey
from makemore_cpp.language_model import LanguageModel
from makemore_cpp.mixture import Mixture
from makemore_cpp.model import MLP
from makemore_cpp.ngram import NGram
from makemore_cpp.ngram_counts import NGramCounts
from makemore_cpp.ngram_table import NGramRow, ngram_table
from makemore_cpp.onnx_export import export_onnx
from makemore_cpp.package_paths import get_cmake_dir, get_include
from makemore_cpp.prediction import Exhausted
from makemore_cpp.sampling import LengthWarning, Sample, iter_samples, sample
from makemore_cpp.saved import load
from makemore_cpp.schedules import learning_rates
from makemore_cpp.scoring import bits_per_char, per_char, perplexity, score
from makemore_cpp.text_model import Model
from makemore_cpp.training import DivergenceWarning, Evaluation, History, Progress, train
from makemore_cpp.training_state import TrainingState
from makemore_cpp.vocab import Vocab
from makemore_cpp.vowels import VowelClustering, vowel_clustering
from makemore_cpp.words import DataOrigin, Words, load_words

__all__ = [
    "MLP",
    "ArgumentError",
    "Completion",
    "DataOrigin",
    "Dataset",
    "DetectionReport",
    "Detector",
    "Diagnosis",
    "DivergedError",
    "DivergenceWarning",
    "Error",
    "Evaluation",
    "Exhausted",
    "FileError",
    "FormatError",
    "History",
    "InterpolatedNGram",
    "KneserNey",
    "LanguageModel",
    "LengthWarning",
    "Mixture",
    "Model",
    "NGram",
    "NGramCounts",
    "NGramRow",
    "Progress",
    "RangeError",
    "Sample",
    "Saturation",
    "Split",
    "TrainingState",
    "Vocab",
    "VowelClustering",
    "Words",
    "__version__",
    "auc",
    "bits_per_char",
    "build_dataset",
    "build_info",
    "complete",
    "diagnose",
    "export_header",
    "export_onnx",
    "from_lecture",
    "from_makemore_py",
    "get_cmake_dir",
    "get_include",
    "hidden_activations",
    "iter_samples",
    "learning_rates",
    "load",
    "load_words",
    "next_probs",
    "ngram_table",
    "ops",
    "per_char",
    "perplexity",
    "random_letters",
    "sample",
    "saturation",
    "score",
    "shuffled_letters",
    "to_lecture",
    "to_makemore_py",
    "train",
    "vowel_clustering",
]
