"""The NumPy specification of a sampled softmax: the tokens over which a step's softmax is taken.

These candidates are the targets of the minibatch, and negatives drawn from all other tokens.  From
the logit of a negative, ln(its expected number of draws) is subtracted, which makes the sum of the
exponentials right on average: 1 / expected is the weight of Horvitz and Thompson (1952).  A target
is a candidate in any case, exactly once, so that its logit stays as it is.  With all other tokens
as negatives the result is the softmax over all tokens.

Sources: Bengio and Senecal (2008), "Adaptive importance sampling to accelerate training of a
neural probabilistic language model"; Jean, Cho, Memisevic, Bengio (2015), "On using very large
target vocabulary for neural machine translation".
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from makemore_cpp.reference.random import paired_words

Tokens = NDArray[np.integer[Any]]

UNITS_OF_WEIGHT = 1024


def proposal_weights(Y: Tokens, vocab_size: int) -> NDArray[np.int64]:
    """Return the weights with which negatives are proposed: sqrt(1 + the token's count in Y).

    The weights are whole numbers, in units of 1/1024, and none is 0.  With the counts themselves as
    weights the rare tokens, which are most of all, would be drawn too seldom to be learnt; with
    equal weights the frequent ones would.

    Returns
    -------
    (V,) int64
    """
    counts = np.bincount(Y, minlength=vocab_size)
    weights: NDArray[np.int64] = (UNITS_OF_WEIGHT * np.sqrt(counts + 1.0)).astype(np.int64)
    return weights


def candidates(
    seed: int, step: int, weights: NDArray[np.int64], Y: Tokens, negatives: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Draw the tokens of one step's softmax, without replacement.

    The tokens that are not targets stand in a row, the greatest weight first and among equals the
    lowest token.  Each is drawn with a probability in proportion to its weight; a token whose
    probability would be 1 or more is drawn for certain.  Deville's systematic sampling gives these
    probabilities exactly: where n tokens are still to be drawn, each token is a piece of the row as
    long as n times its weight, the row is cut into n parts, and one token is drawn from each part.

    Sources: Deville (1998), "Une nouvelle méthode de tirage à probabilités inégales"; Tillé (2006),
    "Sampling algorithms", section 6.2.

    Parameters
    ----------
    weights : (V,), as of `proposal_weights`
    Y : (B,), the targets of the minibatch

    Returns
    -------
    tokens (n,), the distinct targets in ascending order and then the negatives, and the expected
    number of draws of each (n,)
    """
    targets = np.unique(Y)
    others = np.argsort(-weights, kind="stable")
    others = others[~np.isin(others, targets)]
    left = min(negatives, len(others))
    total = int(weights[others].sum())
    certain = 0
    while left > 0 and left * int(weights[others[certain]]) >= total:
        total -= int(weights[others[certain]])
        left, certain = left - 1, certain + 1
    drawn = [*range(certain), *systematic(seed, step, weights[others], certain, left)]
    expected = weights[others[drawn]] * (left / max(total, 1))
    expected[:certain] = 1
    return np.append(targets, others[drawn]), np.append(np.ones(len(targets)), expected)


def systematic(
    seed: int, step: int, weights: NDArray[np.int64], first: int, count: int
) -> list[int]:
    """Draw `count` places from `first` on, one from each of `count` parts of equal weight.

    A token may lie across the border of two parts.  If the first part did not draw it, the second
    draws it with the probability that makes up for that, and else one of its other tokens.

    Part p draws with the numbers 2p and 2p + 1 of the step's stream.
    """
    lengths = count * weights[first:]
    ends = np.cumsum(lengths)
    part_length = int(weights[first:].sum())
    uniforms = paired_words(seed, "negatives", np.full(1, step, np.uint64), 0, 2 * count)[0]
    u = (uniforms >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def whole_below(n: int, u: float) -> int:
        return min(int(u * n), n - 1)

    drawn: list[int] = []
    for part in range(count):
        begin = part * part_length
        place = int(np.searchsorted(ends, begin, side="right"))  # of the token at the beginning
        before = begin - int(ends[place] - lengths[place])
        after = int(ends[place]) - begin if before > 0 else 0
        is_drawn = before > 0 and drawn[-1] == place
        makes_up = before > 0 and not is_drawn
        if not (makes_up and whole_below(part_length - before, u[2 * part]) < after):
            point = begin + after + whole_below(part_length - after, u[2 * part + 1])
            place = int(np.searchsorted(ends, point, side="right"))
        drawn.append(place)
    return [first + place for place in drawn]
