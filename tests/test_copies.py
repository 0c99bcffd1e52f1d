"""Copies, pickles and bytes of a model: the same model, with arrays of its own."""

from __future__ import annotations

import copy
import pickle
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import makemore_cpp as mm

ORIGIN = mm.data.DataOrigin("somewhere", "0" * 64, 2**64 - 1)


class SpecialVocab(mm.Vocab):
    """A vocabulary of a class of its own."""


class SpecialModel(mm.MLP):
    """A model that remembers more."""


def make_model(kind=mm.MLP, vocab_kind=mm.Vocab):
    model = kind(vocab_kind(["ä", "b"], "#"), block_size=2, n_embd=1, n_hidden=3)
    model.data = ORIGIN
    return model


def bits(model):
    return [(array.shape, array.dtype, array.tobytes()) for array in model.parameters.values()]


def pickled(model):
    return pickle.loads(pickle.dumps(model))


@pytest.fixture(params=[copy.copy, copy.deepcopy, pickled], ids=lambda f: f.__name__)
def again(request):
    return request.param


def assert_same(a, b):
    assert bits(a) == bits(b)
    assert (type(a), type(a.vocab), a.vocab) == (type(b), type(b.vocab), b.vocab)
    assert (type(a.data), a.data) == (type(b.data), b.data)
    assert repr(a) == repr(b)


@pytest.mark.parametrize("kind", [mm.MLP, SpecialModel])
@pytest.mark.parametrize("vocab_kind", [mm.Vocab, SpecialVocab])
@pytest.mark.parametrize("data", [None, ORIGIN])
def test_a_copy_is_the_same_model(again, kind, vocab_kind, data):
    model = make_model(kind, vocab_kind)
    model.data = data
    assert_same(again(model), model)


def test_a_copy_trains_by_itself(again):
    model = make_model()
    before, other = bits(model), again(model)
    other.train_steps([[0, 1]], [2], [0.1])
    other.C[:] = 0
    assert bits(model) == before


def test_what_a_subclass_adds(again):
    model = make_model(SpecialModel)
    model.remarks, model.myself = ["good"], model
    other = again(model)
    assert_same(other, model)
    assert other.remarks == ["good"]
    assert (other.remarks is model.remarks) == (again is copy.copy)
    assert (other.myself is other) == (again is not copy.copy)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol(protocol):
    model = make_model(SpecialModel, SpecialVocab)
    assert_same(pickle.loads(pickle.dumps(model, protocol)), model)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy])
def test_copies_of_numbers_that_are_not_finite(again):
    model = make_model()
    model.C[0], model.b2[:] = np.nan, np.inf
    assert bits(again(model)) == bits(model)


def test_bytes_and_pickles_of_numbers_that_are_not_finite(tmp_path):
    model = make_model()
    model.W1[1, 2] = np.nan
    sentences = set()
    for write in (lambda m: m.save(tmp_path / "m"), mm.MLP.to_bytes, pickle.dumps):
        with pytest.raises(mm.ArgumentError, match=r"W1\[1, 2\] is nan") as caught:
            write(model)
        sentences.add(str(caught.value))
    assert len(sentences) == 1


def test_the_bytes_are_those_of_the_file(tmp_path):
    model = make_model()
    model.save(tmp_path / "m")
    data = model.to_bytes()
    assert (tmp_path / "m").read_bytes() == data
    model.data = ORIGIN._replace(name="")  # a file does not say where its data are
    assert_same(mm.MLP.from_bytes(data), model)
    assert mm.MLP.from_bytes(data).to_bytes() == data
    assert type(SpecialModel.from_bytes(data)) is SpecialModel
    assert data in pickle.dumps(model, protocol=5)
    mm.MLP.from_bytes(data).train_steps([[0, 1]], [2], [0.1])  # the arrays are writable


def refused(data, name="the answer"):
    with pytest.raises(mm.FormatError) as caught:
        mm.MLP.from_bytes(data, name)
    assert str(caught.value).startswith(f"{name}: ")
    assert "\n" not in str(caught.value)


def test_damaged_bytes_are_refused():
    data = make_model().to_bytes()
    for length in range(0, len(data), 7):
        refused(data[:length])
    for bit in random.Random(1).sample(range(8 * len(data)), 500):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        refused(bytes(flipped))
    refused(data + b"\0")
    refused(pickle.dumps(make_model()))


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(data):
    refused(data)


@pytest.mark.parametrize("data", ["text", 3, None, bytearray(8), memoryview(b""), [0]])
def test_what_is_no_bytes(data):
    with pytest.raises(TypeError, match="data must be bytes, not "):
        mm.MLP.from_bytes(data)


def test_names_that_are_none():
    data = make_model().to_bytes()
    with pytest.raises(TypeError, match="name must be a str, not int"):
        mm.MLP.from_bytes(data, 3)
    with pytest.raises(mm.FormatError, match="bytes: "):
        mm.MLP.from_bytes(b"")
    with pytest.raises(mm.ArgumentError) as caught:
        mm.MLP.from_bytes(b"", "\ud800")
    assert "\n" not in str(caught.value)


def test_a_pickle_with_changed_bytes_names_its_source():
    data = make_model().to_bytes()
    changed = pickle.dumps(make_model(), protocol=5).replace(data, data[:-1] + b"\xff")
    with pytest.raises(mm.FormatError, match="the pickled model: the file is damaged"):
        pickle.loads(changed)
