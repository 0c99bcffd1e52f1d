"""The options of a training: each is declared once, and all lists of them agree."""

from __future__ import annotations

import math
from typing import Any, get_type_hints

import numpy as np
import pytest

import makemore_cpp as mm
from makemore_cpp import _core
from makemore_cpp.recipe import OPTIONS, PRESETS, Recipe
from makemore_cpp.recipe.options import TrainingOptions, UpdateOptions, names_of


def test_signatures_have_the_declared_options() -> None:
    assert list(UpdateOptions.__annotations__) == names_of("update")
    assert sorted(get_type_hints(TrainingOptions)) == sorted(names_of("training", "update"))
    declared, signature = get_type_hints(Recipe), get_type_hints(TrainingOptions)
    assert all(declared[name] == kind for name, kind in signature.items())


def test_the_defaults_are_those_of_the_model_and_the_core() -> None:
    data = mm.Dataset.split(["emma", "olivia", "ava", "mia"] * 5)
    recipe = Recipe()
    plain, said = mm.MLP(data.vocab), mm.MLP(data.vocab, **recipe.options("model"))
    assert plain.to_bytes() == said.to_bytes()
    X, Y, lr = data.train.X, data.train.Y, np.full(3, 0.1)
    for optimizer in ("sgd", "momentum", "adam", "adamw"):
        model, state = mm.MLP(data.vocab), mm.MLP(data.vocab).optimizer_state(optimizer)
        five = tuple(model.parameters.values())
        _core.train_steps(*five, X, Y, lr, optimizer=optimizer, state=state)
        other = mm.MLP(data.vocab)
        other.train_steps(X, Y, lr, optimizer=optimizer, state=other.optimizer_state(optimizer))
        assert model.to_bytes() == other.to_bytes()


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_recipes(name: str) -> None:
    preset = PRESETS[name]
    recipe = Recipe(**preset.sizes, **preset.training)
    for option, value in {**preset.sizes, **preset.training}.items():
        assert getattr(recipe, option) == value


BAD: dict[str, list[Any]] = {
    "block_size": [0, 2**16 + 1, 1.5, "3", None],
    "n_embd": [0, 2**16 + 1],
    "n_hidden": [0, 2**20 + 1, [200]],
    "init": ["zeros", 1],
    "direct": [1, "yes"],
    "steps": [0, 10**9 + 1, True + 0.5],
    "batch_size": [0, 2**31, "some", None],
    "lr": [-1, math.nan, math.inf, 1e39, "0.1", None],
    "schedule": ["linear", None],
    "lr_floor": [-1.0, "0"],
    "lr_decay": [-1.0],
    "seed": [-1, 2**64],
    "eval_every": [-1, 0.5],
    "patience": [0],
    "optimizer": ["lion", 3],
    "momentum": [1.0, -0.1, 1 - 1e-9],
    "betas": [0.9, (0.9,), (0.9, 1.0), (-1, 0.5)],
    "epsilon": [0, -1e-8, 1e-50],
    "weight_decay": [-0.1, math.nan],
    "decay_biases": [1, "yes"],
    "dropout": [1.0, -0.1],
    "negatives": [0, -1, 2**20 + 1, 1.5, "all"],
    "seconds": [-1.0, 0.0, math.nan],
    "max_examples": [0, 10**16],
}
FITTING = {"momentum": "momentum", "betas": "adam", "epsilon": "adamw"}
SCHEDULE = {"lr_floor": "cosine", "lr_decay": "inverse"}


def test_each_option_has_bad_values() -> None:
    assert list(BAD) == list(OPTIONS)


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in BAD.items() for v in values])
def test_a_bad_value_is_refused_by_its_name(name: str, value: Any) -> None:
    others = {"optimizer": FITTING.get(name, "sgd"), "schedule": SCHEDULE.get(name, "step")}
    others.pop(name, None)
    with pytest.raises((TypeError, mm.ArgumentError), match=name.removesuffix("s")) as caught:
        Recipe(**{**others, name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"momentum": 0.5}, "momentum belongs to momentum, not to 'sgd'"),
        ({"betas": (0.5, 0.9)}, "betas belongs to adam and adamw, not to 'sgd'"),
        ({"epsilon": 1e-3, "optimizer": "momentum"}, "epsilon belongs to adam and adamw, not to"),
        ({"lr_floor": 0.1}, "lr_floor belongs to the cosine schedule, not to 'step'"),
        ({"lr_decay": 1, "schedule": "cosine"}, "lr_decay belongs to the inverse schedule, not"),
    ],
)
def test_an_option_of_another_is_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(mm.ArgumentError, match=sentence):
        Recipe(**options)


def test_only_options_of_the_parts_are_taken() -> None:
    with pytest.raises(TypeError, match="there is no option 'n_hidden'; there are steps, batch_s"):
        Recipe.of({"n_hidden": 3}, "training", "update")
    with pytest.raises(TypeError, match="there is no option 'lr'; there are optimizer, momentum"):
        Recipe.of({"lr": 3}, "update")


def test_values_are_pythons_own() -> None:
    recipe = Recipe(steps=np.int64(7), lr=np.float32(0.5), betas=[0.5, 0.75], optimizer="adam")
    assert (type(recipe.steps), type(recipe.lr), type(recipe.betas)) == (int, float, tuple)
    assert recipe.options("update")["betas"] == (0.5, 0.75)
