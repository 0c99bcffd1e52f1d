"""The search for a learning rate: the growing rate, the fixed ones, and what they recommend."""

from __future__ import annotations

import math

import numpy as np
import pytest

import makemore_cpp as mm
from makemore_cpp.sweeps import lr_search
from makemore_cpp.sweeps.table import Table


@pytest.fixture(scope="module")
def data():
    return mm.Dataset.split(mm.load_texts())


@pytest.fixture(scope="module")
def names(names_path):
    return mm.Dataset.split(mm.load_texts(names_path))


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_the_suggestion_for_the_lectures_net(names, seed):
    curve = lr_search.growing_rate(names, seed=seed)
    assert 0.03 <= curve.suggestion <= 0.3
    assert not curve.is_at_edge


def test_the_exercise(names):
    table = lr_search.fixed_rates(names)
    assert len(table.rows) == 10
    assert [row.steps for row in table.rows] == [1000] * 10
    found = lr_search.recommended(table)
    assert 0.03 < found.low <= found.best <= found.high < 0.4


def test_a_growing_rate_is_what_train_steps_does(data):
    options = {"n_hidden": 16, "block_size": 2, "optimizer": "adam", "batch_size": 8}
    curve = lr_search.growing_rate(data, options, low=-4, high=-1, steps=40, seed=3)
    assert curve.rates == pytest.approx(np.logspace(-4, -1, 40))
    other = mm.Dataset.split(mm.load_texts(), 2)
    model = mm.MLP(data.vocab, 2, n_hidden=16, seed=3)
    losses = model.train_steps(
        other.train.X, other.train.Y, curve.rates, batch_size=8, seed=3, optimizer="adam",
        state=model.optimizer_state("adam"),
    )  # fmt: skip
    assert curve.losses.tolist() == losses.tolist()
    assert curve.window == 4
    assert curve.smooth_losses == pytest.approx([losses[i : i + 4].mean() for i in range(37)])
    lowest = curve.smooth_losses.argmin()
    middle = np.log(curve.rates)[lowest : lowest + 4].mean()
    assert math.log(curve.suggestion) == pytest.approx(middle)


def test_a_run_that_diverges_is_kept_up_to_there(data):
    curve = lr_search.growing_rate(data, {"n_hidden": 16}, low=-2, high=30, steps=300)
    assert 10 <= len(curve.losses) < 300
    assert np.isfinite(curve.losses).all()
    assert len(curve.rates) == len(curve.losses)
    model = mm.MLP(data.vocab, n_hidden=16)
    with pytest.raises(mm.DivergedError) as caught:
        model.train_steps(data.train.X, data.train.Y, 10 ** np.linspace(-2, 30, 300))
    assert caught.value.step == len(curve.losses)
    with pytest.raises(mm.ArgumentError, match="begins with too large a rate"):
        lr_search.growing_rate(data, {"n_hidden": 16}, low=29, high=30)


def test_the_edge_is_noticed(data):
    assert lr_search.growing_rate(data, low=-4, high=-2).is_at_edge


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"steps": 3}, "steps is 3"),
        ({"low": 0, "high": -1}, "must grow"),
        ({"low": math.nan}, "must grow"),
        ({"options": {"lr": 0.1}}, "'lr' is not an option of a learning rate search"),
        ({"options": {"n_hidden": 0}}, "n_hidden"),
    ],
)
def test_refusals(data, settings, sentence):
    with pytest.raises((mm.ArgumentError, TypeError), match=sentence):
        lr_search.growing_rate(data, **settings)


def test_rates_that_diverge_are_rows(data):
    table = lr_search.fixed_rates(data, [0.1, 100.0, 1e30], {"n_hidden": 16}, steps=200)
    assert [row.diverged for row in table.rows] == [False, True, True]
    assert table.columns == ("lr", "last_100", "train", "dev")
    assert lr_search.recommended(table) == (0.1, 0.1, 0.1)


def test_recommended_is_a_range_around_the_best(data):
    rows = lr_search.fixed_rates(data, [0.1, 0.2], {"n_hidden": 4}, steps=10).rows
    losses = {0.001: 2.53, 0.01: 2.6, 0.1: 2.54, 0.2: 2.5, 0.3: 2.55, 1.0: 2.56, 2.0: None}
    template = rows[0]
    made = [
        type(template)(**{**vars(template), "options": {"lr": lr}, "last_100": loss})
        for lr, loss in losses.items()
    ]
    assert lr_search.recommended(Table.of(made[::-1])) == (0.1, 0.2, 0.3)
    assert lr_search.recommended(Table.of(made[-1:])) is None
