"""One training run on disk: its folder and its checkpoint.

It imports evaluation, training, recipe and the rooms below them.
"""

from makemore_cpp.models.frozen import CHECKPOINT_FILE, MODEL_FILE
from makemore_cpp.runs.folder import (
    CONFIG_FILE,
    EMBEDDINGS_FILE,
    METRICS_FILE,
    PICTURES,
    TEST_LOOKS_FILE,
    read_course,
    record_test_look,
    save_description,
    save_model,
    save_unfinished,
)

__all__ = [
    "CHECKPOINT_FILE",
    "CONFIG_FILE",
    "EMBEDDINGS_FILE",
    "METRICS_FILE",
    "MODEL_FILE",
    "PICTURES",
    "TEST_LOOKS_FILE",
    "read_course",
    "record_test_look",
    "save_description",
    "save_model",
    "save_unfinished",
]
