"""Trains nets of words on the ranks of a launch; the first rank prints their digests.

test_mpi.py runs ``mpiexec -n 2 python mpi_training.py``.
"""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Any

import numpy as np

import makemore_cpp as mm
from makemore_cpp import training

WORDS = 17_000
STEPS = 200
RECIPES: dict[str, dict[str, Any]] = {
    "sgd": {"lr": 0.3},
    "adamw": {"optimizer": "adamw", "lr": 0.003, "weight_decay": 0.01},
    "sgd, sampled": {"lr": 0.3, "negatives": 1000},
    "adamw, sampled": {"optimizer": "adamw", "lr": 0.003, "dropout": 0.1, "negatives": 1000},
}


def texts(words: int = WORDS, lines: int = 2500) -> list[str]:
    """Return lines of ten words; each word occurs, the first ones far more often."""
    random = np.random.default_rng(1)
    often = (words * random.random((lines, 10)) ** 3).astype(int)
    often.flat[random.permutation(often.size)[:words]] = np.arange(words)
    return [" ".join(f"w{word}" for word in line) for line in often]


def results(ranks: training.Ranks, steps: int = STEPS) -> dict[str, str]:
    """Return the SHA-256 of each training's results."""
    data = mm.Dataset.split(texts(), 3, level="word")
    found = {}
    for name, options in RECIPES.items():
        model = mm.MLP(data.vocab, data.block_size, 8, 24, direct="sampled" in name)
        history = training.train(
            model, data, steps=steps, batch_size=48, eval_every=steps // 2, ranks=ranks, **options
        )
        digest = hashlib.sha256(model.to_bytes())
        digest.update(history.losses.tobytes() + str(history.evaluations).encode())
        found[name] = digest.hexdigest()
    ranks.check_same(found)
    return found


if __name__ == "__main__":
    of_launch = training.Ranks.of_launch()
    found = results(of_launch)
    if of_launch.is_first:
        sys.stdout.write(json.dumps({"ranks": of_launch.size, **found}))
