"""Sampling, for every kind of model."""

import warnings

import numpy as np
import pytest

import makemore_cpp as mm
from makemore_cpp import sampling


@pytest.fixture(scope="module", params=["MLP", "NGram", "KneserNey"])
def model(request):
    data = mm.Dataset.split(mm.load_words()[:2000], block_size=3)
    if request.param != "MLP":
        return getattr(mm, request.param)(data.vocab, data.train.words, order=2)
    model = mm.MLP(data.vocab, n_embd=4, n_hidden=30)
    model.train_steps(data.train.X, data.train.Y, np.full(2000, 0.1))
    return model


class Endless:
    """Predicts "a" for ever."""

    vocab = mm.Vocab(["a"])
    block_size = 2

    def log_probs(self, X):
        return np.tile(np.array([-np.inf, 0.0], np.float32), (len(X), 1))


class Counting:
    """Ends after exactly four characters; remembers how many contexts it saw at a time."""

    vocab = mm.Vocab(["a"])
    block_size = 4

    def __init__(self):
        self.widths = []

    def log_probs(self, X):
        self.widths.append(len(X))
        is_end = (X != 0).all(axis=1)
        return np.where(is_end[:, None], [0.0, -np.inf], [-np.inf, 0.0]).astype(np.float32)


def one_by_one(model, i, seed, max_length):
    """Draw sample i with nothing but the definition."""
    context, text = [0] * model.block_size, ""
    for position in range(max_length + 1):
        u = mm._core.sample_uniforms(seed, i, 1, position)[0]
        p = np.exp(model.log_probs(np.array([context], np.int32))[0].astype(np.float64))
        token = int(np.searchsorted(p.cumsum(), u, side="right"))
        if token == 0 or position == max_length:
            return text
        text += model.vocab.itos[token]
        context = [*context[1:], token]
    raise AssertionError


def test_samples_follow_the_definition(model):
    assert sampling.sample(model, 30, seed=3) == [one_by_one(model, i, 3, 100) for i in range(30)]


def test_sample_depends_on_seed_and_index_alone(model, monkeypatch):
    samples = mm.sample(model, 50, seed=1)
    assert len(samples) == 50
    assert mm.sample(model, 20, seed=1) == samples[:20]
    assert mm.sample(model, 50, seed=2) != samples
    monkeypatch.setattr(sampling, "MAX_CHUNK", 7)
    assert mm.sample(model, 50, seed=1) == samples


def test_method_of_the_model():
    model = mm.MLP(mm.Vocab(["a", "b"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.LengthWarning)
        assert model.sample(5, seed=9, max_length=6) == mm.sample(model, 5, seed=9, max_length=6)


def test_no_samples(model):
    assert mm.sample(model, 0) == []


def test_cut_samples_are_counted():
    with pytest.warns(mm.LengthWarning, match="3 of 3 samples reached max_length 5"):
        assert mm.sample(Endless(), 3, max_length=5) == ["aaaaa"] * 3
    samples = list(sampling.iter_samples(Endless(), 2, max_length=1))
    assert samples == [("a", True), ("a", True)]


def test_a_text_of_exactly_the_greatest_length_is_not_cut():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mm.sample(Counting(), 3, max_length=4) == ["aaaa"] * 3
    with pytest.warns(mm.LengthWarning):
        assert mm.sample(Counting(), 3, max_length=3) == ["aaa"] * 3


def test_memory_is_bounded():
    model = Counting()
    drawn = sampling.iter_samples(model, 10**12)
    assert [next(drawn).text for _ in range(3)] == ["aaaa"] * 3
    assert max(model.widths) <= sampling.MAX_CHUNK
    model = Counting()
    next(sampling.iter_samples(model, 10**12, max_length=1_000_000))
    assert max(model.widths) <= 8


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"n": -1}, ValueError, "n is -1"),
        ({"n": 2**80}, ValueError, "n is"),
        ({"n": 1.0}, TypeError, "n must"),
        ({"n": 1, "seed": -1}, ValueError, "seed"),
        ({"n": 1, "seed": 2**64}, ValueError, "seed"),
        ({"n": 1, "max_length": 0}, ValueError, "max_length"),
        ({"n": 1, "max_length": 2**40}, ValueError, "max_length"),
    ],
)
def test_bad_options(options, error, name):
    with pytest.raises(error, match=name):
        mm.sample(Endless(), **options)
