"""Turns text into tokens and examples (X, Y), and remembers where the text came from.

It imports the files.
"""

from makemore_cpp.data.dataset import Dataset, Split, build_dataset
from makemore_cpp.data.texts import DataOrigin, Texts, load_texts
from makemore_cpp.data.vocab import Vocab

__all__ = [
    "DataOrigin",
    "Dataset",
    "Split",
    "Texts",
    "Vocab",
    "build_dataset",
    "load_texts",
]
