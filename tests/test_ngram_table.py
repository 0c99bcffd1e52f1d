"""The known losses of counting on the lecture's names; the table by length of the context."""

import time

import numpy as np
import pytest

import makemore_cpp as mm


@pytest.fixture(scope="module")
def texts(names_path):
    return mm.load_texts(names_path)


@pytest.fixture(scope="module")
def data(texts):
    return mm.Dataset.split(texts, block_size=5, seed=42)


@pytest.fixture(scope="module")
def table(data):
    return mm.evaluation.ngram_table(data)


def column(table, name):
    return [getattr(row, name) for row in table]


def test_bigrams_of_all_names(texts):
    vocab = mm.Vocab.from_texts(texts)
    X, Y = mm.build_dataset(texts, vocab, 1)
    model = mm.NGram(vocab, texts, order=2)
    pairs = [("n", "."), ("a", "."), ("a", "n"), (".", "a")]
    x, y = np.array([[vocab.stoi[a], vocab.stoi[b]] for a, b in pairs]).T
    assert model.counts.count(x[:, None], y).tolist() == [6763, 6640, 5438, 4410]
    everything = np.repeat(np.arange(27), 27), np.tile(np.arange(27), 27)
    assert np.count_nonzero(model.counts.count(everything[0][:, None], everything[1])) == 627
    assert model.loss(X, Y) == pytest.approx(2.4546, abs=5e-5)
    unsmoothed = mm.NGram(vocab, texts, order=2, smoothing=0).loss(X, Y)
    assert unsmoothed == pytest.approx(2.4540, abs=6e-5)
    assert unsmoothed == pytest.approx(model.counts.conditional_entropy(), rel=1e-12)


def test_contexts_of_all_names(texts):
    vocab = mm.Vocab.from_texts(texts)
    seen = [mm.models.NGramCounts(vocab, texts, k + 1).contexts_seen for k in range(1, 10)]
    assert seen == [27, 602, 5686, 22135, 41276, 52856, 57513, 58841, 59127]


def test_table_of_names(table):
    assert column(table, "block_size") == list(range(1, 10))
    assert column(table, "possible_contexts") == [27**k for k in range(1, 10)]
    assert column(table, "table_cells") == [27 ** (k + 1) for k in range(1, 10)]
    assert column(table, "contexts_seen") == [
        27, 595, 5438, 20243, 36544, 45937, 49485, 50457, 50663,
    ]  # fmt: skip
    for name, expected in (
        ("floor", [2.4541, 2.1827, 1.8691, 1.5808, 1.4500, 1.4185]),
        ("unseen_share", [0, 0.0002, 0.0059, 0.0448, 0.1119, 0.1610]),
        ("additive", [2.4531, 2.2225, 2.1018, 2.1522, 2.3175, 2.4585]),
    ):
        np.testing.assert_allclose(column(table, name)[:6], expected, rtol=0, atol=5.1e-5)
    kneser_ney = column(table, "kneser_ney")
    assert kneser_ney[2] == pytest.approx(2.0560, abs=1e-3)
    assert kneser_ney[4] == pytest.approx(1.9740, abs=1e-3)


def test_kneser_ney_of_names(data):
    begin = time.perf_counter()
    model = mm.KneserNey(data.vocab, data.train.texts, order=6)
    assert time.perf_counter() - begin < 5, "training takes about a twentieth of a second"
    begin = time.perf_counter()
    samples = model.sample(1000)
    assert time.perf_counter() - begin < 5, "sampling takes about a fiftieth of a second"
    assert len(set(samples)) > 900
    np.testing.assert_allclose(model.probs(data.dev.X[:2000]).sum(axis=1), 1, rtol=0, atol=1e-12)
    of_targets = model.log_probs(data.dev.X)[np.arange(len(data.dev.Y)), data.dev.Y]
    expected = -of_targets.astype(np.float64).mean()
    assert model.loss(data.dev.X, data.dev.Y) == pytest.approx(expected, rel=1e-6)


def test_interpolation_of_names(data, table):
    """Interpolation is better than additive smoothing, and Kneser-Ney is better still."""
    model = mm.InterpolatedNGram(data.vocab, data.train.texts, 6, data.dev.texts)
    loss = model.loss(data.dev.X, data.dev.Y)
    assert loss == pytest.approx(1.9926, abs=1e-3)
    assert table[4].kneser_ney < loss < table[4].additive


# -- any data --------------------------------------------------------------------------------------
def test_table_of_few_texts():
    data = mm.Dataset.split(["ab"], block_size=3)
    (row,) = mm.evaluation.ngram_table(data, max_block_size=1)
    assert row == (1, 3, 9, 3, None, 0.0, None, None)
    assert mm.evaluation.ngram_table(data, 3)[-1].possible_contexts == 27


def test_large_table_has_exact_sizes():
    data = mm.Dataset.split(["".join(map(chr, range(0x4E00, 0x4E00 + 5000)))])
    row = mm.evaluation.ngram_table(data, max_block_size=20)[-1]
    assert row.possible_contexts == 5001**20


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"max_block_size": 0}, mm.ArgumentError, "max_block_size is 0"),
        ({"max_block_size": 10**9}, mm.ArgumentError, "max_block_size is"),
        ({"max_block_size": 1.0}, TypeError, "max_block_size must"),
        ({"smoothing": -1}, mm.ArgumentError, "smoothing is -1"),
        ({"smoothing": "x"}, TypeError, "smoothing must"),
    ],
)
def test_bad_options(options, error, sentence):
    with pytest.raises(error, match=sentence):
        mm.evaluation.ngram_table(mm.Dataset.split(["ab"]), **options)
