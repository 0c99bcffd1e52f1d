"""Adds GFLOP/s and the share of the measured peak to pytest-benchmark's table."""

import pytest
from flops import measured_peak

from makemore_cpp import _core


@pytest.fixture(params=_core.build_info()["isa"]["found"])
def isa(request):
    """Each instruction set of this machine in turn."""
    before = _core.build_info()["isa"]["used"]
    _core._set_isa(request.param)
    yield request.param
    _core._set_isa(before)


def pytest_terminal_summary(terminalreporter):
    """Print the rates of all benchmarks that say how many operations a round does."""
    session = getattr(terminalreporter.config, "_benchmarksession", None)
    found = [b for b in session.benchmarks if "flop" in b.extra_info] if session else []
    if not found:
        return
    peaks = {(b.extra_info["isa"], b.extra_info["threads"]): 0.0 for b in found}
    peaks = {key: measured_peak(*key) for key in peaks}
    terminalreporter.section("GFLOP/s, and share of the measured peak of as many cores")
    for (isa_name, threads), peak in peaks.items():
        terminalreporter.write_line(f"{f'peak of {isa_name}, threads: {threads}':<50}{peak:>8.1f}")
    for b in found:
        rate = b.extra_info["flop"] / b.stats.median / 1e9
        share = rate / peaks[b.extra_info["isa"], b.extra_info["threads"]]
        terminalreporter.write_line(f"{b.name:<50}{rate:>8.1f}{share:>8.0%}")
