"""The next token and the most probable texts, for every kind of model."""

import bounds
import numpy as np
import pytest
import sampling_oracle as oracle
from text_models import KINDS, OfOnesOwn, Table, model_of

import makemore_cpp as mm

AB = mm.Vocab(["a", "b"])


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def model(kind):
    return model_of(kind)


# -- the next token -------------------------------------------------------------------------------
@pytest.mark.parametrize("prefix", ["", "a", "mar", "christop", "q" * 1000])
def test_next_probs(model, prefix):
    probs = mm.text.next_probs(model, prefix)
    assert probs.dtype == np.float32
    assert probs.shape == (27,)
    expected = np.exp(oracle.next_log_probs(model, prefix).astype(np.float64))
    np.testing.assert_allclose(probs, expected, rtol=bounds.EXP_ULP * bounds.ULP)
    assert probs.sum() == pytest.approx(1, abs=1e-5)


def test_next_probs_of_nets_are_the_same_bits():
    mlp = model_of("MLP")
    for prefix in ("", "x", "emm", "jonatha"):
        expected = mm.text.next_probs(mlp, prefix).tobytes()
        for other in (mlp.freeze(), model_of("tabulated")):
            assert mm.text.next_probs(other, prefix).tobytes() == expected


# -- completions ----------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("prefix", "max_length"), [("", 5), ("ab", 5), ("c", 4), ("abc", 3)])
def test_completions_are_the_best_of_all_texts(kind, prefix, max_length):
    model = model_of(kind, is_tiny=True)
    every = oracle.completions(model, prefix, 1000, max_length)
    for k in (1, 2, 10, len(every), 1000):
        found = mm.text.complete(model, prefix, k, max_length)
        texts, log_probs = zip(*found, strict=True)
        assert list(log_probs) == mm.text.score(model, texts).tolist()
        assert sorted(log_probs, reverse=True) == list(log_probs)
        np.testing.assert_allclose(log_probs, [log_prob for _, log_prob in every[:k]], rtol=1e-6)
        assert len(set(texts)) == len(texts)
        if kind != "NGram":  # it finds many texts equally probable
            assert list(texts) == [text for text, _ in every[:k]]


def test_completions_of_nets_are_the_same_bits():
    mlp = model_of("MLP")
    for prefix in ("", "mar"):
        expected = mm.text.complete(OfOnesOwn(mlp), prefix, 20)
        for other in (mlp, mlp.freeze(), model_of("tabulated")):
            assert mm.text.complete(other, prefix, 20) == expected


def test_completions_of_names(model):
    found = mm.text.complete(model, "ma")
    assert len(found) == 10
    assert all(completion.text.startswith("ma") for completion in found)
    assert sorted(found, key=lambda completion: -completion.log_prob) == found
    drawn = set(mm.text.sample(model, 300, prefix="ma"))
    best = dict(found)
    for text, score in zip(drawn, mm.text.score(model, drawn), strict=True):
        assert text in best or score <= found[-1].log_prob + 1e-6


def test_fewer_than_asked_for():
    model = Table(AB, [[0, 1, 0], [0.5, 0.25, 0.25], [1, 0, 0]])
    found = mm.text.complete(model, "", 10, max_length=2)
    assert [text for text, _ in found] == ["a", "ab", "aa"]
    assert mm.text.complete(model, "b", 10) == []  # no text begins so
    assert mm.text.complete(model, "ab") == [("ab", mm.text.score(model, ["ab"])[0])]


def test_equally_probable_texts():
    even = Table(AB, np.full((3, 3), 1 / 3))
    found = mm.text.complete(even, "", 7, max_length=2)
    assert found[0].text == ""
    assert {text for text, _ in found} == {"", "a", "b", "aa", "ab", "ba", "bb"}
    assert len({text for text, _ in mm.text.complete(even, "", 5, max_length=9)}) == 5


def test_a_search_that_gives_up():
    """Each next token is as probable as any other."""
    model = mm.MLP(mm.Vocab(list("abcdefghijklmnopqrstuvwxyz")), n_embd=1, n_hidden=1)
    for array in model.parameters.values():
        array[:] = 0
    sentence = "found .* of 200,000 completions of 'a'; after four million beginnings the search"
    with pytest.raises(mm.Exhausted, match=sentence) as caught:
        mm.text.complete(model, "a", 200_000)
    texts, log_probs = zip(*caught.value.found, strict=True)
    assert len(texts) == len(set(texts)) > 1000
    assert max(map(len, texts)) == 4  # of the next length there are half a million
    assert log_probs == tuple(sorted(log_probs, reverse=True))


# -- methods and errors ---------------------------------------------------------------------------
def test_methods(kind, model):
    if kind != "one's own":
        assert model.next("em").tobytes() == mm.text.next_probs(model, "em").tobytes()
        assert model.complete("em", 3) == mm.text.complete(model, "em", 3)


BAD_PREFIXES = [
    ("É", mm.ArgumentError, "the character 'É' .*at position 0 is not in the vocabulary"),
    ("an.", mm.ArgumentError, "the character '.' .*at position 2 is the boundary"),
    ("a\0", mm.ArgumentError, "at position 1 is not in the vocabulary"),
    ("a\ud800", mm.ArgumentError, "position 1|surrogate"),
    ("É" * 1_000_000, mm.ArgumentError, "the character 'É' .*at position 0"),
    (b"a", TypeError, "prefix must be a str, not bytes"),
    (None, TypeError, "prefix must be a str, not NoneType"),
    (["a"], TypeError, "prefix must be a str, not list"),
]


@pytest.mark.parametrize(("prefix", "error", "sentence"), BAD_PREFIXES, ids=range(8))
def test_bad_prefixes(model, prefix, error, sentence):
    for function in (mm.text.next_probs, mm.text.complete):
        with pytest.raises(error, match=sentence) as caught:
            function(model, prefix)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"k": 0}, mm.ArgumentError, "k = 0"),
        ({"k": -1}, mm.ArgumentError, "k = -1"),
        ({"k": 10**9}, mm.ArgumentError, "k = 1000000000"),
        ({"k": 1.5}, TypeError, "k must"),
        ({"max_length": 0}, mm.ArgumentError, "max_length = 0"),
        ({"max_length": 2**40}, mm.ArgumentError, "max_length ="),
        ({"max_length": "5"}, TypeError, "max_length must"),
        ({"prefix": "abcd", "max_length": 3}, mm.ArgumentError, "prefix has 4 tokens"),
    ],
)
def test_bad_options(model, options, error, sentence):
    with pytest.raises(error, match=sentence):
        mm.text.complete(model, **options)


def test_models_that_predict_nonsense():
    model = Table(AB, np.ones((3, 3)))
    model.table[1] = np.nan
    with pytest.raises(mm.ArgumentError, match="distribution"):
        mm.text.complete(model)
