"""Types of the compiled module; parameters are float32 exactly, tokens integers of any type.

The docstrings of its functions and classes point to the Python ones that state their contracts.
"""

from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from makemore_cpp.arrays import AnyTexts, ArrowTexts

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

__version__: str

class Error(Exception): ...
class ArgumentError(Error, ValueError): ...
class RangeError(Error, IndexError): ...
class FormatError(ArgumentError): ...
class FileError(Error, OSError): ...

class DivergedError(Error, ArithmeticError):
    step: int
    loss: float
    learning_rate: float

# -- the machine -------------------------------------------------------------------------------
def build_info() -> dict[str, Any]: ...
def how_cut(
    batch_size: int,
    block_size: int,
    n_embd: int,
    n_hidden: int,
    vocab_size: int,
    direct: bool = False,
) -> dict[str, Any]: ...

# -- random numbers: pure functions of (seed, purpose) and a place --------------------------------
def initial_parameters(
    block_size: int,
    n_embd: int,
    n_hidden: int,
    vocab_size: int,
    seed: int,
    init: str = "scaled",
    direct: bool = False,
) -> tuple[Float32, Float32, Float32, Float32, Float32]: ...
def batch_rows(
    seed: int, first_step: int, steps: int, batch_size: int, n_examples: int
) -> Int64: ...
def sample_uniforms(seed: int, first_sample: int, n_samples: int, position: int) -> Float64: ...

# -- the lecture's operations --------------------------------------------------------------------
def embedding_forward(C: ArrayLike, X: ArrayLike, threads: int | None = None) -> Float32: ...
def embedding_backward(
    demb: ArrayLike, X: ArrayLike, vocab_size: int, threads: int | None = None
) -> Float32: ...
def linear_forward(
    x: ArrayLike, W: ArrayLike, b: ArrayLike, threads: int | None = None
) -> Float32: ...
def linear_backward(
    dy: ArrayLike, x: ArrayLike, W: ArrayLike, threads: int | None = None
) -> tuple[Float32, Float32, Float32]: ...
def linear_tanh_forward(
    x: ArrayLike, W: ArrayLike, b: ArrayLike, threads: int | None = None
) -> Float32: ...
def linear_tanh_backward(
    dh: ArrayLike, h: ArrayLike, x: ArrayLike, W: ArrayLike, threads: int | None = None
) -> tuple[Float32, Float32, Float32]: ...
def cross_entropy(
    logits: ArrayLike, Y: ArrayLike, threads: int | None = None
) -> tuple[float, Float32]: ...
def log_softmax(logits: ArrayLike, threads: int | None = None) -> Float32: ...
def sgd_update(w: Float32, dw: ArrayLike, lr: float, weight_decay: float = 0.0) -> None: ...

# -- the model -----------------------------------------------------------------------------------
PARAMETERS: tuple[tuple[str, str], ...]  # the names and shapes, such as "KH", of the five arrays

def train_steps(
    C: Float32,
    W1: Float32,
    b1: Float32,
    W2: Float32,
    b2: Float32,
    X: ArrayLike,
    Y: ArrayLike,
    lr: ArrayLike,
    *,
    batch_size: int | None = None,
    seed: int = 1,
    first_step: int | None = None,
    rows: ArrayLike | Literal["all"] | None = None,
    state: dict[str, NDArray[Any]] | None = None,
    threads: int | None = None,
    should_stop: Callable[[], bool] | None = None,
    exchange: Any = None,
    **update: Any,
) -> Float32: ...
def moments_of(optimizer: str) -> list[str]: ...
def mean_loss(
    C: Float32,
    W1: Float32,
    b1: Float32,
    W2: Float32,
    b2: Float32,
    X: ArrayLike,
    Y: ArrayLike,
    threads: int | None = None,
    exchange: Any = None,
) -> float: ...
def log_probs(
    C: Float32,
    W1: Float32,
    b1: Float32,
    W2: Float32,
    b2: Float32,
    X: ArrayLike,
    threads: int | None = None,
) -> Float32: ...
def sample_tokens(log_probs: Float32, u: Float64) -> Int32: ...

# -- text and files ------------------------------------------------------------------------------
class Vocabulary:
    def __init__(
        self,
        tokens: Sequence[str],
        boundary: str = ".",
        separator: str = "",
        unknown: str | None = None,
    ) -> None: ...
    @property
    def tokens(self) -> list[str]: ...
    @property
    def boundary(self) -> str: ...
    @property
    def separator(self) -> str: ...
    @property
    def unknown(self) -> str | None: ...
    @property
    def is_plain(self) -> bool: ...
    def __len__(self) -> int: ...
    def __eq__(self, other: object) -> bool: ...
    def encode(self, text: str) -> Int32: ...
    def encode_many(self, texts: AnyTexts) -> tuple[Int32, Int64]: ...
    def decode(self, tokens: ArrayLike) -> str: ...

def write_file(path: str | bytes | PathLike[str], data: bytes) -> None: ...
def write_tensors(metadata: str, tensors: dict[str, NDArray[Any]]) -> bytes: ...
def read_tensors(data: bytes, name: str = "bytes") -> tuple[str, dict[str, NDArray[Any]]]: ...
def read_tensor_file(path: str | bytes | PathLike[str]) -> bytes: ...

class SavedModel:
    def __init__(
        self,
        vocabulary: Vocabulary,
        C: Float32,
        W1: Float32,
        b1: Float32,
        W2: Float32,
        b2: Float32,
        data: tuple[str, str, int | None] | None = None,
    ) -> None: ...
    @property
    def vocabulary(self) -> Vocabulary: ...
    @property
    def block_size(self) -> int: ...
    @property
    def parameters(self) -> tuple[Float32, Float32, Float32, Float32, Float32]: ...
    @property
    def data(self) -> tuple[str, str, int | None] | None: ...
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes, name: str = "bytes") -> SavedModel: ...
    def save(self, path: str | PathLike[str]) -> None: ...
    @staticmethod
    def load(path: str | PathLike[str]) -> SavedModel: ...

class TextColumn:
    def __init__(self) -> None: ...
    def __len__(self) -> int: ...
    def tolist(self) -> list[str]: ...
    def append(self, texts: TextColumn | Iterable[str]) -> None: ...
    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]: ...

def arrow_reader(texts: ArrowTexts, name: str) -> Callable[[], list[str | None]] | None: ...

# -- a trained model that no longer changes ------------------------------------------------------
class LanguageModel:
    def __init__(self, saved: SavedModel) -> None: ...
    @property
    def vocabulary(self) -> Vocabulary: ...
    @property
    def sizes(self) -> tuple[int, int, int, int]: ...
    @property
    def direct(self) -> bool: ...
    def log_probs(self, X: ArrayLike, threads: int | None = None) -> Float32: ...
    def next(self, prefix: str) -> Float32: ...
    def score(self, texts: AnyTexts, oov: str = "error", threads: int | None = None) -> Float64: ...
    def score_and_length(
        self, texts: AnyTexts, oov: str = "error", threads: int | None = None
    ) -> tuple[Float64, Int64]: ...
    @overload
    def per_char(self, text: str) -> Float64: ...
    @overload
    def per_char(self, text: ArrowTexts) -> tuple[Float64, Int64]: ...

# The function takes contexts X (N,T) and returns log-probabilities (N,V).
_Next = LanguageModel | Callable[[Int32], Float32]

class Sampler:
    def __init__(
        self,
        next: _Next,
        vocabulary: Vocabulary,
        block_size: int,
        *,
        seed: int = 42,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        prefix: str = "",
        min_length: int = 0,
        max_length: int = 100,
    ) -> None: ...
    def draw(
        self, first: int, n: int, threads: int | None = None
    ) -> tuple[TextColumn, NDArray[np.uint8]]: ...

def complete(
    next: _Next, vocabulary: Vocabulary, block_size: int, prefix: str, k: int, max_length: int = 100
) -> tuple[list[tuple[str, float]], bool]: ...
