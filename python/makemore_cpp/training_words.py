"""The words that a model was trained on."""

from makemore_cpp.dataset import cut_words
from makemore_cpp.words import DataOrigin, check_unchanged, load_origin


def training_words(data: DataOrigin) -> list[str]:
    """Return the train split of the file that `data` names; without a split, all its words.

    Raises
    ------
    ArgumentError
        The file has changed.
    FileError
        The file cannot be read.
    FormatError
        It holds no words.
    """
    words = load_origin(data)
    check_unchanged(words, data)
    return words if data.split_seed is None else cut_words(words, data.split_seed)[0]
