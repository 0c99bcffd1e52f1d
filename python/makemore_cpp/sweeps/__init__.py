"""Sweeps, which are many training runs: grids, learning rate searches, experiments, their tables.

It imports plots, evaluation, training and the rooms below them.
"""

from makemore_cpp.sweeps.experiments import (
    EXPERIMENTS,
    data_shares,
    run_experiment,
    with_train_texts,
)
from makemore_cpp.sweeps.grids import Settings, combine, grid, run
from makemore_cpp.sweeps.lr_search import (
    RateCurve,
    RateRange,
    fixed_rates,
    growing_rate,
    recommended,
)
from makemore_cpp.sweeps.table import Row, Table

__all__ = [
    "EXPERIMENTS",
    "RateCurve",
    "RateRange",
    "Row",
    "Settings",
    "Table",
    "combine",
    "data_shares",
    "fixed_rates",
    "grid",
    "growing_rate",
    "recommended",
    "run",
    "run_experiment",
    "with_train_texts",
]
