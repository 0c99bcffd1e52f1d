"""What a training step's speed is compared with: its naive arithmetic and the machine's peak."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from makemore_cpp import _core

ROUNDS = 2_000_000  # of the peak's loop: some milliseconds, against which starting it is nothing


def naive_flop(B, T, E, H, V):
    """Operations of one step: three products for each of the two layers, nothing saved."""
    return 6 * B * H * (T * E + V)


def measured_peak(isa, cpus=1):
    """GFLOP/s of this many CPUs by multiply-adds in registers: the median of nine short runs."""
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
