"""Compares two results of compare.py, for example of two commits, and tells change from noise.

    python benchmarks/compare.py --shapes lecture --json before.json
    ...
    python benchmarks/compare.py --shapes lecture --json after.json
    python benchmarks/difference.py before.json after.json

For every time of the core it prints the ratio of the medians after / before, with the band in
which 95 % of the ratios fall when the turns are drawn again from those measured (the bootstrap).
A band that lies wholly above 1 + TOLERANCE is a regression: exit code 1.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from candidates import OURS

# Two runs of the same build differ by this much on a shared machine even when each is steady.
TOLERANCE = 0.05
DRAWS = 10_000


def band_of_ratio(before, after, generator):
    """Return the 2.5 % and 97.5 % quantiles of the ratio of medians under resampling."""
    medians = [
        np.median(generator.choice(turns, (DRAWS, len(turns))), axis=1) for turns in (before, after)
    ]
    low, high = np.quantile(medians[1] / medians[0], [0.025, 0.975])
    return float(low), float(high)


def compare(before, after):
    """Yield (what, who, CPUs, median before, median after, low, high) for our times in both."""
    generator = np.random.default_rng(0)
    for what, rows in before["results"].items():
        others = {(row["name"], row["cpus"]): row for row in after["results"].get(what, [])}
        for row in rows:
            other = others.get((row["name"], row["cpus"]))
            if not row["name"].startswith(OURS) or other is None:
                continue
            band = band_of_ratio(row["all"], other["all"], generator)
            yield what, row["name"], row["cpus"], row["median"], other["median"], *band


def verdict(low, high):
    """Say whether a band of ratios is slower, faster, or neither."""
    if low > 1 + TOLERANCE:
        return "slower"
    return "faster" if high < 1 - TOLERANCE else "same"


def main():
    """Print the comparison; exit code 1 when something has become slower."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    options = parser.parse_args()
    before, after = (json.loads(p.read_text()) for p in (options.before, options.after))
    if before["machine"] != after["machine"]:
        print(f"different machines: {before['machine']} and {after['machine']}")
    slower = False
    for what, who, cpus, old, new, low, high in compare(before, after):
        result = verdict(low, high)
        slower |= result == "slower"
        print(
            f"{what:<42} {who:<19} {cpus:>3} CPU{'s' if cpus > 1 else ' '} {old:>9.4g} -> "
            f"{new:>9.4g}  ratio {new / old:.2f} [{low:.2f}, {high:.2f}]  {result}"
        )
    sys.exit(1 if slower else 0)


if __name__ == "__main__":
    main()
