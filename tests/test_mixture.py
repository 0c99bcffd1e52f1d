"""Mixtures of models of different kinds and block sizes."""

import numpy as np
import pytest

import makemore_cpp as mm
from makemore_cpp.text import predictor

AB = mm.Vocab(["a", "b"])


@pytest.fixture(scope="module")
def data():
    return mm.Dataset.split(mm.load_texts()[:3000], block_size=4)


@pytest.fixture(scope="module")
def models(data):
    mlp = mm.MLP(data.vocab, block_size=3, n_embd=4, n_hidden=30)
    mlp.train_steps(data.train.X[:, -3:], data.train.Y, np.full(2000, 0.1))
    kneser_ney = mm.KneserNey(data.vocab, data.train.texts, order=5)
    return [mlp, kneser_ney, mm.NGram(data.vocab, data.train.texts, order=1)]


class Fixed(mm.Model):
    """A model that predicts the same in every context."""

    vocab = AB
    block_size = 1

    def __init__(self, p):
        with np.errstate(divide="ignore"):
            self.row = np.log(np.array(p, np.float64)).astype(np.float32)

    def log_probs(self, X):
        return np.tile(self.row, (len(X), 1))


def test_mean_of_the_members(data, models):
    weights = np.array([0.5, 0.3, 0.2])
    mixture = mm.Mixture(models, weights)
    assert mixture.block_size == 4
    assert mixture.vocab == data.vocab
    X, Y = data.dev.X, data.dev.Y
    p = sum(
        w * np.exp(model.log_probs(X[:, -model.block_size :]).astype(np.float64))
        for model, w in zip(models, weights, strict=True)
    )
    log_probs = mixture.log_probs(X)
    assert log_probs.dtype == np.float32
    np.testing.assert_allclose(log_probs, np.log(p), rtol=1e-6)
    expected = -log_probs[np.arange(len(Y)), Y].astype(np.float64).mean()
    assert mixture.loss(X, Y) == pytest.approx(expected, rel=1e-6)
    assert mixture.sample(30, seed=2) == mm.text.sample(mixture, 30, seed=2)
    nested = mm.Mixture([mm.Mixture(models[:2], [0.5 / 0.8, 0.3 / 0.8]), models[2]], [0.8, 0.2])
    assert nested.loss(X, Y) == pytest.approx(mixture.loss(X, Y), rel=1e-12)


def test_loss_in_chunks(data, models, monkeypatch):
    mixture = mm.Mixture(models, [0.5, 0.3, 0.2])
    whole = mixture.loss(data.dev.X, data.dev.Y)
    monkeypatch.setattr(predictor, "CHUNK_ELEMENTS", 1000)
    assert mixture.loss(data.dev.X, data.dev.Y) == whole


def test_fit_is_the_best(data, models):
    X, Y = data.dev.X, data.dev.Y
    mixture = mm.Mixture.fit(models, X, Y)
    assert mixture.weights.sum() == pytest.approx(1, rel=1e-14)
    best = mixture.loss(X, Y)
    assert all(best < model.loss(X[:, -model.block_size :], Y) for model in models)
    for i in range(3):
        for step in (0.02, -0.02):
            weights = mixture.weights.copy()
            weights[i] = max(weights[i] + step, 0)
            other = mm.Mixture(models, weights / weights.sum())
            assert other.loss(X, Y) > best - 1e-6
    again = mm.Mixture.fit(models, X, Y)
    assert again.weights.tobytes() == mixture.weights.tobytes()


def test_fit_by_hand():
    """Each of two models is sure of one token, so the weights are the tokens' shares."""
    fitted = mm.Mixture.fit([Fixed([0, 1, 0]), Fixed([0, 0, 1])], [[0]] * 4, [1, 1, 1, 2])
    np.testing.assert_allclose(fitted.weights, [3 / 4, 1 / 4])
    assert fitted.loss([[0]], [1]) == pytest.approx(np.log(4 / 3))


def test_a_useless_member_gets_no_weight():
    fitted = mm.Mixture.fit([Fixed([0.1, 0.8, 0.1]), Fixed([0.8, 0.1, 0.1])], [[0]] * 9, [1] * 9)
    np.testing.assert_allclose(fitted.weights, [1, 0], atol=1e-5)


def test_weight_zero_and_probability_zero():
    nan = Fixed([1, 1, 1])
    nan.row[:] = np.nan
    only = mm.Mixture([Fixed([0, 1, 0]), nan], [1, 0])
    assert only.log_probs([[0]]).tolist() == [[-np.inf, 0, -np.inf]]
    assert only.loss([[0]], [1]) == 0
    assert only.loss([[0]], [2]) == np.inf
    both = mm.Mixture([Fixed([0, 1, 0]), nan], [0.5, 0.5])
    assert np.isnan(both.loss([[0]], [1]))
    assert np.isnan(both.log_probs([[0]])).all()


@pytest.mark.parametrize(
    ("models", "weights", "error", "sentence"),
    [
        ([], [], mm.ArgumentError, "models is empty"),
        (5, [1], TypeError, "models must be a list of models, not int"),
        ([5], [1], TypeError, r"models\[0\] must be a model, not int"),
        ([Fixed([1, 0, 0]), mm.MLP(mm.Vocab(["a"]))], [0.5, 0.5], mm.ArgumentError, "vocabulary"),
        ([Fixed([1, 0, 0])], [0.5, 0.5], mm.ArgumentError, r"weights has the shape \(2,\)"),
        ([Fixed([1, 0, 0])], 1.0, mm.ArgumentError, r"weights has the shape \(\)"),
        ([Fixed([1, 0, 0])], None, TypeError, "weights must be an array of real numbers, not None"),
        ([Fixed([1, 0, 0])], ["x"], TypeError, "weights must be an array of real numbers"),
        ([Fixed([1, 0, 0])], [0.5], mm.ArgumentError, "the sum of weights is 0.5"),
        ([Fixed([1, 0, 0])] * 2, [1.5, -0.5], mm.ArgumentError, r"weights\[1\] is -0.5"),
        ([Fixed([1, 0, 0])] * 2, [1, np.nan], mm.ArgumentError, r"weights\[1\] is nan"),
    ],
)
def test_bad_mixtures(models, weights, error, sentence):
    with pytest.raises(error, match=sentence):
        mm.Mixture(models, weights)


@pytest.mark.parametrize(
    ("X", "Y", "error", "sentence"),
    [
        ([[0]], [2], mm.ArgumentError, "gives to target 0 is -inf"),
        ([[0, 0]], [0], mm.ArgumentError, "shape"),
        ([[0]], [3], mm.RangeError, "token 3"),
        (np.zeros((0, 1), int), np.zeros(0, int), mm.ArgumentError, "0 rows"),
    ],
)
def test_bad_fits(X, Y, error, sentence):
    with pytest.raises(error, match=sentence):
        mm.Mixture.fit([Fixed([0.5, 0.5, 0])] * 2, X, Y)


def test_fit_refuses_what_is_no_number():
    nan = Fixed([1, 1, 1])
    nan.row[:] = np.nan
    with pytest.raises(mm.ArgumentError, match="is nan; weights need a finite one"):
        mm.Mixture.fit([Fixed([0.5, 0.5, 0]), nan], [[0]], [0])
