"""Writes a model as an ONNX file, for any runtime of that format."""

import hashlib
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makemore_cpp import checks, files
from makemore_cpp._core import ArgumentError, __version__
from makemore_cpp.data.vocab import Vocab
from makemore_cpp.models.mlp import MLP

# The oldest version that suffices, so that many runtimes read the file: LogSoftmax of one axis came
# with 13.
OPSET, IR_VERSION = 13, 7
MAX_BYTES = 2**31 - 2**20  # of parameters; the format's limit is 2 GiB, and the rest is small


def export_onnx(model: MLP, path: str | bytes | os.PathLike[str]) -> None:
    """Write a model as an ONNX file, replacing one of that name atomically.

    The model's input is ``X``, int64, shape (N,T): tokens, the oldest first. (`Vocab.encode` gives
    int32, which ``astype(np.int64)`` converts.) N may be any number. The output is ``log_probs``,
    float32, shape (N,V): the result of `MLP.log_probs` except for rounding, which differs between
    runtimes. A token outside [0, V) is an error where the runtime checks the indices of its
    operator Gather, as ONNX Runtime does on CPUs.

    The file's metadata holds ``characters`` (tokens 1 to V - 1, joined) or ``words`` (joined by
    spaces), ``unknown`` if there is an unknown token, ``boundary`` (token 0) and ``model_sha256``,
    the SHA-256 of the file that `MLP.save` writes. The same model and the same release of this
    package give the same bytes.

    Raises
    ------
    ImportError
        The library onnx is not installed.
    TypeError
        `model` is not an MLP, or `path` not a path.
    ArgumentError
        A parameter is not finite, or the parameters need more than 2 GiB.
    FileError
        The file cannot be written; an older one is as it was.
    """
    if not isinstance(model, MLP):
        raise TypeError(f"model must be an MLP, not {type(model).__name__}")
    place = checks.path("path", path)
    size = sum(array.nbytes for array in model.parameters.values())
    if size > MAX_BYTES:
        raise ArgumentError(
            f"the parameters take {size} bytes; an ONNX file holds at most {MAX_BYTES}"
        )
    files.replace(place, _onnx_bytes(model))


def _onnx_bytes(model: MLP) -> bytes:
    try:
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as error:
        raise ImportError(
            "export_onnx needs the library onnx; install makemore_cpp[onnx]", name="onnx"
        ) from error

    T, E, V = model.block_size, model.n_embd, model.vocab_size
    constants: dict[str, NDArray[Any]] = {
        **model.parameters,
        "zero": np.array(0, np.int64),
        "V": np.array(V, np.int64),
        "N_and_K": np.array([0, T * E], np.int64),  # 0 keeps the size of the input, N
    }
    features, concat = "h", []
    if model.direct:
        features = "h_and_x"
        concat = [helper.make_node("Concat", ["h", "x"], [features], axis=1)]
    nodes = [
        # Gather counts negative indices from the end: they become V, which it refuses.
        helper.make_node("Less", ["X", "zero"], ["is_negative"]),
        helper.make_node("Where", ["is_negative", "V", "X"], ["tokens"]),
        helper.make_node("Gather", ["C", "tokens"], ["emb"]),
        helper.make_node("Reshape", ["emb", "N_and_K"], ["x"]),
        helper.make_node("MatMul", ["x", "W1"], ["x_W1"]),
        helper.make_node("Add", ["x_W1", "b1"], ["z"]),
        helper.make_node("Tanh", ["z"], ["h"]),
        *concat,
        helper.make_node("MatMul", [features, "W2"], [f"{features}_W2"]),
        helper.make_node("Add", [f"{features}_W2", "b2"], ["logits"]),
        helper.make_node("LogSoftmax", ["logits"], ["log_probs"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "MLP",
        [helper.make_tensor_value_info("X", TensorProto.INT64, ["N", T])],
        [helper.make_tensor_value_info("log_probs", TensorProto.FLOAT, ["N", V])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    result = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="makemore_cpp",
        producer_version=__version__,
    )
    metadata = {
        **_tokens(model.vocab),
        "boundary": model.vocab.boundary,
        "model_sha256": hashlib.sha256(model.to_bytes()).hexdigest(),
    }
    for key, value in metadata.items():
        result.metadata_props.add(key=key, value=value)
    return bytes(result.SerializeToString(deterministic=True))


def _tokens(vocab: Vocab) -> dict[str, str]:
    name = "characters" if vocab.level == "char" else "words"
    unknown = {} if vocab.unknown is None else {"unknown": vocab.unknown}
    return {name: vocab.separator.join(vocab.tokens), **unknown}
