"""The trainer's refusals: one sentence each, and the parameters stay as they were."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from example_run import Run, assert_equal, copies

from makemore_cpp import _core


def refused(run: Run, kind: type[Exception], pattern: str, lr: Any = (0.1,), **options: Any) -> Any:
    parameters = copies(run.first)
    with pytest.raises(kind, match=pattern) as caught:
        _core.train_steps(*parameters, run.X, run.Y, lr, **options)
    assert "\n" not in str(caught.value)
    assert_equal(parameters, run.first)
    return caught.value


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        ({"lr": [0.1, math.nan]}, r"lr\[1\]"),
        ({"lr": [math.inf]}, r"lr\[0\]"),
        ({"lr": [0.1, 0.1, -0.1]}, r"lr\[2\]"),
        ({"lr": [1e39]}, r"lr\[0\]"),
        ({"lr": [[0.1]]}, "lr"),
        ({"weight_decay": math.nan}, "weight_decay"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": -3}, "batch_size"),
        ({"batch_size": 2**40}, "batch_size"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**64}, "seed"),
        ({"first_step": -1}, "first_step"),
        ({"first_step": 2**63 - 1}, "first_step"),
        ({"threads": 0}, "threads"),
        ({"optimizer": "adam?"}, "optimizer"),
        ({"rows": "some"}, "rows"),
        ({"rows": np.zeros((2, 3), int)}, "rows"),
        ({"rows": np.zeros(3, int)}, "rows"),
        ({"rows": np.zeros((1, 0), int)}, "rows"),
    ],
)
def test_bad_options(options, pattern):
    error = refused(Run(), ValueError, pattern, **options)
    assert isinstance(error, _core.Error)


@pytest.mark.parametrize("row", [500, -1, 2**40])
def test_rows_outside_the_examples(row):
    rows = np.zeros((2, 3), np.int64)
    rows[1, 2] = row
    refused(Run(), IndexError, rf"row {row} at rows\[1, 2\]", lr=[0.1, 0.1], rows=rows)


def test_the_largest_unsigned_row_is_not_wrapped():
    rows = np.zeros((2, 3), np.uint64)
    rows[1, 2] = 2**64 - 1
    sentence = rf"^row {2**64 - 1} at rows\[1, 2\] is outside the examples \[0, 500\)$"
    refused(Run(), IndexError, sentence, lr=[0.1, 0.1], rows=rows)


def test_wrong_types():
    run = Run()
    refused(run, TypeError, "rows", rows=np.zeros((1, 3)))
    refused(run, TypeError, "^weight_decay must be a real number, not str$", weight_decay="0.1")
    refused(run, TypeError, "^optimizer must be a str, not int$", optimizer=1)
    refused(run, TypeError, "^state must be a dict of arrays, not list$", state=[])
    refused(run, ValueError, "^state holds 'm', which", state={"m": np.zeros(3, np.float32)})
    refused(run, TypeError, "^a key of state must be a str, not int$", state={1: run.first[0]})
    for lr in ([0.1 + 2j], ["0.1"], [None], [True], "0.1"):
        refused(run, TypeError, "^lr must (hold|be an array of) real numbers, not", lr=lr)
    refused(run, TypeError, "seed|integer|int", seed=1.5)
    run.X = run.X.astype(np.float32)
    refused(run, TypeError, "X")


def test_no_examples():
    run = Run()
    run.X, run.Y = run.X[:0], run.Y[:0]
    refused(run, ValueError, "X|examples")
    refused(run, ValueError, "X|examples|rows", rows="all")


def test_wrong_shapes():
    for i, name in enumerate(("C", "W1", "b1", "W2", "b2")):
        run = Run()
        run.first[i] = np.zeros([n + 1 for n in run.first[i].shape], np.float32)
        refused(run, ValueError, "W1|b1|W2|b2")
        run.first[i] = np.zeros((2, 2, 2), np.float32)
        refused(run, ValueError, rf"\b{name}\b")
    run = Run()
    run.Y = run.Y[:-1]
    refused(run, ValueError, "Y")
    run = Run()
    run.X = run.X[:, 0]
    refused(run, ValueError, "X")


@pytest.mark.parametrize("i", range(5))
def test_parameters_are_taken_as_they_are_or_not_at_all(i):
    """A silent copy would train a temporary."""
    name = ("C", "W1", "b1", "W2", "b2")[i]
    run = Run()
    kept = run.first[i]
    run.first[i] = np.repeat(kept, 2, axis=-1)[..., ::2]
    parameters = list(run.first)
    with pytest.raises((TypeError, ValueError), match=rf"\b{name}\b.*contiguous") as caught:
        _core.train_steps(*parameters, run.X, run.Y, [0.1])
    assert "\n" not in str(caught.value)
    parameters[i] = kept.copy()
    parameters[i].flags.writeable = False
    with pytest.raises((TypeError, ValueError), match=rf"\b{name}\b.*(read-only|writ)"):
        _core.train_steps(*parameters, run.X, run.Y, [0.1])
    parameters[i] = kept.astype(np.float64)
    with pytest.raises(TypeError, match=rf"\b{name}\b.*float32"):
        _core.train_steps(*parameters, run.X, run.Y, [0.1])
    parameters[i] = kept.tolist()
    with pytest.raises(TypeError, match=rf"\b{name}\b"):
        _core.train_steps(*parameters, run.X, run.Y, [0.1])


def test_no_two_parameters_share_memory():
    run = Run(T=2, E=3, H=6, V=6)
    memory = np.zeros(200, np.float32)
    for name, i, j in (("C and W1", 0, 1), ("W1 and W2", 1, 3), ("b1 and b2", 2, 4)):
        for shift in (0, 5):
            parameters = copies(run.first)
            for k, start in ((i, 50), (j, 50 + shift)):
                size = parameters[k].size
                parameters[k] = memory[start : start + size].reshape(parameters[k].shape)
            with pytest.raises(ValueError, match=f"^{name} share memory") as caught:
                _core.train_steps(*parameters, run.X, run.Y, [0.1])
            assert "\n" not in str(caught.value)
    assert not memory.any()
    parts = np.split(memory[:102], np.cumsum([p.size for p in run.first])[:-1])
    parameters = [part[: p.size].reshape(p.shape) for part, p in zip(parts, run.first, strict=True)]
    _core.train_steps(*parameters, run.X, run.Y, [0.1])  # side by side is not shared


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("rate", [1e36, 1e37, 3e38])
def test_divergence_is_named_and_loses_nothing(isa, rate, threads):
    run = Run()
    lr = np.full(40, 0.1)
    lr[11:] = rate
    error = refused(run, _core.DivergedError, r"step", lr=lr, threads=threads, first_step=1000)
    assert isinstance(error, ArithmeticError)
    assert 1011 <= error.step < 1040
    assert error.learning_rate == pytest.approx(rate, rel=1e-6)
    assert isinstance(error.loss, float)
    assert str(error.step) in str(error)


@pytest.mark.parametrize("threads", [1, 2])
def test_divergence_is_found_in_the_very_last_update(isa, threads):
    """No later loss would show the divergence."""
    run = Run()
    run.first[3] *= 1e4  # steep, so that rate times gradient overflows while the loss is finite
    error = refused(run, _core.DivergedError, "parameter", lr=[3e38], threads=threads)
    assert error.step == 0
    assert math.isfinite(error.loss)


def test_divergence_is_found_in_the_very_first_loss():
    run = Run()
    run.first[3][5, 5] = np.nan
    parameters = copies(run.first)
    with pytest.raises(_core.DivergedError) as caught:
        _core.train_steps(*parameters, run.X, run.Y, [0.1])
    assert caught.value.step == 0
    assert not math.isfinite(caught.value.loss)
    assert_equal(parameters, run.first)
