"""Counts of n-grams, the properties that all models of counts share, and additive smoothing."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import makemore_cpp as mm

AB = mm.Vocab(["a", "b"])
TEXTS = st.lists(st.text("abcd", max_size=6), min_size=1, max_size=8)
MODELS = {
    "additive": lambda vocab, texts, order: mm.NGram(vocab, texts, order, 0.3),
    "unsmoothed": lambda vocab, texts, order: mm.NGram(vocab, texts, order, 0),
    "interpolated": lambda vocab, texts, order: mm.InterpolatedNGram(vocab, texts, order, texts),
    "by frequency": lambda vocab, texts, order: mm.InterpolatedNGram(
        vocab, texts, order, texts[::2], by_frequency=True
    ),
    "Kneser-Ney": mm.KneserNey,
}


@pytest.fixture(params=MODELS)
def build(request):
    """Return each kind of count-based model, as a function of vocabulary, texts and order."""
    return MODELS[request.param]


def loop_counts(texts, vocab, k):
    """Count contexts of k tokens and their next tokens in a dict, by the definition."""
    counts, stoi = Counter(), vocab.stoi
    for text in texts:
        stream = [0] * k + [stoi[c] for c in text] + [0]
        for i in range(len(text) + 1):
            counts[tuple(stream[i : i + k]), stream[i + k]] += 1
    return counts


# -- counts ----------------------------------------------------------------------------------------
def test_counts_of_emma():
    vocab = mm.Vocab(["a", "e", "m"])
    counts = mm.models.NGramCounts(vocab, ["emma"], 4)
    contexts = ["...", "..e", ".em", "emm", "mma"]
    X = [[vocab.stoi[c] for c in context] for context in contexts]
    Y = [vocab.stoi[c] for c in "emma."]
    assert counts.count(X, Y).tolist() == [1] * 5
    assert counts.count(X, np.roll(Y, 1)).tolist() == [0, 0, 1, 0, 0]  # ".em" is followed by "m"
    assert counts.contexts_seen == counts.n_examples == 5
    assert counts.unseen_share([[0, 0, 0], [0, 0, 1]]) == 0.5
    assert counts.conditional_entropy() == 0.0


@given(TEXTS, st.integers(1, 10))
def test_counts_are_those_of_a_loop(texts, order):
    vocab = mm.Vocab(list("abcd"))
    counts = mm.models.NGramCounts(vocab, texts, order)
    expected = loop_counts(texts, vocab, order - 1)
    X, Y = mm.build_dataset([*texts, "abca", "dd"], vocab, max(1, order - 1))
    contexts = X if order > 1 else X[:, :0]
    looked_up = [expected[tuple(x), y] for x, y in zip(contexts.tolist(), Y.tolist(), strict=True)]
    assert counts.count(X, Y).tolist() == looked_up
    seen = {context for context, _ in expected}
    assert counts.contexts_seen == len(seen)
    assert counts.unseen_share(X) == np.mean([tuple(x) not in seen for x in contexts.tolist()])
    assert counts.n_examples == sum(expected.values())


def test_large_vocabulary(rng):
    """V**10 is far beyond 64 bits, yet two contexts must never have the same id."""
    vocab = mm.Vocab([chr(i) for i in range(0x4E00, 0x4E00 + 20_000)])
    characters = np.array(vocab.characters)
    texts = ["".join(rng.choice(characters, 12)) for _ in range(50)]
    texts += [text[:6] + texts[0][6:] for text in texts]
    X, Y = mm.build_dataset(texts, vocab, 9)
    expected = loop_counts(texts, vocab, 9)
    counts = mm.models.NGramCounts(vocab, texts, 10)
    assert counts.contexts_seen == len({context for context, _ in expected})
    assert counts.count(X, Y).tolist() == [
        expected[tuple(x), y] for x, y in zip(X.tolist(), Y.tolist(), strict=True)
    ]
    for build in MODELS.values():
        model = build(vocab, texts, 10)
        p = model.probs(X[5:9])
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=0, atol=1e-12)
        np.testing.assert_allclose(np.exp(model.log_probs(X[5:9])), p, rtol=1e-5)


# -- all models ------------------------------------------------------------------------------------
@pytest.mark.parametrize("order", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("texts", [["a"], [""], ["ab", "ab", "b"], ["abcab", "cabba", "bacc"] * 3])
def test_probabilities(build, texts, order):
    """In seen and unseen contexts they sum to 1, and loss and log_probs agree with them."""
    vocab = mm.Vocab(list("abcd"))
    model = build(vocab, texts, order)
    assert model.block_size == max(1, order - 1)
    X, Y = mm.build_dataset([*texts, "dcba", "abd", "cabaaaaaaaaa"], vocab, model.block_size)
    X = np.concatenate([X, X[:, ::-1]])  # boundaries where no text has them
    Y = np.concatenate([Y, Y])
    p = model.probs(X)
    assert p.dtype == np.float64
    assert p.min() >= 0
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=0, atol=1e-12)
    log_probs = model.log_probs(X)
    assert log_probs.dtype == np.float32
    np.testing.assert_allclose(np.exp(log_probs), p, rtol=1e-5)
    of_targets = model.target_log_probs(X, Y)
    np.testing.assert_allclose(np.exp(of_targets), p[np.arange(len(Y)), Y], rtol=1e-13)
    assert model.loss(X, Y) == -of_targets.mean()
    assert model.log_probs(X[:0]).shape == (0, 5)
    # A row does not depend on the others, and a model is a function of its arguments.
    assert model.log_probs(X[3:4]).tobytes() == log_probs[3:4].tobytes()
    assert build(vocab, texts, order).log_probs(X).tobytes() == log_probs.tobytes()


def test_samples(build):
    model = build(AB, ["ab", "ab", "b"], 3)
    samples = model.sample(300, seed=5, max_length=100)
    assert samples == mm.text.sample(model, 300, seed=5)
    assert samples[:7] == model.sample(7, seed=5)
    share = np.mean([text.startswith("a") for text in samples])
    assert abs(share - model.probs([[0, 0]])[0, 1]) < 0.1


@pytest.mark.parametrize(
    ("X", "Y", "error", "sentence"),
    [
        ([[3]], [0], mm.RangeError, r"token 3 at X\[0, 0\] is outside the vocabulary \[0, 3\)"),
        ([[0], [-1]], [0, 0], mm.RangeError, r"token -1 at X\[1, 0\]"),
        (np.array([[2**63]], np.uint64), [0], mm.RangeError, "token 9223372036854775808"),
        ([[0]], [3], mm.RangeError, r"token 3 at Y\[0\]"),
        ([[0.0]], [0], TypeError, "X must hold integers, not float64"),
        ([[True]], [0], TypeError, "X must hold integers, not bool"),
        ([[0], [0, 1]], [0, 0], TypeError, "X must be an array of integers"),
        ("ab", [0], TypeError, "X must hold integers"),
        (None, [0], TypeError, "X must hold integers"),
        ([[0]], [np.nan], TypeError, "Y must hold integers, not float64"),
        ([[0, 1]], [0], mm.ArgumentError, r"X has the shape \(1, 2\); it must be \(N, 1\)"),
        ([0], [0], mm.ArgumentError, r"X has the shape \(1,\)"),
        ([[0]], [[0]], mm.ArgumentError, r"Y has the shape \(1, 1\); it must be \(N,\)"),
        ([[0]], [0, 1], mm.ArgumentError, "X has 1 rows and Y 2"),
        (np.zeros((0, 1), int), np.zeros(0, int), mm.ArgumentError, "X has 0 rows and Y 0"),
    ],
)
def test_bad_examples(build, X, Y, error, sentence):
    model = build(AB, ["ab"], 2)
    for function in (model.loss, model.target_log_probs, model.counts.count):
        with pytest.raises(error, match=sentence):
            function(X, Y)


def test_bad_contexts(build):
    model = build(AB, ["ab"], 3)
    for function in (model.probs, model.log_probs, model.counts.unseen_share):
        with pytest.raises(mm.RangeError, match=r"X\[0, 1\]"):
            function([[0, 9]])
        with pytest.raises(mm.ArgumentError, match="shape"):
            function([[0]])
    with pytest.raises(mm.ArgumentError, match="X is empty"):
        model.counts.unseen_share(np.zeros((0, 2), int))


@pytest.mark.parametrize(
    ("vocab", "texts", "order", "error", "sentence"),
    [
        (AB, ["ab"], 0, mm.ArgumentError, "order is 0"),
        (AB, ["ab"], 10**30, mm.ArgumentError, "order is 1"),
        (AB, ["ab"], 2.0, TypeError, "order must be an integer, not float"),
        (AB, ["ab"], None, TypeError, "order must be an integer"),
        (AB, [], 2, mm.ArgumentError, "texts is empty"),
        (AB, "ab", 2, TypeError, "texts must be a list of str, not str"),
        (AB, [1], 2, TypeError, r"texts\[0\] must be a str, not int"),
        (AB, ["ab", "ac"], 2, mm.ArgumentError, r"texts\[1\] 'ac'"),
        (AB, ["a.b"], 2, mm.ArgumentError, r"texts\[0\] 'a.b'"),
        ("ab", ["ab"], 2, TypeError, r"vocab must be a makemore_cpp\.Vocab, not str"),
    ],
)
def test_bad_arguments(build, vocab, texts, order, error, sentence):
    with pytest.raises(error, match=sentence):
        build(vocab, texts, order)


# -- additive smoothing ----------------------------------------------------------------------------
def test_bigram_by_hand():
    bigram = mm.NGram(AB, ["ab", "aa"])
    # pairs: .a ab b. .a aa a.
    expected = np.log([[1 / 5, 3 / 5, 1 / 5], [2 / 6, 2 / 6, 2 / 6], [2 / 4, 1 / 4, 1 / 4]])
    np.testing.assert_allclose(bigram.log_probs([[0], [1], [2]]), expected, rtol=1e-6)
    np.testing.assert_allclose(bigram.log_probs([[2], [0], [2]]), expected[[2, 0, 2]], rtol=1e-6)
    assert bigram.loss([[0], [1], [2]], [1, 0, 2]) == pytest.approx(
        -(expected[0, 1] + expected[1, 0] + expected[2, 2]) / 3, rel=1e-14
    )


@given(TEXTS, st.integers(1, 6), st.floats(1e-3, 10))
def test_additive_smoothing_is_its_formula(texts, order, a):
    vocab = mm.Vocab(list("abcd"))
    model = mm.NGram(vocab, texts, order, a)
    counts = loop_counts(texts, vocab, order - 1)
    X, _ = mm.build_dataset([*texts, "abca"], vocab, model.block_size)
    for x, p in zip(X.tolist(), model.probs(X), strict=True):
        c = np.array([counts[tuple(x if order > 1 else ()), y] for y in range(5)])
        np.testing.assert_allclose(p, (c + a) / (c.sum() + 5 * a), rtol=1e-13)


def test_without_smoothing():
    """Seen tokens have their frequencies, unseen ones 0; all are equal in an unseen context."""
    model = mm.NGram(AB, ["aa", "ab"], 2, smoothing=0)
    np.testing.assert_array_equal(model.probs([[0], [1]]), [[0, 1, 0], [1 / 3, 1 / 3, 1 / 3]])
    assert model.loss([[0]], [1]) == 0
    assert model.loss([[0], [0]], [1, 2]) == np.inf
    assert model.log_probs([[0]]).tolist() == [[-np.inf, 0, -np.inf]]
    unseen = mm.NGram(AB, ["a"], 2, smoothing=0)
    np.testing.assert_allclose(unseen.probs([[2]]), [[1 / 3] * 3])
    X, Y = mm.build_dataset(["aa", "ab"], AB, 1)
    assert model.loss(X, Y) == pytest.approx(model.counts.conditional_entropy(), rel=1e-14)
    assert model.counts.conditional_entropy() == pytest.approx(np.log(3) / 2, rel=1e-14)


@pytest.mark.parametrize("smoothing", [-1, np.nan, np.inf, "1", None, 1j])
def test_bad_smoothing(smoothing):
    with pytest.raises((mm.ArgumentError, TypeError), match="smoothing"):
        mm.NGram(AB, ["a"], 2, smoothing)
