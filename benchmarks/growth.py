"""Prints how the time of a training step grows with each size of the model and of the batch.

    python benchmarks/growth.py            # --markdown for the tables of .readme/speed.md

One size at a time is changed, around the lecture's shape.  The points of a table take turns, with
one thread and with two, and the median of the turns is shown.  With the vocabulary of the texts
the contexts are theirs; for a larger one tokens follow Zipf's distribution, as words in a text do.
"""

import argparse
import statistics
import time
from collections import defaultdict

import numpy as np
from flops import naive_flop
from zipf import zipf_examples

import makemore_cpp as mm
from makemore_cpp import _core

LECTURE = {"B": 32, "T": 3, "E": 10, "H": 200, "V": None}  # None: the vocabulary of the texts
SIZES = {
    "B": [1, 4, 16, 64, 256, 1024, 4096, 16384],
    "H": [50, 100, 200, 400, 800, 1600, 3200],
    "V": [None, 100, 999, 1000, 5000, 20_000, 50_000, 100_000],
    "T": [1, 2, 3, 5, 8, 16],
}
THREADS = (1, 2)
TURN_SECONDS = 0.1  # for one point with one number of threads
MIN_STEPS = 40  # in a turn, at whose start tens of megabytes of parameters may be copied
# A point that costs this many times more per operation than the one before it is a cliff.
CLIFF = 1.3
# Below this many MFLOP most of a step's time does not depend on its sizes.
CLIFF_MFLOP = 1.0
COLUMNS = ("us, 1 thread", "us, 2 threads", "naive MFLOP", "naive GFLOP/s, 1 thread")


class Point:
    """One shape with its examples and parameters."""

    def __init__(self, texts, B, T, E, H, V):
        if V is None:
            vocab = mm.Vocab.from_texts(texts)
            V = len(vocab)
            self.X, self.Y = mm.build_dataset(texts, vocab, T)
        else:
            self.X, self.Y = zipf_examples(V, T)
        self.sizes = {"B": B, "T": T, "E": E, "H": H, "V": V}
        self.mflop = naive_flop(B, T, E, H, V) / 1e6
        self.parameters = _core.initial_parameters(T, E, H, V, seed=1)
        self.steps = MIN_STEPS  # of a turn
        while (seconds := self.seconds(threads=1)) < TURN_SECONDS / 2:
            self.steps = int(self.steps * min(10, 1 + TURN_SECONDS / seconds))

    def seconds(self, threads):
        """Time a turn's steps in one call; the rate is small, so that no shape diverges."""
        lr = np.full(self.steps, 0.001)
        started = time.perf_counter()
        _core.train_steps(
            *self.parameters, self.X, self.Y, lr, batch_size=self.sizes["B"], threads=threads
        )
        return time.perf_counter() - started


def measure(points, turns):
    """Return for each point (us with 1 thread, us with 2), the medians of interleaved turns."""
    found = defaultdict(list)
    for _ in range(turns):
        for i, point in enumerate(points):
            for threads in THREADS:
                found[i, threads].append(point.seconds(threads) / point.steps * 1e6)
    return [
        tuple(statistics.median(found[i, threads]) for threads in THREADS)
        for i in range(len(points))
    ]


def cliffs(labels, mflop, us):
    """Yield (label, times its predecessor's cost per operation) of the points that are cliffs."""
    costs = [time / work for time, work in zip(us, mflop, strict=True)]
    for i in range(1, len(costs)):
        if mflop[i] >= CLIFF_MFLOP and costs[i] > CLIFF * costs[i - 1]:
            yield labels[i], costs[i] / costs[i - 1]


def table(columns, rows, markdown):
    """Return the lines of a table, for people or in Markdown."""
    if markdown:
        lines = [columns, ["---:"] * len(columns), *rows]
        return ["| " + " | ".join(line) + " |" for line in lines]
    return ["".join(f"{cell:>{len(columns[i]) + 3}}" for i, cell in enumerate(line))
            for line in [columns, *rows]]  # fmt: skip


def report(size, points, times, markdown):
    """Print the table of one size and whether it holds a cliff."""
    others = ", ".join(f"{k}={v}" for k, v in points[0].sizes.items() if k != size)
    print(f"\nTime of a step against {size}, with {others}\n")
    labels = [f"{point.sizes[size]:,}" for point in points]
    rows = [
        [
            label,
            f"{one:,.1f}",
            f"{two:,.1f}",
            f"{point.mflop:,.2f}",
            f"{point.mflop / one * 1e3:.0f}",
        ]
        for label, point, (one, two) in zip(labels, points, times, strict=True)
    ]
    print("\n".join(table([f"{size:>8}", *COLUMNS], rows, markdown)) + "\n")
    mflop = [point.mflop for point in points]
    found = [
        f"{size}={label} costs {ratio:.2f} times as much per operation as the point before it"
        f" ({threads} thread{'s' * (threads > 1)})"
        for i, threads in enumerate(THREADS)
        for label, ratio in cliffs(labels, mflop, [us[i] for us in times])
    ]
    none = f"No cliff: no point from {CLIFF_MFLOP:.0f} MFLOP on costs over {CLIFF} times as much"
    print("\n".join(found) or f"{none} per operation as the point before it.")


def main():
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--sizes", nargs="*", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--data", help="text file, one text a line; default: the bundled names")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    options = parser.parse_args()
    if options.turns < 1:
        parser.error(f"--turns is {options.turns}; it must be at least 1")
    texts = mm.load_texts(options.data)
    for size in options.sizes:
        points = [Point(texts, **LECTURE | {size: value}) for value in SIZES[size]]
        report(size, points, measure(points, options.turns), options.markdown)


if __name__ == "__main__":
    main()
