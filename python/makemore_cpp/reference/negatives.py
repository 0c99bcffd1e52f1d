"""The NumPy specification of a sampled softmax: which tokens a step's softmax has.

They are the targets of the minibatch, and negatives drawn from all other tokens.  A logit less
ln(how often its token was to be expected) makes the sum of the exponentials right on average:
1 / expected is the weight of Horvitz and Thompson (1952).  The targets are there in any case, as
often as expected: once.  With all other tokens as negatives it is the softmax of all tokens.

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
    """Return the weights with which negatives are proposed: roots of 1 + how often each is in Y.

    In units of 1/1024, as whole numbers.  With counts themselves the rare tokens, which are most
    of them, come too seldom to be learnt; with equal weights, the frequent ones.  No weight is 0.

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

    The others, which are not targets, stand in a row, that of the greatest weight first and of
    equals the lowest.  Each is drawn with a probability in proportion to its weight, but those for
    which that would be 1 or more are drawn for certain.  So that this is exactly so, it is
    Deville's systematic sampling: n tokens are still to be drawn; each is as long as n times its
    weight, and the row of them is cut in n parts, of each of which one token is drawn.

    Sources: Deville (1998), "Une nouvelle méthode de tirage à probabilités inégales"; Tillé (2006),
    "Sampling algorithms", section 6.2.

    Parameters
    ----------
    weights : (V,), of the proposal
    Y : (B,), the targets of the minibatch

    Returns
    -------
    tokens (n,), the distinct targets in ascending order and then the negatives, and how often each
    was to be expected (n,)
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
    """Draw `count` places from `first` on, one from each of as many parts of equal weight.

    A token that reaches into the next part is drawn there, if it was not drawn here, as often as
    makes up for that; if it is not, one of the others is drawn.

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
