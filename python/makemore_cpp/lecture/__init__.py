"""The lecture in one walk: its claims, the calls that show them, and their results.

It imports every room except the command line; its script, ``parts/afternoon.py``, is read as text.
"""

from makemore_cpp.lecture.folder import NOTEBOOK_FILE, PAGE_FILE, picture_file, save
from makemore_cpp.lecture.walk import Segment, Shown, segments, walk

__all__ = [
    "NOTEBOOK_FILE",
    "PAGE_FILE",
    "Segment",
    "Shown",
    "picture_file",
    "save",
    "segments",
    "walk",
]
