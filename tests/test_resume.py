"""An interrupted run that goes on ends in the same bits: in memory, and from its file."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import makemore_cpp as mm
from makemore_cpp import training
from makemore_cpp.runs import checkpoint
from makemore_cpp.training.state import TrainingState

STEPS = 40
# Together these recipes have every optimizer, schedule and kind of batch, and early stops.
RUNS: list[dict[str, Any]] = [
    {},
    {"optimizer": "momentum", "momentum": 0.8, "schedule": "inverse", "eval_every": 3},
    {"optimizer": "adam", "betas": (0.8, 0.95), "lr": 0.01, "schedule": "cosine", "dropout": 0.3,
     "negatives": 9},
    {
        "optimizer": "adamw", "lr": 0.03, "schedule": "constant", "weight_decay": 0.1,
        "decay_biases": True, "batch_size": "all", "eval_every": 5, "patience": 3,
    },
    {"lr": 3.0, "eval_every": 2, "patience": 4, "seed": 2**64 - 1, "batch_size": 7},
    {"lr": 0.2, "eval_every": 0, "schedule": "cosine", "lr_floor": 0.0, "weight_decay": 0.01},
]  # fmt: skip


@pytest.fixture(scope="module")
def data() -> mm.Dataset:
    texts = mm.load_texts()
    return mm.Dataset.split(
        mm.data.texts.Texts(texts[:300], texts.name, texts.sha256), block_size=2
    )


def new_model(data: mm.Dataset) -> mm.MLP:
    return mm.MLP(data.vocab, data.block_size, n_embd=3, n_hidden=11)


def in_memory(state: TrainingState, _: Path) -> TrainingState:
    return state


def through_a_file(state: TrainingState, folder: Path) -> TrainingState:
    path = folder / "checkpoint.safetensors"
    checkpoint.save(path, checkpoint.Checkpoint(state, builds=("b",)))
    return checkpoint.load(path).state


def result_of(model: mm.MLP, history: mm.History) -> tuple[Any, ...]:
    """Return the results of a run, without its time."""
    return (
        {name: array.tobytes() for name, array in model.parameters.items()},
        model.data,
        history.losses.tobytes(),
        history.lr.tobytes(),
        history.evaluations,
        history.best,
        history.options,
        [(snapshot.step, snapshot.C.tobytes()) for snapshot in history.snapshots],
    )


def states_of(data: mm.Dataset, options: dict[str, Any]) -> tuple[list[TrainingState], Any]:
    """Return a checkpoint after every step, and the results of the run."""
    states: list[TrainingState] = []
    model = new_model(data)
    history = mm.train(
        model,
        data,
        steps=STEPS,
        on_checkpoint=lambda state: states.append(copy.deepcopy(state)),
        checkpoint_every=1,
        **options,
    )
    return states, result_of(model, history)


Keep = Callable[[TrainingState, Path], TrainingState]


def resumed(data: mm.Dataset, state: TrainingState, **more: Any) -> Any:
    model = new_model(data)
    return result_of(model, mm.train(model, data, resume=state, **state.options, **more))


@pytest.mark.parametrize("keep", [in_memory, through_a_file])
@pytest.mark.parametrize("options", RUNS, ids=lambda o: o.get("optimizer", "sgd"))
def test_resumed_after_any_step(
    data: mm.Dataset, options: dict[str, Any], keep: Keep, tmp_path: Path
) -> None:
    plain_model = new_model(data)
    plain = result_of(plain_model, mm.train(plain_model, data, steps=STEPS, **options))
    states, result = states_of(data, options)
    assert result == plain, "checkpoints change nothing"
    assert len(states) >= 10
    assert [len(state.losses) for state in states] == list(range(1, len(states) + 1))
    for state in states[::3]:
        threads = 1 + len(state.losses) % 3
        assert resumed(data, keep(state, tmp_path), threads=threads) == plain


def test_resumed_again_and_again(data: mm.Dataset, tmp_path: Path) -> None:
    options = {**RUNS[3], "steps": STEPS}
    model = new_model(data)
    plain = result_of(model, mm.train(model, data, **options))
    state = None
    for stop_at in (3, 4, 5, 15, 16, 23):
        latest: list[TrainingState] = []
        model = new_model(data)
        seen = [0]
        history = mm.train(
            model,
            data,
            resume=state,
            checkpoint_every=1000,
            on_checkpoint=lambda s, latest=latest: latest.append(copy.deepcopy(s)),
            on_progress=lambda p, seen=seen: seen.append(p.step),
            should_stop=lambda seen=seen, stop_at=stop_at: seen[-1] >= stop_at,
            **options,
        )
        assert history.stopped
        state = through_a_file(latest[-1], tmp_path)
        assert len(state.losses) == len(history.losses) >= stop_at
        assert state.seconds > 0
    assert resumed(data, state) == plain


def test_the_clock_decides_where_nothing_is_said(
    data: mm.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []

    def run(**options: Any) -> int:
        given.clear()
        mm.train(
            new_model(data),
            data,
            steps=300,
            on_checkpoint=lambda state: given.append(len(state.losses)),
            **options,
        )
        return len(given)

    assert run() == 0, "a short run has none"
    assert run(checkpoint_every=0) == 0
    assert run(checkpoint_every=100) == 2
    assert given == [100, 200], "there is none at the end"
    monkeypatch.setattr(training.watch, "SECONDS_PER_CHECKPOINT", 0.0)
    monkeypatch.setattr(training.watch, "TRAINING_PER_CHECKPOINT", 0)
    assert run() > 2
    with pytest.raises(mm.ArgumentError, match="checkpoint_every is -1"):
        run(checkpoint_every=-1)


def test_what_does_not_belong_to_the_run_is_refused_by_name(data: mm.Dataset) -> None:
    state = states_of(data, {})[0][4]

    def refused(sentence: str, model: mm.MLP, data: mm.Dataset, **other: Any) -> None:
        with pytest.raises(mm.ArgumentError, match=sentence):
            mm.train(model, data, resume=state, **{**state.options, **other})

    refused("^lr is 0.2, but 0.1 in the run to resume", new_model(data), data, lr=0.2)
    refused("^seed is 2, but 1 in", new_model(data), data, seed=2)
    refused("^steps is 50, but 40 in", new_model(data), data, steps=50)
    refused("^patience is 1, but None in", new_model(data), data, patience=1)
    refused("^n_hidden|has n_hidden 5", mm.MLP(data.vocab, 2, 3, 5), data)
    refused("has n_embd 4", mm.MLP(data.vocab, 2, 4, 11), data)
    other = mm.Dataset.split(mm.load_texts()[:300], block_size=2, seed=1, vocab=data.vocab)
    refused("^data is not that of the run to resume: the SHA-256", new_model(data), other)
    fewer = mm.Dataset.split(["ab"] * 50, block_size=2)
    refused("has vocab", mm.MLP(fewer.vocab, 2, 3, 11), fewer)
    state.evaluations.pop()
    refused("has 0 evaluations after 5 steps, but eval_every 4 makes 1", new_model(data), data)


def test_a_run_that_diverges_leaves_its_last_checkpoint(data: mm.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    model = new_model(data)
    before = {name: array.copy() for name, array in model.parameters.items()}

    def save(state: TrainingState) -> None:
        checkpoint.save(path, checkpoint.Checkpoint(state, builds=("b",)))

    with pytest.raises(mm.DivergedError, match=r"step \d+.*loss .*learning rate") as caught:
        mm.train(
            model, data, steps=STEPS, lr=1.0, weight_decay=100.0,  # each step takes -99 times w
            on_checkpoint=save, checkpoint_every=1,
        )  # fmt: skip
    for name, array in model.parameters.items():
        assert np.array_equal(array, before[name])
    state = checkpoint.load(path).state
    assert 5 < len(state.losses) <= caught.value.step
    with pytest.raises(mm.DivergedError) as again:
        resumed(data, state)
    assert again.value.step == caught.value.step


# Each fault is one that a checkpoint could have, planted in a state that is right.
def forget_the_optimizer(state: TrainingState) -> None:
    for array in state.optimizer_state.values():
        array[...] = 0


def one_step_too_few(state: TrainingState) -> None:
    object.__setattr__(state, "losses", state.losses[:-1])


def best_of_now(state: TrainingState) -> None:
    state.best.update(state.model.parameters)


def another_evaluation(state: TrainingState) -> None:
    step, loss = state.evaluations[-1]
    state.evaluations[-1] = mm.training.Evaluation(step, np.nextafter(loss, 9))


def last_bit_of_a_parameter(state: TrainingState) -> None:
    state.model.b2[-1] = np.nextafter(state.model.b2[-1], np.float32(9))


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        (3, forget_the_optimizer),
        (2, one_step_too_few),
        (4, best_of_now),
        (3, another_evaluation),
        (0, last_bit_of_a_parameter),
    ],
)
def test_planted_faults_are_caught(
    data: mm.Dataset, number: int, fault: Callable[[TrainingState], None]
) -> None:
    states, result = states_of(data, RUNS[number])
    state = states[-2]
    assert resumed(data, copy.deepcopy(state)) == result
    fault(state)
    assert resumed(data, state) != result
