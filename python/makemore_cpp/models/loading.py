"""Loads a model whose class is not known."""

import os
from typing import Any

from makemore_cpp import _core, checks
from makemore_cpp.files.tensors import Content, naming
from makemore_cpp.models.frozen import LanguageModel, data_at, take_saved
from makemore_cpp.text.saved import NET_FORMAT, reader_of


def load(path: str | bytes | os.PathLike[str]) -> Any:
    """Return the model of a file, whatever its class, or of a run folder.

    Parameters
    ----------
    path : str, bytes or path
        A file that the `save` of any model has written, or a run folder of ``train``.

    Returns
    -------
    LanguageModel, NGram, InterpolatedNGram, KneserNey, Mixture or Detector
        To train a net further, load it with ``MLP.load`` instead.

    Raises
    ------
    TypeError
        `path` is not a path.
    FileError
        The file cannot be read.
    FormatError
        Its bytes are not those of a model, or were changed.
    """
    place = checks.path("path", path)
    if os.path.isdir(place):
        return LanguageModel.load(place)
    content = Content(_core.read_tensor_file(place), place)
    with naming(place):
        if content.format != NET_FORMAT:
            return reader_of(content)(content)
        saved = take_saved(content)
    return LanguageModel(saved, data=data_at(place, saved))
