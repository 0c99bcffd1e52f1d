"""Writes a lecture into a folder: a page, a notebook and pictures."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from makemore_cpp import checks, files
from makemore_cpp.files import folders
from makemore_cpp.lecture.notebook import notebook_of
from makemore_cpp.lecture.page import page_of
from makemore_cpp.lecture.walk import Shown

PAGE_FILE, NOTEBOOK_FILE = "lecture.html", "lecture.ipynb"


def save(folder: str | bytes | os.PathLike[str], shown: Sequence[Shown]) -> None:
    """Write ``lecture.html``, ``lecture.ipynb`` and the pictures, each atomically.

    Parameters
    ----------
    folder : str, bytes or path
        The folder, which is made if there is none; files of the same names are replaced.
    shown : list of Shown
        The results of `walk`.

    Raises
    ------
    TypeError
        `folder` is not a path.
    FileError
        A file cannot be written; an older one is as it was.
    """
    place = Path(checks.path("folder", folder))
    folders.make(place)
    files.replace(place / PAGE_FILE, page_of(shown).encode())
    files.replace(place / NOTEBOOK_FILE, notebook_of(shown).encode())
    for number, one in enumerate(shown, 1):
        if one.png is not None:
            files.replace(place / picture_file(number, one), one.png)


def picture_file(number: int, shown: Shown) -> str:
    """Return the file name of the picture of a part, which has this number."""
    words = re.findall(r"[a-z0-9]+", shown.segment.title.partition("(")[0].lower())
    return f"{number:02}-{'-'.join(words)}.png"
