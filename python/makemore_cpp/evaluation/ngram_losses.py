"""The losses of n-grams by the length of the context: what counting can and cannot do."""

from itertools import islice
from typing import NamedTuple

from makemore_cpp import checks
from makemore_cpp.data.dataset import Dataset, build_dataset
from makemore_cpp.models.counts import MAX_ORDER
from makemore_cpp.models.kneser_ney import KneserNey
from makemore_cpp.models.ngram import NGram

SMOOTHING = 0.1  # the best of 1, 0.1 and 0.01 for names, for contexts of any length


class NGramRow(NamedTuple):
    """Counts of tokens after contexts of `block_size` tokens; losses are in nats per token.

    The fields on dev are None where that split is empty.
    """

    block_size: int
    possible_contexts: int  # V**block_size
    table_cells: int  # V**(block_size + 1): a count for every token after every context
    contexts_seen: int  # in train
    unseen_share: float | None  # the share of positions in dev whose context is not in train
    floor: float  # the least loss on train that a model of this context can have
    additive: float | None  # the loss of additive smoothing on dev
    kneser_ney: float | None  # the loss of modified Kneser-Ney smoothing on dev


def ngram_table(
    data: Dataset, max_block_size: int = 9, smoothing: float = SMOOTHING
) -> list[NGramRow]:
    """Return a row for each number of tokens of context from 1 to `max_block_size`.

    Parameters
    ----------
    data : Dataset
        The n-grams of train are counted and tried on dev; the block size of the data does not
        matter.
    max_block_size : int
        The longest context, 1 to 99 tokens.
    smoothing : float
        The smoothing of the column `additive`.

    Raises
    ------
    TypeError
        `data` is not a Dataset, or `max_block_size` or `smoothing` not a number.
    ArgumentError
        `max_block_size` or `smoothing` is outside its range.
    """
    checks.instance("data", data, Dataset)
    longest = checks.integer("max_block_size", max_block_size, 1, MAX_ORDER - 1)
    models = islice(KneserNey.rising(data.vocab, data.train.texts), 1, longest + 1)
    return [_row(data, kneser_ney, smoothing) for kneser_ney in models]


def _row(data: Dataset, kneser_ney: KneserNey, smoothing: float) -> NGramRow:
    V, block_size = len(data.vocab), kneser_ney.block_size
    additive = NGram.of_counts(kneser_ney.counts, smoothing)
    unseen_share = additive_loss = kneser_ney_loss = None
    if data.dev.texts:
        X, Y = build_dataset(data.dev.texts, data.vocab, block_size)
        unseen_share = additive.counts.unseen_share(X)
        additive_loss = additive.loss(X, Y)
        kneser_ney_loss = kneser_ney.loss(X, Y)
    return NGramRow(
        block_size=block_size,
        possible_contexts=V**block_size,
        table_cells=V ** (block_size + 1),
        contexts_seen=additive.counts.contexts_seen,
        unseen_share=unseen_share,
        floor=additive.counts.conditional_entropy(),
        additive=additive_loss,
        kneser_ney=kneser_ney_loss,
    )
