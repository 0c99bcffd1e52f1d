"""The report on how well a detector tells good texts from bad ones, and bad texts to try it on."""

import random
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError
from makemore_cpp.arrays import Bool, Float64, Int64
from makemore_cpp.data.vocab import Vocab, check_vocab

Judged = tuple[Int64, Float64, Bool]  # lengths, scores and flags of texts, each (n,)


class LengthRow(NamedTuple):
    """Counts of texts of one length, all and flagged, and the range that chance explains.

    If every good text were flagged with the probability that was asked for, `flagged_good` would
    lie in [low, high] 99 times out of 100.
    """

    length: int
    good: int
    flagged_good: int
    low: int
    high: int
    bad: int
    flagged_bad: int


class DetectionReport(NamedTuple):
    """Counts of good and bad texts, all and flagged.

    `auc` is the probability that a good text scores higher than a bad one.
    """

    false_positive_rate: float  # the rate of the detector, not the counted one
    good: int
    flagged_good: int
    bad: int
    flagged_bad: int
    auc: float
    lengths: list[LengthRow]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as types that JSON has."""
        return {**self._asdict(), "lengths": [row._asdict() for row in self.lengths]}


def report(false_positive_rate: float, good: Judged, bad: Judged) -> DetectionReport:
    """Return the report on good and bad texts that a detector has judged.

    Raises
    ------
    ArgumentError
        There is no good text or no bad one.
    """
    area = auc(good[1], bad[1])
    lengths = []
    for length in np.unique(np.concatenate([good[0], bad[0]])).tolist():
        counts = [_count(judged, length) for judged in (good, bad)]
        interval = binomial_interval(counts[0][0], false_positive_rate)
        lengths.append(LengthRow(length, *counts[0], *interval, *counts[1]))
    good_counts, bad_counts = (len(good[2]), int(good[2].sum())), (len(bad[2]), int(bad[2].sum()))
    return DetectionReport(false_positive_rate, *good_counts, *bad_counts, area, lengths)


def _count(judged: Judged, length: int) -> tuple[int, int]:
    """Return the number of texts of a length, and of the flagged ones among them."""
    flags = judged[2][judged[0] == length]
    return len(flags), int(flags.sum())


def auc(good: ArrayLike, bad: ArrayLike) -> float:
    """Return the area under the ROC curve of scores (n,) of good texts and (m,) of bad ones.

    The area is the probability that a good text scores higher than a bad one; a tie counts half
    (Mann and Whitney 1947).

    Raises
    ------
    TypeError
        `good` or `bad` does not hold real numbers.
    ArgumentError
        One of them is empty or not one-dimensional, or a score is NaN.
    """
    above, below = _check_scores("good", good), _check_scores("bad", bad)
    lower = np.sort(below)
    wins = np.searchsorted(lower, above, "left") + np.searchsorted(lower, above, "right")
    return float(wins.mean() / (2 * len(lower)))


def _check_scores(name: str, values: ArrayLike) -> Float64:
    scores = checks.numbers(name, values)
    if scores.ndim != 1 or len(scores) == 0:
        raise ArgumentError(f"{name} has the shape {scores.shape}; it must be (n,), n at least 1")
    if np.isnan(scores).any():
        raise ArgumentError(f"{name}[{np.isnan(scores).argmax()}] is no number")
    return scores


def binomial_interval(n: int, p: float, level: float = 0.99) -> tuple[int, int]:
    """Return the central interval of the binomial distribution: at most (1 - level) / 2 lie below.

    Parameters
    ----------
    n : int
        The number of trials, 0 or more.
    p : float
        The probability of a success, between 0 and 1.
    level : float
        The probability of the interval.
    """
    k = np.arange(1, n + 1)
    # Adding step k turns the log-probability of k - 1 successes into that of k.
    steps = np.log((n - k + 1) / k) + np.log(p / (1 - p))
    log_pmf = n * np.log1p(-p) + np.concatenate([[0.0], np.cumsum(steps)])
    cdf = np.cumsum(np.exp(log_pmf))
    low, high = np.searchsorted(cdf, [(1 - level) / 2, (1 + level) / 2])
    return int(low), int(min(high, n))


def shuffled_letters(texts: Iterable[str], seed: int = 1) -> list[str]:
    """Return each text with its characters in random order.

    Raises
    ------
    TypeError
        `texts` is not a list of str.
    ArgumentError
        `seed` is outside [0, 2**64).
    """
    rng = random.Random(checks.integer("seed", seed, 0, checks.MAX_SEED))
    texts = checks.string_list("texts", texts)
    return ["".join(rng.sample(text, len(text))) for text in texts]


def random_letters(texts: Iterable[str], vocab: Vocab, seed: int = 1) -> list[str]:
    """Return texts of the texts' lengths, every character of the vocabulary equally likely.

    Raises
    ------
    TypeError
        `texts` is not a list of str, or `vocab` not a Vocab.
    ArgumentError
        `seed` is outside [0, 2**64).
    """
    rng = random.Random(checks.integer("seed", seed, 0, checks.MAX_SEED))
    texts = checks.string_list("texts", texts)
    characters = check_vocab(vocab).characters
    return ["".join(rng.choices(characters, k=len(text))) for text in texts]
