"""The diagnosis of a model: its losses beside baselines and a floor, and a verdict."""

import math
from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

from makemore_cpp.data.dataset import Dataset, build_dataset
from makemore_cpp.evaluation.losses import ModelLosses, check_finite, check_fit, compare
from makemore_cpp.evaluation.verdict import Evidence, Verdict, judge
from makemore_cpp.models.counts import MAX_ORDER, NGramCounts
from makemore_cpp.models.frozen import Net
from makemore_cpp.models.kneser_ney import KneserNey
from makemore_cpp.text.model import Model

QUICK_ORDER = 6  # the order of the best n-gram on dev of the lecture's names
NO_DEV = "No verdict: there is no dev text to try the model on; give it more texts."
OTHER_DATA = "No verdict: the model was not trained on this train split."


class Diagnosis(NamedTuple):
    """The losses of a model beside others, in nats per token, and the verdict on the model."""

    losses: list[ModelLosses]  # uniform, bigram, the best n-grams, this model
    block_size: int
    # The least loss on train that a model with this context can have; beyond 99 tokens, with 99.
    floor: float
    known_share: float | None  # the share of the dev texts that also stand in train
    verdict: Verdict
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """Return everything as types that JSON has."""
        losses = [{**row._asdict(), "gap": row.gap} for row in self.losses]
        return {**self._asdict(), "losses": losses}


def diagnose(
    model: Model,
    data: Dataset,
    threads: int | None = None,
    *,
    comparison: Sequence[ModelLosses] | None = None,
    quick: bool = False,
) -> Diagnosis:
    """Compare a model with counts on train and dev, and say how well it fits.

    Parameters
    ----------
    model : Model
    data : Dataset
        The data on which the model was trained, with its vocabulary and block size.
    threads : int, optional
        The number of threads; by default that of the CPUs that this process may use.
    comparison : list of ModelLosses, optional
        The result of `compare`, where it is known already.
    quick : bool
        Whether to try only the n-gram that sees the model's context, at most a 6-gram, instead of
        longer and longer ones until they get worse on dev.

    Raises
    ------
    TypeError
        `model` is not a Model, or `data` not a Dataset.
    ArgumentError
        The data do not fit the model, or its loss is not finite.
    """
    check_fit(model, data)
    *baselines, this = compare(model, data, threads) if comparison is None else comparison
    for name, loss in (("train", this.train), ("dev", this.dev)):
        if loss is not None:
            check_finite(name, loss)
    # A context that is longer than the longest text says nothing more.
    length = data.vocab.length
    longest = max(1, *map(length, data.train.texts), *map(length, data.dev.texts))
    block_size = min(model.block_size, longest, MAX_ORDER - 1)
    tried = _try_ngrams(data, block_size, longest, quick)
    floor = _floor(data, block_size, tried)
    known_share = _known_share(data)
    if this.train is None or this.dev is None or known_share is None:
        return Diagnosis([*baselines, this], model.block_size, floor, None, "unknown", NO_DEV)

    fair = min((t for t in tried if t.model.order <= block_size + 1), key=lambda t: t.dev)
    best = min(tried, key=lambda t: t.dev)
    verdict, sentence = judge(
        Evidence(
            this.train,
            this.dev,
            n_dev=len(data.dev.Y),
            uniform=math.log(len(data.vocab)),
            floor=floor,
            fair_ngram=(fair.model.order, fair.dev),
            best_ngram=(best.model.order, best.dev),
            known_share=known_share,
        )
    )
    if _is_other_data(model, data):
        verdict, sentence = "unknown", OTHER_DATA
    ngrams = [t.losses() for t in ((fair,) if best is fair else (fair, best))]
    losses = [*baselines, *ngrams, this]
    return Diagnosis(losses, model.block_size, floor, known_share, verdict, sentence)


class _Tried(NamedTuple):
    """An n-gram and its loss on dev."""

    model: KneserNey
    dev: float

    def losses(self) -> ModelLosses:
        """Return the losses; train needs only its distinct examples, which are far fewer."""
        X, Y, counts = self.model.counts.distinct_examples()
        train = -float(counts @ self.model.target_log_probs(X, Y)) / self.model.counts.n_examples
        return ModelLosses(f"{self.model.order}-gram, Kneser-Ney", train, self.dev)


def _try_ngrams(data: Dataset, block_size: int, longest: int, quick: bool) -> list[_Tried]:
    """Return n-grams of rising order until one is worse on dev; none without dev texts."""
    if len(data.dev.Y) == 0:
        return []
    if quick:
        order = min(block_size + 1, QUICK_ORDER)
        return [_try_ngram(data, KneserNey(data.vocab, data.train.texts, order))]
    tried: list[_Tried] = []
    models = KneserNey.rising(data.vocab, data.train.texts)
    for model in islice(models, 1, min(longest + 1, MAX_ORDER)):
        tried.append(_try_ngram(data, model))
        if len(tried) > 1 and tried[-1].dev > tried[-2].dev:
            break
    return tried


def _try_ngram(data: Dataset, model: KneserNey) -> _Tried:
    examples = build_dataset(data.dev.texts, data.vocab, model.block_size)
    return _Tried(model, model.loss(*examples))


def _floor(data: Dataset, block_size: int, tried: list[_Tried]) -> float:
    for ngram in tried:
        if ngram.model.order == block_size + 1:  # its counts are the ones needed
            return ngram.model.counts.conditional_entropy()
    return NGramCounts(data.vocab, data.train.texts, block_size + 1).conditional_entropy()


def _known_share(data: Dataset) -> float | None:
    """Return the share of dev texts that also stand in train."""
    if not data.dev.texts:
        return None
    train = set(data.train.texts)
    return sum(text in train for text in data.dev.texts) / len(data.dev.texts)


def _is_other_data(model: Model, data: Dataset) -> bool:
    """Whether the origins of model and data are both known and differ in file or split."""
    known = model.data if isinstance(model, Net) else None  # counts do not know their file
    if known is None or data.origin is None:
        return False
    return known[1:] != data.origin[1:]  # without the name: a file may have moved
