"""Sampling, for every kind of model."""

import itertools
import warnings

import numpy as np
import pytest
import sampling_oracle as oracle
from text_models import KINDS, OfOnesOwn, Table, model_of, small_data

import makemore_cpp as mm
from makemore_cpp import _core, reference
from makemore_cpp.text import sampling

pytestmark = pytest.mark.filterwarnings("ignore::makemore_cpp.LengthWarning")

ABC = mm.Vocab(["a", "b", "c"])
CHOICES = [
    {},
    {"temperature": 0.5},
    {"temperature": 1.7},
    {"temperature": 0},
    {"top_k": 4},
    {"top_p": 0.8},
    {"temperature": 1.3, "top_k": 12, "top_p": 0.9},
]
LENGTHS = [
    {"max_length": 3},
    {"min_length": 4},
    {"prefix": "mar"},
    {"prefix": "mar", "min_length": 3, "max_length": 6},
    {"prefix": "jo", "max_length": 2},
    {"min_length": 5, "max_length": 5, "temperature": 0.8},
]


@pytest.fixture(params=KINDS)
def model(request):
    return model_of(request.param)


# "a" for ever; "a" and the end; a or b, more of a, never more of b
ENDLESS = Table(mm.Vocab(["a"]), [[0, 1], [0, 1]])
SHORT = Table(mm.Vocab(["a"]), [[0, 1], [1, 0]])
TOSS = Table(ABC, [[0, 0.5, 0.5, 0], [0.5, 0.5, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]])


class Counting(mm.Model):
    """A model whose texts end after exactly four characters."""

    vocab = mm.Vocab(["a"])
    block_size = 4

    def log_probs(self, X):
        is_end = (X != 0).all(axis=1)
        return np.where(is_end[:, None], [0.0, -np.inf], [-np.inf, 0.0]).astype(np.float32)


# -- the definition -------------------------------------------------------------------------------
@pytest.mark.parametrize("options", CHOICES + LENGTHS, ids=str)
def test_samples_follow_the_definition(model, options):
    n = 12
    assert mm.text.sample(model, n, seed=3, **options) == oracle.sample(model, n, seed=3, **options)


@pytest.mark.parametrize("seed", [0, 2**64 - 1])
def test_any_seed(model, seed):
    assert mm.text.sample(model, 5, seed=seed) == oracle.sample(model, 5, seed=seed)


@pytest.mark.parametrize("options", CHOICES, ids=str)
@pytest.mark.parametrize("prefix", ["", "ma"])
def test_frequencies(model, options, prefix):
    """Each token comes first as often as its weight says."""
    n, longest = 20_000, len(prefix) + 1
    drawn = mm.text.sample(model, n, seed=7, prefix=prefix, max_length=longest, **options)
    tokens = [model.vocab.stoi[text[-1]] if len(text) == longest else 0 for text in drawn]
    counts = np.bincount(tokens, minlength=len(model.vocab))
    log_p = oracle.next_log_probs(model, prefix).astype(np.float64)
    settings = {"temperature": 1, "top_k": None, "top_p": 1, **options}
    weights = reference.sampling_weights(log_p, **settings)
    assert np.all(counts[weights == 0] == 0)
    statistic, freedom = oracle.chi_square(counts, weights / weights.sum())
    assert statistic <= (oracle.chi_square_limit(freedom) if freedom else 0)


def test_chi_square_notices():
    p = np.array([0.5, 0.3, 0.19, 0.01])
    counts = np.random.default_rng(1).multinomial(20_000, p)
    statistic, freedom = oracle.chi_square(counts, p)
    assert freedom == 3
    assert statistic < oracle.chi_square_limit(3)
    assert oracle.chi_square(counts, np.array([0.48, 0.32, 0.19, 0.01]))[0] > 21
    for freedom, limit in ((1, 15.14), (3, 21.11), (26, 61.66)):  # as tables have it
        assert limit < oracle.chi_square_limit(freedom) < 1.08 * limit


def test_temperature_zero_takes_the_most_probable(model):
    text = ""
    while (token := int(oracle.next_log_probs(model, text).argmax())) and len(text) < 30:
        text += model.vocab.itos[token]
    assert mm.text.sample(model, 3, temperature=0, max_length=30) == [text] * 3
    assert mm.text.sample(model, 3, top_k=1, max_length=30) == [text] * 3


def test_of_equals_the_lower_token():
    even = Table(ABC, np.full((4, 4), 0.25))
    assert mm.text.sample(even, 2, temperature=0) == ["", ""]
    assert mm.text.sample(even, 2, temperature=0, min_length=2) == oracle.sample(
        even, 2, temperature=0, min_length=2
    )
    for options, letters in (
        ({"top_k": 2}, {"a"}),
        ({"top_p": 0.5}, {"a"}),
        ({"top_p": 0.51}, {"a", "b"}),
        ({"top_k": 2, "top_p": 0.75}, {"a"}),
    ):
        texts = mm.text.sample(even, 200, **options)
        assert texts == oracle.sample(even, 200, **options)
        assert set("".join(texts)) == letters


def test_options_that_change_nothing(model):
    plain = mm.text.sample(model, 40)
    V = len(model.vocab)
    for options in ({"top_k": V}, {"top_k": 10**6}, {"top_p": 1.0}, {"temperature": 1}):
        assert mm.text.sample(model, 40, **options) == plain


def test_lengths(model):
    texts = mm.text.sample(model, 300, min_length=4, max_length=6)
    assert {len(text) for text in texts} == {4, 5, 6}
    texts = mm.text.sample(model, 50, prefix="al", max_length=4)
    assert all(text.startswith("al") and len(text) <= 4 for text in texts)
    assert mm.text.sample(model, 3, prefix="alma", max_length=4) == ["alma"] * 3


def test_a_prefix_does_not_move_the_random_numbers():
    """Positions count from the beginning of a text, so a sample that begins so goes on alike."""
    model = model_of("MLP")
    plain = mm.text.sample(model, 200)
    prefixed = mm.text.sample(model, 200, prefix=plain[0][:2])
    assert prefixed[0] == plain[0]


# -- what a sample depends on ---------------------------------------------------------------------
FILTERS = [{}, {"unique": True}, {"unique": True, "exclude": ["anna", "a"], "min_length": 2}]


@pytest.mark.parametrize("options", FILTERS, ids=str)
def test_a_sample_depends_on_seed_and_number_alone(model, options, monkeypatch):
    samples = mm.text.sample(model, 300, seed=1, **options)
    assert len(samples) == 300
    assert mm.text.sample(model, 120, seed=1, **options) == samples[:120]
    assert mm.text.sample(model, 300, seed=2, **options) != samples
    for threads in (1, 2, 7):
        assert mm.text.sample(model, 300, seed=1, threads=threads, **options) == samples
    for first, largest in ((1, 1), (7, 7), (1, 64)):
        monkeypatch.setattr(sampling, "FIRST_CHUNK", first)
        monkeypatch.setattr(sampling, "MAX_CHUNK", largest)
        assert mm.text.sample(model, 100, seed=1, **options) == samples[:100]


def test_many_samples_of_a_net():
    """A net draws many samples in another way, but the same samples."""
    mlp = model_of("MLP")
    for options in ({}, {"temperature": 0.7, "top_k": 9, "min_length": 3, "prefix": "k"}):
        many = mm.text.sample(mlp, 30_000, **options)
        assert many[:2000] == mm.text.sample(mlp, 2000, **options)
        assert mm.text.sample(OfOnesOwn(mlp), 30_000, **options) == many
        frozen = mlp.freeze()
        assert [frozen.sample(30_000, threads=t, **options) for t in (1, 3)] == [many, many]


# -- shards ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("options", [*CHOICES[:3], *LENGTHS], ids=str)
def test_start_gives_rows_of_the_whole(model, options):
    whole = mm.text.sample(model, 300, seed=3, **options)
    for start, n in ((0, 300), (1, 7), (100, 0), (137, 163), (299, 1)):
        found = mm.text.sample(model, n, seed=3, start=start, **options)
        assert found == whole[start : start + n]
        drawn = mm.text.iter_samples(model, n, seed=3, start=start, **options)
        assert [sample.text for sample in drawn] == found
    endless = mm.text.iter_samples(model, seed=3, start=250, **options)
    assert [sample.text for sample in itertools.islice(endless, 50)] == whole[250:]
    far = mm.text.sample(model, 3, seed=3, start=10**15, **options)
    assert far == [oracle.draw(model, 10**15 + i, seed=3, **options)[0] for i in range(3)]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"unique": True}, "start and unique exclude each other: which text is number 5 would"),
        ({"exclude": ["anna"]}, "start and exclude exclude each other"),
        ({"unfinished": "redo"}, 'start and unfinished="redo" exclude each other'),
        ({"start": -1}, r"start is -1, outside \[0, "),
        ({"start": 2**63}, r"start is 9223372036854775808, outside \[0, "),
    ],
)
def test_start_refuses_what_would_move_the_rows(options, sentence):
    for model in map(model_of, ("frozen", "KneserNey")):
        for function in (mm.text.sample, mm.text.iter_samples):
            with pytest.raises(mm.ArgumentError, match=sentence):
                function(model, 3, **{"start": 5, **options})
    assert mm.text.sample(model, 3, start=5, exclude=[]) == mm.text.sample(model, 8)[5:]
    with pytest.raises(TypeError, match="start must be an integer, not float"):
        mm.text.sample(model, 3, start=0.5)


def test_start_refuses_a_candidate_that_is_left_out():
    """After b TOSS can only end, so some candidate is stuck before it has three letters."""
    stuck = [oracle.draw(TOSS, i, min_length=3)[1] == oracle.STUCK for i in range(200)]
    first = stuck.index(True)
    good = next(i for i in range(200) if not any(stuck[i : i + 2]))
    assert len(mm.text.sample(TOSS, 2, start=good, min_length=3)) == 2
    for start in (0, first):
        with pytest.raises(mm.ArgumentError, match=f"candidate {first} could not reach min_length"):
            mm.text.sample(TOSS, 200, start=start, min_length=3)


# -- unique, exclude ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "options",
    [
        {"unique": True},
        {"exclude": ["a", "ab"]},
        {"exclude": {"a", "ba", "cab"}, "unique": True},
        {"exclude": (text for text in ["a", "b"]), "unique": True, "top_k": 3},
    ],
)
def test_filters_follow_the_definition(options):
    model = model_of("KneserNey", is_tiny=True)
    exclude = frozenset(options.pop("exclude", ()))
    expected = oracle.sample(model, 60, exclude=exclude, **options)
    assert mm.text.sample(model, 60, exclude=exclude, **options) == expected
    assert not exclude & set(expected)


def test_unique(model):
    texts = mm.text.sample(model, 500, unique=True)
    assert len(set(texts)) == 500


@pytest.mark.parametrize("kind", ["NGram", "KneserNey", "Mixture"])
def test_exclude_the_training_texts_of_counts(kind):
    model = model_of(kind)
    known = set(small_data().train.texts)
    assert model.training_texts() == known
    assert known & set(mm.text.sample(model, 1000))
    texts = mm.text.sample(model, 1000, exclude="train")
    assert not known & set(texts)
    assert texts == mm.text.sample(model, 1000, exclude=known)


def test_exclude_the_training_texts_of_a_net(tmp_path):
    path = tmp_path / "texts.txt"
    texts = sorted(set(mm.load_texts()[:500]))
    path.write_text("\n".join(texts))
    data = mm.Dataset.split(mm.load_texts(path), seed=7)
    model = mm.MLP(data.vocab, n_embd=2, n_hidden=5)
    model.data = data.origin
    assert model.training_texts() == set(data.train.texts)
    assert model.freeze().training_texts() == set(data.train.texts)
    first = mm.text.sample(model, 50, unique=True)
    path.write_text("\n".join(first))
    again = mm.Dataset.split(mm.load_texts(path), seed=3)
    model.data = again.origin
    kept = mm.text.sample(model, 10, unique=True, exclude="train")
    assert kept == [text for text in first if text not in again.train.texts][:10]
    mixture = mm.Mixture([OfOnesOwn(model), model], [0.5, 0.5])
    assert mixture.training_texts() == set(again.train.texts)
    model.data = again.origin._replace(split_seed=None)  # not split: all texts
    assert model.training_texts() == {text for text in first if text}

    path.write_text("anna\n")
    with pytest.raises(mm.ArgumentError, match="has changed since the training"):
        mm.text.sample(model, 1, exclude="train")
    path.unlink()
    with pytest.raises(mm.FileError):
        mm.text.sample(model, 1, exclude="train")


@pytest.mark.parametrize("kind", ["MLP", "frozen", "one's own"])
def test_models_that_do_not_know_their_training_texts(kind):
    model = model_of(kind)
    with pytest.raises(mm.ArgumentError, match="does not know the texts that it was trained on"):
        mm.text.sample(model, 1, exclude="train")
    unknown = mm.Mixture([model, model], [0.5, 0.5])
    assert unknown.training_texts() is None


def test_stuck_candidates_are_left_out():
    """After b TOSS can only end, which is too early here: such candidates are left out."""
    endings = [oracle.draw(TOSS, i, min_length=3)[1] for i in range(200)]
    assert oracle.STUCK in endings
    texts = mm.text.sample(TOSS, 50, min_length=3)
    assert texts == oracle.sample(TOSS, 50, min_length=3)
    assert all(set(text) == {"a"} for text in texts)


# -- giving up ------------------------------------------------------------------------------------
def test_exhausted(monkeypatch):
    monkeypatch.setattr(sampling, "MAX_REJECTED", 2000)
    two = Table(ABC, [[0, 0.5, 0.5, 0], [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]])
    with pytest.raises(mm.Exhausted) as caught:
        mm.text.sample(two, 3, unique=True)
    assert sorted(caught.value.found) == ["a", "b"]
    assert str(caught.value) == (
        "found 2 of 3 samples; of the next 2,000 candidates 2,000 were given before"
    )
    assert mm.text.sample(two, 2, unique=True) == caught.value.found
    with pytest.raises(mm.Error, match="found 0 of 1 samples") as caught:
        mm.text.sample(two, 1, unique=True, exclude=["a", "b"])
    assert caught.value.found == []
    assert str(caught.value).endswith("2,000 are excluded")
    with pytest.raises(mm.Exhausted, match="2,000 could not reach min_length"):
        mm.text.sample(SHORT, 1, min_length=2)


def test_only_rejections_in_a_row_count(monkeypatch):
    monkeypatch.setattr(sampling, "MAX_REJECTED", 60)
    model = model_of("KneserNey", is_tiny=True)
    assert oracle.sample(model, 300).count("a") > 10
    assert "a" not in mm.text.sample(model, 5000, exclude=["a"])


def test_giving_up_does_not_depend_on_chunks(monkeypatch):
    monkeypatch.setattr(sampling, "MAX_REJECTED", 500)
    model, found = model_of("NGram", is_tiny=True), []
    for largest in (1, 30, 1 << 16):
        monkeypatch.setattr(sampling, "MAX_CHUNK", largest)
        with pytest.raises(mm.Exhausted) as caught:
            mm.text.sample(model, 10_000, unique=True, max_length=3)
        found.append((caught.value.found, str(caught.value)))
    assert len(found[0][0]) > 10
    assert found == [found[0]] * 3


def test_exhausted_iterators_have_given_what_they_found(monkeypatch):
    monkeypatch.setattr(sampling, "MAX_REJECTED", 500)
    samples = mm.text.iter_samples(TOSS, unique=True, max_length=2)
    assert sorted(text for text, _ in itertools.islice(samples, 3)) == ["a", "aa", "b"]
    with pytest.raises(mm.Exhausted, match=r"^found 3 samples; of the next 500") as caught:
        next(samples)
    assert caught.value.found == []


# -- iterators ------------------------------------------------------------------------------------
def test_iter_samples(model):
    options = {"seed": 5, "temperature": 0.9, "max_length": 7}
    texts = mm.text.sample(model, 60, **options)
    samples = list(mm.text.iter_samples(model, 60, **options))
    assert [sample.text for sample in samples] == texts
    assert [sample.cut for sample in samples] == [
        oracle.draw(model, i, **options)[1] == oracle.CUT for i in range(60)
    ]
    endless = itertools.islice(mm.text.iter_samples(model, **options), 60)
    assert list(endless) == samples


def test_iter_samples_with_filters(model):
    """Each text keeps its own mark of a cut."""
    options = {"max_length": 6, "unique": True, "exclude": mm.text.sample(model, 1)}
    samples = list(itertools.islice(mm.text.iter_samples(model, **options), 40))
    assert [sample.text for sample in samples] == mm.text.sample(model, 40, **options)
    drawn = dict(
        reversed(list(mm.text.iter_samples(model, 500, max_length=6)))
    )  # the first of equals
    assert [sample.cut for sample in samples] == [drawn[sample.text] for sample in samples]
    assert {sample.cut for sample in samples} == {True, False}


def test_memory_is_bounded(monkeypatch):
    """About 2**22 elements are drawn at a time, of texts, contexts or probabilities."""
    counts = []

    class Recording(_core.Sampler):
        def draw(self, first, n, threads=None):
            counts.append(n)
            return super().draw(first, n, threads)

    monkeypatch.setattr(_core, "Sampler", Recording)
    for n in (10**12, None):
        drawn = mm.text.iter_samples(SHORT, n)
        assert [next(drawn).text for _ in range(3)] == ["a"] * 3
        assert counts.pop() == 1024
    assert len(mm.text.sample(SHORT, 300_000)) == 300_000
    assert max(counts) == 2**22 // 100
    counts.clear()
    assert mm.text.sample(SHORT, 10, max_length=1_000_000) == ["a"] * 10
    assert counts == [4, 4, 2]
    counts.clear()
    wide = mm.NGram(mm.Vocab(list(map(chr, range(1000, 50_000)))), [chr(1000)], order=2)
    mm.text.sample(wide, 100, max_length=1)
    assert counts == [85, 15]


# -- cuts -----------------------------------------------------------------------------------------
def test_cut_samples_are_counted():
    with pytest.warns(mm.LengthWarning, match="3 of 3 samples reached max_length 5"):
        assert mm.text.sample(ENDLESS, 3, max_length=5) == ["aaaaa"] * 3
    assert list(mm.text.iter_samples(ENDLESS, 2, max_length=1)) == [("a", True), ("a", True)]


def test_the_warning_names_the_line_of_the_caller():
    for model in (model_of("NGram"), model_of("frozen")):
        with pytest.warns(mm.LengthWarning) as warned:
            model.sample(3, max_length=1)
        assert [warning.filename for warning in warned] == [__file__]


def test_a_text_of_exactly_the_greatest_length_is_not_cut():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mm.text.sample(Counting(), 3, max_length=4) == ["aaaa"] * 3
    with pytest.warns(mm.LengthWarning):
        assert mm.text.sample(Counting(), 3, max_length=3) == ["aaa"] * 3


# -- the rest -------------------------------------------------------------------------------------
def test_log_probs(model):
    texts, log_probs = mm.text.sample(model, 30, log_probs=True, temperature=0.8, max_length=5)
    assert texts == mm.text.sample(model, 30, temperature=0.8, max_length=5)
    assert log_probs.tobytes() == mm.text.score(model, texts).tobytes()
    assert mm.text.sample(model, 0, log_probs=True)[1].shape == (0,)


def test_no_samples(model):
    assert mm.text.sample(model, 0) == []
    assert list(mm.text.iter_samples(model, 0)) == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "one's own"])
def test_methods(kind):
    model = model_of(kind)
    assert model.sample(5, seed=9) == mm.text.sample(model, 5, seed=9)
    assert next(model.iter_samples(seed=9)).text == model.sample(1, seed=9)[0]


def test_a_net_may_predict_in_its_own_way():
    class Shy(mm.MLP):
        def log_probs(self, X, threads=None):
            return np.full((len(X), 2), [-np.inf, 0], np.float32)

    assert mm.text.sample(Shy(mm.Vocab(["a"])), 2, max_length=3) == ["aaa"] * 2
    assert Shy(mm.Vocab(["a"])).score([""]) == -np.inf


def test_other_characters():
    vocab = mm.Vocab(["é", "\0", "日", "😀"], boundary="§")
    model = Table(vocab, np.full((5, 5), 0.2))
    texts = mm.text.sample(model, 300)
    assert set("".join(texts)) == {"é", "\0", "日", "😀"}
    assert texts == oracle.sample(model, 300)
    mlp = mm.MLP(vocab, n_embd=2, n_hidden=3)
    assert mlp.sample(100) == mm.text.sample(OfOnesOwn(mlp), 100) == oracle.sample(mlp, 100)
    assert all(text.startswith("😀\0") for text in mlp.sample(9, prefix="😀\0"))


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"n": -1}, mm.ArgumentError, "n is -1"),
        ({"n": 2**80}, mm.ArgumentError, "n is"),
        ({"n": 1.0}, TypeError, "n must be an integer, not float"),
        ({"n": "3"}, TypeError, "n must be an integer, not str"),
        ({"seed": -1}, mm.ArgumentError, "seed"),
        ({"seed": 2**64}, mm.ArgumentError, "seed"),
        ({"seed": 1.0}, TypeError, "seed"),
        ({"max_length": 0}, mm.ArgumentError, "max_length = 0"),
        ({"max_length": 2**40}, mm.ArgumentError, "max_length = 1099511627776"),
        ({"max_length": 5.5}, TypeError, "max_length"),
        ({"min_length": -1}, mm.ArgumentError, "min_length = -1"),
        ({"min_length": 7, "max_length": 6}, mm.ArgumentError, "min_length = 7"),
        ({"min_length": "a"}, TypeError, "min_length"),
        ({"temperature": np.nan}, mm.ArgumentError, "temperature is nan"),
        ({"temperature": np.inf}, mm.ArgumentError, "temperature is inf"),
        ({"temperature": -0.5}, mm.ArgumentError, "temperature is -0.5"),
        ({"temperature": "hot"}, TypeError, "temperature"),
        ({"top_k": 0}, mm.ArgumentError, "top_k = 0"),
        ({"top_k": -3}, mm.ArgumentError, "top_k = -3"),
        ({"top_k": 2.5}, TypeError, "top_k"),
        ({"top_p": 0}, mm.ArgumentError, "top_p is 0"),
        ({"top_p": 1.5}, mm.ArgumentError, "top_p is 1.5"),
        ({"top_p": -0.1}, mm.ArgumentError, "top_p is -0.1"),
        ({"top_p": np.nan}, mm.ArgumentError, "top_p is nan"),
        ({"top_p": None}, TypeError, "top_p"),
        ({"prefix": "aX"}, mm.ArgumentError, "prefix 'aX': the character 'X' at position 1"),
        ({"prefix": "a."}, mm.ArgumentError, "prefix 'a.': .*boundary"),
        ({"prefix": "a\ud800"}, mm.ArgumentError, "prefix 'a.ud800'"),
        ({"prefix": "X" * 1_000_000}, mm.ArgumentError, "prefix 'X{40}…': the character 'X'"),
        ({"prefix": "abcd", "max_length": 3}, mm.ArgumentError, "prefix has 4 tokens"),
        ({"prefix": b"a"}, TypeError, "prefix must be a str, not bytes"),
        ({"prefix": None}, TypeError, "prefix must be a str, not NoneType"),
        ({"exclude": "anna"}, mm.ArgumentError, "exclude is 'anna'; it must be \"train\" or a"),
        ({"exclude": 5}, TypeError, "exclude must be a list of str, not int"),
        ({"exclude": ["a", 5]}, TypeError, r"exclude\[1\] must be a str, not int"),
        ({"threads": 0}, mm.ArgumentError, "threads"),
        ({"threads": 1.5}, TypeError, "threads"),
        ({"temprature": 1}, TypeError, "temprature"),
    ],
)
@pytest.mark.parametrize("kind", ["MLP", "frozen", "KneserNey", "one's own"])
def test_bad_options(kind, options, error, sentence):
    arguments = {"n": 1, **options}
    with pytest.raises(error, match=sentence) as caught:
        mm.text.sample(model_of(kind), **arguments)
    assert "\n" not in str(caught.value)
    with pytest.raises(error, match=sentence):
        next(mm.text.iter_samples(model_of(kind), **arguments))


@pytest.mark.parametrize("other", [5, "MLP", None, mm.MLP, mm.Vocab(["a"])])
def test_what_is_no_model(other):
    with pytest.raises(TypeError, match="model must be a model, not "):
        mm.text.sample(other, 1)


@pytest.mark.parametrize(
    ("row", "error", "sentence"),
    [
        (np.array([np.nan, 0], np.float32), mm.ArgumentError, "distribution"),
        (np.array([0, 0.1], np.float32), mm.ArgumentError, "distribution"),  # e^0 + e^0.1 > 2
        (np.array([-np.inf, -np.inf], np.float32), mm.ArgumentError, "distribution"),
        (np.array([0, -np.inf]), TypeError, "float32"),
        (np.array([0], np.float32), mm.ArgumentError, "shape"),
        (None, TypeError, "float32"),
    ],
)
def test_models_that_predict_nonsense(row, error, sentence):
    class Nonsense(mm.Model):
        vocab = mm.Vocab(["a"])
        block_size = 1

        def log_probs(self, X):
            return row if row is None else np.tile(row, (len(X), 1))

    with pytest.raises(error, match=sentence):
        mm.text.sample(Nonsense(), 1)


def test_errors_of_a_model_reach_the_caller():
    class Failing(mm.Model):
        vocab = mm.Vocab(["a"])
        block_size = 1

        def log_probs(self, X):
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        mm.text.sample(Failing(), 1)


def test_a_net_that_is_not_finite():
    model = mm.MLP(mm.Vocab(["a"]))
    model.b2[1] = np.nan
    with pytest.raises(mm.ArgumentError, match=r"b2\[1\] is nan"):
        model.sample(1)


@pytest.mark.parametrize("kind", ["MLP", "frozen", "one's own"])
def test_texts_that_do_not_end_are_drawn_again(kind):
    model = model_of(kind)
    kept = list(mm.text.iter_samples(model, 400, max_length=4))
    assert {one.cut for one in kept} == {False, True}
    whole = [one.text for one in kept if not one.cut]
    redone = mm.text.sample(model, len(whole), max_length=4, unfinished="redo")
    assert redone == whole, "the same candidates, without those that were cut"
    assert mm.text.sample(model, 5, max_length=4, unfinished="redo") == whole[:5]
    with pytest.raises(mm.ArgumentError, match="unfinished is 'drop'; it must be one of keep"):
        mm.text.sample(model, 1, unfinished="drop")


def test_a_model_that_never_ends_is_given_up():
    endless = mm.MLP(mm.Vocab(["a", "b"]), 1, 1, 1)
    endless.b2[:] = -50, 0, 0
    with pytest.raises(mm.Exhausted, match="100,000 did not end by max_length"):
        mm.text.sample(endless, 3, max_length=2, unfinished="redo")
