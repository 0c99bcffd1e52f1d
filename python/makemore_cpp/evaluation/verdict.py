"""The rules by which losses mean underfitting, a good fit or overfitting, and what to try next."""

import math
from typing import Literal, NamedTuple

# Differences of losses in nats per token; see `judge`.
LARGE_GAP = 0.1
SMALL_DIFFERENCE = 0.01
SCATTER = 1.3  # standard deviation of the losses of single tokens, for the lecture's net on names

MANY_KNOWN = 0.5  # with more dev texts than this in train, dev says little about new texts

# `judge` returns one of the first three.
Verdict = Literal["underfitting", "good fit", "overfitting", "unknown", "diverged"]


class Evidence(NamedTuple):
    """The numbers by which `judge` decides; losses are in nats per token.

    An n-gram is a pair: its order and its loss on dev.
    """

    train: float
    dev: float
    n_dev: int  # tokens of dev
    uniform: float
    floor: float
    fair_ngram: tuple[int, float]  # the best n-gram that sees no more tokens than the model
    best_ngram: tuple[int, float]  # the best n-gram of all that were tried
    known_share: float


def judge(evidence: Evidence) -> tuple[Verdict, str]:
    """Return the verdict on a model, and the sentence that gives its reason and what to try next.

    The fair n-gram, the best one that sees no more tokens than the model, shows by its loss on dev
    what is possible on new texts, because counting cannot fail as training can. The first rule that
    applies decides:

    1. The loss on train is above the fair n-gram's on dev: underfitting. The model has not even
       learnt the texts that it sees, and regularisation would only hurt.
    2. The loss on dev is more than 0.1 above that on train: overfitting. The perplexity of new
       texts is then more than a tenth above that of the training's texts.
    3. The loss on dev is above the fair n-gram's: the model does not use all that its context
       says. That is underfitting or, if the loss on train is at the floor already, overfitting.
    4. Otherwise it is a good fit.

    A loss counts as above another from a difference of 0.01 on, or of the standard error of dev
    where that is larger; the gap of rule 2 must also exceed two standard errors. The standard error
    is taken as 1.3 / sqrt(tokens of dev), since the losses of single tokens scatter by about 1.3
    nats.
    """
    e = evidence
    error = SCATTER / math.sqrt(e.n_dev)
    clear = max(SMALL_DIFFERENCE, error)
    order, fair = e.fair_ngram
    gap = e.dev - e.train
    has_room = e.train > e.floor + clear
    is_behind = e.dev > fair + clear
    if has_room and e.train > fair + clear:
        return "underfitting", _unlearnt(e)
    if gap > max(LARGE_GAP, 2 * error) or (is_behind and not has_room):
        beside = "" if e.dev > fair else f", though below that of the {order}-gram"
        return "overfitting", (
            f"Overfitting: the loss on dev is {gap:.3f} above that on train{beside}; try weight "
            "decay, dropout, fewer hidden units, fewer steps or more texts."
        )
    if is_behind:
        return "underfitting", (
            f"Underfitting: the gap is small ({gap:.3f}), but the {order}-gram, which sees no more "
            f"context, is {e.dev - fair:.3f} better on dev; try more hidden units or more steps."
        )
    return "good fit", f"Good fit: {_good_fit(e, clear)}."


def _unlearnt(e: Evidence) -> str:
    if e.train >= e.uniform:
        return (
            "Underfitting: the model predicts no better than a uniform guess; try more steps, or a "
            "smaller learning rate if the loss rose."
        )
    return (
        f"Underfitting: even on train the loss is {e.train - e.fair_ngram[1]:.3f} above that of "
        f"the {e.fair_ngram[0]}-gram on dev; try more steps, longer embeddings, more hidden units "
        "or another learning rate."
    )


def _good_fit(e: Evidence, clear: float) -> str:
    if e.known_share > MANY_KNOWN:
        return (
            f"but {100 * e.known_share:.0f} % of the dev texts also stand in train, so that dev "
            "cannot show overfitting; try the model on other texts"
        )
    order, best = e.best_ngram
    if e.dev > best + clear:
        return (
            "the gap is small and no n-gram of this context is better; try a longer context, with "
            f"which a {order}-gram is {e.dev - best:.3f} better on dev"
        )
    return (
        "the gap is small and no n-gram that was tried is better; for less, try a longer context "
        "or more texts, and look at test at the very end"
    )
