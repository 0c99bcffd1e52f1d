"""The losses of a trained model on the splits, beside those of baselines."""

import math
import sys
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError
from makemore_cpp.data.dataset import Dataset, Preparation, Split, new_texts
from makemore_cpp.data.origin import check_unchanged, load_origin, open_origin
from makemore_cpp.data.texts import DataOrigin, Texts, load_texts, open_texts
from makemore_cpp.models.frozen import Net
from makemore_cpp.models.mlp import MLP
from makemore_cpp.models.ngram import NGram
from makemore_cpp.text import scoring
from makemore_cpp.text.model import Model
from makemore_cpp.text.predictor import check_model, encode

DEFAULT_SPLIT_SEED = 42
ADVICE = "name the file to evaluate on with --data"
TEXTS_AT_ONCE = 1 << 17  # texts that are scored in one call
MAX_LOG_PERPLEXITY = math.log(sys.float_info.max)


class ModelLosses(NamedTuple):
    """A model's name and its losses on train and dev in nats per token; None for an empty split."""

    name: str
    train: float | None
    dev: float | None

    @property
    def gap(self) -> float | None:
        """The loss on dev minus that on train, None where either is None."""
        return None if self.train is None or self.dev is None else self.dev - self.train


class SplitLoss(NamedTuple):
    """A split, its number of texts, the loss (nats per token) and the perplexity.

    Loss and perplexity are None for an empty split; a perplexity beyond the range of floats is None
    too.
    """

    split: str
    texts: int
    loss: float | None
    perplexity: float | None


def split_loss(model: Model, split: Split, threads: int | None = None) -> float | None:
    """Return the model's loss on a split in nats per token, None if the split is empty."""
    if len(split.Y) == 0:
        return None
    return model.loss(split.X, split.Y, threads=threads)


def check_fit(model: Model, data: Dataset) -> None:
    """Raise TypeError or ArgumentError unless the data are of the model's tokens and contexts."""
    check_model("model", model)
    checks.instance("data", data, Dataset)
    data.check_fits(model.vocab, model.block_size)


def model_losses(model: Model, data: Dataset, threads: int | None = None) -> ModelLosses:
    """Return the losses of the model on train and dev."""
    train, dev = (split_loss(model, split, threads) for split in (data.train, data.dev))
    return ModelLosses("this model", train, dev)


def compare(
    model: Model, data: Dataset, threads: int | None = None, own: ModelLosses | None = None
) -> list[ModelLosses]:
    """Return the losses of the uniform guess, of bigram counts and of the model, in this order.

    `own` are the model's losses; without them, `model_losses` computes them.
    """
    check_fit(model, data)
    uniform = math.log(len(data.vocab))
    bigram = NGram(data.vocab, data.train.texts, order=2)
    splits = [split if len(split.Y) else None for split in (data.train, data.dev)]
    guesses = [None if split is None else uniform for split in splits]
    counts = [None if split is None else bigram.loss(split.X[:, -1:], split.Y) for split in splits]
    return [
        ModelLosses("uniform, ln V", *guesses),
        ModelLosses("bigram counts", *counts),
        model_losses(model, data, threads) if own is None else own,
    ]


def find_texts(model: Net, path: str | None = None) -> Texts:
    """Return the texts of a file, or of the data that the model was trained on.

    Raises
    ------
    ArgumentError
        There is no path, and it is not known where the model's data are, or they have changed.
    """
    return load_texts(path) if path is not None else load_origin(_origin_of(model), ADVICE)


def _origin_of(model: Net) -> DataOrigin:
    if model.data is None:
        raise ArgumentError(f"this model does not remember its data; {ADVICE}")
    return model.data


def split_as_trained(model: MLP, texts: Texts) -> Dataset:
    """Split texts with the model's vocabulary and block size, as they were for its training.

    Raises
    ------
    ArgumentError
        A text does not fit the vocabulary.
    """
    return Dataset.again(texts, model.block_size, _split_seed(model), model.vocab)


def held_out_texts(model: Net, texts: Texts) -> list[str]:
    """Return the dev texts, split as in the model's training, that do not also stand in train."""
    train, dev, _ = Preparation.of(_split_seed(model)).cut(texts, model.vocab)
    return new_texts(train, dev)


def _split_seed(model: Net) -> int | str:
    known = None if model.data is None else model.data.split_seed
    return DEFAULT_SPLIT_SEED if known is None else known


def evaluate_file(
    model: MLP, path: str | None = None, threads: int | None = None
) -> tuple[SplitLoss, DataOrigin]:
    """Return the loss on all texts of a file, or of the model's data, and the file's origin.

    The texts are read one after another, so that memory does not grow with the file.

    Raises
    ------
    ArgumentError
        `find_texts` would raise it, a character is not in the vocabulary, the loss is not finite,
        or the model was trained on a stream.
    """
    how = Preparation.of(_split_seed(model))
    if how.sizes is not None:
        raise ArgumentError(
            "this model was trained on a stream, which knows no texts one by one: it has the "
            "splits train, dev and test"
        )
    count = 0
    text = ""
    opened = open_origin(_origin_of(model), ADVICE) if path is None else open_texts(path)
    with opened as texts:

        def counted() -> Iterator[str]:
            nonlocal count, text
            for text in texts:
                count += 1
                if how.lower:
                    text = text.lower()
                yield text

        remaining = counted()
        total, tokens, more = 0.0, 0, 1
        try:
            while more > 0:
                part = islice(remaining, TEXTS_AT_ONCE)
                surprisal, more = scoring.sum_of_surprisals(model, part, threads=threads)
                total, tokens = total + surprisal, tokens + more
        except ArgumentError:
            encode(f"texts[{count - 1}]", text, model.vocab)  # raises an error that shows the text
            raise
    if path is None:
        check_unchanged(texts, _origin_of(model), ADVICE)
    return _row("all", count, total / tokens), DataOrigin(texts.name, texts.sha256)


def evaluate(
    model: MLP, data: Dataset, split_name: str | None = None, threads: int | None = None
) -> list[SplitLoss]:
    """Return the losses on splits of the data.

    Parameters
    ----------
    model : MLP
    data : Dataset
        The result of `split_as_trained`.
    split_name : {"train", "dev", "test"}, optional
        The only split; by default train and dev.

    Raises
    ------
    ArgumentError
        A loss is not finite.
    """
    splits = {"train": data.train, "dev": data.dev, "test": data.test}
    names = ("train", "dev") if split_name is None else (split_name,)
    return [_split_loss_row(model, name, splits[name], threads) for name in names]


def _split_loss_row(model: MLP, name: str, split: Split, threads: int | None) -> SplitLoss:
    loss = split_loss(model, split, threads)
    if loss is None:
        return SplitLoss(name, len(split.texts), None, None)
    return _row(name, len(split.texts), loss)


def _row(name: str, texts: int, loss: float) -> SplitLoss:
    check_finite(name, loss)
    perplexity = math.exp(loss) if loss <= MAX_LOG_PERPLEXITY else None
    return SplitLoss(name, texts, loss, perplexity)


def check_finite(split_name: str, loss: float) -> None:
    """Raise ArgumentError unless the model's loss on a split is a finite number."""
    if not math.isfinite(loss):
        raise ArgumentError(
            f"the model's loss on {split_name} is {loss}: its parameters are so large that it "
            "overflows"
        )
