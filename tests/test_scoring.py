"""Scores, perplexities and surprisals, for every kind of model."""

import itertools
import math
import pickle

import numpy as np
import pytest
import sampling_oracle as oracle
from text_models import KINDS, OfOnesOwn, Table, model_of, small_data

import makemore_cpp as mm
from makemore_cpp.text import predictor, scoring

STRINGS = ["anna", "", "z", "maria", "qqqq", "anna", "bartholomew", "a" * 300]
# In these kinds the log-probability of a target is float64; those of all tokens are float32.
TARGET_KINDS = {"NGram", "KneserNey", "Mixture"}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def model(kind):
    return model_of(kind)


# -- the definition -------------------------------------------------------------------------------
def test_score_is_the_sum_of_log_probabilities(kind, model):
    scores = mm.text.score(model, STRINGS)
    assert scores.dtype == np.float64
    expected = [oracle.score(model, text) for text in STRINGS]
    if kind in TARGET_KINDS:
        np.testing.assert_allclose(scores, expected, rtol=1e-6)
    else:
        assert scores.tolist() == expected


def test_per_char(kind, model):
    for text in STRINGS:
        surprisals = mm.text.per_char(model, text)
        assert surprisals.dtype == np.float64
        assert surprisals.shape == (len(text) + 1,)
        total = 0.0
        for surprisal in surprisals.tolist():
            total -= surprisal
        assert total == mm.text.score(model, [text])[0]
        if kind not in TARGET_KINDS:
            assert surprisals.tolist() == oracle.per_char(model, text)


def test_a_string_scores_the_same_alone_and_among_others(model):
    texts = small_data().dev.texts[:150]
    together = mm.text.score(model, texts)
    alone = np.concatenate([mm.text.score(model, [text]) for text in texts])
    assert together.tobytes() == alone.tobytes()
    for threads in (1, 2, 7):
        assert mm.text.score(model, texts, threads=threads).tobytes() == together.tobytes()


def test_batches_and_chunks_change_nothing(model, monkeypatch):
    texts = small_data().dev.texts[:60]
    together = mm.text.score(model, texts, oov="skip")
    monkeypatch.setattr(scoring, "BATCH_TOKENS", 50)
    monkeypatch.setattr(scoring, "CHUNK_ELEMENTS", 270)
    monkeypatch.setattr(predictor, "CHUNK_ELEMENTS", 81)
    assert mm.text.score(model, texts, oov="skip").tobytes() == together.tobytes()
    with pytest.raises(mm.ArgumentError, match=r"texts\[60\]"):
        mm.text.score(model, [*texts, "É"])
    with pytest.raises(TypeError, match=r"texts\[60\] must be a str, not int"):
        mm.text.score(model, [*texts, 5])


def test_scores_of_nets_are_the_same_bits():
    mlp, texts = model_of("MLP"), small_data().texts
    expected = mm.text.score(OfOnesOwn(mlp), texts)
    for other in (mlp, mlp.freeze(), model_of("tabulated")):
        assert mm.text.score(other, texts).tobytes() == expected.tobytes()


def test_any_iterable(model):
    expected = mm.text.score(model, STRINGS)
    for texts in (tuple(STRINGS), iter(STRINGS), (s for s in STRINGS)):
        found = mm.text.score(model, texts)
        assert np.isin(found, expected).all()
    assert mm.text.score(model, []).tolist() == []
    assert mm.text.score(model, iter(())).dtype == np.float64


def test_generators_are_read_as_they_are_scored(model, monkeypatch):
    """An error stops the reading long before the end."""
    read = []

    def endless():
        for i in itertools.count():
            read.append(i)
            yield "anna" if i < 30_000 else "É"

    with pytest.raises(mm.ArgumentError, match=r"texts\[30000\]"):
        mm.text.score(model, endless())
    assert len(read) < 200_000


def test_long_strings(model):
    n = 1_000_000
    (score,) = mm.text.score(model, ["an" * (n // 2)])
    surprisals = mm.text.per_char(model, "an" * (n // 2))
    assert surprisals.shape == (n + 1,)
    assert score == pytest.approx(-surprisals.sum(), rel=1e-9)


# -- characters that are not in the vocabulary ----------------------------------------------------
UNKNOWN = ["É", "an.na", "a\0b", "日本", "\ud800", "a\udfffb", "😀", ".", "ab\n", "]", "^-\\"]


@pytest.mark.parametrize("text", UNKNOWN, ids=ascii)
def test_unknown_characters(model, text):
    known = "".join(c for c in text if c in model.vocab.characters)
    texts = ["anna", text, "b"]
    anna, b = mm.text.score(model, ["anna", "b"]).tolist()
    skipped = mm.text.score(model, texts, oov="skip").tolist()
    assert skipped == [anna, mm.text.score(model, [known])[0], b]
    assert mm.text.score(model, texts, oov="-inf").tolist() == [anna, -math.inf, b]
    place = next(i for i, c in enumerate(text) if c not in known)
    for oov in ({}, {"oov": "error"}):
        with pytest.raises(mm.ArgumentError, match=r"texts\[1\]") as caught:
            mm.text.score(model, texts, **oov)
        assert "\n" not in str(caught.value)
        assert f"at position {place}" in str(caught.value) or "surrogate" in str(caught.value)
    with pytest.raises(mm.ArgumentError):
        mm.text.per_char(model, text)


def test_characters_that_mean_something_to_regular_expressions():
    vocab = mm.Vocab(list("^]-\\[a&|~d"))
    model = mm.NGram(vocab, ["a^", "]-\\["], order=2)
    texts = ["^]-\\[a&|~d", "bcw.s\t,Z", "a-b"]
    expected = mm.text.score(model, ["^]-\\[a&|~d", "", "a-"])
    assert mm.text.score(model, texts, oov="skip").tolist() == expected.tolist()
    assert np.isinf(mm.text.score(model, texts, oov="-inf")).tolist() == [False, True, True]


def test_a_large_vocabulary():
    characters = [chr(c) for c in range(1000, 40_000)]
    model = mm.NGram(mm.Vocab(characters), ["".join(characters[:50])], order=2)
    scores = mm.text.score(model, [characters[0] + "!" + characters[-1], "!"], oov="skip")
    expected = mm.text.score(model, [characters[0] + characters[-1], ""])
    assert scores.tolist() == expected.tolist()


# -- means ----------------------------------------------------------------------------------------
def test_means(model):
    nats = -mm.text.score(model, STRINGS).sum() / sum(len(text) + 1 for text in STRINGS)
    assert mm.text.perplexity(model, STRINGS) == pytest.approx(math.exp(nats), rel=1e-12)
    assert mm.text.bits_per_char(model, STRINGS) == pytest.approx(nats / math.log(2), rel=1e-12)
    assert 2 ** mm.text.bits_per_char(model, iter(STRINGS)) == pytest.approx(
        mm.text.perplexity(model, iter(STRINGS)), rel=1e-12
    )
    with_unknown = [*STRINGS[:-1], "É" + STRINGS[-1] + "."]
    for mean in (mm.text.perplexity, mm.text.bits_per_char):
        assert mean(model, with_unknown, oov="skip") == mean(model, STRINGS)
        assert mean(model, with_unknown, oov="-inf") == math.inf
        with pytest.raises(mm.ArgumentError, match=r"texts\[7\]"):
            mean(model, with_unknown)
        for empty in ([], iter(())):
            with pytest.raises(mm.ArgumentError, match="texts is empty"):
                mean(model, empty)


def test_perplexity_of_the_dev_split_is_that_of_its_loss(model):
    dev = small_data().dev
    X = dev.X[:, -model.block_size :]
    loss = scoring.loss(model, X, dev.Y)
    assert mm.text.perplexity(model, dev.texts) == pytest.approx(math.exp(loss), rel=1e-6)


def test_loss_of_a_frozen_net_is_that_of_the_net():
    mlp, dev = model_of("MLP"), small_data().dev
    assert mlp.freeze().loss(dev.X, dev.Y) == pytest.approx(mlp.loss(dev.X, dev.Y), rel=1e-6)
    with pytest.raises(mm.RangeError):
        mlp.freeze().loss([[0, 1, 99]], [0])


def test_impossible_strings():
    only_a = Table(mm.Vocab(["a", "b"]), [[0, 1, 0], [0.5, 0.5, 0], [1, 0, 0]])
    half = float(np.log(np.float32(0.5)))
    assert mm.text.score(only_a, ["a", "b", ""]).tolist() == [half, -math.inf, -math.inf]
    assert mm.text.per_char(only_a, "b").tolist() == [math.inf, 0]
    assert mm.text.perplexity(only_a, ["a", "b"]) == math.inf
    assert mm.text.bits_per_char(only_a, ["b"]) == math.inf
    tiny = Table(mm.Vocab(["a"]), [[1e-38, 1], [1e-38, 1]])
    tiny.table[:, 0] = -800
    assert mm.text.bits_per_char(tiny, [""]) == pytest.approx(800 / math.log(2))
    assert mm.text.perplexity(tiny, [""]) == math.inf  # beyond float64


# -- methods and errors ---------------------------------------------------------------------------
def test_methods(kind, model):
    if kind == "one's own":
        return
    assert model.score(STRINGS).tobytes() == mm.text.score(model, STRINGS).tobytes()
    assert model.per_char("anna").tobytes() == mm.text.per_char(model, "anna").tobytes()
    assert model.perplexity(STRINGS) == mm.text.perplexity(model, STRINGS)
    assert model.bits_per_char(STRINGS, oov="skip") == mm.text.bits_per_char(model, STRINGS)


@pytest.mark.parametrize("function", [mm.text.score, mm.text.perplexity, mm.text.bits_per_char])
@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"texts": "anna"}, TypeError, "texts must be an iterable of str, not .*str"),
        ({"texts": b"anna"}, TypeError, r"texts\[0\] must be a str, not int"),
        ({"texts": 5}, TypeError, "texts must be an iterable of str, not int"),
        ({"texts": None}, TypeError, "texts must be an iterable of str, not NoneType"),
        ({"texts": ["a", None]}, TypeError, r"texts\[1\] must be a str, not NoneType"),
        ({"texts": ["a"], "oov": "ignore"}, mm.ArgumentError, "oov is 'ignore'; it must be"),
        ({"texts": ["a"], "oov": None}, TypeError, "oov must be a str, not NoneType"),
        ({"texts": ["a"], "threads": 0}, mm.ArgumentError, "threads"),
        ({"texts": ["a"], "threads": "2"}, TypeError, "threads"),
    ],
)
def test_bad_arguments(model, function, arguments, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        function(model, **arguments)
    assert "\n" not in str(caught.value)


def test_bad_texts(model):
    for text in (None, 5, b"anna", ["anna"]):
        with pytest.raises(TypeError, match="text must be a str, not "):
            mm.text.per_char(model, text)


def test_errors_of_the_strings_reach_the_caller(model):
    def failing():
        yield "anna"
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        mm.text.score(model, failing())
    with pytest.raises(ZeroDivisionError, match="mine"):
        mm.text.perplexity(model, failing())


@pytest.mark.parametrize("other", [5, "MLP", None, mm.MLP])
def test_what_is_no_model(other):
    for function in (mm.text.score, mm.text.perplexity, mm.text.bits_per_char):
        with pytest.raises(TypeError, match="model must be a model, not "):
            function(other, ["a"])
    with pytest.raises(TypeError, match="model must be a model, not "):
        mm.text.per_char(other, "a")


def test_exhausted_can_be_pickled():
    again = pickle.loads(pickle.dumps(mm.Exhausted("why", ["a"])))
    assert (str(again), again.found) == ("why", ["a"])
