"""The detector: its calibration, its rates on held-out texts, its reports and its errors."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import makemore_cpp as mm
from makemore_cpp.text.calibration import LengthNorm, LowerShares
from makemore_cpp.text.detection_report import (
    auc,
    binomial_interval,
    random_letters,
    shuffled_letters,
)
from makemore_cpp.text.detector import Detector

AB = mm.Vocab(["a", "b"])
RATES = (0.005, 0.01, 0.02, 0.05, 0.1)


class Fixed(mm.Model):
    """A model that predicts the end and the letters a and b, the same in every context."""

    vocab = AB
    block_size = 1

    def __init__(self, p):
        with np.errstate(divide="ignore"):
            self.row = np.log(np.array(p, np.float64)).astype(np.float32)

    def log_probs(self, X):
        return np.tile(self.row, (len(X), 1))


@pytest.fixture(scope="module")
def data():
    return mm.Dataset.split(mm.load_texts())


@pytest.fixture(scope="module")
def model(data):
    return mm.KneserNey(data.vocab, data.train.texts, order=4)


@pytest.fixture(scope="module")
def detector(model, data):
    return Detector.fit(model, data.dev.texts)


# -- the standardised score ------------------------------------------------------------------------
def drawn_texts(rng, n=20_000):
    """Draw log-probabilities of texts of 3 to 10 letters; a letter widens the spread by 15 %."""
    lengths = rng.integers(3, 11, n)
    mean, spread = -6 - 1.5 * lengths, 2 * 1.15**lengths
    return mean + spread * rng.standard_normal(n), lengths, mean, spread


def test_standardised_scores_forget_the_length(rng):
    log_probs, lengths, mean, spread = drawn_texts(rng)
    norm, own = LengthNorm.fit(log_probs, lengths)
    # The mean of 2,500 texts is known up to 0.02 of their spread, and their spread up to 1.4 %.
    for z in (own, norm.standardise(log_probs, lengths)):
        np.testing.assert_allclose(z, (log_probs - mean) / spread, rtol=0.06, atol=0.08)
    assert np.std(own) == pytest.approx(1, abs=0.01)


def test_texts_of_a_rare_length_are_as_others_expect_them(rng):
    """Scores of the texts that gave the mean and spread vary like those of other texts."""
    own, others = [], []
    for _ in range(1000):
        log_probs, lengths, _, _ = drawn_texts(rng, n=800)
        few = np.arange(800) < 3
        lengths[few] = 11  # three texts, on the lines
        log_probs[few] = -22.5 + 2 * 1.15**11 * rng.standard_normal(3)
        norm, z = LengthNorm.fit(log_probs, lengths)
        own.append(z[few])
        drawn = -22.5 + 2 * 1.15**11 * rng.standard_normal(3)
        others.append(norm.standardise(drawn, np.full(3, 11)))
    assert np.std(own) == pytest.approx(np.std(others), rel=0.1)
    assert np.std(others) < 0.85, "with a margin for what three texts do not tell"


def test_lengths_without_texts(rng):
    log_probs, lengths, _, _ = drawn_texts(rng)
    norm, _ = LengthNorm.fit(log_probs, lengths)

    def mean_and_spread(length):
        zero, one = norm.standardise(np.array([0.0, 1.0]), np.full(2, length))
        return -zero / (one - zero), 1 / (one - zero)

    mean, spread = mean_and_spread(10)
    # Twice the tokens: twice the mean, and twice the variance, times 6 for the unknown.
    assert mean_and_spread(21) == pytest.approx((2 * mean, math.sqrt(12) * spread), rel=2e-3)
    shortest, narrowest = mean_and_spread(3)
    assert mean_and_spread(1) == pytest.approx((shortest / 2, math.sqrt(3) * narrowest), rel=2e-3)
    # Between others: on the lines.
    keep = lengths != 6
    norm, _ = LengthNorm.fit(log_probs[keep], lengths[keep])
    assert mean_and_spread(6)[0] == pytest.approx(-15, abs=0.2)
    assert mean_and_spread(6)[1] == pytest.approx(2 * 1.15**6 * math.sqrt(6), rel=0.05)


def test_texts_that_are_all_alike():
    norm, own = LengthNorm.fit(np.full(100, -7.3), np.full(100, 5))
    assert set(own) == {0.0}
    p = LowerShares.fit(own).p_values(norm.standardise(np.array([-7.4, -7.3, -7.2]), np.full(3, 5)))
    assert p.tolist() == [1 / 101, 1, 1]


# -- the share of good texts -----------------------------------------------------------------------
def test_shares_are_counted_where_texts_are_few():
    shares = LowerShares.fit(np.arange(39.0)[::-1])
    scores = np.array([-np.inf, -1, 0, 0.5, 38, 99, np.inf])
    assert (shares.p_values(scores) * 40).round(9).tolist() == [1, 1, 2, 2, 40, 40, 40]


@pytest.mark.parametrize(
    ("draw", "quantiles"),
    [
        (lambda rng: -rng.standard_exponential(3000), np.log([0.01, 0.05])),
        (lambda rng: -rng.gamma(4, size=3000), [-10.0451, -7.7537]),  # as skew as names
        (lambda rng: rng.standard_normal(3000), [-2.3263, -1.6449]),
        (lambda rng: rng.standard_t(10, 3000), [-2.7638, -1.8125]),
    ],
    ids=["exponential", "gamma", "normal", "t"],
)
def test_shares_in_the_tail(rng, draw, quantiles):
    """The lowest 1 % and 5 % of distributions of many shapes, with less noise than by counting."""
    p = np.array([LowerShares.fit(draw(rng)).p_values(np.array(quantiles)) for _ in range(200)])
    assert p.mean(axis=0) == pytest.approx([0.01, 0.05], rel=0.1)
    assert p[:, 0].std() < 0.95 * math.sqrt(0.01 * 0.99 / 3000)


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200),
    st.lists(st.floats(allow_nan=False), min_size=2, max_size=50),
)
@settings(max_examples=200, deadline=None)
def test_shares_rise_with_the_score(texts, scores):
    shares = LowerShares.fit(np.array(texts))
    p = shares.p_values(np.sort(scores))
    assert (np.diff(p) >= 0).all()
    assert p.min() >= 1 / (len(texts) + 1)
    assert p.max() <= 1
    assert shares.p_values(np.array([-np.inf, np.inf])).tolist() == [1 / (len(texts) + 1), 1]


# -- the rates on held-out texts -------------------------------------------------------------------
def lengths_outside(report):
    return [row for row in report.lengths if not row.low <= row.flagged_good <= row.high]


def quantiles_by_length(scored, texts, rate):
    """The detector without pooling: it counts the share of good texts of the same length."""
    lengths = np.array([len(text) for text in texts])
    sorted_of = {n: np.sort(scored[lengths == n]) for n in set(lengths.tolist())}

    def flag(scores, judged):
        own = [sorted_of.get(len(text), np.empty(0)) for text in judged]
        at_most = [np.searchsorted(o, s, "right") for o, s in zip(own, scores, strict=True)]
        return np.array([(1 + k) / (1 + len(o)) <= rate for k, o in zip(at_most, own, strict=True)])

    return flag


def test_rate_is_met_overall_and_at_each_length():
    """The rate of 5 of 305 lengths is outside; of 1 if thresholds were known and not learned.

    With thresholds learned for each length from its own texts alone it is outside for 9.
    """
    outside = alone = 0
    for seed in range(5):
        data = mm.Dataset.split(mm.load_texts(), seed=seed)
        model = mm.KneserNey(data.vocab, data.train.texts, order=4)
        fitted = {rate: Detector.fit(model, data.dev.texts, rate) for rate in RATES}
        scores = fitted[0.01].scores(data.test.texts)
        dev_scores = fitted[0.01].scores(data.dev.texts)
        for rate, detector in fitted.items():
            report = detector.report(data.test.texts, ["x"])
            outside += len(lengths_outside(report))
            assert report.good == len(data.test.texts) == sum(row.good for row in report.lengths)
            noise = math.sqrt(2 * rate * (1 - rate) / report.good)
            assert abs(report.flagged_good / report.good - rate) < max(0.01, 3 * noise)
            flagged = quantiles_by_length(dev_scores, data.dev.texts, rate)(scores, data.test.texts)
            for row in report.lengths:
                count = sum(flagged[[len(text) == row.length for text in data.test.texts]])
                alone += not row.low <= count <= row.high
    assert outside <= 6
    assert alone > 1.5 * outside


def test_names(names_path):
    data = mm.Dataset.split(mm.load_texts(names_path))
    model = mm.MLP(data.vocab)
    mm.train(model, data, steps=20_000)
    detector = Detector.fit(model, data.dev.texts, 0.01)
    test = data.test.texts
    shuffled = detector.report(test, shuffled_letters(test))
    random = detector.report(test, random_letters(test, data.vocab))
    assert abs(shuffled.flagged_good / shuffled.good - 0.01) < 0.01
    assert len(lengths_outside(shuffled)) <= 1
    assert 0.91 < shuffled.auc < 0.96
    assert 0.985 < random.auc < 1
    assert random.flagged_bad / random.bad > 0.85


def test_good_and_bad_texts(detector):
    assert not detector.flags(["emma", "olivia", "christopher", "bo"]).any()
    assert detector.flags(["qzxv", "xqjzkw", "ieuaoieuaoiea", "b" * 80, "jxwq" * 30]).all()


# -- scores, p-values and flags --------------------------------------------------------------------
def test_flags_are_p_values_at_most_the_rate(model, data):
    texts = data.test.texts + shuffled_letters(data.test.texts)
    flagged = []
    for rate in (*RATES, 0.5, 0.99):
        detector = Detector.fit(model, data.dev.texts, rate)
        flags = detector.flags(texts)
        assert flags.dtype == np.bool_
        assert (flags == (detector.p_values(texts) <= rate)).all()
        flagged.append(flags)
    for fewer, more in itertools.pairwise(flagged):
        assert (fewer <= more).all()


def test_a_string_does_not_depend_on_those_beside_it(detector, data):
    texts = ["emma", "zzz", *data.test.texts[:50], "", "é", "w" * 60]
    together = detector.p_values(texts)
    alone = [detector.p_values([text])[0] for text in texts]
    assert together.tolist() == alone
    assert detector.p_values(iter(texts)).tolist() == alone


def test_strings_that_cannot_be(detector, data):
    texts = ["josé", "a.b", "Emma", "", " "]
    assert detector.scores(texts).tolist() == [-np.inf] * 5
    assert detector.p_values(texts).tolist() == [1 / (len(data.dev.texts) + 1)] * 5
    assert detector.flags(texts).all()


def test_the_empty_string_may_be_good():
    detector = Detector.fit(Fixed([0.5, 0.25, 0.25]), ["", "a", "b"] * 50, 0.1)
    assert not detector.flags([""]).any()
    assert detector.flags(["abbabaabaaba"]).all()


def test_no_strings(detector):
    assert detector.scores([]).shape == detector.p_values([]).shape == (0,)
    assert detector.flags([]).dtype == np.bool_


@pytest.mark.parametrize(("n", "rate"), [(99, 0.01), (9, 0.1), (1, 0.5), (19, 0.05), (1999, 5e-4)])
def test_fewest_texts(model, data, n, rate):
    detector = Detector.fit(model, data.dev.texts[:n], rate)
    assert detector.flags(["é"]).all()
    assert detector.n_good == n
    with pytest.raises(mm.ArgumentError) as error:
        Detector.fit(model, data.dev.texts[: n - 1], rate)
    assert str(error.value) == (
        f"a false_positive_rate of {rate} needs at least {n} texts in good, not {n - 1}"
    )


def test_every_kind_of_model(data):
    net = mm.MLP(data.vocab, n_hidden=20)
    net.train_steps(data.train.X, data.train.Y, np.full(2000, 0.1))
    counts = mm.NGram(data.vocab, data.train.texts, order=3, smoothing=0.1)
    for model in (net, counts, mm.Mixture([net, counts], [0.5, 0.5])):
        detector = Detector.fit(model, data.dev.texts, 0.05)
        report = detector.report(data.test.texts, random_letters(data.test.texts, data.vocab))
        assert report.flagged_good / report.good == pytest.approx(0.05, abs=0.015)
        assert report.auc > 0.97


# -- errors ----------------------------------------------------------------------------------------
GOOD = ["ab", "b", "aab"] * 50


@pytest.mark.parametrize(
    ("good", "rate", "error", "sentence"),
    [
        (GOOD, float("nan"), mm.ArgumentError, "false_positive_rate is nan; it must lie between"),
        (GOOD, 0, mm.ArgumentError, "false_positive_rate is 0.0; it must lie between 0 and 1"),
        (GOOD, 1.0, mm.ArgumentError, "false_positive_rate is 1.0; it must lie between 0 and 1"),
        (GOOD, -0.1, mm.ArgumentError, "false_positive_rate is -0.1"),
        (GOOD, math.inf, mm.ArgumentError, "false_positive_rate is inf"),
        (GOOD, "0.01", TypeError, "false_positive_rate must be a number, not str"),
        (GOOD, None, TypeError, "false_positive_rate must be a number, not NoneType"),
        (GOOD, [0.1], TypeError, "false_positive_rate must be a number, not list"),
        (GOOD, 5e-324, mm.ArgumentError, "needs at least inf texts in good, not 150"),
        ([], 0.5, mm.ArgumentError, "needs at least 1 texts in good, not 0"),
        ("emma", 0.1, TypeError, "good must be a list of str, not str"),
        (7, 0.1, TypeError, "good must be a list of str, not int"),
        ([*GOOD, 3], 0.1, TypeError, r"good\[150\] must be a str, not int"),
        ([*GOOD, "abc"], 0.1, mm.ArgumentError, r"good\[150\] 'abc' the log-probability -inf"),
    ],
)
def test_bad_arguments(good, rate, error, sentence):
    with pytest.raises(error, match=sentence):
        Detector.fit(Fixed([0.2, 0.4, 0.4]), good, rate)


def test_a_generator_of_texts():
    fitted = Detector.fit(Fixed([0.2, 0.5, 0.3]), (word for word in GOOD), 0.1)
    assert fitted.p_values(["abb"]) == Detector.fit(fitted.model, GOOD, 0.1).p_values(["abb"])


def test_models_that_give_no_usable_probability(data):
    unsmoothed = mm.NGram(data.vocab, data.train.texts, order=5, smoothing=0)
    with pytest.raises(mm.ArgumentError, match=r"good\[\d+\] '\w+' the log-probability -inf"):
        Detector.fit(unsmoothed, data.dev.texts)
    with pytest.raises(mm.ArgumentError, match=r"good\[0\] 'ab' the log-probability nan"):
        Detector.fit(Fixed([0.2, math.nan, 0.4]), GOOD)
    fitted = Detector.fit(Fixed([0.2, 0.4, 0.4]), GOOD, 0.1)
    fitted.model = Fixed([0.2, 0.4, math.nan])
    with pytest.raises(mm.ArgumentError, match=r"texts\[1\] 'b' a probability that is no number"):
        fitted.flags(["a", "b"])


def test_no_model():
    with pytest.raises(TypeError, match="model"):
        Detector.fit("emma", GOOD, 0.1)


@pytest.mark.parametrize("method", ["scores", "p_values", "flags"])
@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ("emma", "texts must be a list of str, not str"),
        ([b"emma"], r"texts\[0\] must be a str"),
    ],
)
def test_bad_strings(detector, method, texts, sentence):
    with pytest.raises(TypeError, match=sentence):
        getattr(detector, method)(texts)


# -- reports ---------------------------------------------------------------------------------------
def test_report(detector, data):
    good, bad = data.test.texts, ["", "é", *random_letters(data.test.texts, data.vocab)]
    report = detector.report(good, bad)
    assert (report.good, report.bad) == (len(good), len(bad))
    assert report.flagged_good == detector.flags(good).sum() > 0
    assert report.flagged_bad == detector.flags(bad).sum() > 0.9 * len(bad)
    assert report.auc == auc(detector.scores(good), detector.scores(bad))
    for field in ("good", "flagged_good", "bad", "flagged_bad"):
        assert sum(getattr(row, field) for row in report.lengths) == getattr(report, field)
    empty = report.lengths[0]
    assert empty == (0, 0, 0, 0, 0, 1, 1)
    six = next(row for row in report.lengths if row.length == 6)
    assert six.good == sum(len(text) == 6 for text in good)
    assert (six.low, six.high) == binomial_interval(six.good, 0.01)
    assert json.loads(json.dumps(report.as_dict()))["lengths"][0]["bad"] == 1


def test_report_needs_both(detector):
    with pytest.raises(mm.ArgumentError, match=r"good has the shape \(0,\); it must be \(n,\)"):
        detector.report([], ["x"])
    with pytest.raises(mm.ArgumentError, match=r"bad has the shape \(0,\)"):
        detector.report(["x"], [])
    with pytest.raises(TypeError, match="bad must be a list of str, not str"):
        detector.report(["x"], "x")


@given(
    st.lists(st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0]), min_size=1, max_size=20),
    st.lists(st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0]), min_size=1, max_size=20),
)
def test_auc_is_the_share_of_pairs_in_order(good, bad):
    pairs = [(g > b) + (g == b) / 2 for g in good for b in bad]
    assert auc(good, bad) == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)


def test_auc_errors():
    with pytest.raises(mm.ArgumentError, match=r"bad\[1\] is no number"):
        auc([1.0], [2.0, math.nan])
    with pytest.raises(mm.ArgumentError, match=r"good has the shape \(1, 1\)"):
        auc([[1.0]], [2.0])


@pytest.mark.parametrize("p", [0.005, 0.01, 0.1, 0.5, 0.97])
@pytest.mark.parametrize("n", [0, 1, 7, 100, 300])
def test_binomial_interval(n, p):
    """The bounds are the least k at which the exact distribution function reaches them."""
    numerator, denominator = p.as_integer_ratio()
    terms = [
        math.comb(n, k) * numerator**k * (denominator - numerator) ** (n - k) for k in range(n + 1)
    ]
    cdf = [term / denominator**n for term in itertools.accumulate(terms)]
    low, high = (next(k for k, c in enumerate(cdf) if c >= bound) for bound in (0.005, 0.995))
    assert binomial_interval(n, p) == (low, high)


def test_bad_strings_to_try():
    texts = ["emma", "", "olivia", "ab"] * 20
    shuffled = shuffled_letters(texts, seed=3)
    assert [sorted(text) for text in shuffled] == [sorted(text) for text in texts]
    assert shuffled != texts
    assert shuffled == shuffled_letters(iter(texts), seed=3) != shuffled_letters(texts, seed=4)
    drawn = random_letters(texts, AB, seed=3)
    assert [len(text) for text in drawn] == [len(text) for text in texts]
    assert set("".join(drawn)) == {"a", "b"}
    assert drawn == random_letters(texts, AB, seed=3) != random_letters(texts, AB, seed=4)
    for function in (shuffled_letters, lambda texts, seed: random_letters(texts, AB, seed)):
        with pytest.raises(TypeError, match="texts must be a list of str, not str"):
            function("emma", 1)
        with pytest.raises(mm.ArgumentError, match="seed is -1"):
            function(texts, -1)
    with pytest.raises(TypeError, match="vocab must be"):
        random_letters(texts, "ab")


@pytest.mark.parametrize("n", [1, 30, 500])
@pytest.mark.parametrize("p", [0.011, 0.05, 0.5, 0.99])
def test_the_offset_parts_the_p_values(n, p):
    shares = LowerShares.fit(np.round(np.random.default_rng(n).normal(size=n), 6))
    p = max(p, 1 / (n + 1))
    offset = shares.offset(p)
    below, above = shares.p_values(np.array([offset - 5e-7, offset + 5e-7]))
    assert below <= p < above
