"""The lecture's list and makemore.py's state_dict, made into models and back."""

from __future__ import annotations

import copy
import itertools

import bounds
import numpy as np
import pytest

import makemore_cpp as mm
from makemore_cpp import reference

NAMES = ("C", "W1", "b1", "W2", "b2")
STATE_NAMES = ("wte.weight", "mlp.0.weight", "mlp.0.bias", "mlp.2.weight", "mlp.2.bias")


def assert_same_bits(found, expected):
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype == np.float32
        assert a.shape == b.shape
        assert a.tobytes() == b.tobytes()


def make_model(T=3, E=4, H=20, characters="abcde"):
    return mm.MLP(mm.Vocab(list(characters)), T, E, H, init="lecture")


class Tensor:
    """An array that behaves as a tensor of PyTorch that requires gradients."""

    requires_grad = True

    def __init__(self, array):
        self.array = array

    def detach(self):
        return self.array

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.\nDetach it.")


# -- the lecture's list ----------------------------------------------------------------------------
KINDS = {
    "float32": lambda a: a,
    "float64": lambda a: a.astype(np.float64),
    "big-endian": lambda a: a.astype(">f8"),
    "lists": lambda a: a.tolist(),
    "tensors": Tensor,
    "strided": lambda a: np.repeat(a, 2, axis=0)[::2],
    "read-only": lambda a: np.broadcast_to(a, a.shape),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_lectures_list_survives(kind):
    model = make_model()
    parameters = [KINDS[kind](array) for array in mm.to_lecture(model)]
    other = mm.from_lecture(model.vocab, parameters)
    assert_same_bits(other.parameters.values(), model.parameters.values())
    assert other.vocab is model.vocab
    assert repr(other) == repr(model)
    other.train_steps([[0, 1, 2]], [1], [0.1])  # the arrays are its own


def test_lists_are_copies():
    model = make_model()
    parameters = mm.to_lecture(model)
    other = mm.from_lecture(model.vocab, iter(parameters))
    for array in parameters:
        array[:] = 0
    assert_same_bits(other.parameters.values(), model.parameters.values())


def test_other_floats_are_rounded_to_the_nearest(rng):
    model = make_model()
    exact = [rng.standard_normal(array.shape) for array in mm.to_lecture(model)]
    exact[2][:2] = 1e-60, 2.0**-140  # nothing and a subnormal number
    found = mm.from_lecture(model.vocab, exact).parameters.values()
    assert_same_bits(found, [array.astype(np.float32) for array in exact])
    half = [array.astype(np.float16) for array in exact]
    found = mm.from_lecture(model.vocab, half).parameters.values()
    assert_same_bits(found, [array.astype(np.float32) for array in half])


def test_the_lectures_own_formulas_give_the_same(rng):
    """The forward pass is written as in the lecture, with its own itos."""
    itos = {i + 1: c for i, c in enumerate("abcdefghijklmnopqrstuvwxyz")} | {0: "."}
    C, W1, b1, W2, b2 = parameters = [
        rng.standard_normal(shape) for shape in ((27, 10), (30, 200), 200, (200, 27), 27)
    ]
    vocab = mm.Vocab([itos[i] for i in range(1, len(itos))])
    assert vocab == mm.Vocab.from_texts(mm.load_texts())
    model = mm.from_lecture(vocab, parameters)
    X, _ = mm.build_dataset(["emma", "olivia"], vocab, 3)
    logits = np.tanh(C[X].reshape(-1, 30) @ W1 + b1) @ W2 + b2
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.exp(model.log_probs(X)), p, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "change", "error", "sentence"),
    [
        ("C", lambda a: a[1:], mm.ArgumentError, r"C has the shape \(5, 4\); it must be \(6, 4\)"),
        ("C", lambda a: a[:, :0], mm.ArgumentError, "must be a positive multiple of E = 0"),
        ("C", lambda a: np.hstack([a, a[:, :1]]), mm.ArgumentError, "K = 12 .* multiple of E = 5"),
        ("W1", lambda a: a[1:], mm.ArgumentError, r"W1 has the shape \(11, 20\) and C \(6, 4\)"),
        ("b1", lambda a: a[None], mm.ArgumentError, "b1 has 2 dimensions; it must have 1"),
        ("W2", lambda a: a.T, mm.ArgumentError, r"W2 has the shape \(6, 20\); it must be \(20, 6"),
        ("b2", lambda a: a[1:], mm.ArgumentError, r"b2 has the shape \(5,\); it must be \(6,\)"),
        ("b2", lambda a: np.float64("nan"), mm.ArgumentError, "b2 is nan; it must be finite"),
        ("W1", lambda a: a.astype(int), TypeError, "W1 must hold floats, not int64"),
        ("C", lambda a: a + 0j, TypeError, "C must hold floats, not complex64"),
        ("C", lambda a: a > 0, TypeError, "C must hold floats, not bool"),
        ("b1", lambda a: None, TypeError, "b1 must hold floats, not object"),
        ("b1", lambda a: "b1", TypeError, "b1 must hold floats, not <U2"),
        ("b1", lambda a: [[1.0], [1.0, 2.0]], TypeError, "b1 cannot be made a NumPy array: "),
    ],
)
def test_lists_that_do_not_fit(name, change, error, sentence):
    model = make_model()
    parameters = [change(a) if n == name else a for n, a in model.parameters.items()]
    with pytest.raises(error, match=sentence) as caught:
        mm.from_lecture(model.vocab, parameters)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300, -3.5e38])
@pytest.mark.parametrize(("name", "place"), [("W1", (11, 0)), ("b2", (3,))])
def test_numbers_that_no_float32_can_hold(name, place, value):
    model = make_model()
    arrays = {n: a.astype(np.float64) for n, a in model.parameters.items()}
    arrays[name][place] = value
    with pytest.raises(mm.ArgumentError) as caught:
        mm.from_lecture(model.vocab, arrays.values())
    shown = ", ".join(map(str, place))
    assert str(caught.value) == f"{name}[{shown}] is {value}; it must be finite as float32"


def test_what_is_no_list_of_five():
    model = make_model()
    with pytest.raises(mm.ArgumentError, match="parameters holds 4 arrays; it must hold the five"):
        mm.from_lecture(model.vocab, mm.to_lecture(model)[:4])
    for given in (model.parameters, 3, None):
        with pytest.raises(TypeError, match="parameters must be a list of arrays, not "):
            mm.from_lecture(model.vocab, given)
    with pytest.raises(TypeError, match=r"vocab must be a makemore_cpp\.Vocab, not list"):
        mm.from_lecture(["a"], mm.to_lecture(model))


# -- makemore.py's state_dict ----------------------------------------------------------------------
def makemore_py(state, tokens):
    """Return makemore.py's predictions after each of some tokens that begin with 0, in float64.

    Position k of its input, the newest first, is the token k places before, or <BLANK> (number V)
    where there is none; nn.Linear computes x @ W.T + b.
    """
    wte, W1, b1, W2, b2 = (np.asarray(state[name], np.float64) for name in STATE_NAMES)
    V, T = len(wte) - 1, W1.shape[1] // wte.shape[1]
    log_probs = []
    for i in range(len(tokens)):
        inputs = [tokens[i - k] if k <= i else V for k in range(T)]
        x = np.concatenate([wte[token] for token in inputs])
        logits = np.tanh(x @ W1.T + b1) @ W2.T + b2
        log_probs.append(logits - np.log(np.exp(logits).sum()))
    return np.array(log_probs)


def random_state(rng, T=3, E=4, H=20, V=6, same=False):
    shapes = ((V + 1, E), (H, T * E), (H,), (V, H), (V,))
    state = {
        name: (0.5 * rng.standard_normal(shape)).astype(np.float32)
        for name, shape in zip(STATE_NAMES, shapes, strict=True)
    }
    if same:
        state["wte.weight"][V] = state["wte.weight"][0]
    return state


def assert_same_model(model, state, texts, has_extra):
    """Check that both predict the same in all contexts of the texts.

    Ours may differ by the bounds for its own arithmetic, and by the rounding of the extra rows of
    W1, which moves the input of a hidden unit by U times their sum, a logit by that times W2, and
    a log-probability by a logit's error and the largest one.
    """
    parameters = [array.astype(np.float64) for array in model.parameters.values()]
    _, W1, _, W2, _ = parameters
    bound = 0.0
    if has_extra:
        extra = W1.reshape(model.block_size, model.n_embd, -1)[:, -1]
        e_logits = bounds.U * np.abs(extra).sum(axis=0) @ np.abs(W2)
        bound = bounds.finish(e_logits + e_logits.max())
    for text in texts:
        X, _ = mm.build_dataset([text], model.vocab, model.block_size)
        theirs = makemore_py(state, [0, *model.vocab.encode(text)])
        exact = reference.log_softmax(bounds.forward(parameters, X).logits)
        assert np.all(np.abs(exact - theirs) <= bound + 1e-12)
        bounds.assert_within(model.log_probs(X), theirs, bounds.log_probs(parameters, X) + bound)


# With two characters these texts hold every context there is.
ALL_TEXTS = ["".join(text) for n in range(1, 6) for text in itertools.product("ab", repeat=n)]
FIVE_TEXTS = ["emma", "olivia", "a", "isabella", "wolfeschlegelsteinhausenberg"]


@pytest.mark.parametrize("T", [1, 2, 3, 4])
@pytest.mark.parametrize("same", [True, False])
def test_every_context_of_a_state_dict(T, same, rng):
    state = random_state(rng, T=T, V=3, same=same)
    model = mm.from_makemore_py(mm.Vocab(["a", "b"]), state)
    has_extra = not same and T > 1
    assert model.n_embd == 4 + has_extra
    assert_same_model(model, state, ALL_TEXTS, has_extra)


@pytest.mark.parametrize("T", [3, 16])
@pytest.mark.parametrize("same", [True, False])
def test_texts_under_a_state_dict(T, same, rng):
    vocab = mm.Vocab.from_texts(mm.load_texts())
    state = random_state(rng, T=T, E=64, H=64, V=27, same=same)
    model = mm.from_makemore_py(vocab, state)
    assert (model.block_size, model.n_embd, model.n_hidden) == (T, 64 + (not same), 64)
    assert_same_model(model, state, FIVE_TEXTS, not same)


@pytest.mark.parametrize("T", [1, 3])
def test_a_state_dict_of_ours(T):
    model = make_model(T=T, E=4)
    state = mm.to_makemore_py(model)
    assert tuple(state) == STATE_NAMES
    shapes = [(7, 4), (20, 4 * T), (20,), (6, 20), (6,)]
    assert [array.shape for array in state.values()] == shapes
    assert all(array.flags.c_contiguous and array.flags.writeable for array in state.values())
    assert_same_model(model, state, ["a", "bead", "cab", "abcdeedcba"], False)
    for array in state.values():
        assert not any(np.shares_memory(array, own) for own in model.parameters.values())


def test_there_and_back_no_bit_changes(rng):
    model = make_model()
    again = mm.from_makemore_py(model.vocab, mm.to_makemore_py(model))
    assert_same_bits(again.parameters.values(), model.parameters.values())
    state = random_state(rng, same=True)
    back = mm.to_makemore_py(mm.from_makemore_py(model.vocab, state))
    assert_same_bits(back.values(), state.values())
    # With another <BLANK> the first return keeps the function, and later ones change no bit.
    state = random_state(rng)
    wider = mm.from_makemore_py(model.vocab, state)
    again = mm.from_makemore_py(model.vocab, mm.to_makemore_py(wider))
    assert_same_bits(again.parameters.values(), wider.parameters.values())


def test_order_and_type_of_the_mapping_do_not_matter(rng):
    state = random_state(rng)
    vocab = mm.Vocab(list("abcde"))
    expected = mm.from_makemore_py(vocab, state).parameters.values()
    other = {name: Tensor(state[name]) for name in reversed(STATE_NAMES)}
    assert_same_bits(mm.from_makemore_py(vocab, other).parameters.values(), expected)


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"mlp.2.bias": None}, TypeError, "mlp.2.bias must hold floats, not object"),
        ({"mlp.2.bias": ...}, mm.ArgumentError, "state_dict lacks mlp.2.bias"),
        ({"wte.weight": ...}, mm.ArgumentError, "state_dict lacks wte.weight"),
        ({"lm_head.weight": 0}, mm.ArgumentError, "has 'lm_head.weight', which makemore.py"),
        ({3: 0}, mm.ArgumentError, "state_dict has '3'"),
        (
            {"wte.weight": np.zeros((6, 4))},
            mm.ArgumentError,
            r"wte.weight has the shape \(6, 4\); it must be \(7, 4\)",
        ),
        (
            {"mlp.0.weight": np.zeros((20, 13))},
            mm.ArgumentError,
            r"mlp.0.weight has the shape \(20, 13\) and wte.weight \(7, 4\): K = 13 must be",
        ),
        ({"mlp.0.weight": np.zeros((20, 0))}, mm.ArgumentError, "K = 0 must be a positive"),
        (
            {"mlp.2.weight": np.zeros((20, 6))},
            mm.ArgumentError,
            r"mlp.2.weight has the shape \(20, 6\); it must be \(6, 20\)",
        ),
        ({"mlp.0.bias": np.zeros((20, 1))}, mm.ArgumentError, "mlp.0.bias has 2 dimensions"),
        ({"mlp.0.bias": np.full(20, 1e39)}, mm.ArgumentError, r"mlp.0.bias\[0\] is 1e\+39; it"),
        ({"mlp.0.bias": np.zeros(20, int)}, TypeError, "mlp.0.bias must hold floats, not int64"),
    ],
)
def test_state_dicts_that_do_not_fit(change, error, sentence, rng):
    state = {k: v for k, v in {**random_state(rng), **change}.items() if v is not ...}
    with pytest.raises(error, match=sentence) as caught:
        mm.from_makemore_py(mm.Vocab(list("abcde")), state)
    assert "\n" not in str(caught.value)


def test_what_is_no_state_dict(rng):
    vocab = mm.Vocab(list("abcde"))
    for given in (list(random_state(rng).items()), b"pickle", None):
        with pytest.raises(TypeError, match="state_dict must map names to arrays, but is of type"):
            mm.from_makemore_py(vocab, given)
    with pytest.raises(TypeError, match=r"vocab must be a makemore_cpp.Vocab"):
        mm.from_makemore_py(26, random_state(rng))


def test_a_blank_that_float32_cannot_hold(rng):
    state = random_state(rng)
    state["wte.weight"][6] = 3e38
    state["mlp.0.weight"][:] = 10
    with pytest.raises(mm.ArgumentError, match=r"weight\)\[1, 0\] is 1\.2\d*e\+40; it must"):
        mm.from_makemore_py(mm.Vocab(list("abcde")), state)


# -- PyTorch itself --------------------------------------------------------------------------------
def test_tensors():
    torch = pytest.importorskip("torch")
    model = make_model(T=3, E=4)
    parameters = [torch.from_numpy(p) for p in mm.to_lecture(model)]
    for p in parameters:
        p.requires_grad = True
    other = mm.from_lecture(model.vocab, parameters)
    assert_same_bits(other.parameters.values(), model.parameters.values())
    with pytest.raises(TypeError, match="C cannot be made a NumPy array: ") as caught:
        mm.from_lecture(model.vocab, [p.bfloat16() for p in parameters])
    assert "\n" not in str(caught.value)


def test_a_module_with_the_parts_of_makemore_py():
    torch = pytest.importorskip("torch")
    T, E, H, V = 3, 4, 20, 6
    parts = torch.nn.ModuleDict(
        {
            "wte": torch.nn.Embedding(V + 1, E),
            "mlp": torch.nn.Sequential(
                torch.nn.Linear(T * E, H), torch.nn.Tanh(), torch.nn.Linear(H, V)
            ),
        }
    )
    newest_first = torch.tensor([[0, V, V], [1, 0, V], [2, 1, 0], [3, 2, 1]])
    X = [[0, 0, 0], [0, 0, 1], [0, 1, 2], [1, 2, 3]]

    def assert_same(model):
        with torch.no_grad():
            logits = parts["mlp"](parts["wte"](newest_first).reshape(4, -1))
            theirs = torch.log_softmax(logits, dim=1).numpy()
        np.testing.assert_allclose(model.log_probs(X), theirs, atol=1e-5)

    vocab = mm.Vocab(list("abcde"))
    assert_same(mm.from_makemore_py(vocab, parts.state_dict()))
    ours = make_model(T, E, H)
    state = {name: torch.from_numpy(a) for name, a in mm.to_makemore_py(ours).items()}
    assert_same(mm.from_makemore_py(vocab, copy.copy(parts.state_dict())))
    parts.load_state_dict(state)
    assert_same(ours)
