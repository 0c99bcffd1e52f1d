"""The tokens and texts that may follow a prefix, for every kind of model."""

from typing import NamedTuple

import numpy as np

from makemore_cpp import _core, checks
from makemore_cpp.arrays import Float32, Float64
from makemore_cpp.text import scoring
from makemore_cpp.text.predictor import Exhausted, Predictor, encode, predictor_of


class Completion(NamedTuple):
    """A text, and the log-probability of it and its end in nats."""

    text: str
    log_prob: float


def next_probs(model: Predictor, prefix: str) -> Float32:
    """Return the probabilities (V,) of the token after a text that begins with `prefix`.

    Token 0 is the end. The other tokens are those of ``model.vocab``.

    Raises
    ------
    TypeError
        `prefix` is not a str.
    ArgumentError
        A character is not in the vocabulary.
    """
    predictor = predictor_of(model)
    if isinstance(predictor, _core.LanguageModel):
        return predictor.next(prefix)
    tokens = encode("prefix", prefix, model.vocab)[-model.block_size :]
    context = np.zeros((1, model.block_size), np.int32)
    context[0, model.block_size - len(tokens) :] = tokens
    probs: Float64 = np.exp(predictor(context)[0].astype(np.float64))
    return probs.astype(np.float32)


def complete(
    model: Predictor, prefix: str = "", k: int = 10, max_length: int = 100
) -> list[Completion]:
    """Return the k most probable texts that begin with `prefix`, the most probable first.

    The best-first search is exact: the probability of a beginning is that of all texts together
    that begin with it.

    Parameters
    ----------
    model : Model
    prefix : str
    k : int
        The number of texts, at least 1; fewer are returned where the model can make only fewer.
    max_length : int
        The largest number of tokens of a text, the prefix included.

    Raises
    ------
    TypeError
        An argument has a wrong type.
    ArgumentError
        An argument is outside its range, the prefix outside the vocabulary, or a prediction of the
        model is not a distribution.
    Exhausted
        There were too many beginnings; `found` holds the texts that were found before.
    """
    predictor = predictor_of(model)
    encode("prefix", prefix, model.vocab)  # for its error, which names the prefix
    pairs, gave_up = _core.complete(predictor, model.vocab, model.block_size, prefix, k, max_length)
    found = [Completion(*pair) for pair in pairs]
    if not isinstance(predictor, _core.LanguageModel):  # `score` may be more exact than float32
        scores = scoring.score(model, [text for text, _ in found]).tolist()
        found = [Completion(c.text, s) for c, s in zip(found, scores, strict=True)]
        found.sort(key=lambda completion: -completion.log_prob)
    if gave_up:
        raise Exhausted(
            f"found {len(found):,} of {k:,} completions of {checks.quoted(prefix)}; after four "
            "million beginnings the search gave up",
            found,
        )
    return found
