"""Sampling, written once for every kind of model."""

import warnings
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from makemore_cpp import checks
from makemore_cpp._core import sample_tokens, sample_uniforms
from makemore_cpp.arrays import Bool, Float32, Int32, Int64
from makemore_cpp.vocab import Vocab

DEFAULT_MAX_LENGTH = 100
MAX_LENGTH = 1_000_000
MAX_SAMPLES = 2**62
# Samples advance together in chunks; a chunk's largest array has about this many elements.
CHUNK_ELEMENTS = 1 << 22
MAX_CHUNK = 4096


class Model(Protocol):
    """Whatever can predict the next token."""

    @property
    def vocab(self) -> Vocab: ...  # noqa: D102
    @property
    def block_size(self) -> int: ...  # noqa: D102
    def log_probs(self, X: NDArray[np.integer]) -> Float32:
        """Return log-probabilities (N,V) of the token that follows each context X (N,T)."""


class LengthWarning(UserWarning):
    """Some samples reached `max_length` before they ended and were cut there."""


class Sample(NamedTuple):
    """One sampled text; `cut` says that it reached the greatest length before it ended."""

    text: str
    cut: bool


def sample(
    model: Model, n: int, *, seed: int = 42, max_length: int = DEFAULT_MAX_LENGTH
) -> list[str]:
    """Return n texts drawn from the model.

    Sample i depends on the model, `seed` and i alone, not on n.

    Parameters
    ----------
    model : Model
        Anything with ``vocab``, ``block_size`` and ``log_probs``.
    n : int
    seed : int
        In [0, 2**64).
    max_length : int
        A text that would be longer is cut after this many characters.

    Raises
    ------
    TypeError
        A number is not an integer.
    ArgumentError
        `n`, `seed` or `max_length` is outside its range, or a probability is not a number.

    Warns
    -----
    LengthWarning
        Says how many texts were cut.
    """
    samples = list(iter_samples(model, n, seed=seed, max_length=max_length))
    cut = sum(sample.cut for sample in samples)
    if cut:
        warnings.warn(
            f"{cut} of {n} samples reached max_length {max_length} and were cut there",
            LengthWarning,
            stacklevel=2,
        )
    return [sample.text for sample in samples]


def iter_samples(
    model: Model, n: int, *, seed: int = 42, max_length: int = DEFAULT_MAX_LENGTH
) -> Iterator[Sample]:
    """Yield the same n samples in bounded memory, each with the mark of a cut."""
    n = checks.integer("n", n, 0, MAX_SAMPLES)
    seed = checks.integer("seed", seed, 0, checks.MAX_SEED)
    max_length = checks.integer("max_length", max_length, 1, MAX_LENGTH)
    widest = max(len(model.vocab), model.block_size, max_length)
    chunk = min(MAX_CHUNK, max(1, CHUNK_ELEMENTS // widest))
    return _iter_chunks(model, n, chunk, seed, max_length)


def _iter_chunks(model: Model, n: int, chunk: int, seed: int, max_length: int) -> Iterator[Sample]:
    for first in range(0, n, chunk):
        count = min(chunk, n - first)
        tokens, lengths, cut = _draw(model, first, count, seed, max_length)
        text = model.vocab.decode(tokens)
        start = 0
        for length, is_cut in zip(lengths.tolist(), cut.tolist(), strict=True):
            yield Sample(text[start : start + length], is_cut)
            start += length


def _draw(
    model: Model, first_sample: int, n: int, seed: int, max_length: int
) -> tuple[Int32, Int64, Bool]:
    """Draw n samples side by side: all tokens one after another, lengths (n,), cut (n,)."""
    contexts = np.zeros((n, model.block_size), np.int32)
    active = np.arange(n)  # the samples that have not ended, in order
    drawn: list[Int32] = []
    drawn_by = [active[:0]]
    for position in range(max_length + 1):  # one more than max_length: the end needs a draw too
        u = sample_uniforms(seed, first_sample, n, position)[active]
        token = sample_tokens(model.log_probs(contexts), u)
        goes_on = token != 0
        active, token = active[goes_on], token[goes_on]
        if len(active) == 0 or position == max_length:
            break
        drawn.append(token)
        drawn_by.append(active)
        contexts = np.column_stack([contexts[goes_on, 1:], token])
    cut = np.zeros(n, np.bool_)
    cut[active] = True
    owner = np.concatenate(drawn_by)
    tokens = np.concatenate([np.zeros(0, np.int32), *drawn])
    return tokens[np.argsort(owner, kind="stable")], np.bincount(owner, minlength=n), cut
