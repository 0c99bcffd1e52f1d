"""Sampling of texts, for every kind of model."""

import operator
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Literal, NamedTuple, TypedDict, Unpack, get_args, overload

import numpy as np
from numpy.typing import NDArray

from makemore_cpp import _core, checks
from makemore_cpp._core import ArgumentError, TextColumn
from makemore_cpp.arrays import AnyTexts, Bool, Float64
from makemore_cpp.text import scoring
from makemore_cpp.text.predictor import CHUNK_ELEMENTS, Exhausted, Predictor, encode, predictor_of

DEFAULT_MAX_LENGTH = 100
MAX_SAMPLES = 2**62
MAX_REJECTED = 100_000  # candidates that are left out in a row before the search gives up
# Candidates are drawn side by side in chunks, each twice as large as the one before.
FIRST_CHUNK, MAX_CHUNK = 1 << 10, 1 << 16

# The core's numbers for the endings of texts; 0 means that the model drew the boundary.
CUT, STUCK = 1, 2
# The reasons for leaving out candidates with these endings.
REASONS = {CUT: "did not end by max_length", STUCK: "could not reach min_length"}


class LengthWarning(UserWarning):
    """Some samples reached `max_length` before they ended and were cut there."""


class Sample(NamedTuple):
    """One sampled text; `cut` tells that it reached `max_length` before it ended."""

    text: str
    cut: bool


Unfinished = Literal["keep", "redo"]


class DrawOptions(TypedDict, total=False):
    """The options on how tokens are drawn; see `sample`."""

    seed: int
    temperature: float
    top_k: int | None
    top_p: float
    prefix: str
    min_length: int
    max_length: int


class SampleOptions(DrawOptions, total=False):
    """The options on how tokens are drawn and which texts are returned; see `sample`."""

    start: int | None
    unfinished: Unfinished
    unique: bool
    exclude: AnyTexts
    threads: int | None


@overload
def sample(
    model: Predictor,
    n: int,
    *,
    log_probs: Literal[False] = False,
    as_arrow: Literal[False] = False,
    **options: Unpack[SampleOptions],
) -> list[str]: ...
@overload
def sample(
    model: Predictor,
    n: int,
    *,
    log_probs: Literal[False] = False,
    as_arrow: Literal[True],
    **options: Unpack[SampleOptions],
) -> TextColumn: ...
@overload
def sample(
    model: Predictor,
    n: int,
    *,
    log_probs: Literal[True],
    as_arrow: Literal[False] = False,
    **options: Unpack[SampleOptions],
) -> tuple[list[str], Float64]: ...
@overload
def sample(
    model: Predictor,
    n: int,
    *,
    log_probs: Literal[True],
    as_arrow: Literal[True],
    **options: Unpack[SampleOptions],
) -> tuple[TextColumn, Float64]: ...
def sample(
    model: Predictor,
    n: int,
    *,
    start: int | None = None,
    seed: int = 42,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    prefix: str = "",
    min_length: int = 0,
    max_length: int = DEFAULT_MAX_LENGTH,
    unfinished: Unfinished = "keep",
    unique: bool = False,
    exclude: AnyTexts = (),
    log_probs: bool = False,
    as_arrow: bool = False,
    threads: int | None = None,
) -> list[str] | TextColumn | tuple[list[str] | TextColumn, Float64]:
    """Return n texts drawn from the model.

    Text i depends on the model, the options, `seed` and i alone, not on n or `threads`. Candidates
    number 0, 1, 2, ... are drawn, each with its own random numbers, and those that `unique`,
    `exclude`, `min_length` and `unfinished` allow are returned in this order.

    Parameters
    ----------
    model : Model
    n : int
        The number of texts.
    start : int, optional
        Return texts number `start` to ``start + n - 1``, one machine's share of a larger sample.
        Then no candidate may be left out, because that would change the numbers of all that
        follow: `unique`, `exclude` and "redo" are refused, and so is a candidate that cannot reach
        `min_length`.
    seed : int
        The seed of the random numbers, in [0, 2**64).
    temperature : float
        The divisor of log-probabilities: below 1 probable tokens become more probable, above 1 less
        so. With 0 the most probable token is always taken, the lower one of equals.
    top_k : int, optional
        Draw only from the k most probable tokens.
    top_p : float
        Draw only from the fewest most probable tokens that together have this probability, in
        (0, 1], after temperature and `top_k` (Holtzman et al., "The curious case of neural text
        degeneration", 2020).
    prefix : str
        The beginning of all texts; the lengths include it.
    min_length : int
        No text ends before it has this many tokens. A candidate is left out if the model gives no
        token but the end a probability before.
    max_length : int
        A text that would be longer is cut after this many tokens.
    unfinished : {"keep", "redo"}
        Whether a text that was cut is returned, or left out for the next candidate.
    unique : bool
        Whether to return no text twice.
    exclude : collection of str, or "train"
        Texts to leave out; "train" stands for the texts on which the model was trained.
    log_probs : bool
        Whether to return the texts' scores too, which are those of `score`: at temperature 1.
    as_arrow : bool
        Whether to return the texts as a column that all readers of Arrow arrays take without a
        copy: ``pyarrow.array(column)``, ``polars.Series(column)``. No str is made of them.
    threads : int, optional
        The number of threads; by default that of the CPUs that this process may use.

    Returns
    -------
    texts : list of str, or TextColumn
    log_probs : float64 array, shape (n,)
        Only with `log_probs`.

    Raises
    ------
    TypeError
        An argument has a wrong type.
    ArgumentError
        An argument is outside its range, the prefix outside the vocabulary, a prediction of the
        model is not a distribution, the model does not know its training texts, or `start` is
        given and a candidate would be left out.
    FileError
        The file of the training texts cannot be read.
    Exhausted
        100,000 candidates in a row were left out; `found` holds the texts until then.

    Warns
    -----
    LengthWarning
        Some texts were cut; the warning has their number.
    """
    n = checks.integer("n", n, 0, MAX_SAMPLES)
    drawn = _Candidates(
        model, unfinished, unique, exclude, threads, start,
        seed=seed, temperature=temperature, top_k=top_k, top_p=top_p, prefix=prefix,
        min_length=min_length, max_length=max_length,
    )  # fmt: skip
    texts: list[str] | TextColumn = TextColumn() if checks.flag("as_arrow", as_arrow) else []
    cut = 0
    try:
        for chunk, is_cut in drawn.chunks(n):
            if isinstance(texts, TextColumn):
                texts.append(chunk)
            else:
                texts += _strings(chunk)
            cut += int(is_cut.sum())
    except Exhausted as error:
        error.found = _strings(texts)
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
    start: int | None = None,
    unfinished: Unfinished = "keep",
    unique: bool = False,
    exclude: AnyTexts = (),
    threads: int | None = None,
    **options: Unpack[DrawOptions],
) -> Iterator[Sample]:
    """Yield the samples of `sample` one by one, without end if there is no n.

    The arguments and errors are those of `sample`; `found` of Exhausted is empty. Memory is
    bounded, except that `unique` remembers every text.
    """
    for name in options.keys() - DrawOptions.__annotations__.keys():
        raise TypeError(f"iter_samples has no option {checks.shown(name)}")
    n = MAX_SAMPLES if n is None else checks.integer("n", n, 0, MAX_SAMPLES)
    drawn = _Candidates(model, unfinished, unique, exclude, threads, start, **options)
    return (
        Sample(*candidate)
        for chunk, is_cut in drawn.chunks(n)
        for candidate in zip(_strings(chunk), is_cut.tolist(), strict=True)
    )


class _Candidates:
    """The candidates of one model: draws them in order and leaves out those not wanted."""

    def __init__(
        self,
        model: Predictor,
        unfinished: Unfinished,
        unique: bool,
        exclude: AnyTexts,
        threads: int | None,
        start: int | None,
        **options: Unpack[DrawOptions],
    ) -> None:
        predictor = predictor_of(model)
        encode("prefix", options.get("prefix", ""), model.vocab)  # for its error
        self._sampler = _core.Sampler(predictor, model.vocab, model.block_size, **options)
        longest = operator.index(options.get("max_length", DEFAULT_MAX_LENGTH))
        widest = max(len(model.vocab), model.block_size, longest)
        self._max_chunk = min(MAX_CHUNK, max(1, CHUNK_ELEMENTS // widest))
        self._threads = threads
        is_redone = checks.choice("unfinished", unfinished, get_args(Unfinished)) == "redo"
        self._reasons = REASONS if is_redone else {STUCK: REASONS[STUCK]}
        self._unique = checks.flag("unique", unique)
        self._excluded = _excluded_texts(model, exclude)
        self._start = start
        if start is not None:
            self._start = checks.integer("start", start, 0, MAX_SAMPLES)
            self._check_that_all_are_given(is_redone)
        self._given: set[str] = set()
        self._rejected: Counter[str] = Counter()  # the reasons since a candidate was last accepted

    def _check_that_all_are_given(self, is_redone: bool) -> None:
        for option, leaves_out in (
            ("unique", self._unique),
            ("exclude", self._excluded),
            ('unfinished="redo"', is_redone),
        ):
            if leaves_out:
                raise ArgumentError(
                    f"start and {option} exclude each other: which text is number {self._start} "
                    "would depend on how many before it are left out"
                )

    def chunks(self, n: int) -> Iterator[tuple[list[str] | TextColumn, Bool]]:
        """Yield n texts in chunks, and which of them were cut; may raise Exhausted on the way."""
        drawn = found = 0
        start = self._start or 0
        size = FIRST_CHUNK
        while found < n:
            # The number that is needed if the share of accepted candidates stays the same.
            needed = -(-(n - found) * max(drawn, 1) // max(found, 1))
            count = min(size, needed, self._max_chunk)
            column, endings = self._sampler.draw(start + drawn, count, self._threads)
            has_reason = np.isin(endings, list(self._reasons))
            if has_reason.any() and self._start is not None:
                number = start + drawn + int(has_reason.argmax())
                raise ArgumentError(
                    f"start is {start}, but candidate {number} {REASONS[STUCK]}, and without it "
                    "all that follow have other numbers: choose a lower min_length"
                )
            texts: list[str] | TextColumn = column
            if self._unique or self._excluded or has_reason.any():
                strings = column.tolist()
                accepted = self._accepted(strings, endings, n - found)
                texts, endings = [strings[i] for i in accepted], endings[accepted]
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


def _strings(chunk: list[str] | TextColumn) -> list[str]:
    return chunk if isinstance(chunk, list) else chunk.tolist()


def _excluded_texts(model: Predictor, exclude: AnyTexts) -> frozenset[str]:
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
