"""The character-level neural language model of Bengio et al. (2003), on a fast C++ core.

This module holds what most programs need; its submodules, the rooms of the package, hold the rest:

==============  ==================================================================================
``ops``         the lecture's operations, forward and backward, on NumPy arrays
``reference``   the definition of these operations, in NumPy
``recipe``      options of a training, schedules, presets
``data``        from text to tokens to (X, Y)
``text``        score, sample, complete and detect, as functions of any model
``models``      the net, its frozen copy, counts and mixtures
``training``    the training loop, its history and its state
``evaluation``  losses on splits, baselines, diagnosis, hidden units, vowels
``estimators``  net and detector as scikit-learn's; its extra is ``sklearn``
``plots``       pictures of a training and of its net
``export``      a model in other forms
``runs``        one training run on disk
``sweeps``      grids, the search of a learning rate, experiments
``lecture``     the lecture: its claims, the calls that show them, and their results
==============  ==================================================================================
"""

from makemore_cpp import early_ctrl_c  # noqa: F401 - first, because the imports below take long

# isort: split
import importlib
from typing import Any

from makemore_cpp import old_names, ops
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
from makemore_cpp.data import Dataset, Texts, Vocab, build_dataset, load_texts
from makemore_cpp.evaluation import Diagnosis, diagnose
from makemore_cpp.export import (
    export_header,
    export_onnx,
    from_lecture,
    from_makemore_py,
    to_lecture,
    to_makemore_py,
)
from makemore_cpp.models import (
    MLP,
    InterpolatedNGram,
    KneserNey,
    LanguageModel,
    Mixture,
    NGram,
    load,
)
from makemore_cpp.package_paths import get_cmake_dir, get_include
from makemore_cpp.recipe import learning_rates
from makemore_cpp.text import Detector, Exhausted, LengthWarning, Model
from makemore_cpp.training import DivergenceWarning, History, train

# The rooms that are loaded when they are first used, since they import matplotlib and the like.
ROOMS = frozenset({"estimators", "lecture", "plots", "reference", "runs", "sweeps"})

old_names.add()


def __getattr__(name: str) -> Any:
    if name in ROOMS:
        return importlib.import_module(f"makemore_cpp.{name}")
    raise AttributeError(f"module 'makemore_cpp' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *ROOMS})


__all__ = [
    "MLP",
    "ArgumentError",
    "Dataset",
    "Detector",
    "Diagnosis",
    "DivergedError",
    "DivergenceWarning",
    "Error",
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
    "RangeError",
    "Texts",
    "Vocab",
    "__version__",
    "build_dataset",
    "build_info",
    "diagnose",
    "export_header",
    "export_onnx",
    "from_lecture",
    "from_makemore_py",
    "get_cmake_dir",
    "get_include",
    "learning_rates",
    "load",
    "load_texts",
    "ops",
    "to_lecture",
    "to_makemore_py",
    "train",
]
