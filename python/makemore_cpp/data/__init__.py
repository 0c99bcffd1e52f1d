"""From text to tokens to examples (X, Y), with a memory of where the text came from.

It imports the files.
"""

from makemore_cpp.data.dataset import Dataset, Split, build_dataset
from makemore_cpp.data.texts import DataOrigin, Words, load_words
from makemore_cpp.data.vocab import Vocab

__all__ = [
    "DataOrigin",
    "Dataset",
    "Split",
    "Vocab",
    "Words",
    "build_dataset",
    "load_words",
]
