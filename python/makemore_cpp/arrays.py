"""Names for the types of arrays in the signatures of this package."""

from collections.abc import Iterable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
UInt8 = NDArray[np.uint8]


class ArrowArray(Protocol):
    """An object that gives an array by the Arrow C data interface."""

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        """Return capsules of a schema and an array."""


class ArrowStream(Protocol):
    """An object that gives arrays of one type, one by one, by the Arrow C stream interface."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the capsule of a stream."""


ArrowTexts = ArrowArray | ArrowStream
AnyTexts = Iterable[str] | ArrowTexts
