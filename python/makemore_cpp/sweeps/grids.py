"""Trains every combination of options and seeds, side by side; can go on after an interruption."""

import hashlib
import itertools
import json
import math
import os
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError, __version__, build_info
from makemore_cpp.data.dataset import Dataset
from makemore_cpp.sweeps import parallel
from makemore_cpp.sweeps import record as sweep_folder
from makemore_cpp.sweeps.one_run import DEFAULTS, Run, check_run, run_one
from makemore_cpp.sweeps.record import Record
from makemore_cpp.sweeps.table import Row, Table

MAX_RUNS = 100_000


class Settings(TypedDict, total=False):
    """The settings of a sweep; see `grid`."""

    seeds: Sequence[int]
    samples: int
    out: str | os.PathLike[str] | None
    jobs: int | None
    dask: str | None
    columns: Sequence[str]
    on_row: Callable[[Row, int, int], object] | None


def grid(data: Dataset, options: Mapping[str, Any], **settings: Unpack[Settings]) -> Table:
    """Train a model for every combination of the options, with every seed.

    Apart from its times, and from numbers of steps by `seconds`, the table depends only on the
    data, the options, the seeds and the instruction set, which rounds in its own way and which each
    row names.

    Parameters
    ----------
    data : Dataset
        The data; contexts are made anew for other block sizes.
    options : dict
        Options of `MLP` and `train` by name, and two limits: `max_examples` shortens a run, and
        `seconds` takes the place of `steps`: a run has as many steps as this machine does in that
        time, by its speed just before, so that its schedule ends with it. A list holds values to
        combine; anything else is the value of all runs. An option that is absent has its default.
    seeds : list of int
        The seeds of initial parameters and minibatches.
    samples : int
        The number of texts to draw from each model.
    out : str or path, optional
        A folder in which every finished run is recorded; the same sweep with the same folder goes
        on where it was interrupted.
    jobs : int, optional
        The number of runs side by side, each on one thread; by default that of the CPUs that this
        process may use. With 1, runs come one after another: choose it to compare times.
    dask : str, optional
        The address of a Dask scheduler (``tcp://host:port``), whose workers do the runs. They
        need this package, and the scheduler must be trusted: Dask sends pickled objects.
    columns : list of str
        The columns of the table, instead of the usual ones.
    on_row : callable, optional
        A function that is called with a finished row, the number of finished rows and the number of
        all rows.

    Raises
    ------
    ArgumentError, TypeError
        An option is unknown or cannot be used, before anything has been trained.
    FileError, FormatError
        `out` holds a different sweep or something else, or cannot be read or written.
    """
    return run(data, combine(options), **settings)


def combine(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a dict for each combination of the values in lists; other values are in all dicts.

    Raises
    ------
    ArgumentError
        There is no such option, a list is empty or has a value twice, or there are more than
        100,000 combinations.
    """
    if not isinstance(options, Mapping):
        raise TypeError(f"options must be a dict, not {type(options).__name__}")
    _check_names(options)
    lists = {name: _values(name, value) for name, value in options.items()}
    if math.prod(map(len, lists.values())) > MAX_RUNS:
        raise ArgumentError(f"these options have more than {MAX_RUNS:,} combinations")
    return [dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())]


def with_steps(options: Mapping[str, Any], steps: int | None) -> dict[str, Any]:
    """Return options with this number of steps, unless they set a run's length themselves."""
    if steps is None or options.get("seconds") is not None:
        return dict(options)
    return {"steps": steps, **options}


def run(
    data: Dataset,
    combinations: Sequence[Mapping[str, Any]],
    *,
    seeds: Sequence[int] = (1,),
    samples: int = 0,
    out: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    dask: str | None = None,
    columns: Sequence[str] = (),
    on_row: Callable[[Row, int, int], object] | None = None,
) -> Table:
    """Train a model for each of these dicts of options; otherwise as `grid`."""
    checks.instance("data", data, Dataset)
    checks.function("on_row", on_row)
    jobs = parallel.check_jobs(jobs, dask)
    runs = _planned_runs(data, combinations, seeds, samples)
    keys = _keys(data, runs)
    # Rows that another instruction set made are made again, except on a cluster, whose machines may
    # differ anyway.
    isa = build_info()["isa"]["used"] if dask is None else None
    opened = (
        nullcontext(None)
        if out is None
        else sweep_folder.open_record(Path(out), _description(data, runs, keys))
    )
    with opened as record:
        known = {} if record is None else record.rows
        rows = {
            key: replace(known[key], options=planned.options)  # as JSON knows no tuples
            for key, planned in zip(keys, runs, strict=True)
            if key in known and isa in (None, known[key].isa)
        }
        missing = [
            (key, planned) for key, planned in zip(keys, runs, strict=True) if key not in rows
        ]
        with closing(_run_missing(data, missing, record, jobs, dask)) as results:
            for key, row in results:
                rows[key] = row
                if on_row is not None:
                    on_row(row, len(rows), len(runs))
    return Table.of([rows[key] for key in keys], columns)


def _run_missing(
    data: Dataset,
    missing: list[tuple[str, Run]],
    record: Record | None,
    jobs: int,
    dask: str | None,
) -> Generator[tuple[str, Row], None, None]:
    with closing(parallel.unordered(_run_keyed, data, missing, jobs, dask)) as results:
        for key, row in results:
            if record is not None:
                record.add(key, row)
            yield key, row


def _run_keyed(
    data: Dataset, item: tuple[str, Run], is_stopped: parallel.IsStopped
) -> tuple[str, Row]:
    key, planned = item
    return key, run_one(data, planned, is_stopped)


# -- the runs of a sweep -------------------------------------------------------------------------
def _check_names(options: Mapping[str, Any]) -> None:
    for name in options:
        if name not in DEFAULTS:
            known = ", ".join(DEFAULTS)
            raise ArgumentError(
                f"{checks.shown(name)} is not an option of a sweep; these are: {known}"
            )


def _values(name: str, value: Any) -> list[Any]:
    value = _plain(value)
    if not isinstance(value, list | range):
        return [value]
    values = [_plain(one) for one in value]
    if not values:
        raise ArgumentError(f"{name} is an empty list; it must have at least one value")
    for i, one in enumerate(values):
        if one in values[:i]:
            raise ArgumentError(f"{name} has the value {checks.shown(one)} twice")
    return values


def _planned_runs(
    data: Dataset, combinations: Sequence[Mapping[str, Any]], seeds: Sequence[int], samples: int
) -> list[Run]:
    """Return all runs, whose options are checked."""
    samples = checks.integer("samples", samples, 0, MAX_RUNS)
    seeds = _seeds(seeds)
    if len(combinations) * len(seeds) > MAX_RUNS:
        raise ArgumentError(f"these are more than {MAX_RUNS:,} runs")
    runs = []
    for combination in combinations:
        _check_names(combination)
        if "steps" in combination and combination.get("seconds") is not None:
            raise ArgumentError("seconds takes the place of steps; give one of them")
        options = {**DEFAULTS, **{name: _plain(value) for name, value in combination.items()}}
        new = [Run(options, seed, samples) for seed in seeds]
        check_run(data, new[0])
        runs += new
    return runs


def _seeds(seeds: Sequence[int]) -> list[int]:
    if isinstance(seeds, str) or not isinstance(seeds, Iterable):
        raise TypeError(f"seeds must be a list of integers, not {type(seeds).__name__}")
    checked = [checks.integer("seeds", seed, 0, checks.MAX_SEED) for seed in seeds]
    if not checked:
        raise ArgumentError("seeds is empty; there must be at least one")
    return checked


def _plain(value: Any) -> Any:
    """Return NumPy's numbers and arrays as Python's own, which JSON knows."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


def _keys(data: Dataset, runs: Sequence[Run]) -> list[str]:
    """Return a key for each run: the digest of all that determines its result but its times."""
    vocab = data.vocab
    shown = [vocab.tokens, vocab.boundary, *[vocab.unknown] * (vocab.unknown is not None)]
    data_digest = _digest([data.train.texts, data.dev.texts, *shown])
    return [_digest([__version__, data_digest, planned]) for planned in runs]


def _description(data: Dataset, runs: Sequence[Run], keys: Sequence[str]) -> dict[str, Any]:
    """Return a description of a sweep that can show in what it differs from another one."""
    origin = data.origin
    values: dict[str, list[Any]] = {name: [] for name in DEFAULTS}
    for planned in runs:
        for name, value in planned.options.items():
            if value not in values[name]:
                values[name].append(value)
    return {
        "version": __version__,
        # Not the file's name: it may have moved.
        "data": None if origin is None else [origin.sha256, origin.split_seed],
        "words": [len(split.texts) for split in (data.train, data.dev)],
        "seeds": sorted({planned.seed for planned in runs}),
        "samples": runs[0].samples if runs else 0,
        "options": values,
        "digest": _digest(keys),
    }


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
