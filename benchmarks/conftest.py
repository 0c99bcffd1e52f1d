"""Adds to pytest-benchmark's table what counts: GFLOP/s and the share of one core's peak."""

import statistics
import time

import pytest

from makemore_cpp import _core


@pytest.fixture(params=_core.build_info()["isa"]["found"])
def isa(request):
    """Each instruction set of this machine in turn."""
    before = _core.build_info()["isa"]["used"]
    _core._set_isa(request.param)
    yield request.param
    _core._set_isa(before)


def measured_peak(name):
    """GFLOP/s of one core by multiply-adds in registers: the median of nine short runs."""
    before = _core.build_info()["isa"]["used"]
    _core._set_isa(name)
    rates = []
    for _ in range(9):
        started = time.perf_counter()
        operations = _core._peak_operations(500_000)
        rates.append(operations / (time.perf_counter() - started) / 1e9)
    _core._set_isa(before)
    return statistics.median(rates)


def pytest_terminal_summary(terminalreporter):
    """Print the rates of all benchmarks that say how many operations a round does."""
    session = getattr(terminalreporter.config, "_benchmarksession", None)
    found = [b for b in session.benchmarks if "flop" in b.extra_info] if session else []
    if not found:
        return
    peaks = {b.extra_info["isa"]: 0.0 for b in found}
    peaks = {name: measured_peak(name) for name in peaks}
    terminalreporter.section("GFLOP/s, and share of the measured peak of one core")
    for name, peak in peaks.items():
        terminalreporter.write_line(f"{name:<50}{peak:>8.1f}")
    for b in found:
        rate = b.extra_info["flop"] / b.stats.median / 1e9
        share = rate / peaks[b.extra_info["isa"]]
        terminalreporter.write_line(f"{b.name:<50}{rate:>8.1f}{share:>8.0%}")
