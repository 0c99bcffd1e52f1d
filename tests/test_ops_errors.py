"""Refusals of the operations, each in one sentence that names the argument, place and value."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest

from makemore_cpp import _core, ops
from makemore_cpp._core import ArgumentError


def z(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return np.zeros(shape, dtype)


def tokens_with(value: Any, dtype: Any = np.int64) -> np.ndarray:
    X = np.ones((6, 3), dtype)
    X[4, 2] = value
    return X


BAD_SHAPES = {
    "x columns": (lambda: _core.linear_forward(z(2, 3), z(4, 5), z(5)), "x|W"),
    "b length": (lambda: _core.linear_forward(z(2, 3), z(3, 5), z(4)), "b"),
    "x dimensions": (lambda: _core.linear_forward(z(3), z(3, 5), z(5)), "x"),
    "b dimensions": (lambda: _core.linear_tanh_forward(z(2, 3), z(3, 5), z(1, 5)), "b"),
    "dy rows": (lambda: _core.linear_backward(z(3, 5), z(2, 4), z(4, 5)), "dy|x"),
    "dy columns": (lambda: _core.linear_backward(z(2, 6), z(2, 4), z(4, 5)), "dy|W"),
    "h shape": (lambda: _core.linear_tanh_backward(z(2, 5), z(2, 4), z(2, 4), z(4, 5)), "h"),
    "X dimensions": (lambda: _core.embedding_forward(z(5, 2), np.ones(3, int)), "X"),
    "C dimensions": (lambda: _core.embedding_forward(z(5), np.ones((3, 2), int)), "C"),
    "demb shape": (lambda: _core.embedding_backward(z(2, 3, 4), np.ones((2, 2), int), 5), "demb|X"),
    "vocab_size": (lambda: _core.embedding_backward(z(2, 3, 4), np.ones((2, 3), int), -5), "vocab"),
    "huge vocab": (
        lambda: _core.embedding_backward(z(2, 3, 4), z(2, 3, dtype=int), 2**40),
        "vocab_size",
    ),
    "Y length": (lambda: _core.cross_entropy(z(4, 5), np.ones(3, int)), "Y"),
    "Y dimensions": (lambda: _core.cross_entropy(z(4, 5), np.ones((4, 1), int)), "Y"),
    "no rows": (lambda: _core.cross_entropy(z(0, 5), np.ones(0, int)), "logits"),
    "softmax of nothing": (lambda: _core.log_softmax(z(3, 0)), "logits"),
    "dw shape": (lambda: _core.sgd_update(z(3), z(4), 0.1), "dw"),
    "dw transposed": (lambda: _core.sgd_update(z(3, 2), z(2, 3), 0.1), "dw"),
    "u length": (lambda: _core.sample_tokens(z(3, 4), z(2, dtype=np.float64)), "u"),
    "W1 rows": (
        lambda: _core.log_probs(z(5, 2), z(7, 4), z(4), z(4, 5), z(5), z(1, 3, dtype=int)),
        "W1",
    ),
    "W2 columns": (
        lambda: _core.log_probs(z(5, 2), z(6, 4), z(4), z(4, 6), z(5), z(1, 3, dtype=int)),
        "W2",
    ),
    "block size": (
        lambda: _core.log_probs(z(5, 2), z(6, 4), z(4), z(4, 5), z(5), z(1, 2, dtype=int)),
        "X|W1",
    ),
    "mean of nothing": (
        lambda: _core.mean_loss(
            z(5, 2), z(6, 4), z(4), z(4, 5), z(5), z(0, 3, dtype=int), z(0, dtype=int)
        ),
        "X|examples",
    ),
    "threads": (lambda: _core.linear_forward(z(2, 3), z(3, 5), z(5), threads=0), "threads"),
    "negative threads": (lambda: _core.log_softmax(z(2, 3), threads=-1), "threads"),
    "huge threads": (lambda: _core.log_softmax(z(2, 3), threads=2**40), "threads"),
    "lr": (lambda: _core.sgd_update(z(3), z(3), math.nan), "lr"),
    "infinite lr": (lambda: _core.sgd_update(z(3), z(3), math.inf), "lr"),
    "negative lr": (lambda: _core.sgd_update(z(3), z(3), -0.1), "lr"),
    "lr beyond float32": (lambda: _core.sgd_update(z(3), z(3), 1e39), "lr"),
    "decay": (lambda: _core.sgd_update(z(3), z(3), 0.1, math.nan), "weight_decay"),
    "negative decay": (lambda: _core.sgd_update(z(3), z(3), 0.1, -1), "weight_decay"),
    "u of one": (lambda: _core.sample_tokens(z(1, 1), np.array([1.0])), r"u\[0\]"),
    "u NaN": (lambda: _core.sample_tokens(z(1, 1), np.array([math.nan])), r"u\[0\]"),
    "NaN probability": (
        lambda: _core.sample_tokens(np.full((1, 2), np.nan, np.float32), np.array([0.5])),
        "log_probs",
    ),
    "no probability": (
        lambda: _core.sample_tokens(np.full((1, 2), -np.inf, np.float32), np.array([0.5])),
        "log_probs",
    ),
}


def refused(call: Callable[[], Any], kind: type[Exception], pattern: str) -> None:
    with pytest.raises(kind, match=rf"(?<!\w)({pattern})(?!\w)") as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("case", BAD_SHAPES)
def test_bad_shapes_and_values(case):
    call, pattern = BAD_SHAPES[case]
    with pytest.raises(ValueError, match=pattern) as caught:
        call()
    assert isinstance(caught.value, _core.Error)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [27, -1, 2**31 - 1, -(2**31), 2**31, 2**32, 2**32 + 5, -(2**63)])
def test_tokens_outside_the_vocabulary(value):
    sentence = rf"^token {value} at X\[4, 2\] is outside the vocabulary \[0, 27\)$"
    X = tokens_with(value)
    for call in (
        lambda: _core.embedding_forward(z(27, 2), X),
        lambda: _core.embedding_backward(z(6, 3, 2), X, 27),
        lambda: _core.log_probs(z(27, 2), z(6, 4), z(4), z(4, 27), z(27), X),
        lambda: _core.mean_loss(
            z(27, 2), z(6, 4), z(4), z(4, 27), z(27), X, np.zeros(6, int)
        ),
    ):  # fmt: skip
        with pytest.raises(IndexError, match=sentence) as caught:
            call()
        assert isinstance(caught.value, _core.RangeError)


def test_targets_outside_the_vocabulary():
    Y = np.array([0, 5, -3, 1])
    with pytest.raises(IndexError, match=r"^token 5 at Y\[1\] is outside the vocabulary \[0, 5\)$"):
        _core.mean_loss(z(5, 2), z(6, 4), z(4), z(4, 5), z(5), z(4, 3, dtype=int), Y)
    with pytest.raises(IndexError, match=r"^token 5 at Y\[1\] is outside the vocabulary \[0, 5\)$"):
        _core.cross_entropy(z(4, 5), Y)
    with pytest.raises(IndexError, match=r"^token -3 at Y\[2\] is outside the vocabulary"):
        _core.cross_entropy(z(4, 6), Y)


def test_the_largest_unsigned_token_is_not_wrapped():
    with pytest.raises(IndexError, match=r"^token 18446744073709551615 at X\[4, 2\] is outside"):
        _core.embedding_forward(z(27, 2), tokens_with(2**64 - 1, np.uint64))


@pytest.mark.parametrize("X", [np.ones((2, 3)), np.ones((2, 3), bool), [["a", "b"]], [[1.0, 2.0]],
                               np.ones((2, 3), complex), np.full((2, 3), None)])  # fmt: skip
def test_tokens_are_integers(X):
    refused(lambda: _core.embedding_forward(z(27, 2), X), TypeError, "X")


@pytest.mark.parametrize("dtype", [np.complex64, bool, object, "U1", "M8[s]"])
def test_floats_are_real_numbers(dtype):
    wrong = np.zeros((3, 3), dtype)
    refused(lambda: _core.linear_forward(wrong, z(3, 3), z(3)), TypeError, "x")
    refused(lambda: _core.linear_forward(z(3, 3), wrong, z(3)), TypeError, "W")
    refused(lambda: _core.log_softmax(wrong), TypeError, "logits")
    refused(lambda: _core.embedding_forward(wrong, np.zeros((1, 1), int)), TypeError, "C")
    refused(lambda: _core.sgd_update(z(3, 3), wrong, 0.1), TypeError, "dw")


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int32, np.uint8, ">f4", list])
def test_other_numbers_are_rounded_to_float32(dtype):
    random = np.random.default_rng(1)
    x, W, b = (random.integers(0, 9, shape) / 4 for shape in ((2, 3), (3, 5), (5,)))
    if dtype is list:
        others = [array.tolist() for array in (x, W, b)]
    else:
        others = [array.astype(dtype) for array in (x, W, b)]
    floats = [np.asarray(other, np.float32) for other in others]
    assert np.array_equal(ops.linear_forward(*others), ops.linear_forward(*floats))
    assert np.array_equal(ops.log_softmax(others[0]), ops.log_softmax(floats[0]))
    for one, other in zip(ops.linear_backward(np.ones((2, 5)), *others[:2]),
                          ops.linear_backward(z(2, 5) + 1, *floats[:2]), strict=True):  # fmt: skip
        assert one.dtype == np.float32
        assert np.array_equal(one, other)


def test_a_number_beyond_float32_is_refused():
    refused(lambda: ops.log_softmax([[1e300, 0]]), ArgumentError, "logits holds 1e\\+300, which is")
    assert np.array_equal(ops.log_softmax([[-np.inf, 0.0]]), [[-np.inf, 0]])


def test_one_row_gives_one_row():
    random = np.random.default_rng(2)
    x, W, b = (random.standard_normal(shape) for shape in ((3,), (3, 5), (5,)))
    C, X = random.standard_normal((27, 2)), [3, 1, 0]
    for one, rows in (
        (ops.linear_forward(x, W, b), ops.linear_forward(x[None], W, b)),
        (ops.linear_tanh_forward(list(x), W, b), ops.linear_tanh_forward(x[None], W, b)),
        (ops.log_softmax(b.tolist()), ops.log_softmax(b[None])),
        (ops.embedding_forward(C, X), ops.embedding_forward(C, [X])),
    ):
        assert one.shape == rows.shape[1:]
        assert np.array_equal(one, rows[0])


def test_written_arrays_are_taken_as_they_are_or_not_at_all():
    """A silent copy would lose the update."""
    read_only = z(4)
    read_only.flags.writeable = False
    for w, pattern in ((z(4, 2)[:, 0], "contiguous"), (np.asfortranarray(z(3, 4)), "contiguous"),
                       (read_only, "read-only|writ")):  # fmt: skip
        with pytest.raises((TypeError, ValueError), match=pattern) as caught:
            _core.sgd_update(w, np.ones_like(w), 0.1)
        assert str(caught.value).split()[0] == "w"
        assert "\n" not in str(caught.value)
        assert not w.any()
    with pytest.raises(TypeError):
        _core.sgd_update([0.0, 0.0], z(2), 0.1)


NOT_REAL = ["0.1", None, 1j, np.complex64(1), [0.1], {}]


@pytest.mark.parametrize("value", NOT_REAL)
def test_rates_are_real_numbers(value):
    refused(lambda: _core.sgd_update(z(3), z(3), value), TypeError, "lr must be a real number, not")
    refused(
        lambda: _core.sgd_update(z(3), z(3), 0.1, value),
        TypeError,
        "weight_decay must be a real number, not",
    )


@pytest.mark.parametrize("rate", [1, True, np.float32(1), np.float16(1), np.int8(1), Fraction(1)])
def test_rates_of_any_real_type(rate):
    w = z(3)
    _core.sgd_update(w, np.ones_like(w), rate)
    np.testing.assert_array_equal(w, [-1, -1, -1])


def test_rates_beyond_float64():
    refused(lambda: _core.sgd_update(z(3), z(3), 10**400), ValueError, "lr is outside the range")


@pytest.mark.parametrize("u", [[0.5 + 1j], ["0.5"], [None], [True], [[0.5], [0.5, 0.5]], "0.5"])
def test_uniforms_are_real_numbers(u):
    refused(lambda: _core.sample_tokens(z(1, 1), u), TypeError, "u must (hold|be an array of) real")


def test_an_updated_array_shares_no_memory_with_its_gradient():
    both = z(6)
    for w, dw in ((both, both), (both[:4], both[2:]), (both[2:], both[:4])):
        update = partial(_core.sgd_update, w, dw, 0.1)
        refused(update, ValueError, "w and dw share memory")
    _core.sgd_update(both[:3], both[3:], 0.1)
    _core.sgd_update(both[:0], both[:0], 0.1)


@pytest.mark.parametrize("name", ops.__all__)
def test_a_call_with_other_arguments_is_one_sentence(name: str) -> None:
    """The sentence is Python's own, which does not show the arrays."""
    big = np.zeros((50, 50), np.float32)
    for arguments, keywords in (([], {}), ([big] * 7, {}), ([], {"surprise": big})):
        with pytest.raises(TypeError, match=rf"^{name}\(\) [^\n]{{20,100}}$"):
            getattr(ops, name)(*arguments, **keywords)
