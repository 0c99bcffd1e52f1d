"""The measures of a training step's speed: its naive arithmetic and the machine's peak."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from makemore_cpp import _core

ROUNDS = 2_000_000  # of the peak's loop, some milliseconds: starting it does not count


def naive_flop(B, T, E, H, V):
    """Return the operations of one step: three full matrix products for each of two layers."""
    return 6 * B * H * (T * E + V)


def measured_peak(isa, cpus=1):
    """Return the GFLOP/s of multiply-adds in registers on `cpus` CPUs: the median of 9 runs."""
    before = _core.build_info()["isa"]["used"]
    _core._set_isa(isa)
    rates = []
    with ThreadPoolExecutor(cpus) as pool:
        for _ in range(9):
            started = time.perf_counter()
            operations = sum(pool.map(_core._peak_operations, [ROUNDS] * cpus))
            rates.append(operations / (time.perf_counter() - started) / 1e9)
    _core._set_isa(before)
    return statistics.median(rates)
