"""The lecture's experiments, each described once as data, and a function that runs any of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError
from makemore_cpp.data.dataset import Dataset, Split, build_dataset
from makemore_cpp.sweeps import grids
from makemore_cpp.sweeps.table import LOSSES, Table

MAX_TRAIN_TEXTS = 2**40
QUICK = 50  # a quick experiment does this fraction of the work

# The learning rate for each batch size: about the best of 0.01, 0.03, 0.1, 0.3 and 1 in runs of a
# second.
RATES_OF_BATCHES = {1: 0.01, 32: 0.03, 256: 0.3, 4096: 1.0, "all": 1.0}


@dataclass(frozen=True)
class Experiment:
    """A question, and the sweep that answers it.

    Attributes
    ----------
    question : str
    grids : list of dict
        Options as of `sweeps.grid`; the grids come one after another in the same table.
    steps : int or None
        The number of steps of each run, or None where the grids have it.
    columns : tuple of str
        The columns of the table.
    x, by, y : str and tuples of str, or None
        The axis, lines and losses of the picture, as of `sweeps.pictures.lines`; without `x` the
        picture is that of `sweeps.pictures.sweep`.
    samples : int
        The number of texts to draw from each model.
    is_timed : bool
        Whether time is a result, so that runs must come one after another.
    train_texts : int or None
        The number of texts to train on; None means all.
    """

    question: str
    grids: Sequence[Mapping[str, Any]]
    steps: int | None
    columns: tuple[str, ...]
    x: str | None = None
    by: tuple[str, ...] | None = None
    y: tuple[str, ...] = ("train", "dev")
    samples: int = 0
    is_timed: bool = False
    train_texts: int | None = None

    @property
    def varied(self) -> set[str]:
        """The options in which the runs differ; `run_experiment` does not let a caller set them."""
        values: dict[str, list[Any]] = {}
        for grid in self.grids:
            for name, value in grid.items():
                values.setdefault(name, []).append(value)
        return {
            name
            for name, each in values.items()
            if len(each) < len(self.grids)
            or any(isinstance(value, list) or value != each[0] for value in each)
        }


EXPERIMENTS = {
    "scaling": Experiment(
        "What do more hidden units and longer embeddings bring?",
        [{"n_embd": [2, 10], "n_hidden": [100, 200, 300, 500]}],
        steps=50_000,
        columns=("n_embd", "n_hidden", *LOSSES),
    ),
    "context": Experiment(
        "What does a longer context bring, and what does it cost? (exercise 3)",
        [{"block_size": [2, 3, 4, 5, 8]}],
        steps=200_000,
        columns=("block_size", *LOSSES),
        samples=20,
        is_timed=True,
    ),
    "weight-decay": Experiment(
        "How does weight decay close the gap between train and dev? (exercise 5)",
        # The net has so many parameters that without decay it learns the few texts by heart.
        [
            {
                "weight_decay": [0.0, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2],
                "block_size": 5,
                "n_hidden": 300,
            }
        ],
        steps=30_000,
        columns=("weight_decay", *LOSSES),
        x="weight_decay",
        y=("train", "dev", "gap"),
        train_texts=2000,
    ),
    "batch": Experiment(
        "How large should a batch be, at equal time and at equal examples?",
        [
            {
                "batch_size": size,
                "lr": rate,
                "schedule": "constant",
                **limit,
            }
            for limit in (
                {"seconds": 2.0},
                {"max_examples": 2_000_000, "steps": 2_000_000},  # fewer, but for a batch of one
            )
            for size, rate in RATES_OF_BATCHES.items()
        ],
        steps=None,
        columns=("max_examples", "batch_size", "lr", "steps", "examples", *LOSSES[1:]),
        x="batch_size",
        by=("seconds", "max_examples"),
        is_timed=True,
    ),
    "optimizers": Experiment(
        "How do SGD, momentum, Adam and AdamW compare, each at its own rates?",
        [
            {"optimizer": "sgd", "lr": [0.03, 0.1, 0.3]},
            {"optimizer": "momentum", "lr": [0.003, 0.01, 0.03]},
            {"optimizer": "adam", "lr": [0.001, 0.003, 0.01]},
            {"optimizer": "adamw", "lr": [0.001, 0.003, 0.01], "weight_decay": 0.01},
        ],
        steps=50_000,
        columns=("optimizer", "weight_decay", "lr", *LOSSES),
        x="lr",
        by=("optimizer",),
    ),
}


def run_experiment(
    name: str,
    data: Dataset,
    *,
    steps: int | None = None,
    is_quick: bool = False,
    options: Mapping[str, Any] | None = None,
    train_texts: int | None = None,
    **settings: Unpack[grids.Settings],
) -> Table:
    """Run one of `EXPERIMENTS`.

    Parameters
    ----------
    name : str
    data : Dataset
    steps : int, optional
        The number of steps of each run, instead of the experiment's.
    is_quick : bool
        Whether to do only a fiftieth of the work.
    options : dict, optional
        Options of all runs as in `sweeps.grid`, instead of the experiment's.
    train_texts : int, optional
        The number of texts to train on, instead of the experiment's.
    settings
        The settings of `sweeps.grid`: seeds, out, jobs, dask and more.

    Raises
    ------
    ArgumentError
        There is no such experiment, `steps` is given but its runs have different ones, it varies
        one of the options, or its runs are timed and cannot go side by side.
    """
    if name not in EXPERIMENTS:
        raise ArgumentError(
            f"{checks.shown(name)} is no experiment; these are: {', '.join(EXPERIMENTS)}"
        )
    experiment = EXPERIMENTS[name]
    if steps is not None and experiment.steps is None:
        raise ArgumentError(f"steps is given, but the runs of {name!r} have their own")
    if steps is not None:
        steps = checks.integer("steps", steps, 1, checks.MAX_STEPS)
    for option in options or {}:
        if option in experiment.varied:
            raise ArgumentError(f"{option} is what {name!r} varies: it has no value for all runs")
    if train_texts is None:
        train_texts = experiment.train_texts
    else:
        train_texts = checks.integer("train_texts", train_texts, 1, MAX_TRAIN_TEXTS)
    if experiment.is_timed:
        if settings.get("dask") is not None or settings.get("jobs") not in (None, 1):
            raise ArgumentError(f"the runs of {name!r} are timed and so go one after another")
        settings["jobs"] = 1
    settings["samples"] = experiment.samples
    settings["columns"] = experiment.columns
    given = {} if steps is None else {"steps": steps}
    combinations = [
        _quick(combination) if is_quick else combination
        for grid in experiment.grids
        for combination in grids.combine(
            grids.with_steps({**given, **grid, **(options or {})}, experiment.steps)
        )
    ]
    return grids.run(with_train_texts(data, train_texts), combinations, **settings)


def data_shares(
    data: Dataset,
    shares: Sequence[float] = (0.1, 0.2, 0.5, 1.0),
    options: Mapping[str, Any] | None = None,
    **settings: Unpack[grids.Settings],
) -> Table:
    """Train on the first part of the training texts, for each share of them; dev stays the same.

    Parameters
    ----------
    data : Dataset
    shares : list of float
        The shares, each above 0 and at most 1.
    options : dict, optional
        Options as in `sweeps.grid`, for each share.
    settings
        The settings of `sweeps.grid` except `out`.

    Returns
    -------
    table : Table
        The number of texts, `train_texts`, is an option of its rows; the loss on train is that on
        these texts.

    Raises
    ------
    ArgumentError
        A share is out of range, or `sweeps.grid` refuses an argument.
    """
    if settings.get("out") is not None:
        raise ArgumentError("out is for a sweep of one data set; here there is one for each share")
    checks.instance("data", data, Dataset)
    chosen = {} if options is None else options
    rows = []
    for i, share in enumerate(checks.numbers("shares", shares).ravel().tolist()):
        if not 0 < share <= 1:  # false for NaN too
            raise ArgumentError(f"shares[{i}] is {share}; it must be above 0 and at most 1")
        n = max(1, round(share * len(data.train.texts)))
        table = grids.grid(with_train_texts(data, n), chosen, **settings)
        rows += [replace(row, options={"train_texts": n, **row.options}) for row in table.rows]
    return Table.of(rows)


def with_train_texts(data: Dataset, n: int | None) -> Dataset:
    """Return the data with only the first n texts to train on; dev and test stay the same."""
    if n is None or n >= len(data.train.texts):
        return data
    texts = data.train.texts[:n]
    few = Split(texts, *build_dataset(texts, data.vocab, data.block_size))
    return Dataset(data.vocab, data.block_size, few, data.dev, data.test, data.origin)


def _quick(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options for a fiftieth of the work."""
    less = {
        name: type(options[name])(options[name] / QUICK)
        for name in ("steps", "seconds", "max_examples")
        if options.get(name) is not None
    }
    return {**options, **{name: max(1, n) if name == "steps" else n for name, n in less.items()}}
