"""Presets: all settings of a training under one name, for `train --preset` and for programs."""

from typing import Any, NamedTuple


class Preset(NamedTuple):
    """The sizes of a net and how it begins, for `MLP`, and how it is trained, for `train`."""

    sizes: dict[str, Any]
    training: dict[str, Any]


# The lecture's recipe to the letter. The defaults of `MLP` and `train` differ from it in one thing:
# initial parameters that are scaled, so that the first loss is near ln V and not ten times as high.
LECTURE = Preset(
    sizes={"block_size": 3, "n_embd": 10, "n_hidden": 200, "init": "lecture"},
    training={
        "steps": 200_000,
        "batch_size": 32,
        "optimizer": "sgd",
        "lr": 0.1,
        "schedule": "step",
    },
)

# BEST has the least dev loss on the lecture's names that was found within 20 seconds of training on
# two cores, BEST_OF_CONTEXT_3 the least with the lecture's three characters of context;
# .readme/experiments.md tells how.
BEST = Preset(
    sizes={"block_size": 8, "n_embd": 32, "n_hidden": 800},
    training={
        "steps": 40_000,
        "batch_size": 256,
        "optimizer": "adamw",
        "lr": 0.003,
        "schedule": "cosine",
        "lr_floor": 0.0,
        "weight_decay": 0.03,
        "dropout": 0.25,
    },
)
BEST_OF_CONTEXT_3 = Preset(
    sizes={"block_size": 3, "n_embd": 48, "n_hidden": 800},
    training={**BEST.training, "lr": 0.002, "weight_decay": 0.04, "dropout": 0.05},
)

PRESETS = {"lecture": LECTURE, "best": BEST, "best-context-3": BEST_OF_CONTEXT_3}
