"""A model in other forms: a C header, ONNX, the lists of the lecture, the state of makemore.py.

It imports models and files.
"""

from makemore_cpp.export.header import export_header
from makemore_cpp.export.lecture import from_lecture, from_makemore_py, to_lecture, to_makemore_py
from makemore_cpp.export.onnx import export_onnx

__all__ = [
    "export_header",
    "export_onnx",
    "from_lecture",
    "from_makemore_py",
    "to_lecture",
    "to_makemore_py",
]
