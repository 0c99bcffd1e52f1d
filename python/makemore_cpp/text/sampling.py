"""Sampling, written once for every kind of model."""

import operator
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple, TypedDict, Unpack, get_args, overload

import numpy as np
from numpy.typing import NDArray

from makemore_cpp import _core, checks
from makemore_cpp._core import ArgumentError
from makemore_cpp.arrays import Bool, Float64
from makemore_cpp.text import scoring
from makemore_cpp.text.predictor import CHUNK_ELEMENTS, Exhausted, Predictor, encode, predictor_of

DEFAULT_MAX_LENGTH = 100
MAX_SAMPLES = 2**62
MAX_REJECTED = 100_000  # candidates in a row, before a search for other ones gives up
# Candidates are drawn side by side in chunks, each larger than the one before.
FIRST_CHUNK, MAX_CHUNK = 1 << 10, 1 << 16

# How the core says that a text ended; 0 is its own end.
CUT, STUCK = 1, 2
# Why a candidate is left out that ended so.
REASONS = {CUT: "did not end by max_length", STUCK: "could not reach min_length"}


class LengthWarning(UserWarning):
    """Some samples reached `max_length` before they ended and were cut there."""


class Sample(NamedTuple):
    """One sampled text; `cut` says that it reached the greatest length before it ended."""

    text: str
    cut: bool


Unfinished = Literal["keep", "redo"]


class DrawOptions(TypedDict, total=False):
    """How tokens are drawn; see `sample`."""

    seed: int
    temperature: float
    top_k: int | None
    top_p: float
    prefix: str
    min_length: int
    max_length: int


class SampleOptions(DrawOptions, total=False):
    """How tokens are drawn, and which texts are given; see `sample`."""

    unfinished: Unfinished
    unique: bool
    exclude: Iterable[str]
    threads: int | None


@overload
def sample(
    model: Predictor, n: int, *, log_probs: Literal[False] = False, **options: Unpack[SampleOptions]
) -> list[str]: ...
@overload
def sample(
    model: Predictor, n: int, *, log_probs: Literal[True], **options: Unpack[SampleOptions]
) -> tuple[list[str], Float64]: ...
def sample(
    model: Predictor,
    n: int,
    *,
    seed: int = 42,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    prefix: str = "",
    min_length: int = 0,
    max_length: int = DEFAULT_MAX_LENGTH,
    unfinished: Unfinished = "keep",
    unique: bool = False,
    exclude: Iterable[str] = (),
    log_probs: bool = False,
    threads: int | None = None,
) -> list[str] | tuple[list[str], Float64]:
    """Return n texts drawn from the model.

    Text i depends on the model, the settings, `seed` and i alone: not on n or `threads`. Candidate
    number 0, 1, 2, ... are drawn, each from random numbers of its own, and those that `unique`,
    `exclude`, `min_length` and `unfinished` allow are given in this order.

    Parameters
    ----------
    model : Model
        Of any kind.
    n : int
    seed : int
        In [0, 2**64).
    temperature : float
        Log-probabilities are divided by it: below 1 the probable becomes more probable, above 1
        less. 0 always takes the most probable token, the lower one of equals.
    top_k : int, optional
        Draw from the k most probable tokens only.
    top_p : float
        In (0, 1]: draw only from the most probable tokens, as few as have this probability
        together, after temperature and `top_k` (Holtzman et al., "The curious case of neural text
        degeneration", 2020).
    prefix : str
        All texts begin with it; it counts for the lengths.
    min_length : int
        No text ends before it has so many tokens. Candidates that the model could only end
        are left out.
    max_length : int
        A text that would be longer is cut after this many tokens.
    unfinished : {"keep", "redo"}
        What becomes of a text that was cut: it is given, or left out for the next candidate.
    unique : bool
        Give no text twice.
    exclude : collection of str, or "train"
        Texts not to give; "train" stands for the texts that the model was trained on.
    log_probs : bool
        Return the texts' scores too, those of `score`: at temperature 1.
    threads : int, optional
        By default the CPUs that this process may use.

    Returns
    -------
    texts : list of str
    log_probs : float64 array, shape (n,)
        Only when asked for.

    Raises
    ------
    TypeError
        An argument has a wrong type.
    ArgumentError
        An argument is outside its range, the prefix outside the vocabulary, what the model gives
        is not a distribution, or it does not know its training texts.
    FileError
        The file of the training texts cannot be read.
    Exhausted
        100,000 candidates in a row were left out; `found` holds the texts until then.

    Warns
    -----
    LengthWarning
        Says how many texts were cut.
    """
    n = checks.integer("n", n, 0, MAX_SAMPLES)
    drawn = _Candidates(
        model, unfinished, unique, exclude, threads,
        seed=seed, temperature=temperature, top_k=top_k, top_p=top_p, prefix=prefix,
        min_length=min_length, max_length=max_length,
    )  # fmt: skip
    texts: list[str] = []
    cut = 0
    try:
        for chunk, is_cut in drawn.chunks(n):
            texts += chunk
            cut += int(is_cut.sum())
    except Exhausted as error:
        error.found = texts
        raise
    if cut:
        warnings.warn(
            f"{cut} of {n} samples reached max_length {max_length} and were cut there",
            LengthWarning,
            stacklevel=2,
        )
    return (texts, scoring.score(model, texts, threads=threads)) if log_probs else texts


def iter_samples(
    model: Predictor,
    n: int | None = None,
    *,
    unfinished: Unfinished = "keep",
    unique: bool = False,
    exclude: Iterable[str] = (),
    threads: int | None = None,
    **options: Unpack[DrawOptions],
) -> Iterator[Sample]:
    """Yield the samples of `sample`, each with the mark of a cut, without end if there is no n.

    The arguments are those of `sample`, and so are the errors; `found` of Exhausted is empty. The
    memory it needs is bounded, but for `unique`, which remembers every text that it gave.
    """
    for name in options.keys() - DrawOptions.__annotations__.keys():
        raise TypeError(f"iter_samples has no option {checks.shown(name)}")
    n = MAX_SAMPLES if n is None else checks.integer("n", n, 0, MAX_SAMPLES)
    drawn = _Candidates(model, unfinished, unique, exclude, threads, **options)
    return (
        Sample(*candidate)
        for chunk, is_cut in drawn.chunks(n)
        for candidate in zip(chunk, is_cut.tolist(), strict=True)
    )


class _Candidates:
    """Texts of one model, drawn in order, without those that are not wanted."""

    def __init__(
        self,
        model: Predictor,
        unfinished: Unfinished,
        unique: bool,
        exclude: Iterable[str],
        threads: int | None,
        **options: Unpack[DrawOptions],
    ) -> None:
        predictor = predictor_of(model)
        encode("prefix", options.get("prefix", ""), model.vocab)  # for the sake of the error
        self._sampler = _core.Sampler(predictor, model.vocab, model.block_size, **options)
        longest = operator.index(options.get("max_length", DEFAULT_MAX_LENGTH))
        widest = max(len(model.vocab), model.block_size, longest)
        self._max_chunk = min(MAX_CHUNK, max(1, CHUNK_ELEMENTS // widest))
        self._threads = threads
        is_redone = checks.choice("unfinished", unfinished, get_args(Unfinished)) == "redo"
        self._reasons = REASONS if is_redone else {STUCK: REASONS[STUCK]}
        self._unique = checks.flag("unique", unique)
        self._excluded = _excluded_texts(model, exclude)
        self._given: set[str] = set()
        self._rejected: Counter[str] = Counter()  # reasons, since one was last accepted

    def chunks(self, n: int) -> Iterator[tuple[list[str], Bool]]:
        """Yield n texts in chunks, and which of them were cut; or raise Exhausted on the way."""
        drawn = found = 0
        size = FIRST_CHUNK
        while found < n:
            # The number that will be needed if the share that is accepted stays what it was.
            needed = -(-(n - found) * max(drawn, 1) // max(found, 1))
            count = min(size, needed, self._max_chunk)
            texts, endings = self._sampler.draw(drawn, count, self._threads)
            has_reason = np.isin(endings, list(self._reasons)).any()
            if self._unique or self._excluded or has_reason:
                accepted = self._accepted(texts, endings, n - found)
                texts, endings = [texts[i] for i in accepted], endings[accepted]
            else:
                self._rejected.clear()
            yield texts, endings == CUT
            drawn += count
            found += len(texts)
            size *= 2
            if self._rejected.total() >= MAX_REJECTED:
                raise Exhausted(self._why_exhausted(found, n))

    def _accepted(self, texts: list[str], endings: NDArray[np.uint8], wanted: int) -> list[int]:
        """Return the places of the first `wanted` accepted texts, fewer when giving up."""
        accepted: list[int] = []
        for i, (text, ending) in enumerate(zip(texts, endings.tolist(), strict=True)):
            if ending in self._reasons:
                self._rejected[self._reasons[ending]] += 1
            elif text in self._excluded:
                self._rejected["are excluded"] += 1
            elif text in self._given:
                self._rejected["were given before"] += 1
            else:
                accepted.append(i)
                self._rejected.clear()
                if self._unique:
                    self._given.add(text)
            if len(accepted) == wanted or self._rejected.total() >= MAX_REJECTED:
                break
        return accepted

    def _why_exhausted(self, found: int, n: int) -> str:
        wanted = "" if n == MAX_SAMPLES else f" of {n:,}"
        reasons = " and ".join(f"{count:,} {reason}" for reason, count in self._rejected.items())
        return f"found {found:,}{wanted} samples; of the next {MAX_REJECTED:,} candidates {reasons}"


def _excluded_texts(model: Predictor, exclude: Iterable[str]) -> frozenset[str]:
    if not isinstance(exclude, str):
        return frozenset(checks.string_list("exclude", exclude))
    if exclude != "train":
        raise ArgumentError(
            f'exclude is {checks.quoted(exclude)}; it must be "train" or a collection of str'
        )
    texts = model.training_texts()
    if texts is None:
        raise ArgumentError(
            'exclude is "train", but this model does not know the texts that it was trained on; '
            "give them instead"
        )
    return texts
