"""Compares the training step with NumPy, PyTorch and JAX on this machine.

    pip install ".[compare]" && python benchmarks/compare.py

Every candidate runs in a process of its own, once with one CPU and once with all.  All are first
checked to compute the same losses from the same parameters and minibatches; then they take turns,
and the median of the turns is reported with its spread.  Frameworks that are not installed are
named and left out.  Let nothing else run meanwhile.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import candidates
import numpy as np

import makemore_cpp as mm
from makemore_cpp import _core

# B, T, E, H and the steps of one turn.
SHAPES = {
    "lecture": (32, 3, 10, 200, 5000),
    "B=256": (256, 3, 10, 200, 1000),
    "B=4096 H=1024": (4096, 3, 10, 1024, 20),
}


# Threads of some frameworks spin for a while after their work; the next candidate waits so long.
SETTLE_SECONDS = 0.25


class Candidate:
    """A process that runs one framework with some CPUs."""

    def __init__(self, name, threads):
        self.name, self.threads = name, threads
        self.process = subprocess.Popen(
            [sys.executable, Path(candidates.__file__), name, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, **command):
        """Send a command and return its answer."""
        print(json.dumps(command), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} with {self.threads} CPUs has ended unexpectedly")
        return json.loads(line)

    def close(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def machine():
    """What the figures were measured on."""
    model = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = (line.partition(":") for line in info.read_text().splitlines())
        model = next((v.strip() for k, _, v in lines if k.strip() == "model name"), model)
    return {
        "cpu": model,
        "cpus": len(os.sched_getaffinity(0)),
        "isa": _core.build_info()["isa"]["used"],
        "python": platform.python_version(),
        "numpy": np.__version__,
        "makemore_cpp": mm.__version__,
    }


def write_problem(file, shape, words):
    """Save parameters, data and the rows of every step for the candidates to load."""
    B, T, E, H, steps = shape
    vocab = mm.Vocab.from_words(words)
    X, Y = mm.build_dataset(words, vocab, T)
    names = ("C", "W1", "b1", "W2", "b2")
    parameters = _core.initial_parameters(T, E, H, len(vocab), seed=1)
    steps = max(steps, 20)
    rows = _core.batch_rows(1, 0, steps, B, len(X))
    arrays = dict(zip(names, parameters, strict=True))
    np.savez(file, X=X, Y=Y, rows=rows, lr=np.full(steps, 0.1), **arrays)


def verify(answers):
    """Raise unless all candidates computed the same losses, up to float32 rounding."""
    first = next(iter(answers.values()))
    for who, answer in answers.items():
        for what in ("losses", "mean_loss"):
            if not np.allclose(answer[what], first[what], rtol=1e-3):
                raise RuntimeError(f"{who} computes other {what} than {next(iter(answers))}")


def measure(shape_name, running, turns):
    """Return us per step (or ms per mean loss) of each candidate, one number a turn."""
    steps = SHAPES[shape_name][-1]
    found = {(c.name, c.threads): [] for c in running}
    evaluations = {(c.name, c.threads): [] for c in running}
    for turn in range(turns + 1):  # the first warms up
        for candidate in running:
            time.sleep(SETTLE_SECONDS)
            # Slow candidates get fewer steps, so that no turn takes minutes.
            n = max(1, steps // (1 if candidate.name in ("makemore_cpp", "jax scan") else 10))
            seconds = candidate.ask(do="steps", n=n)["seconds"]
            if turn > 0:
                found[candidate.name, candidate.threads].append(seconds / n * 1e6)
            if shape_name == "lecture":
                seconds = candidate.ask(do="mean_loss")["seconds"]
                if turn > 0:
                    evaluations[candidate.name, candidate.threads].append(seconds * 1e3)
    return found, evaluations


def report(title, unit, found):
    """Print medians, spreads and how many times faster than each of its peers the core is."""
    print(f"\n{title}")
    ours = {
        threads: statistics.median(values)
        for (name, threads), values in found.items()
        if name == "makemore_cpp"
    }
    columns = ("CPUs", f"median {unit}", "min", "max", *(f"ratio to our {t}" for t in sorted(ours)))
    print(f"{'':<16}" + "".join(f"{column:>15}" for column in columns))
    for (name, threads), values in found.items():
        median = statistics.median(values)
        figures = [median, min(values), max(values), *(median / ours[t] for t in sorted(ours))]
        print(f"{name:<16}{threads:>15}" + "".join(f"{figure:>15.1f}" for figure in figures))


def draw(results, file):
    """Draw the lecture's step as bars."""
    from matplotlib.figure import Figure

    found = results["lecture, us per step"]
    labels = [f"{row['name']}, {row['cpus']} CPU" + "s" * (row["cpus"] > 1) for row in found]
    medians = [row["median"] for row in found]
    figure = Figure(figsize=(8, 0.4 * len(found) + 1.2), layout="constrained")
    ax = figure.subplots()
    colors = ["#c8102e" if row["name"] == "makemore_cpp" else "#8fa3bf" for row in found]
    ax.barh(labels, medians, color=colors)
    for i, median in enumerate(medians):
        ax.text(median, i, f" {median:,.0f}", va="center")
    ax.invert_yaxis()
    ax.set_xlabel("microseconds per training step")
    ax.set_title("The lecture's model: B=32, T=3, E=10, H=200, V=27")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    figure.savefig(file, dpi=120)


def main():
    """Run the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--shapes", nargs="*", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--data", help="text file, one word a line; default: the bundled names")
    parser.add_argument("--json", help="write the results to this file")
    parser.add_argument("--png", help="draw the lecture's step into this file")
    options = parser.parse_args()

    words = mm.load_words(options.data)
    about = machine()
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    results = {}
    for shape_name in options.shapes:
        with tempfile.TemporaryDirectory() as folder:
            file = str(Path(folder) / "problem.npz")
            write_problem(file, SHAPES[shape_name], words)
            running, answers = [], {}
            for name in candidates.NAMES:
                for threads in sorted({1, about["cpus"]}):
                    candidate = Candidate(name, threads)
                    loaded = candidate.ask(do="load", file=file)
                    if "absent" in loaded:
                        print(f"{name}: not installed ({loaded['absent']})")
                        candidate.close()
                        break
                    answers[f"{name}, {threads} CPUs"] = candidate.ask(do="verify")
                    running.append(candidate)
            verify(answers)
            found, evaluations = measure(shape_name, running, options.turns)
            for candidate in running:
                candidate.close()
        for what, unit, values in (
            ("us per step", "us", found),
            ("ms per mean loss", "ms", evaluations),
        ):
            if not any(values.values()):
                continue
            report(f"{shape_name}, {what}", unit, values)
            results[f"{shape_name}, {what}"] = [
                {"name": name, "cpus": threads, "median": statistics.median(v), "all": v}
                for (name, threads), v in values.items()
            ]
    if options.json:
        Path(options.json).write_text(json.dumps({"machine": about, "results": results}, indent=2))
    if options.png:
        draw(results, options.png)


if __name__ == "__main__":
    main()
