"""Makes an MLP of the parameters of the lecture's notebook or of makemore.py, and back."""

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError
from makemore_cpp.arrays import Float32
from makemore_cpp.data.vocab import Vocab, check_vocab
from makemore_cpp.models.mlp import MLP, NAMES

# The shapes of makemore.py's MLP, in the order of C, W1, b1, W2, b2; nn.Linear keeps its weights
# transposed.
STATE_SHAPES = {
    "wte.weight": "UE",  # U = V + 1: the last row is <BLANK>
    "mlp.0.weight": "HK",
    "mlp.0.bias": "H",
    "mlp.2.weight": "VH",
    "mlp.2.bias": "V",
}


# -- the lecture ---------------------------------------------------------------------------------
def from_lecture(vocab: Vocab, parameters: Iterable[ArrayLike]) -> MLP:
    """Return a model of the lecture's list ``parameters = [C, W1, b1, W2, b2]``.

    Parameters
    ----------
    vocab : Vocab
        ``Vocab.from_texts(texts)`` numbers characters as the lecture does, with "." as token 0; the
        vocabulary of the lecture's ``itos`` is
        ``Vocab([itos[i] for i in range(1, len(itos))])``.
    parameters : five arrays of floats, shapes (V,E), (K,H), (H,), (H,V), (V,)
        Tensors of PyTorch in the CPU's memory, NumPy arrays, or objects that NumPy can convert.
        They are copied, and floats of other types are rounded to the nearest float32.

    Raises
    ------
    TypeError
        An array does not hold floats, or `parameters` is not a list of arrays.
    ArgumentError
        There are not five arrays, the shapes do not fit each other and `vocab`, or a number is not
        finite as float32.
    """
    check_vocab(vocab)
    if isinstance(parameters, Mapping) or not isinstance(parameters, Iterable):
        raise TypeError(f"parameters must be a list of arrays, not {type(parameters).__name__}")
    given = list(parameters)
    if len(given) != len(NAMES):
        raise ArgumentError(
            f"parameters holds {len(given)} arrays; it must hold the five {', '.join(NAMES)}"
        )
    C, W1, b1, W2, b2 = (_float32(name, a) for name, a in zip(NAMES, given, strict=True))
    try:
        return MLP.from_arrays(vocab, C, W1, b1, W2, b2)
    except ArgumentError as error:
        raise ArgumentError(f"{error}{_hint(vocab, C, W1, b1, W2, b2)}") from None


def to_lecture(model: MLP) -> list[Float32]:
    """Return copies of the arrays as the lecture's list [C, W1, b1, W2, b2].

    For PyTorch: ``parameters = [torch.from_numpy(p) for p in to_lecture(model)]``.
    """
    _check_not_direct(model, "the lecture's model")
    return [array.copy() for array in model.parameters.values()]


def _check_not_direct(model: MLP, other: str) -> None:
    checks.instance("model", model, MLP)
    if model.direct:
        raise ArgumentError(f"model has direct connections, and {other} has none")


def _hint(vocab: Vocab, C: Float32, W1: Float32, b1: Float32, W2: Float32, b2: Float32) -> str:
    """Return the end of a sentence on shapes: a hint where weights are transposed."""
    for name, some in (
        ("W1.T and W2.T", (C, W1.T, b1, W2.T, b2)),
        ("W1.T", (C, W1.T, b1, W2, b2)),
        ("W2.T", (C, W1, b1, W2.T, b2)),
    ):
        with contextlib.suppress(ArgumentError):
            MLP.from_arrays(vocab, *some)
            return f"; nn.Linear keeps its weights transposed: give {name}"
    return ""


# -- makemore.py ---------------------------------------------------------------------------------
def from_makemore_py(vocab: Vocab, state_dict: Mapping[str, ArrayLike]) -> MLP:
    """Return a model that computes the same as a model of ``makemore.py --type mlp``.

    That program (github.com/karpathy/makemore) builds the same net with other conventions:

    - Its weights are those of nn.Linear, transposed: ``mlp.0.weight`` (H,K) is W1 (K,H).
    - It concatenates the embeddings of a context with the newest token first, we with the oldest.
    - Token 0 stands once before a text; older positions hold the token <BLANK>, the last row of
      ``wte.weight`` (V+1,E). We fill contexts up with token 0.

    C is ``wte.weight`` without the last row if the rows of <BLANK> and token 0 are equal, and also
    if T is 1, since no <BLANK> occurs then. Otherwise the model has one more embedding dimension,
    which is 1 for token 0 and 0 for all other tokens. In a context, our token 0 stands at all
    positions up to some t (the oldest is 0); theirs has token 0 at t and <BLANK> at the older ones.
    So token 0 at position t has to add the difference between <BLANK> and token 0 at t - 1:
    ``(wte[V] - wte[0]) @ W1[t - 1]`` is the new dimension's row of W1 at position t, and 0 at
    t = 0. For all contexts that occur in texts, the sums are then the same except for rounding.

    Parameters
    ----------
    vocab : Vocab
        It has V tokens. ``Vocab.from_texts(texts)`` numbers characters as makemore.py does.
    state_dict : mapping
        The five arrays by their names in makemore.py, as ``model.state_dict()`` returns them;
        arrays are accepted as by `from_lecture`. Files are not read.

    Raises
    ------
    TypeError
        `state_dict` is not a mapping, or an array does not hold floats.
    ArgumentError
        A name is missing or unknown, the shapes do not fit each other and `vocab`, or a number is
        not finite as float32.
    """
    V = len(check_vocab(vocab))
    arrays = _state_arrays(state_dict)
    checks.parameter_shapes(arrays, STATE_SHAPES.values(), {"V": V, "U": V + 1})
    wte, W1_theirs, b1, W2_theirs, b2 = arrays.values()
    E, H = wte.shape[1], len(b1)
    C, W1 = wte[:V], W1_theirs.T.reshape(-1, E, H)[::-1]  # (T,E,H), the oldest position first

    blank = wte[V].astype(np.float64) - wte[0]
    shifted = np.zeros((len(W1), H))
    shifted[1:] = blank @ W1[:-1].astype(np.float64)
    extra = _float32(f"((wte[{V}] - wte[0]) @ mlp.0.weight)", shifted)
    if extra.any():
        C = np.hstack([C, np.eye(V, 1, dtype=np.float32)])
        W1 = np.concatenate([W1, extra[:, None]], axis=1)
    return MLP.from_arrays(vocab, C, W1.reshape(-1, H), b1, W2_theirs.T, b2)


def to_makemore_py(model: MLP) -> dict[str, Float32]:
    """Return new arrays for a model of ``makemore.py --type mlp`` that computes the same.

    Nothing is rounded: <BLANK> gets the embedding of token 0, W1 and W2 are transposed, and the
    positions of W1 change their order; see `from_makemore_py`, which gives the same arrays back.

    For PyTorch: ``load_state_dict`` of a model with block_size T, vocab_size V, n_embd E and
    n_embd2 H takes ``{name: torch.from_numpy(a) for name, a in to_makemore_py(model).items()}``.
    """
    _check_not_direct(model, "that of makemore.py")
    C, W1, b1, W2, b2 = model.parameters.values()
    newest_first = W1.reshape(-1, model.n_embd, model.n_hidden)[::-1].reshape(W1.shape)
    arrays = (np.vstack([C, C[:1]]), newest_first.T, b1, W2.T, b2)
    return {name: np.array(a, order="C") for name, a in zip(STATE_SHAPES, arrays, strict=True)}


def _state_arrays(state_dict: Mapping[str, ArrayLike]) -> dict[str, Float32]:
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f"state_dict must map names to arrays, but is of type {type(state_dict).__name__}"
        )
    for name in STATE_SHAPES:
        if name not in state_dict:
            raise ArgumentError(f"state_dict lacks {name}, which makemore.py --type mlp has")
    for name in state_dict:
        if name not in STATE_SHAPES:
            raise ArgumentError(
                f"state_dict has {checks.quoted(str(name))}, which makemore.py --type mlp has not"
            )
    return {name: _float32(name, state_dict[name]) for name in STATE_SHAPES}


# -- arrays --------------------------------------------------------------------------------------
def _float32(name: str, values: Any) -> Float32:
    """Return floats rounded to float32; refuse numbers that are then not finite."""
    array = checks.floats(name, values)
    with np.errstate(all="ignore"):  # an overflow is found below
        rounded = array.astype(np.float32)
    bad = np.argwhere(~np.isfinite(rounded))
    if len(bad):
        place = f"[{', '.join(map(str, bad[0]))}]" if array.ndim else ""
        value = array[tuple(bad[0])]
        raise ArgumentError(f"{name}{place} is {value}; it must be finite as float32")
    return rounded
