"""How good a model of names is one second of training?  Ours, PyTorch's, JAX's and NumPy's.

    pip install ".[compare]" && python benchmarks/one_second.py --data names.txt

The protocol, by which anybody can compare:

- The texts are shuffled by random.Random(42) and split at 80 and 90 % into train, dev and test.
- The clock starts at the first step of a warm process: it has imported its framework, compiled,
  done steps and gone back to its first parameters; texts are tokens, and contexts are made.
  Minibatches are drawn while the clock runs.  It stops before the evaluation, and no call of many
  steps is begun that would not end in time if it took as long as those before.
- The learning rate follows the clock, on a cosine from its first value to 0.
- Sizes, batch and rate of a budget are those of our presets, `train --preset one-second`, which
  `sweep grid --seconds 1` found on dev with one core, for ten seconds with two.  The others have
  that preset of ours, with the batch size and the rate, that suits them best, found on dev with one
  core by `--search`.
- The five seeds are none that a search has used; test is looked at for the table alone.

All candidates are first checked to compute the same losses.  Let nothing else run meanwhile.
"""

import argparse
import json
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import reporting
from candidates import AVX2, NAMES, OURS, Update
from measuring import (
    ALL_CPUS,
    examples_of,
    machine,
    save_problem,
    start_all,
    why_not_avx2,
    write_problem,
)

import makemore_cpp as mm
from makemore_cpp import _core
from makemore_cpp.recipe import PRESETS

BUDGETS = {  # seconds, and the preset that was found for them
    0.1: "tenth-second",
    0.3: "three-tenths-second",
    1.0: "one-second",
    3.0: "three-seconds",
    10.0: "ten-seconds",
}
SEEDS = (101, 102, 103, 104, 105)
SEARCH_SEED = 1
N_GRAMS = (2, 4, 6)  # orders of the counts beside which the losses are drawn


class Recipe(NamedTuple):
    """How a candidate trains: a preset of ours, with another batch size and rate."""

    preset: str
    batch_size: int
    lr: float


# What `--search` found for the others; NumPy and PyTorch, which are about as fast, share a table.
_SHORT = Recipe("tenth-second", 256, 0.025)
_MIDDLE = Recipe("three-tenths-second", 1024, 0.02)
_TORCH = {
    0.1: _SHORT,
    0.3: _SHORT,
    1.0: Recipe("tenth-second", 512, 0.025),
    3.0: _MIDDLE,
    10.0: _MIDDLE,
}
RECIPES = {
    "numpy": _TORCH,
    "torch eager": _TORCH,
    "torch compile": _TORCH,
    "jax scan": {
        0.1: _SHORT,
        0.3: _SHORT,
        1.0: _MIDDLE,
        3.0: _MIDDLE,
        10.0: Recipe("one-second", 768, 0.0075),
    },
}


def recipe_of(name, seconds):
    """Return the recipe of a candidate for a budget."""
    if name in RECIPES:
        return RECIPES[name][seconds]
    return recipe_of_preset(BUDGETS[seconds])


def recipe_of_preset(preset):
    """Return the recipe that a preset is."""
    training = PRESETS[preset].training
    return Recipe(preset, training["batch_size"], training["lr"])


class Runner:
    """Lets candidates train; it keeps what they share."""

    def __init__(self, texts, folder):
        self.texts = texts
        self.file = str(Path(folder) / "problem.npz")
        self.examples = {}
        self.loaded = {}  # the preset and batch size for which a candidate has compiled

    def train(self, candidate, recipe, seconds, seed):
        """Return the answer to `train_for`: seconds and steps that were used, losses by split."""
        sizes, training = PRESETS[recipe.preset]
        T, E, H = (sizes[name] for name in ("block_size", "n_embd", "n_hidden"))
        if T not in self.examples:
            self.examples[T] = examples_of(self.texts, T)
        V, *examples = self.examples[T]
        update = Update("adamw", training["weight_decay"], training.get("dropout", 0.0))
        save_problem(self.file, examples, update, _core.initial_parameters(T, E, H, V, seed=seed))
        # A problem is loaded once, lest a framework compile the same step for every seed.
        shapes = recipe.preset, recipe.batch_size
        is_loaded = self.loaded.get(candidate.who) == shapes
        candidate.ask("begin_from" if is_loaded else "load", file=self.file)
        self.loaded[candidate.who] = shapes
        return candidate.ask(
            "train_for", seconds=seconds, batch_size=recipe.batch_size, lr=recipe.lr, seed=seed
        )


def search(candidate, runner, budgets):
    """Yield each budget, the recipe that suits a candidate best, and its loss on dev.

    The search climbs from the best of the presets for at most this budget and of what was best for
    the budget before: to another batch size, or another rate, by factors of two.
    """
    best = None
    for seconds in budgets:
        tried = {}

        def loss_of(recipe, seconds=seconds, tried=tried):
            if recipe not in tried:
                tried[recipe] = runner.train(candidate, recipe, seconds, SEARCH_SEED)["dev"]
            return tried[recipe]

        presets = [preset for limit, preset in BUDGETS.items() if limit <= seconds]
        begins = [recipe_of_preset(preset) for preset in presets] + [best] * (best is not None)
        best = min(begins, key=loss_of)
        while True:
            neighbours = [
                best._replace(**{name: type(value)(value * factor) or 1})
                for name, value in (("batch_size", best.batch_size), ("lr", best.lr))
                for factor in (0.5, 2)
            ]
            better = min(neighbours, key=loss_of)
            if loss_of(better) >= loss_of(best):
                break
            best = better
        yield seconds, best, loss_of(best)


def compare(running, runner, budgets):
    """Return a row for each budget and candidate, with the losses of all seeds."""
    rows = []
    for seconds in budgets:
        answers = {candidate.who: [] for candidate in running}
        for seed in SEEDS:
            for candidate in running:
                recipe = recipe_of(candidate.name, seconds)
                answers[candidate.who].append(runner.train(candidate, recipe, seconds, seed))
        for (name, cpus), found in answers.items():
            rows.append(
                {
                    "budget": seconds,
                    "name": name,
                    "cpus": cpus,
                    "recipe": recipe_of(name, seconds)._asdict(),
                    **{key: [answer[key] for answer in found] for key in found[0]},
                }
            )
            print(line_of(rows[-1]), flush=True)
    return rows


def line_of(row):
    """Return a row of the table as text."""
    dev, test = (statistics.fmean(row[split]) for split in ("dev", "test"))
    spread = f"{min(row['dev']):.3f} to {max(row['dev']):.3f}"
    steps, used = statistics.median(row["steps"]), max(row["seconds"])
    return (
        f"{row['budget']:>5} s  {row['name']:<14}{reporting.counted(row['cpus']):>7}"
        f"{dev:>9.4f} ({spread}){test:>9.4f}{steps:>10,.0f} steps{used:>8.3f} s  "
        + "{preset}, B={batch_size}, lr {lr:g}".format(**row["recipe"])
    )


def n_gram_losses(texts):
    """Return the losses on dev of Kneser-Ney's n-grams, {order: loss}."""
    losses = {}
    for order in N_GRAMS:
        data = mm.Dataset.split(texts, order - 1, seed=42)
        counts = mm.KneserNey(data.vocab, data.train.texts, order=order)
        losses[order] = counts.loss(data.dev.X, data.dev.Y)
    return losses


def main():
    """Run the comparison, or a search."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", help="text file, one text a line; default: the bundled names")
    parser.add_argument(
        "--names", nargs="*", choices=NAMES, help="default: all, not forced to AVX2"
    )
    parser.add_argument("--budgets", nargs="*", type=float, choices=list(BUDGETS))
    parser.add_argument("--search", action="store_true", help="find what suits the others best")
    parser.add_argument("--json", help="write the results to this file")
    parser.add_argument("--png", help="draw loss against seconds into this file")
    options = parser.parse_args()
    names = options.names or [name for name in NAMES if name != AVX2]
    if AVX2 in names and why_not_avx2(_core.build_info()["isa"]):
        parser.error(f"{AVX2}: {why_not_avx2(_core.build_info()['isa'])}")
    budgets = sorted(set(options.budgets or BUDGETS))

    texts = mm.load_texts(options.data)
    about = machine()
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        runner = Runner(texts, folder)
        write_problem(runner.file, (32, 3, 10, 200), texts, 20, "adamw")
        if options.search:
            names = [name for name in names if name not in (OURS, AVX2)]
        running = start_all(runner.file, names, (1,) if options.search else (1, ALL_CPUS))
        for candidate in running:
            stack.callback(candidate.close)
        if options.search:
            for candidate in running:
                for seconds, recipe, loss in search(candidate, runner, budgets):
                    print(f"{candidate.name}, {seconds} s: {recipe}, dev {loss:.4f}", flush=True)
            return
        rows = compare(running, runner, budgets)
    counts = n_gram_losses(texts)
    for order, loss in counts.items():
        print(f"Kneser-Ney {order}-gram {loss:.4f}")
    if options.json:
        kept = {"machine": about, "results": rows, "n_grams": counts}
        Path(options.json).write_text(json.dumps(kept, indent=2))
    if options.png:
        reporting.draw_seconds(rows, counts, options.png)


if __name__ == "__main__":
    main()
