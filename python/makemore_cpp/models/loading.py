"""Loading a model of whatever class."""

import os
from typing import Any

from makemore_cpp import _core, checks
from makemore_cpp.files.tensors import Content, naming
from makemore_cpp.models.frozen import LanguageModel, data_at, take_saved
from makemore_cpp.text.saved import NET_FORMAT, reader_of


def load(path: str | bytes | os.PathLike[str]) -> Any:
    """Return the model of a file, of whatever class, or that of a run folder.

    Parameters
    ----------
    path : str, bytes or path
        What `save` of any model has written, or ``train`` a run folder.

    Returns
    -------
    LanguageModel, NGram, InterpolatedNGram, KneserNey, Mixture or Detector
        A net that is to be trained on is that of ``MLP.load``.

    Raises
    ------
    TypeError
        `path` is no path.
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
