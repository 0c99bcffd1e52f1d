"""The lecture's afternoon in one walk: what it claims, the calls that show it, what came out.

It imports everything but the command line; its script, ``parts/afternoon.py``, is read as text.
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
