"""The benchmarks' own arithmetic: a slowdown is seen, noise is not."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def result(turns):
    row = {"name": "makemore_cpp", "cpus": 1, "median": float(np.median(turns)), "all": turns}
    return {"machine": {}, "results": {"lecture, us per step": [row]}}


@pytest.mark.parametrize(
    ("factor", "expected"), [(1.0, "same"), (1.03, "same"), (1.2, "slower"), (0.8, "faster")]
)
def test_difference_tells_change_from_noise(factor, expected):
    difference = load("difference")
    noise = 1 + 0.02 * np.random.default_rng(1).standard_normal((2, 9))
    before, after = (15 * noise[0]).tolist(), (15 * factor * noise[1]).tolist()
    ((_, _, old, new, low, high),) = difference.compare(result(before), result(after))
    assert low < new / old < high
    assert difference.verdict(low, high) == expected


def test_wide_noise_is_no_regression():
    difference = load("difference")
    before = [10.0, 11.0, 30.0, 12.0, 25.0]
    after = [12.0, 28.0, 11.0, 31.0, 13.0]
    ((*_, low, high),) = difference.compare(result(before), result(after))
    assert difference.verdict(low, high) == "same"
