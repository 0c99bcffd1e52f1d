"""Turns log-probabilities of texts of any length into p-values: shares of good texts."""

from dataclasses import dataclass

import numpy as np

from makemore_cpp._core import ArgumentError
from makemore_cpp.arrays import Float64, Int64

MIN_SPREAD = 1e-6  # in nats; a smaller spread is rounding
DECIMALS = 6  # of a standardised score; a smaller difference is a tie
# The mean and the spread of a length are not known well from its n texts. Its variance is taken to
# be 1 + RARE / (n + 1) times that on the line of `LengthNorm`. With RARE = 1, too many held-out
# names of two letters were among the lowest in 3 to 8 of 100 splits of the names, with 5 in 1 to 3.
RARE = 5.0
# A rate of 1 % that is counted among 3,200 texts rests on 32 of them, give or take 6; read from a
# curve through the lowest fifth it is less noisy by a sixth.
TAIL_SHARE = 0.2
MIN_TAIL_TEXTS = 20


@dataclass(frozen=True, eq=False)
class LengthNorm:
    """The mean and the spread of good texts' log-probabilities, by length.

    A line is fitted to the mean by length, and another to the logarithm of the variance. The mean
    of a length is that of its texts and of one more text on the line; its variance is that on the
    line, made larger for a rare length, of which less is known. So all other lengths help a rare
    one.

    A length outside those of the good texts is judged by the nearest of them, as if tokens were
    independent: the mean is proportional to the number of tokens, the spread to its root. The empty
    text has the score -inf, unless it is one of the good texts.

    Attributes
    ----------
    shortest : int
        The length of the first entry of each array below.
    mean, spread : float64 arrays, shape (lengths,)
        In nats; the spread is that on the line.
    leverage : float64 array, shape (lengths,)
        1 / (n + 1) for n texts: the variance of the mean as a share of the variance of a text.
    """

    shortest: int
    mean: Float64
    spread: Float64
    leverage: Float64

    @classmethod
    def fit(cls, log_probs: Float64, lengths: Int64) -> tuple["LengthNorm", Float64]:
        """Return the norm of texts (n,), and their own standardised log-probabilities (n,).

        A text pulls the mean towards itself and so differs from it less than other texts do. The
        standardised values make up for that: they vary like those of other texts.
        """
        shortest = int(lengths.min())
        row = lengths - shortest
        n = np.bincount(row)
        total = np.bincount(row, log_probs)
        mean = (total + _line(total / np.maximum(n, 1), n)) / (n + 1)
        leverage = 1 / (n + 1)

        residuals = log_probs - mean[row]
        squares = np.bincount(row, residuals**2 / (1 - leverage[row]))
        usual = max(squares.sum() / len(row), MIN_SPREAD**2)
        spread = np.exp(_line(np.log((squares + usual) / (n + 1)), n) / 2)
        divisor = spread * np.sqrt((1 + RARE * leverage) * (1 - leverage) / (1 + leverage))
        standardised = residuals / divisor[row]
        return cls(shortest, mean, spread, leverage), np.round(standardised, DECIMALS)

    def arrays(self) -> dict[str, Float64]:
        """Return the arrays by their names."""
        return {"mean": self.mean, "spread": self.spread, "leverage": self.leverage}

    @classmethod
    def of_arrays(
        cls, shortest: int, mean: Float64, spread: Float64, leverage: Float64
    ) -> "LengthNorm":
        """Return the norm of given arrays; raise ArgumentError where they cannot be one."""
        is_norm = 0 <= shortest < 2**62 and 0 < len(mean) == len(spread) == len(leverage)
        if not (is_norm and (spread > 0).all() and (leverage > 0).all() and (leverage <= 1).all()):
            raise ArgumentError("shortest, mean, spread and leverage are not those of good texts")
        return cls(shortest, mean, spread, leverage)

    def standardise(self, log_probs: Float64, lengths: Int64) -> Float64:
        """Return the standardised log-probabilities (n,) of other texts."""
        row = np.clip(lengths - self.shortest, 0, len(self.mean) - 1)
        nearest = self.shortest + row
        tokens = (lengths + 1) / (nearest + 1)  # ends included, as a multiple of the nearest's
        leverage = np.where(lengths == nearest, self.leverage[row], 1.0)
        spread = self.spread[row] * np.sqrt(tokens * (1 + RARE * leverage))
        if self.shortest > 0:
            log_probs = np.where(lengths == 0, -np.inf, log_probs)
        return np.round((log_probs - self.mean[row] * tokens) / spread, DECIMALS)


def _line(y: Float64, weights: Int64) -> Float64:
    """Return the values (n,) on the line of least squares through y (n,) at 0, 1, 2, ..."""
    x = np.arange(len(y)) - np.average(np.arange(len(y)), weights=weights)
    variance = weights @ x**2
    slope = (weights * x) @ y / variance if variance > 0 else 0.0
    line: Float64 = np.average(y, weights=weights) + slope * x
    return line


@dataclass(frozen=True, eq=False)
class LowerShares:
    """The share of good texts that score at most as high as a text, which is its p-value.

    The share is counted; in the lowest fifth it is read from a generalised Pareto distribution
    (Pickands 1975) whose mean and variance are those of the texts there (Hosking and Wallis 1987).

    Attributes
    ----------
    scores : float64 array, shape (n,)
        The scores of the good texts, rising.
    below : float
        The distribution holds for scores below this one; -inf where there are too few texts.
    share : float
        The share of the texts with scores below `below`.
    shape, scale : float
        k and alpha of the distribution, ``1 - (1 - k x / alpha)^(1/k)`` for `below` - score = x.
    """

    scores: Float64
    below: float = -np.inf
    share: float = 0.0
    shape: float = 0.0
    scale: float = 1.0

    @classmethod
    def fit(cls, scores: Float64) -> "LowerShares":
        """Return the shares among good texts of these scores (n,), n at least 1."""
        rising = np.sort(scores)
        n = max(round(TAIL_SHARE * len(rising)), MIN_TAIL_TEXTS)
        if 2 * n > len(rising):
            return cls(rising)
        below = float((rising[n - 1] + rising[n]) / 2)
        excess = below - rising[:n]
        least = 10.0**-DECIMALS
        ratio = float(excess.mean() ** 2 / max(excess.var(), least**2))
        scale = max(float(excess.mean()) * (ratio + 1) / 2, least)
        return cls(rising, below, n / len(rising), (ratio - 1) / 2, scale)

    def p_values(self, scores: Float64) -> Float64:
        """Return the p-values of scores, NaN for NaN.

        None is less than 1 / (n + 1): n good texts cannot tell less.
        """
        texts = len(self.scores)
        p: Float64 = (1 + np.searchsorted(self.scores, scores, side="right")) / (1 + texts)
        low = scores < self.below
        excess = (self.below - scores[low]) / self.scale
        if abs(self.shape) < 1e-9:  # the limit of the formula below
            p[low] = self.share * np.exp(-excess)
        else:
            p[low] = self.share * np.maximum(1 - self.shape * excess, 0) ** (1 / self.shape)
        p[np.isnan(scores)] = np.nan
        return np.maximum(p, 1 / (1 + texts))

    def offset(self, p: float) -> float:
        """Return the score below which p-values are at most p; p is at least 1 / (n + 1).

        It lies half way between two possible scores.
        """
        unit = 10.0**-DECIMALS
        # At `low` the p-value is the least that there can be, at `high` it is 1.
        low, high = round(self.scores[0] / unit) - 10**12, round(self.scores[-1] / unit) + 1
        while high - low > 1:
            middle = (low + high) // 2
            is_low = self.p_values(np.array([middle * unit]))[0] <= p
            low, high = (middle, high) if is_low else (low, middle)
        return float((low + high) / 2 * unit)
