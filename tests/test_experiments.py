"""The lecture's experiments: their comparisons and their findings."""

from __future__ import annotations

import pytest

import makemore_cpp as mm
from makemore_cpp import sweeps
from makemore_cpp.sweeps.experiments import EXPERIMENTS, run_experiment, with_train_texts


@pytest.fixture(scope="module")
def data():
    return mm.Dataset.split(mm.load_texts())


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_quick(name, data, tmp_path):
    described = EXPERIMENTS[name]
    table = run_experiment(name, data, is_quick=True, out=tmp_path)
    expected = [c for grid in described.grids for c in sweeps.combine(grid)]
    assert len(table.rows) == len(expected)
    for row, combination in zip(table.rows, expected, strict=True):
        same = {
            k: v for k, v in combination.items() if k not in ("steps", "seconds", "max_examples")
        }
        assert same.items() <= row.options.items()
        assert len(row.samples) == described.samples
        if described.steps is not None:
            assert row.steps == described.steps // 50
    assert set(described.columns) <= set(table.records()[0])
    assert (tmp_path / "rows.jsonl").read_text().count("\n") == len(table.rows)


def test_what_the_lecture_asks_for():
    scaling, context, batch = (EXPERIMENTS[name] for name in ("scaling", "context", "batch"))
    assert len(sweeps.combine(scaling.grids[0])) == 8
    assert scaling.steps == 50_000
    assert {2, 3, 4, 5} <= set(context.grids[0]["block_size"])
    assert (context.steps, context.samples, context.is_timed) == (200_000, 20, True)
    assert [grid["batch_size"] for grid in batch.grids] == [1, 32, 256, 4096, "all"] * 2
    assert batch.is_timed


def test_steps_and_timing(data):
    table = run_experiment("scaling", data, steps=20)
    assert {row.steps for row in table.rows} == {20}
    for name, settings, sentence in (
        ("batch", {"steps": 20}, "have their own"),
        ("context", {"jobs": 2}, "go one after another"),
        ("context", {"dask": "tcp://localhost:1"}, "go one after another"),
        ("alchemy", {}, "'alchemy' is no experiment"),
        ("scaling", {"steps": 0}, "steps is 0"),
        ("scaling", {"steps": -50, "is_quick": True}, "steps is -50"),
        ("scaling", {"steps": 10**400, "is_quick": True}, "steps is outside"),
        ("scaling", {"steps": 10**10, "is_quick": True}, "steps is 10000000000, outside"),
        ("batch", {"steps": 10**5000}, "have their own"),
    ):
        with pytest.raises(mm.ArgumentError, match=sentence):
            run_experiment(name, data, **settings)


def test_batches_have_equal_time_or_equal_examples(data):
    rows = run_experiment("batch", data, is_quick=True).rows
    by_time, by_examples = rows[:5], rows[5:]
    assert all(0.01 < row.seconds < 0.6 for row in by_time)
    assert [row.examples for row in by_examples[:4]] == [40_000, 40_000, 39_936, 36_864]
    assert by_examples[4].steps == 1


def test_an_experiment_of_so_many_seconds_a_run(data):
    rows = run_experiment("weight-decay", data, options={"seconds": 0.01}, train_texts=50).rows
    assert all(row.seconds < 1 for row in rows)
    with pytest.raises(mm.ArgumentError, match="seconds takes the place of steps"):
        run_experiment("weight-decay", data, steps=10, options={"seconds": 0.01})
    none = {"seconds": None, "n_hidden": 4}
    few = run_experiment("optimizers", data, is_quick=True, options=none).rows
    assert {row.steps for row in few} == {1000}, "no seconds leave the experiment its own steps"


def test_few_texts_to_train_on(data):
    few = with_train_texts(data, 100)
    assert few.train.texts == data.train.texts[:100]
    assert few.train.Y.tolist() == data.train.Y[: len(few.train.Y)].tolist()
    assert few.dev is data.dev
    assert with_train_texts(data, None) is with_train_texts(data, 10**9) is data


@pytest.mark.parametrize("seed", [1, 2])
def test_weight_decay_closes_the_gap(names_path, seed):
    names = mm.Dataset.split(mm.load_texts(names_path))
    table = run_experiment("weight-decay", names, steps=10_000, seeds=[seed])
    decays = [row.options["weight_decay"] for row in table.rows]
    gaps = [row.gap for row in table.rows]
    assert decays == sorted(decays)
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > 0.4, "an overfitting configuration"
    assert gaps[-1] < 0.05


def test_data_shares_train_on_the_first_texts():
    data = mm.Dataset.split(mm.load_texts()[:500])
    options = {"n_hidden": [3, 5], "steps": 20}
    table = sweeps.data_shares(data, [0.25, 1.0], options, seeds=[2])
    assert table.varying == ["train_texts", "n_hidden"]
    assert [row.options["train_texts"] for row in table.rows] == [100, 100, 400, 400]
    whole = sweeps.grid(data, options, seeds=[2])
    assert [row.dev for row in table.rows[2:]] == [row.dev for row in whole.rows]
    quarter = sweeps.grid(sweeps.with_train_texts(data, 100), options, seeds=[2])
    assert [row.train for row in table.rows[:2]] == [row.train for row in quarter.rows]
    for shares in ([0.0], [1.5], [float("nan")]):
        with pytest.raises(mm.ArgumentError, match=r"^shares\[0\] is "):
            sweeps.data_shares(data, shares, options)
    with pytest.raises(mm.ArgumentError, match="out is for"):
        sweeps.data_shares(data, [1.0], options, out="somewhere")
