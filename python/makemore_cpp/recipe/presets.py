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


def _adamw(
    sizes: tuple[int, int, int],
    steps: int,
    batch_size: int,
    lr: float,
    weight_decay: float,
    dropout: float = 0.0,
) -> Preset:
    """Return the preset of (block_size, n_embd, n_hidden), whose rate falls to 0 as a cosine."""
    return Preset(
        sizes=dict(zip(("block_size", "n_embd", "n_hidden"), sizes, strict=True)),
        training={
            "steps": steps,
            "batch_size": batch_size,
            "optimizer": "adamw",
            "lr": lr,
            "schedule": "cosine",
            "lr_floor": 0.0,
            "weight_decay": weight_decay,
            "dropout": dropout,
        },
    )


# The presets named after a time have the least dev loss on the lecture's names that was found for
# that time of training: up to three seconds on one core, TEN_SECONDS on two cores. Their steps are
# about those that were done in it. BEST_OF_CONTEXT_3 has the least with the lecture's three
# characters of context; .readme/experiments.md tells how they were found.
TEN_SECONDS = _adamw((8, 48, 1200), 6300, 1024, 0.007, 0.2, dropout=0.1)
BEST_OF_CONTEXT_3 = _adamw((3, 48, 800), 40_000, 256, 0.002, 0.04, dropout=0.05)

PRESETS = {
    "lecture": LECTURE,
    "tenth-second": _adamw((5, 24, 200), 740, 512, 0.025, 0.02),
    "three-tenths-second": _adamw((6, 24, 300), 930, 1024, 0.02, 0.1),
    "one-second": _adamw((6, 48, 500), 2000, 768, 0.015, 0.12),
    "three-seconds": _adamw((7, 48, 800), 3200, 1024, 0.01, 0.2),
    "ten-seconds": TEN_SECONDS,
    "best": TEN_SECONDS,
    "best-context-3": BEST_OF_CONTEXT_3,
}
