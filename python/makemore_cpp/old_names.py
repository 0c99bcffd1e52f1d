"""Lets old pickles find classes that have moved or have other names today.

A pickle names the module of each class. This module makes the names that older releases wrote lead
to the classes of today; the table may be dropped when any file format changes next.
"""

import importlib
import sys

# The old names of modules that hold classes that can be pickled; they all lay in one folder.
OLD_NAMES = {
    "calibration": "text.calibration",
    "completion": "text.completion",
    "dataset": "data.dataset",
    "detection_report": "text.detection_report",
    "detector": "text.detector",
    "diagnosis": "evaluation.diagnosis",
    "hidden_units": "evaluation.hidden_units",
    "jelinek_mercer": "models.jelinek_mercer",
    "kneser_ney": "models.kneser_ney",
    "language_model": "models.frozen",
    "mixture": "models.mixture",
    "model": "models.mlp",
    "ngram": "models.ngram",
    "ngram_counts": "models.counts",
    "ngram_table": "evaluation.ngram_losses",
    "sampling": "text.sampling",
    "training_state": "training.state",
    "verdict": "evaluation.verdict",
    "vocab": "data.vocab",
    "vowels": "evaluation.vowels",
    "words": "data.texts",
}
# The classes that have another name today: by module, old names and new ones.
OLD_CLASSES = {
    "data.texts": {"Words": "Texts"},
    "evaluation": {"SplitLosses": "ModelLosses"},
    "evaluation.losses": {"SplitLosses": "ModelLosses"},
    "models.counts": {"Level": "ContextCounts"},
}


def add() -> None:
    """Let the old names lead to the modules and classes of today."""
    for old, new in OLD_NAMES.items():
        sys.modules[f"makemore_cpp.{old}"] = importlib.import_module(f"makemore_cpp.{new}")
    for name, classes in OLD_CLASSES.items():
        module = importlib.import_module(f"makemore_cpp.{name}")
        for old, new in classes.items():
            setattr(module, old, getattr(module, new))
