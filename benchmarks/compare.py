"""Compares training with NumPy, PyTorch and JAX on this machine: steps, losses and whole jobs.

    pip install ".[compare]" && python benchmarks/compare.py

Every candidate runs in a process of its own, once with one CPU and once with all.  All are first
checked to compute the same losses from the same parameters and minibatches; then they take turns,
and the median of the turns is reported with its spread.  Frameworks that are not installed are
named and left out.  Let nothing else run meanwhile.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import NamedTuple

import candidates
import jobs
import reporting
from flops import naive_flop
from measuring import LECTURE_STEPS, machine, measure, start_all, why_not_avx2, write_problem

import makemore_cpp as mm

LECTURE = "lecture"


class Shape(NamedTuple):
    """The sizes of a training step, and how it is measured."""

    sizes: tuple  # B, T, E, H and, unless it is the texts' own, V
    steps: int  # of one turn
    optimizer: str = "sgd"
    mean_loss: bool = False  # whether to time the mean loss too
    avx2: bool = False  # whether to measure ours forced to AVX2 too


SHAPES = {
    LECTURE: Shape((32, 3, 10, 200), 5000, mean_loss=True, avx2=True),
    "AdamW": Shape((32, 3, 10, 200), 2000, "adamw"),
    "B=256": Shape((256, 3, 10, 200), 1000),
    "B=4096 H=1024": Shape((4096, 3, 10, 1024), 20),
    "V=1000 B=256": Shape((256, 4, 30, 200, 1000), 200),
    "V=16384 B=32": Shape((32, 4, 30, 100, 16_384), 100),
    "V=16384 B=256": Shape((256, 4, 30, 100, 16_384), 40, mean_loss=True, avx2=True),
    "V=16384 B=256 AdamW": Shape((256, 4, 30, 100, 16_384), 20, "adamw"),
    "V=16384 B=1024": Shape((1024, 4, 60, 100, 16_384), 10),
    "V=50000 B=256 H=256": Shape((256, 4, 30, 256, 50_000), 10),
}


class Results:
    """The measurements so far, printed as they come and kept for JSON."""

    def __init__(self):
        self.tables, self.sentences = {}, {}

    def add(self, title, found):
        """Print and keep a table, {who: values}."""
        reporting.report(title, found)
        self.tables[title] = reporting.rows(found)

    def summarise(self, title, sentences):
        """Print and keep (sentence, number) pairs."""
        print()
        for sentence, number in sentences:
            print(f"{number:8.2f}  {sentence}")
            self.sentences[f"{title}: {sentence}"] = number


def names_for(shape_name):
    """Return the candidates that this shape is measured with."""
    names = list(candidates.NAMES)
    reason = why_not_avx2(mm.build_info()["isa"])
    if not SHAPES[shape_name].avx2 or reason:
        names.remove(candidates.AVX2)
        if SHAPES[shape_name].avx2:
            print(f"{candidates.AVX2}: skipped, {reason}")
    return names


def run_shape(shape_name, texts, options, results):
    """Measure one shape; for the lecture's also the time until its loss is reached."""
    shape = SHAPES[shape_name]
    lecture = shape_name == LECTURE
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "problem.npz")
        saved = LECTURE_STEPS if lecture and options.jobs else max(shape.steps, 20)
        V = write_problem(file, shape.sizes, texts, saved, shape.optimizer)
        flop = naive_flop(*shape.sizes[:4], V)
        running = start_all(file, names_for(shape_name))
        found = measure(running, shape.steps, options.turns, shape.mean_loss, busy=lecture)
        for what, values in found.items():
            results.add(f"{shape_name}, {what}", values)
        results.summarise(shape_name, reporting.summaries(found, flop))
        if lecture and options.png:
            reporting.draw(found["us per step"], options.png)
        if lecture and options.jobs:
            found, ends = jobs.time_to_loss(running, options.target, options.turns)
            results.add(f"seconds until the dev loss is {options.target}", found)
            for (name, cpus), (done, loss) in ends.items():
                missed = "" if loss <= options.target else ": NOT REACHED"
                print(f"{name}, {reporting.counted(cpus)}: {done:,} steps, {loss:.4f}{missed}")
        for candidate in running:
            candidate.close()


def main():
    """Run the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--shapes", nargs="*", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--data", help="text file, one text a line; default: the bundled names")
    parser.add_argument(
        "--jobs",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also time whole trainings and imports",
    )
    parser.add_argument("--target", type=float, default=2.17, help="dev loss to train until")
    parser.add_argument("--json", help="write the results to this file")
    parser.add_argument("--png", help="draw the lecture's step into this file")
    options = parser.parse_args()
    if options.turns < 1:
        parser.error(f"--turns is {options.turns}; it must be at least 1")

    texts = mm.load_texts(options.data)
    about = machine()
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    results = Results()
    for shape_name in options.shapes:
        run_shape(shape_name, texts, options, results)
    if options.jobs:
        found = jobs.time_commands(options.data, options.turns)
        results.add("seconds from start to exit of a process", found)
        results.summarise("whole jobs", reporting.job_summaries(found))
    if options.json:
        kept = {"machine": about, "results": results.tables, "summaries": results.sentences}
        Path(options.json).write_text(json.dumps(kept, indent=2))


if __name__ == "__main__":
    main()
