"""Kneser-Ney and Jelinek-Mercer smoothing, against hand calculation and plain loops."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import makemore_cpp as mm
from makemore_cpp.models import jelinek_mercer
from makemore_cpp.models.kneser_ney import FALLBACK_DISCOUNTS, discounts_of

ABC = mm.Vocab(["a", "b", "c"])


# -- Kneser-Ney ------------------------------------------------------------------------------------
def test_discounts_by_hand():
    # n1 = 3, n2 = 2, n3 = n4 = 1, so that Y = 3/7
    expected = [1 - 2 * 3 / 7 * 2 / 3, 2 - 3 * 3 / 7 / 2, 3 - 4 * 3 / 7]
    np.testing.assert_allclose(discounts_of(np.array([1, 3, 1, 2, 4, 2, 1, 9])), expected)


@pytest.mark.parametrize(
    "counts", [[1], [5, 9], [1, 1, 2, 2, 3], [2, 3, 4], [1, 1, 1, 2, 3, 3, 3, 4]]
)
def test_discounts_that_cannot_be_estimated(counts):
    """The last case would give D2 = 2 - 9 Y < 0."""
    assert discounts_of(np.array(counts)).tolist() == list(FALLBACK_DISCOUNTS)


def test_kneser_ney_by_hand():
    """The three texts have too few counts, so that the discounts are 1/2, 1, 3/2.

    Bigrams: .a 2, ab 2, b. 3, .b 1. Continuation counts: a 1 (after .), b 2 (after . and a), . 1.
    """
    vocab = mm.Vocab(["a", "b"])
    model = mm.KneserNey(vocab, ["ab", "ab", "b"], order=2)
    assert model.discounts.tolist() == [[0.5, 1, 1.5]] * 2
    one = np.array([0.5 / 4, 0.5 / 4, 1 / 4]) + (0.5 + 1 + 0.5) / 4 * 1 / 3
    expected = [
        np.array([0, 2 - 1, 1 - 0.5]) / 3 + (1 + 0.5) / 3 * one,  # after .
        np.array([0, 0, 2 - 1]) / 2 + 1 / 2 * one,  # after a
        np.array([3 - 1.5, 0, 0]) / 3 + 1.5 / 3 * one,  # after b
    ]
    np.testing.assert_allclose(model.probs([[0], [1], [2]]), expected, rtol=1e-14)
    np.testing.assert_allclose(expected[0], [7 / 48, 23 / 48, 18 / 48], rtol=1e-14)


def test_unseen_contexts_back_off():
    texts = ["ab", "ab", "b", "abab"]
    model = mm.KneserNey(ABC, texts, order=3)
    c, a, b = 3, 1, 2
    unigram, bigram = model.probs([[c, c]]), model.probs([[c, a]])
    np.testing.assert_allclose(model.probs([[b, c]]), unigram)  # c was not seen
    assert not np.allclose(bigram, unigram)
    assert not np.allclose(model.probs([[b, a]]), bigram)
    # Tokens before the first unseen one do not matter, even if they were seen elsewhere.
    four = mm.KneserNey(ABC, texts, order=4)
    assert four.probs([[a, c, b]]).tolist() == four.probs([[c, c, b]]).tolist()


def loop_kneser_ney(texts, vocab, order):
    """Return p(context, y), straight from the definition, with dicts."""
    V, k = len(vocab), order - 1
    full = Counter()
    for text in texts:
        stream = [0] * k + [vocab.stoi[c] for c in text] + [0]
        for i in range(len(text) + 1):
            full[tuple(stream[i : i + order])] += 1
    tables = {order: full}
    for n in range(order - 1, 0, -1):
        tables[n] = Counter(gram[-n:] for gram in {gram[-n - 1 :] for gram in full})

    def p(context, y):
        if context is None:
            return 1 / V
        n = len(context) + 1
        shorter = p(context[1:] if context else None, y)
        followers = [tables[n][(*context, v)] for v in range(V)]
        if sum(followers) == 0:
            return shorter
        D = [0.0, *discounts_of(np.array(list(tables[n].values())))]
        taken = sum(D[min(count, 3)] for count in followers)
        kept = followers[y] - D[min(followers[y], 3)]
        return (kept + taken * shorter) / sum(followers)

    return p


@settings(max_examples=40)
@given(st.lists(st.text("ab", max_size=5), min_size=1, max_size=12), st.integers(1, 5))
def test_kneser_ney_is_its_definition(texts, order):
    model = mm.KneserNey(ABC, texts, order)
    expected = loop_kneser_ney(texts, ABC, order)
    X, Y = mm.build_dataset([*texts, "abc", "ba"], ABC, model.block_size)
    contexts = X if order > 1 else X[:, :0]
    found = np.exp(model.target_log_probs(X, Y))
    for x, y, p in zip(contexts.tolist(), Y.tolist(), found, strict=True):
        assert p == pytest.approx(expected(tuple(x), y), rel=1e-12)


def test_kneser_ney_with_estimated_discounts():
    """There are enough texts that every order has its own discounts."""
    texts = mm.load_texts()[:300]
    vocab = mm.Vocab.from_texts(texts)
    model = mm.KneserNey(vocab, texts, 3)
    assert all(tuple(row) != FALLBACK_DISCOUNTS for row in model.discounts[1:])
    expected = loop_kneser_ney(texts, vocab, 3)
    X, Y = mm.build_dataset(texts[:20], vocab, 2)
    p = [expected(tuple(x), y) for x, y in zip(X.tolist(), Y.tolist(), strict=True)]
    np.testing.assert_allclose(model.target_log_probs(X, Y), np.log(p), rtol=1e-12)


# -- Jelinek-Mercer --------------------------------------------------------------------------------
def test_interpolation_by_hand(monkeypatch):
    """The one step of expectation maximisation from lambda = 1/2 has a dev text of two tokens.

    p_1 = (2/6, 3/6, 1/6) / 2 + 1/6, and p_2(. | a) = (2/3) / 2 + p_1(.) / 2.
    """
    monkeypatch.setattr(jelinek_mercer, "MAX_ITERATIONS", 1)
    vocab = mm.Vocab(["a", "b"])
    model = mm.InterpolatedNGram(vocab, ["a", "ab"], 2, dev_texts=["b"])
    # tokens: . 2, a 2, b 1; pairs .a 2, a. 1, ab 1, b. 1; of dev .b and b.
    one_b, one_end = 1 / 5 / 2 + 1 / 6, 2 / 5 / 2 + 1 / 6
    two_end = 1 / 2 + one_end / 2
    stop2 = (1 / 2) / two_end
    stop1 = 1 / 5 / 2 / one_b + (1 - stop2) * (2 / 5 / 2) / one_end
    lambdas = [stop1 / (1 + (1 - stop2) + 1), stop2 / (2 + 1)]
    np.testing.assert_allclose(model.lambdas, lambdas, rtol=1e-14)
    l1, l2 = lambdas
    np.testing.assert_allclose(model.weights, [(1 - l2) * (1 - l1), (1 - l2) * l1, l2], rtol=1e-14)
    np.testing.assert_allclose(
        model.probs([[0]]),
        [model.weights @ [[1 / 3, 1 / 3, 1 / 3], [2 / 5, 2 / 5, 1 / 5], [0, 1, 0]]],
        rtol=1e-14,
    )


def test_fitted_lambdas_are_the_best():
    texts = mm.load_texts()[:3000]
    train, dev = texts[::2], texts[1::2]
    vocab = mm.Vocab.from_texts(texts)
    model = mm.InterpolatedNGram(vocab, train, 4, dev)
    assert model.weights.sum() == pytest.approx(1, rel=1e-14)
    X, Y = mm.build_dataset(dev, vocab, 3)
    counts = model.counts
    ids = counts.find_contexts(X.astype(np.int64))

    def loss(lambdas):
        p = np.full(len(Y), 1 / len(vocab))
        for k, level in enumerate(counts.levels):
            ngrams = counts.find_ngrams(ids[k], Y.astype(np.int64), k)
            f = np.where(ngrams < 0, 0, level.counts[ngrams])
            f = f / level.totals(level.counts)[ids[k]]
            p = np.where(ids[k] < 0, p, lambdas[k] * f + (1 - lambdas[k]) * p)
        return -np.log(p).mean()

    best = loss(model.lambdas)
    assert model.loss(X, Y) == pytest.approx(best, rel=1e-12)
    for k in range(4):
        for change in (-0.02, 0.02):
            other = model.lambdas.copy()
            other[k] = min(other[k] + change, 0.99999)
            assert loss(other) > best


def test_lambdas_by_frequency_are_those_of_the_paper():
    """The bin of a context seen c times among N examples is ceil(-ln((1 + c) / N))."""
    texts = mm.load_texts()[:1500]
    train, dev, others = texts[::3], texts[1::3], texts[2::3]
    vocab = mm.Vocab.from_texts(texts)
    model = mm.InterpolatedNGram(vocab, train, 3, dev, by_frequency=True)
    counts = [Counter(), Counter(), Counter()]  # of pairs: a context of 0, 1, 2 tokens, a token
    totals = [Counter(), Counter(), Counter()]  # of contexts
    X, Y = mm.build_dataset(train, vocab, 2)
    n = len(Y)
    for x, y in zip(X.tolist(), Y.tolist(), strict=True):
        for k in range(3):
            counts[k][tuple(x[2 - k :]), y] += 1
            totals[k][tuple(x[2 - k :])] += 1

    def bin_of(x):
        return math.ceil(-math.log((1 + totals[2][tuple(x)]) / n))

    assert model.lambdas.shape == (bin_of(["unseen"]) + 1, 3) == (math.ceil(math.log(n)) + 1, 3)

    def p(x, y, lambdas):
        result = 1 / len(vocab)
        for k, lam in enumerate(lambdas):
            context = tuple(x[2 - k :])
            if totals[k][context]:
                share = counts[k][context, y] / totals[k][context]
                result = lam * share + (1 - lam) * result
        return result

    X, Y = mm.build_dataset(others, vocab, 2)
    expected = [
        p(x, y, model.lambdas[bin_of(x)]) for x, y in zip(X.tolist(), Y.tolist(), strict=True)
    ]
    np.testing.assert_allclose(model.target_log_probs(X, Y), np.log(expected), rtol=1e-12)
    np.testing.assert_allclose(model.probs(X)[np.arange(len(Y)), Y], expected, rtol=1e-12)
    np.testing.assert_allclose(model.weights.sum(axis=1), 1, rtol=1e-14)

    X, Y = mm.build_dataset(dev, vocab, 2)
    plain = mm.InterpolatedNGram(vocab, train, 3, dev)
    assert model.loss(X, Y) < plain.loss(X, Y)
    bins = np.array([bin_of(x) for x in X.tolist()])
    for i, lambdas in enumerate(model.lambdas):
        some = [(x, y) for x, y in zip(X[bins == i].tolist(), Y[bins == i].tolist(), strict=True)]
        if not some:
            assert lambdas.tolist() == plain.lambdas.tolist()
            continue

        def likelihood(lambdas, some=some):  # one visit more to each order went on
            ends = sum(math.log(p(x, y, lambdas)) for x, y in some)
            return ends + np.log(1 - lambdas).sum()

        for k in range(3):
            for change in (-0.02, 0.02):
                other = lambdas.copy()
                other[k] = np.clip(other[k] + change, 0, 0.9999)
                assert likelihood(other) <= likelihood(lambdas) + 1e-4
    assert len(set(bins.tolist())) > 3


@pytest.mark.parametrize(("order", "texts"), [(1, ["ab"]), (2, [""]), (5, ["a", "abc"])])
def test_bins_of_few_examples(order, texts):
    model = mm.InterpolatedNGram(ABC, texts, order, ["ab", "b"], by_frequency=True)
    T = model.block_size
    X = np.array([[0] * T, [1] * T, [3] * T])
    np.testing.assert_allclose(model.probs(X).sum(axis=1), 1, rtol=1e-12)


def test_no_lambda_is_one():
    """A dev text that is a training text alone would leave nothing for unseen tokens."""
    model = mm.InterpolatedNGram(ABC, ["ab"], 4, ["ab"])
    assert model.lambdas.max() < 1
    assert np.isfinite(model.log_probs([[0, 1, 2], [3, 3, 3]])).all()


@pytest.mark.parametrize(
    ("dev_texts", "error", "sentence"),
    [
        ([], mm.ArgumentError, "dev_texts is empty"),
        ("ab", TypeError, "texts must be a list of str, not str"),
        (["ax"], mm.ArgumentError, r"texts\[0\] 'ax'"),
    ],
)
def test_bad_dev_texts(dev_texts, error, sentence):
    with pytest.raises(error, match=sentence):
        mm.InterpolatedNGram(ABC, ["ab"], 2, dev_texts)


def test_models_of_rising_order_are_those_of_each_order():
    """The models share their counts, which do not depend on the highest order."""
    data = mm.Dataset.split(mm.load_texts()[:400], block_size=6)
    train, X, Y = data.train.texts, data.dev.X, data.dev.Y
    for order, model in enumerate(itertools.islice(mm.KneserNey.rising(data.vocab, train), 7), 1):
        alone = mm.KneserNey(data.vocab, train, order)
        assert model.order == model.counts.order == order
        some = X[:, -model.block_size :]
        assert (
            model.target_log_probs(some, Y).tobytes() == alone.target_log_probs(some, Y).tobytes()
        )
        assert model.discounts.tobytes() == alone.discounts.tobytes()
        for one, other in zip(model.counts.levels, alone.counts.levels, strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
        additive = mm.NGram.of_counts(model.counts, 0.1)
        assert additive.loss(some, Y) == mm.NGram(data.vocab, train, order, 0.1).loss(some, Y)
