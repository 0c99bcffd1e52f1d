"""A model in other forms: C header, ONNX, the lecture's lists, makemore.py's state, a live page.

It imports evaluation, training and the rooms below them.
"""

from makemore_cpp.export.header import export_header
from makemore_cpp.export.lecture import from_lecture, from_makemore_py, to_lecture, to_makemore_py
from makemore_cpp.export.onnx import export_onnx
from makemore_cpp.export.page_cards import Card, cards
from makemore_cpp.export.page_file import page

__all__ = [
    "Card",
    "cards",
    "export_header",
    "export_onnx",
    "from_lecture",
    "from_makemore_py",
    "page",
    "to_lecture",
    "to_makemore_py",
]
