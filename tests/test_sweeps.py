"""Grids of training runs: the table, side by side, on a cluster, killed and continued."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import makemore_cpp as mm
from makemore_cpp import sweeps
from makemore_cpp.files import folders
from makemore_cpp.recipe.options import Recipe
from makemore_cpp.sweeps import parallel
from makemore_cpp.sweeps.one_run import DEFAULTS, with_block_size
from makemore_cpp.sweeps.record import ROOT, open_record
from makemore_cpp.sweeps.table import Row, Table

PACKAGE_PARENT = Path(mm.__file__).parents[1]
SMALL = {"n_hidden": [8, 16], "lr": [0.1, 0.3], "n_embd": 4, "steps": 120}


@pytest.fixture(scope="module")
def data():
    return mm.Dataset.split(mm.Texts(mm.load_texts()[:600], "some", "0" * 64))


def timeless(table):
    return [replace(row, seconds=0.0) for row in table.rows]


def a_row(dev=2.0, train=1.5, seed=1, diverged=False, **options):
    losses = {"train": None, "dev": None} if diverged else {"train": train, "dev": dev}
    return Row(
        options={"n_hidden": 8, "lr": 0.1, **options}, seed=seed, parameters=1234, steps=5,
        examples=160, last_100=None if diverged else 2.5, seconds=1.0, isa="avx2",
        diverged=diverged, **losses,
    )  # fmt: skip


# -- the table -------------------------------------------------------------------------------------
def test_a_cell_is_what_train_does(data):
    table = sweeps.grid(data, {"n_hidden": 16, "lr": [0.1, 0.2], "steps": 50}, seeds=[7])
    model = mm.MLP(data.vocab, n_hidden=16, seed=7)
    history = mm.train(model, data, lr=0.2, steps=50, seed=7)
    row = table.rows[1]
    assert row.train == model.loss(data.train.X, data.train.Y)
    assert row.dev == model.loss(data.dev.X, data.dev.Y)
    assert row.gap == row.dev - row.train
    assert row.last_100 == pytest.approx(float(history.losses.mean()))
    assert (row.parameters, row.steps, row.examples) == (model.n_parameters, 50, 1600)
    assert row.isa == mm.build_info()["isa"]["used"]
    assert not row.diverged


def test_defaults_are_those_of_train(data):
    names = set(mm.train.__wrapped__.__kwdefaults__) - {
        "seed", "threads", "eval_every", "progress", "on_progress", "should_stop",
        "on_checkpoint", "checkpoint_every", "resume", "ranks",
    }  # fmt: skip
    assert names < DEFAULTS.keys()
    results = []
    for options in ({}, Recipe().options("update")):
        model = mm.MLP(data.vocab, n_hidden=8)
        mm.train(model, data, steps=20, **options)
        results.append(model.W1.tobytes())
    assert results[0] == results[1]


def test_products_seeds_and_order(data):
    table = sweeps.grid(data, SMALL, seeds=(1, 2), jobs=2)
    found = [(r.options["n_hidden"], r.options["lr"], r.seed) for r in table.rows]
    assert found == [(h, lr, s) for h in (8, 16) for lr in (0.1, 0.3) for s in (1, 2)]
    assert table.varying == ["n_hidden", "lr"]
    assert [len(cell) for cell in table.cells] == [2] * 4
    header, lines = table.lines()
    assert header == [
        "n_hidden", "lr", "parameters", "train", "dev", "dev std", "gap", "seconds",
    ]  # fmt: skip
    record = table.records()[0]
    assert record["dev"] == pytest.approx((table.rows[0].dev + table.rows[1].dev) / 2)
    assert record["dev std"] == pytest.approx(
        abs(table.rows[0].dev - table.rows[1].dev) / math.sqrt(2)
    )
    assert len(lines) == 4


def test_block_sizes_are_cut_from_the_same_texts(data):
    other = with_block_size(data, 5)
    expected = mm.Dataset.split(data.texts, 5, vocab=data.vocab)
    assert other.train.texts == data.train.texts
    assert other.train.X.shape[1] == expected.train.X.shape[1] == 5
    assert other.dev.Y.tolist() == data.dev.Y.tolist()
    shorter = with_block_size(data, 2)
    for split in (shorter.train, shorter.dev, shorter.test):
        X, Y = mm.build_dataset(split.texts, data.vocab, 2)
        np.testing.assert_array_equal(split.X, X)
        np.testing.assert_array_equal(split.Y, Y)


def test_jobs_change_nothing_but_times(data):
    one, two = (sweeps.grid(data, SMALL, seeds=(1, 2), jobs=jobs) for jobs in (1, 2))
    assert timeless(one) == timeless(two)


def test_diverged_runs_are_rows(data):
    table = sweeps.grid(data, {**SMALL, "lr": [0.1, 1e3, 1e30]})
    diverged = [row.diverged for row in table.rows]
    assert diverged == [False, True, True] * 2
    assert all(row.train is None and row.dev is None for row in table.rows if row.diverged)
    assert table.markdown().count("diverged") == 4
    assert table.best[0].options["lr"] == 0.1


def test_slow_learning_is_not_divergence(data):
    options = {"init": ["lecture", "scaled"], "steps": [1, 30], "lr": 0.01, "batch_size": "all"}
    assert not any(row.diverged for row in sweeps.grid(data, options).rows)


def test_a_run_without_time_for_a_second_step_is_a_row(data, tmp_path):
    for _ in range(2):  # the second one reads what the first one kept
        (row,) = sweeps.grid(data, {"seconds": 1e-9}, out=tmp_path).rows
        assert (row.steps, row.diverged) == (1, False)


def test_limits_end_a_run(data):
    by_examples = sweeps.grid(
        data, {"batch_size": [10, "all"], "max_examples": 1005, "n_hidden": 8}
    )
    assert [row.steps for row in by_examples.rows] == [100, 1]
    assert by_examples.rows[1].examples == len(data.train.Y)


def test_seconds_set_the_steps(data):
    options = {"n_hidden": 8, "schedule": "cosine", "lr_floor": 0.0}
    short, long = sweeps.grid(data, {**options, "seconds": [0.02, 0.2]}, jobs=1).rows
    assert 2 * short.steps < long.steps
    assert 0.02 < long.seconds < 2
    # The schedule ends with the run, which is that of so many steps to the last bit.
    (again,) = sweeps.grid(data, {**options, "steps": long.steps}).rows
    assert (again.dev, again.train, again.last_100) == (long.dev, long.train, long.last_100)
    with pytest.raises(mm.ArgumentError, match="seconds takes the place of steps"):
        sweeps.grid(data, {"steps": 10, "seconds": 1.0})
    for wrong, sentence in ((-1, "seconds is -1.0"), (0, "seconds is 0; it must be above 0")):
        with pytest.raises(mm.ArgumentError, match=sentence):
            sweeps.grid(data, {"seconds": wrong})


def test_samples_and_patience(data):
    options = {"n_hidden": 8, "steps": 50, "patience": 2}
    row = sweeps.grid(data, options, samples=5).rows[0]
    assert len(row.samples) == 5


def test_formats():
    rows = [a_row(2.0, 1.5, seed, lr=lr) for lr in (0.1, 1e-5) for seed in (1, 2)]
    rows += [a_row(seed=1, lr=1.0), a_row(seed=2, lr=1.0, diverged=True)]
    table = Table.of(rows)
    assert table.markdown().splitlines() == [
        "| lr | parameters | train | dev | dev std | gap | seconds |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| 0.1 | 1,234 | 1.5000 | 2.0000 | 0.0000 | 0.5000 | 1.00 |",
        "| 1e-05 | 1,234 | 1.5000 | 2.0000 | 0.0000 | 0.5000 | 1.00 |",
        "| 1 | 1,234 | n/a | 1 of 2 diverged | n/a | n/a | 1.00 |",
    ]
    assert table.csv().splitlines() == [
        "lr,parameters,train,dev,dev std,gap,seconds,diverged,isa",
        "0.1,1234,1.5,2.0,0.0,0.5,1.0,0,avx2",
        "1e-05,1234,1.5,2.0,0.0,0.5,1.0,0,avx2",
        "1.0,1234,,,,,1.0,1,avx2",
    ]


def test_an_empty_dev_split_has_no_loss():
    few = mm.Dataset.split(["anna", "emma"])
    row = sweeps.grid(few, {"steps": 3, "n_hidden": 4}).rows[0]
    assert (row.dev, row.gap) == (None, None)
    assert not row.diverged


def test_instruction_sets_are_shown_where_they_differ():
    table = Table.of([a_row(), replace(a_row(lr=0.2), isa="neon")])
    assert table.lines()[0][-1] == "isa"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n_hidden": [8, 0]}, "n_hidden"),
        ({"hidden": 8}, "'hidden' is not an option of a sweep"),
        ({"lr": []}, "lr is an empty list"),
        ({"lr": [0.1, 0.1]}, "lr has the value 0.1 twice"),
        ({"lr": [0.1, math.nan]}, "lr is nan"),
        ({"lr": "fast"}, "lr must be a number"),
        ({"lr": (0.1, 0.2)}, "lr must be a number, not tuple"),
        ({"optimizer": ["sgd", "newton"]}, "newton"),
        ({"schedule": "linear"}, "linear"),
        ({"batch_size": "most"}, "batch_size"),
        ({"dropout": 1.0}, "dropout"),
        ({"block_size": 2**40}, "block_size"),
        ({"dropout": -0.5}, "dropout is -0.5"),
        ({"max_examples": 0}, "max_examples is 0"),
        ({"lr": list(range(1000)), "n_embd": list(range(1000))}, "more than 100,000 combinations"),
    ],
)
def test_refusals_come_before_any_training(data, options, sentence, tmp_path):
    with pytest.raises((mm.ArgumentError, TypeError), match=sentence):
        sweeps.grid(data, {"steps": 10**9, **options}, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_seeds_and_samples_are_checked(data):
    for settings in ({"seeds": [-1]}, {"seeds": ["1"]}, {"samples": -1}, {"jobs": 0}):
        with pytest.raises((mm.ArgumentError, TypeError), match=next(iter(settings))):
            sweeps.grid(data, SMALL, **settings)


# -- the folder ------------------------------------------------------------------------------------
def test_a_finished_sweep_trains_nothing(data, tmp_path):
    first = sweeps.grid(data, SMALL, out=tmp_path)
    rows = []
    second = sweeps.grid(data, SMALL, out=tmp_path, on_row=lambda row, *_: rows.append(row))
    assert second == first, "with the times of the first"
    assert rows == []


def test_a_torn_last_line_is_done_again(data, tmp_path):
    whole = sweeps.grid(data, SMALL, out=tmp_path / "whole", jobs=1)
    for cut in (1, 40):
        out = tmp_path / str(cut)
        sweeps.grid(data, SMALL, out=out, jobs=1)
        path = out / "rows.jsonl"
        path.write_bytes(path.read_bytes()[:-cut])
        done = []
        table = sweeps.grid(
            data, SMALL, out=out, jobs=1, on_row=lambda row, *_, done=done: done.append(row)
        )
        assert timeless(table) == timeless(whole)
        assert len(done) == 1
        assert len([json.loads(line) for line in path.read_text().splitlines()]) == 4


def test_a_broken_line_elsewhere_is_an_error(data, tmp_path):
    sweeps.grid(data, SMALL, out=tmp_path)
    path = tmp_path / "rows.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + "{}\n" + lines[2])
    with pytest.raises(mm.FormatError, match=r"line 2 of .*rows.jsonl is not a row"):
        sweeps.grid(data, SMALL, out=tmp_path)


def with_field(name, value):
    """Return a function that puts another value into a line of the record."""

    def change(line):
        fields = json.loads(line)
        fields[name] = value
        return json.dumps(fields).encode()

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda line: b"[" * 5000,
        lambda line: b"[]",
        lambda line: b"3",
        lambda line: b"\xff\xfe",
        lambda line: line.replace(b'"seed": 1', b'"seed": NaN'),
        with_field("key", ["x"]),
        with_field("key", {}),
        with_field("dev", float("nan")),
        with_field("dev", "2.0"),
        with_field("train", True),
        with_field("seconds", float("inf")),
        with_field("seed", 1.0),
        with_field("diverged", 0),
        with_field("options", []),
        with_field("samples", [1]),
        with_field("surprise", 1),
    ],
)
def test_a_hostile_line_is_an_error(data, tmp_path, change):
    sweeps.grid(data, SMALL, out=tmp_path)
    path = tmp_path / "rows.jsonl"
    first, *others = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(change(first.rstrip()) + b"\n" + b"".join(others))
    before = path.read_bytes()
    with pytest.raises(mm.FormatError, match=r"^line 1 of .*rows.jsonl is not a row of a sweep$"):
        sweeps.grid(data, SMALL, out=tmp_path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", [b"", b"[" * 5000, b"\xff", b"[]", b"3", b'{"options": 3}', b"{}"])
def test_a_hostile_description_is_an_error(data, tmp_path, text):
    sweeps.grid(data, SMALL, out=tmp_path)
    (tmp_path / "sweep.json").write_bytes(text)
    with pytest.raises((mm.FormatError, mm.FileError)) as caught:
        sweeps.grid(data, SMALL, out=tmp_path)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "sweep.json").read_bytes() == text


@pytest.mark.parametrize("name", ["sweep.json", "rows.jsonl"])
def test_what_is_no_file_is_an_error_at_once(data, tmp_path, name):
    sweeps.grid(data, SMALL, out=tmp_path)
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(mm.FileError, match=f"{name}: it is not a regular file"):
        sweeps.grid(data, SMALL, out=tmp_path)


@pytest.mark.parametrize(
    ("options", "settings", "sentence"),
    [
        ({"steps": 121}, {}, r"options steps is \[120\] there and \[121\] here"),
        ({"lr": [0.1, 0.2]}, {}, r"options lr is \[0.1, 0.3\] there and \[0.1, 0.2\] here"),
        ({}, {"seeds": (1, 2)}, r"seeds is \[1\] there and \[1, 2\] here"),
        ({}, {"samples": 2}, "samples is 0 there and 2 here"),
    ],
)
def test_the_folder_of_another_sweep_is_refused(data, tmp_path, options, settings, sentence):
    sweeps.grid(data, SMALL, out=tmp_path)
    before = (tmp_path / "rows.jsonl").read_bytes()
    with pytest.raises(OSError, match=sentence):
        sweeps.grid(data, {**SMALL, **options}, out=tmp_path, **settings)
    assert (tmp_path / "rows.jsonl").read_bytes() == before


def test_other_texts_are_another_sweep(data, tmp_path):
    texts = list(data.texts)
    sweeps.grid(mm.Dataset.split(texts), SMALL, out=tmp_path)
    with pytest.raises(OSError, match=r"holds a different sweep: data is null there and \["):
        sweeps.grid(data, SMALL, out=tmp_path)
    texts[0] = texts[0][::-1]
    with pytest.raises(OSError, match="holds a different sweep: digest is"):
        sweeps.grid(mm.Dataset.split(texts), SMALL, out=tmp_path)


def test_a_folder_of_something_else_is_refused(data, tmp_path):
    (tmp_path / "thesis.txt").write_text("all of it")
    with pytest.raises(OSError, match="is not empty and holds no sweep"):
        sweeps.grid(data, SMALL, out=tmp_path)
    with pytest.raises(OSError, match="cannot make the folder"):
        sweeps.grid(data, SMALL, out=tmp_path / "thesis.txt")


def test_one_process_at_a_time(tmp_path):
    with (
        open_record(tmp_path, {"a": 1}),
        pytest.raises(mm.FileError, match="another process is at work"),
        open_record(tmp_path, {"a": 1}),
    ):
        pass


def test_rows_of_another_instruction_set_are_made_again(data, tmp_path):
    sweeps.grid(data, SMALL, out=tmp_path)
    path = tmp_path / "rows.jsonl"
    isa = mm.build_info()["isa"]["used"]
    path.write_text(path.read_text().replace(f'"isa": "{isa}"', '"isa": "other"', 1))
    done = []
    table = sweeps.grid(data, SMALL, out=tmp_path, on_row=lambda row, *_: done.append(row))
    assert len(done) == 1
    assert {row.isa for row in table.rows} == {isa}


def test_folders_have_numbers_and_vanish_if_empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with folders.made(None, ROOT) as folder:
        assert folder == Path("sweeps/1")
    assert not (tmp_path / "sweeps").exists()


KILLED = """
import sys, makemore_cpp as mm
from makemore_cpp import sweeps
texts = mm.Texts(mm.load_texts()[:600], "some", "0" * 64)
options = {"n_hidden": [8, 16], "lr": [0.05, 0.1, 0.2, 0.3], "n_embd": 4, "steps": 20000}
table = sweeps.grid(mm.Dataset.split(texts), options, out=sys.argv[1], jobs=2, seeds=(1, 2))
print([(r.options, r.seed, r.train, r.dev, r.last_100, r.diverged) for r in table.rows])
"""


def start_killed(out):
    path = os.pathsep.join(filter(None, [str(PACKAGE_PARENT), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-c", KILLED, str(out)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_killed_and_started_again(tmp_path):
    whole, error = start_killed(tmp_path / "whole").communicate(timeout=120)
    assert error == b""
    rows = tmp_path / "killed" / "rows.jsonl"
    process = start_killed(tmp_path / "killed")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if rows.exists() and rows.read_bytes().count(b"\n") >= 3:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    kept = rows.read_bytes().splitlines()
    assert 3 <= len(kept) < 16, "killed in the middle"

    again, error = start_killed(tmp_path / "killed").communicate(timeout=120)
    assert error == b""
    assert again == whole
    lines = rows.read_bytes().splitlines()
    assert len(lines) == 16
    assert lines[: len(kept) - 1] == kept[:-1], "what was finished has not been done again"


# -- side by side ----------------------------------------------------------------------------------
def test_an_interrupt_stops_the_other_threads(data):
    def interrupt(*_):
        raise KeyboardInterrupt

    options = {"n_hidden": [8, 9, 10], "steps": [100, 10**8]}
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        sweeps.grid(data, options, jobs=2, on_row=interrupt)
    assert time.monotonic() - started < 20


def test_runs_are_side_by_side_without_any_other_library(data, monkeypatch):
    monkeypatch.setattr(parallel.importlib.util, "find_spec", lambda name: None)
    assert parallel.check_jobs(None, None) == mm.build_info()["threads"]
    assert parallel.check_jobs(2, None) == 2
    with pytest.raises(mm.ArgumentError, match=r"makemore_cpp\[cluster\]"):
        parallel.check_jobs(None, "tcp://localhost:1")
    meeting = threading.Barrier(3, timeout=20)  # passes only if three are inside at a time
    calls = parallel.unordered(lambda shared, item, _: (meeting.wait(), item), None, range(3), 3)
    assert sorted(item for _, item in calls) == [0, 1, 2]


def test_what_a_run_raises_reaches_the_caller(data):
    def fail(shared, item, is_stopped):
        if item == 1:
            raise KeyError("planted")
        while not is_stopped():
            time.sleep(0.001)

    with pytest.raises(KeyError, match="planted"):
        list(parallel.unordered(fail, None, range(4), 2))


def test_jobs_and_dask_exclude_each_other():
    with pytest.raises(mm.ArgumentError, match="exclude each other"):
        parallel.check_jobs(2, "tcp://localhost:1")


@pytest.fixture(scope="module")
def cluster():
    """Return the address of a scheduler with two worker processes."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address


@pytest.mark.filterwarnings("default")  # Dask's own warnings
def test_a_cluster_gives_the_same_table(data, cluster, tmp_path):
    adam = {"optimizer": "adam", "betas": (0.9, 0.99)}  # JSON knows no tuples
    options = {**SMALL, **adam, "block_size": [2, 3], "lr": [0.1, 1e30]}
    here = sweeps.grid(data, options, seeds=(1, 2), samples=2)
    there = sweeps.grid(data, options, seeds=(1, 2), samples=2, dask=cluster, out=tmp_path)
    assert timeless(here) == timeless(there)
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 16


@pytest.mark.filterwarnings("default")
def test_a_cluster_that_is_not_there(data, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(parallel, "SECONDS_TO_CONNECT", 1)
    for address in ("tcp://127.0.0.1:1", "nonsense"):
        with pytest.raises(mm.ArgumentError, match="where no scheduler answers"):
            sweeps.grid(data, SMALL, dask=address)


@pytest.mark.parametrize(
    "values", [np.array([[0.1, 0.2]]), [np.array([0.1, 0.2]), 0.1], [[0.1], [0.2]], np.array([[]])]
)
def test_a_value_that_is_a_list(data, values):
    with pytest.raises(TypeError, match=r"^lr must be a number, not list$"):
        sweeps.grid(data, {"lr": values, "steps": 1})


def test_values_in_arrays(data):
    options = {"lr": np.array([0.1, 0.2], np.float32), "steps": np.array(1), "n_hidden": [2]}
    found = sweeps.grid(data, options).rows
    assert [row.options["lr"] for row in found] == [float(np.float32(x)) for x in (0.1, 0.2)]
    assert {type(row.options["steps"]) for row in found} == {int}
