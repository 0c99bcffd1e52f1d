"""Learning rates that are far too large, and parameters that are not numbers.

``MAKEMORE_CAMPAIGN=1`` tries 20 seeds.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import environment, is_one_sentence, run
from example_run import Run
from extent import CAMPAIGN
from interruptions import MAIN, digests

import makemore_cpp as mm
from makemore_cpp import _core, reference
from makemore_cpp.models.frozen import CHECKPOINT_FILE, MODEL_FILE
from makemore_cpp.runs import checkpoint

SEEDS = range(20 if CAMPAIGN else 2)
# Updates of these sizes leave tanh at -1 or 1 and the logits within float32.
FINITE = (10.0, 1e3, 1e20)
# From about 1e25 on the product of an embedding and a weight is beyond float32 already.
OVERFLOWING = (1e30, 1e36, 1e38, 3e38)
NAMED = r"step \d+: .* is not finite \(loss (nan|inf|[\d.e+]+), learning rate {rate}\)"


@pytest.fixture(scope="module")
def data() -> mm.Dataset:
    return mm.Dataset.split(mm.load_texts()[:3000])


def assert_finite(folder: Path) -> None:
    """Check every array in all files that a run has left; there is at least one."""
    assert not list(folder.glob(".*"))
    models = [mm.MLP.load(folder)] if (folder / MODEL_FILE).exists() else []
    if (folder / CHECKPOINT_FILE).exists():
        state = checkpoint.load(folder / CHECKPOINT_FILE).state
        assert np.isfinite(state.losses).all()
        models.append(state.model)
    assert models
    for model in models:
        assert all(np.isfinite(array).all() for array in model.parameters.values())

    def no_number(text: str) -> None:
        raise AssertionError(f"{text} in a file of {folder}")

    for path in folder.glob("*.json*"):
        for text in (
            path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        ):
            json.loads(text, parse_constant=no_number)


@pytest.mark.parametrize("rate", FINITE)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_that_gets_worse_ends_and_says_so(data: mm.Dataset, rate: float, seed: int) -> None:
    model = mm.MLP(data.vocab, seed=seed)
    with pytest.warns(
        mm.DivergenceWarning, match="the losses rose from .* try a smaller lr"
    ) as seen:
        history = mm.train(model, data, steps=200, lr=rate, seed=seed)
    assert [warning.filename for warning in seen] == [__file__]
    assert np.isfinite(history.losses).all()
    assert history.diverged
    assert history.last_loss > 2 * history.losses[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rate_of_one_is_only_too_large(data: mm.Dataset, seed: int) -> None:
    """The net still learns something, so the run is not called diverged."""
    history = mm.train(mm.MLP(data.vocab, seed=seed), data, steps=200, lr=1.0, seed=seed)
    assert not history.diverged
    assert history.last_loss < np.log(len(data.vocab))


@pytest.mark.parametrize("init", ["scaled", "lecture"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_rate_that_is_far_too_small_is_no_divergence(
    data: mm.Dataset, init: str, seed: int
) -> None:
    """Minibatch losses vary, and the first one may be among the lowest."""
    for rate in (1e-6, 1e-4):
        model = mm.MLP(data.vocab, seed=seed, init=init)
        assert not mm.train(model, data, steps=120, lr=rate, seed=seed).diverged


def test_a_run_that_was_stopped_before_its_first_step(data: mm.Dataset) -> None:
    history = mm.train(mm.MLP(data.vocab), data, steps=5, should_stop=lambda: True)
    assert np.isnan(history.last_loss)
    assert not history.diverged


@pytest.mark.parametrize("rate", OVERFLOWING)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_whose_numbers_overflow_ends(data: mm.Dataset, rate: float, seed: int) -> None:
    model = mm.MLP(data.vocab, seed=seed)
    before = {name: array.copy() for name, array in model.parameters.items()}
    with pytest.raises(mm.DivergedError, match=NAMED.format(rate=re.escape(f"{rate:g}"))) as caught:
        mm.train(model, data, steps=200, lr=rate, seed=seed)
    assert caught.value.learning_rate == pytest.approx(rate)
    for name, array in model.parameters.items():
        assert array.tobytes() == before[name].tobytes()


def test_plain_float32_overflows_there_too() -> None:
    run = Run()
    for rate, is_finite in ((1e20, True), (1e30, False)):
        with np.errstate(all="ignore"):
            losses, _ = run.train(np.full(3, rate), reference.train_steps)
        assert np.isfinite(losses).all() == is_finite
        if is_finite:
            assert np.isfinite(run.train(np.full(3, rate))[0]).all()
        else:
            with pytest.raises(_core.DivergedError):
                run.train(np.full(3, rate))


# -- the command line ------------------------------------------------------------------------------
TRAIN = ("train", "--steps", 40, "--n-hidden", 30, "--samples", 0, "--checkpoint-every", 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_report_says_that_a_run_diverged(tmp_path: Path, seed: int) -> None:
    for i, rate in enumerate(FINITE):
        folder = tmp_path / str(i)
        out, _ = run(tmp_path, *TRAIN, "--lr", rate, "--seed", seed, "--out", folder)
        assert "\nDiverged: the losses rose from 3." in out
        assert "Underfitting" not in out
        assert json.loads((folder / "config.json").read_text())["diverged"] is True
        assert_finite(folder)
    out, _ = run(tmp_path, *TRAIN, "--seed", seed, "--json", "--out", tmp_path / "good")
    assert json.loads(out)["diverged"] is False


@pytest.mark.parametrize("seed", SEEDS)
def test_the_last_good_checkpoint_stays(tmp_path: Path, seed: int) -> None:
    at_steps = set()
    for i, rate in enumerate(OVERFLOWING):
        folder = tmp_path / str(i)
        _, error = run(tmp_path, *TRAIN, "--lr", rate, "--seed", seed, "--out", folder, code=2)
        assert is_one_sentence(error)
        found = re.search(
            r"step (\d+): .* learning rate ([\de+.]+)\).*; try a smaller --lr\n", error
        )
        assert found is not None, error
        assert float(found[2]) == pytest.approx(rate, rel=1e-5)
        at_steps.add(int(found[1]))
        if int(found[1]) > 0:
            assert_finite(folder)
            assert len(checkpoint.load(folder / CHECKPOINT_FILE).state.losses) == int(found[1])
        else:
            assert not folder.exists()
    assert max(at_steps) > 0


# Code that a process runs first, so that a parameter becomes NaN.
PLANTS = {
    "before a step": """
from makemore_cpp import MLP
train_steps = MLP.train_steps
def spoilt(self, *arguments, first_step, **options):
    if first_step == 30: self.C[0, 0] = float("nan")
    return train_steps(self, *arguments, first_step=first_step, **options)
MLP.train_steps = spoilt
""",
    "before a checkpoint": """
from makemore_cpp.runs import checkpoint
save = checkpoint.save
def spoilt(path, kept):
    if len(kept.state.losses) == 31: kept.state.model.W2[3, 4] = float("nan")
    save(path, kept)
checkpoint.save = spoilt
""",
    "in the moments": """
from makemore_cpp import MLP
train_steps = MLP.train_steps
def spoilt(self, *arguments, first_step=0, state=None, **options):
    if first_step == 30: next(iter(state.values()))[...] = float("nan")
    return train_steps(self, *arguments, first_step=first_step, state=state, **options)
MLP.train_steps = spoilt
""",
}


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_planted_nan_goes_nowhere(tmp_path: Path, plant: str, seed: int) -> None:
    """The run ends by itself, and can be resumed from before the accident."""
    options = [*TRAIN, "--seed", seed, "--optimizer", "adam", "--lr", 0.01]
    spoilt, whole = tmp_path / "spoilt", tmp_path / "whole"
    result = subprocess.run(
        [sys.executable, "-c", PLANTS[plant] + MAIN, *map(str, options), "--out", str(spoilt)],
        env=environment(), capture_output=True, timeout=120,
    )  # fmt: skip
    error = result.stderr.decode()
    assert result.returncode == 2
    assert is_one_sentence(error), error
    assert "nan" in error.lower() or "not finite" in error, error
    assert_finite(spoilt)
    run(tmp_path, "train", "--resume", spoilt)
    run(tmp_path, *options, "--out", whole)
    assert digests(spoilt) == digests(whole)
