"""The probability of texts under a model, for every kind of model."""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, cast, get_args, overload

import numpy as np
from numpy.typing import ArrayLike

from makemore_cpp import _core, checks
from makemore_cpp._core import ArgumentError
from makemore_cpp.arrays import AnyTexts, ArrowTexts, Float64, Int32, Int64
from makemore_cpp.data.dataset import encode_texts, sliding_contexts
from makemore_cpp.data.vocab import Vocab
from makemore_cpp.text.predictor import (
    CHUNK_ELEMENTS,
    Predictor,
    check_model,
    encode,
    predictor_of,
)

OOV = Literal["error", "skip", "-inf"]
BATCH_TOKENS = 1 << 16  # counting the context before the first token of each text
MAX_THREADS = 1024  # the core's limit


def score(
    model: Predictor, texts: AnyTexts, oov: OOV = "error", threads: int | None = None
) -> Float64:
    """Return the log-probability of each text and its end, in nats.

    A text's score does not depend on the other texts. A text that the model cannot make has the
    score -inf, and a null of an Arrow array NaN.

    Parameters
    ----------
    model : Model
    texts : iterable of str, or Arrow strings
        The texts, which are read once and never held all at the same time. An object that has
        ``__arrow_c_array__`` or ``__arrow_c_stream__``, such as the columns of pyarrow, Polars and
        pandas, is read without a copy.
    oov : {"error", "skip", "-inf"}
        How to treat a character or word that has no token (out of vocabulary), and the boundary: it
        is an error, is left out, or gives its text the score -inf.
    threads : int, optional
        The number of threads of nets; by default that of the CPUs that this process may use.

    Returns
    -------
    float64 array, shape (texts,)

    Raises
    ------
    TypeError
        `texts` is a str, or holds something other than str.
    ArgumentError
        A character or word has no token and `oov` is "error", an argument is outside its range, or
        an Arrow array is malformed or not UTF-8.
    """
    predictor = predictor_of(model)
    _check_iterable(texts)
    if isinstance(predictor, _core.LanguageModel):
        return predictor.score(texts, oov, threads)
    return _score_in_batches(model, texts, oov, threads)[0]


def score_and_length(
    model: Predictor, texts: AnyTexts, oov: OOV = "error", threads: int | None = None
) -> tuple[Float64, Int64]:
    """Return the result of `score`, and the number of tokens of each text, int64 (texts,).

    Tokens that `oov` skips do not count; the length of a null is -1.
    """
    predictor = predictor_of(model)
    _check_iterable(texts)
    if isinstance(predictor, _core.LanguageModel):
        return predictor.score_and_length(texts, oov, threads)
    return _score_in_batches(model, texts, oov, threads)


def loss(model: Predictor, X: ArrayLike, Y: ArrayLike, threads: int | None = None) -> float:
    """Return the mean loss of targets Y (N,) after contexts X (N,T), in nats per token.

    It is inf where a target has the probability 0. Only nets use `threads`.

    Raises
    ------
    TypeError
        X or Y does not hold integers.
    ArgumentError
        N is 0, or X or Y has another shape.
    RangeError
        A token is outside the vocabulary [0, V).
    """
    check_model("model", model)
    if threads is not None:
        checks.integer("threads", threads, 1, MAX_THREADS)
    X, Y = checks.examples(X, Y, model.block_size, len(model.vocab))
    return -float(model.target_log_probs(X, Y).mean())


@overload
def per_char(model: Predictor, text: str) -> Float64: ...
@overload
def per_char(model: Predictor, text: ArrowTexts) -> tuple[Float64, Int64]: ...
def per_char(model: Predictor, text: str | ArrowTexts) -> Float64 | tuple[Float64, Int64]:
    """Return the surprisal, -ln p, of each token of a text and of its end, in nats.

    Parameters
    ----------
    model : Model
    text : str, or Arrow strings
        The text, or texts as in `score`, of which none may be null.

    Returns
    -------
    surprisals : float64 array, shape (tokens + 1,)
        Their sum is the negative `score`. For Arrow strings the array holds those of all texts.
    begins : int64 array, shape (texts + 1,)
        Only for Arrow strings: text i has ``surprisals[begins[i]:begins[i + 1]]``.

    Raises
    ------
    TypeError
        `text` is not a str.
    ArgumentError
        A token is not in the vocabulary, or an Arrow string is null or malformed.
    """
    predictor = predictor_of(model)
    if isinstance(predictor, _core.LanguageModel):
        return predictor.per_char(text)
    if not checks.is_arrow(text):
        tokens = encode("text", cast(str, text), model.vocab)
        return -_token_log_probs(model, tokens, np.array([len(tokens)]))
    tokens, offsets = encode_texts("texts", checks.string_list("texts", text), model.vocab)
    surprisals = -_token_log_probs(model, tokens, np.diff(offsets))
    return surprisals, offsets + np.arange(len(offsets))


def bits_per_char(
    model: Predictor, texts: AnyTexts, oov: OOV = "error", threads: int | None = None
) -> float:
    """Return the mean surprisal of all tokens in bits, where each end counts as a token.

    It is inf where the model cannot make one of the texts. The arguments and other errors are those
    of `score`.

    Raises
    ------
    ArgumentError
        There is no text.
    """
    return mean_surprisal(model, texts, oov=oov, threads=threads) / math.log(2)


def perplexity(
    model: Predictor, texts: AnyTexts, oov: OOV = "error", threads: int | None = None
) -> float:
    """Return ``2**bits_per_char``, e to the mean surprisal in nats; see `bits_per_char`."""
    with np.errstate(over="ignore"):
        return float(np.exp(mean_surprisal(model, texts, oov=oov, threads=threads)))


def mean_surprisal(
    model: Predictor, texts: AnyTexts, *, oov: OOV = "error", threads: int | None = None
) -> float:
    """Return the mean surprisal of all tokens and ends in nats; see `bits_per_char`."""
    total, tokens = sum_of_surprisals(model, texts, oov=oov, threads=threads)
    if tokens == 0:
        raise ArgumentError("texts is empty; there must be at least one text")
    return total / tokens


def sum_of_surprisals(
    model: Predictor, texts: AnyTexts, *, oov: OOV = "error", threads: int | None = None
) -> tuple[float, int]:
    """Return the sum of surprisals of all tokens and ends in nats, and their number; skip nulls."""
    scores, lengths = score_and_length(model, texts, oov, threads)
    is_text = lengths >= 0
    return -float(scores[is_text].sum()), int((lengths[is_text] + 1).sum())


# -- models that are not frozen nets ---------------------------------------------------------------
def _check_iterable(texts: object) -> None:
    checks.refuse_table("texts", texts)
    if checks.is_arrow(texts):
        return
    # An array without dimensions has __iter__ but cannot be iterated.
    if isinstance(texts, str) or not hasattr(texts, "__iter__") or getattr(texts, "ndim", 1) == 0:
        raise TypeError(f"texts must be an iterable of str, not {type(texts).__name__}")


def _score_in_batches(
    model: Predictor, texts: AnyTexts, oov: OOV, threads: int | None
) -> tuple[Float64, Int64]:
    checks.choice("oov", oov, get_args(OOV))
    if threads is not None:  # checked although it has no effect here
        checks.integer("threads", threads, 1, MAX_THREADS)
    nulls: list[int] = []
    scores, lengths = [np.empty(0)], [np.empty(0, np.int64)]
    for first, batch in _batches(_without_nulls(texts, nulls), model.block_size):
        some, their_lengths = _score_batch(model, batch, first, oov)
        scores.append(some)
        lengths.append(their_lengths)
    all_scores, all_lengths = np.concatenate(scores), np.concatenate(lengths)
    all_scores[nulls], all_lengths[nulls] = np.nan, -1
    return all_scores, all_lengths


def _without_nulls(texts: AnyTexts, nulls: list[int]) -> Iterable[object]:
    """Return the texts with "" for the nulls of an Arrow array; append their places to `nulls`."""
    strings = checks.readable("texts", texts)
    return strings if strings is texts else _filled(strings, nulls)


def _filled(strings: Iterable[object], nulls: list[int]) -> Iterator[object]:
    for i, string in enumerate(strings):
        if string is None:
            nulls.append(i)
        yield "" if string is None else string


def _batches(texts: Iterable[object], block_size: int) -> Iterator[tuple[int, list[str]]]:
    """Yield lists of texts with about equally many tokens, each after its first text's number."""
    batch: list[str] = []
    first = tokens = 0
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{i}] must be a str, not {type(text).__name__}")
        batch.append(text)
        tokens += len(text) + block_size
        if tokens >= BATCH_TOKENS:
            yield first, batch
            batch, first, tokens = [], i + 1, 0
    yield first, batch


def _score_batch(model: Predictor, texts: list[str], first: int, oov: OOV) -> tuple[Float64, Int64]:
    counted = texts
    if oov != "error":
        skip = skipping(model.vocab)
        texts = [skip(text) for text in texts]
        if oov == "skip":
            counted = texts
    full_lengths = np.fromiter(map(model.vocab.length, counted), np.int64, len(texts))
    tokens = [encode(f"texts[{first + i}]", text, model.vocab) for i, text in enumerate(texts)]
    lengths = np.array([len(t) for t in tokens], np.int64)
    log_probs = _token_log_probs(model, np.concatenate([np.empty(0, np.int32), *tokens]), lengths)
    owner = np.repeat(np.arange(len(texts)), lengths + 1)
    # bincount adds from the first token on, as the core does; NumPy's sum would add in pairs.
    scores: Float64 = np.bincount(owner, log_probs, len(texts)).astype(np.float64)
    scores[lengths != full_lengths] = -np.inf
    return scores, full_lengths


def _token_log_probs(model: Predictor, tokens: Int32, lengths: Int64) -> Float64:
    """Return the log-probabilities of all tokens and ends of texts of these lengths."""
    windows, rows, Y = sliding_contexts(tokens, lengths, model.block_size)
    chunk = max(1, CHUNK_ELEMENTS // max(model.block_size, len(model.vocab)))
    parts = [slice(i, i + chunk) for i in range(0, len(Y), chunk)]
    log_probs = [model.target_log_probs(windows[rows[part]], Y[part]) for part in parts]
    return np.concatenate([np.empty(0), *log_probs])


def skipping(vocab: Vocab) -> Callable[[str], str]:
    """Return a function that removes from a text the tokens that `Vocab.encode` refuses."""
    if vocab.level == "char":
        outside = f"[^{''.join(map(re.escape, vocab.tokens))}]"
        refused = re.compile(outside if vocab.unknown is None else re.escape(vocab.boundary))
        return lambda text: refused.sub("", text)
    if vocab.unknown is not None:
        boundary = vocab.boundary
        return lambda text: " ".join(word for word in text.split() if word != boundary)
    known = frozenset(vocab.tokens)
    return lambda text: " ".join(word for word in text.split() if word in known)
