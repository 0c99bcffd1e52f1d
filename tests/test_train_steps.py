"""The trainer's promises: the same bits however its calls are made, and clean stops."""

from __future__ import annotations

import itertools
import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from example_run import LARGE, Parameters, Run, assert_equal, copies

from makemore_cpp import _core

# -- determinism ---------------------------------------------------------------------------------
DETERMINISM = [  # sizes, batch size
    ({}, 32),
    ({"V": 300, "H": 333, "init": "lecture"}, 128),
    ({"T": 1, "E": 2, "H": 3}, 5),
    (LARGE, 16),
    ({"V": 1000, "H": 100}, 96),
    ({"V": 1000, "H": 12, "T": 2, "N": 3000}, 1300),  # of several chunks
    ({"V": 16_384, "H": 20, "E": 3}, 40),
]


@pytest.mark.parametrize(("sizes", "batch_size"), DETERMINISM)
def test_threads_do_not_change_a_bit(isa, sizes, batch_size):
    run = Run(**sizes)
    options = {"batch_size": batch_size, "weight_decay": 0.01}
    lr = np.full(12, 0.1)
    losses, parameters = run.train(lr, threads=1, **options)
    for threads in (2, 3, 7, None, 1):
        again, found = run.train(lr, threads=threads, **options)
        assert again.tobytes() == losses.tobytes()
        assert_equal(found, parameters)


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize(("sizes", "batch_size"), DETERMINISM)
def test_seven_uneven_calls_equal_one(isa, sizes, batch_size, threads):
    run = Run(**sizes)
    lr = np.linspace(0.3, 0.1, 30)
    options = {"batch_size": batch_size, "weight_decay": 0.01, "seed": 3, "threads": threads}
    losses, whole = run.train(lr, **options)
    parts, losses_of_parts = copies(run.first), []
    ends = [0, 1, 3, 3, 10, 11, 28, 30]
    for start, stop in itertools.pairwise(ends):
        part = _core.train_steps(*parts, run.X, run.Y, lr[start:stop], first_step=start, **options)
        losses_of_parts.append(part)
    assert np.concatenate(losses_of_parts).tobytes() == losses.tobytes()
    assert_equal(parts, whole)


def test_rows_given_equal_rows_drawn(isa):
    run, lr = Run(), np.full(9, 0.1)
    rows = _core.batch_rows(5, 100, 9, 16, len(run.X))
    losses, drawn = run.train(lr, seed=5, first_step=100, batch_size=16)
    for given in (rows, rows.astype(np.uint16), np.asfortranarray(rows), rows.tolist()):
        again, found = run.train(lr, rows=given)
        assert again.tobytes() == losses.tobytes()
        assert_equal(found, drawn)


@pytest.mark.parametrize("sizes", [{"N": 77}, {"N": 1500, "V": 1000, "H": 10, "E": 2}])
def test_full_batch_equals_every_row_listed(isa, sizes):
    run, lr = Run(**sizes), np.full(5, 0.1)
    losses, full = run.train(lr, rows="all", threads=1)
    again, listed = run.train(lr, rows=np.tile(np.arange(len(run.X)), (5, 1)), threads=7)
    assert again.tobytes() == losses.tobytes()
    assert_equal(listed, full)


def test_no_step_changes_nothing(isa):
    run = Run()
    losses, found = run.train([])
    assert losses.shape == (0,)
    assert losses.dtype == np.float32
    assert_equal(found, run.first)


def test_a_rate_of_zero_changes_nothing_but_tells_the_loss(isa):
    run = Run()
    losses, found = run.train([0.0, 0.0], rows="all")
    assert_equal(found, run.first)
    assert losses[0] == losses[1]
    assert abs(losses[0] - _core.mean_loss(*run.first, run.X, run.Y)) < 1e-5


# -- inputs --------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_tokens_of_any_integer_type_and_strides(dtype):
    run, lr = Run(), np.full(5, 0.1)
    losses, expected = run.train(lr)
    X, Y = run.X.astype(dtype), run.Y.astype(dtype)
    run.X = np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3]
    run.Y = Y[::-1].copy()[::-1]
    run.X.flags.writeable = False
    again, found = run.train(lr)
    assert again.tobytes() == losses.tobytes()
    assert_equal(found, expected)


def test_only_used_rows_are_checked():
    run = Run()
    run.X[400] = 99
    run.Y[401] = -1
    rows = np.arange(32)[None, :]
    run.train([0.1], rows=rows)
    rows[0, 5] = 400
    with pytest.raises(IndexError, match=r"^token 99 at X\[400, 0\] is outside the vocabulary"):
        run.train([0.1], rows=rows)
    rows[0, 5] = 401
    with pytest.raises(IndexError, match=r"^token -1 at Y\[401\] is outside the vocabulary"):
        run.train([0.1], rows=rows)


# -- stopping ------------------------------------------------------------------------------------
@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("k", [1, 2, 6, 19])
def test_should_stop_leaves_the_last_completed_step(isa, threads, k):
    """The function is polled between steps: the k-th poll comes after k steps."""
    run, lr = Run(), np.linspace(0.2, 0.1, 20)
    polls = iter(range(1, 100))
    losses, found = run.train(lr, threads=threads, should_stop=lambda: next(polls) == k)
    expected_losses, expected = run.train(lr[:k], threads=threads)
    assert losses.shape == (k,)
    assert losses.tobytes() == expected_losses.tobytes()
    assert_equal(found, expected)


def test_should_stop_is_asked_between_steps_only():
    polls = []
    losses, _ = Run().train([0.1] * 5, should_stop=lambda: polls.append(1))
    assert len(losses) == 5
    assert len(polls) == 4


@pytest.mark.parametrize("threads", [1, 2])
def test_an_exception_in_should_stop_reaches_the_caller(threads):
    """The exception stops the run, and the arrays hold the last completed step."""

    class StopError(Exception):
        pass

    def should_stop() -> bool:
        raise StopError

    run = Run()
    parameters = copies(run.first)
    with pytest.raises(StopError):
        _core.train_steps(
            *parameters, run.X, run.Y, [0.1, 0.1], threads=threads, should_stop=should_stop
        )
    _, expected = run.train([0.1])
    assert_equal(parameters, expected)


# -- more than one caller ------------------------------------------------------------------------
def test_callers_at_once_do_not_disturb_each_other(isa):
    """A caller that finds the pool busy does its blocks itself, to the same bits."""
    run, lr = Run(), np.full(200, 0.1)
    losses, expected = run.train(lr)
    with ThreadPoolExecutor(4) as callers:
        for again, found in callers.map(lambda _: run.train(lr, threads=2), range(8)):
            assert again.tobytes() == losses.tobytes()
            assert_equal(found, expected)


def test_should_stop_may_train_too(isa):
    """The outer call holds the pool while its function calls again."""
    run, lr = Run(), np.full(3, 0.1)
    losses, expected = run.train(lr)
    inner: list[tuple[np.ndarray, Parameters]] = []

    def should_stop() -> bool:
        inner.append(run.train(lr, threads=2))
        return False

    outer = run.train(lr, threads=2, should_stop=should_stop)
    for again, found in [outer, *inner]:
        assert again.tobytes() == losses.tobytes()
        assert_equal(found, expected)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_trains_to_the_same_bits():
    """The pool's threads do not survive fork; the child starts its own."""
    run, lr = Run(), np.full(20, 0.1)
    losses, _ = run.train(lr, threads=2)
    with multiprocessing.get_context("fork").Pool(1) as child:
        found = child.apply_async(run.train, (lr,), {"threads": 2}).get(timeout=60)
    assert found[0].tobytes() == losses.tobytes()
