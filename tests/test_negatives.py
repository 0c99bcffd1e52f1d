"""A sampled softmax: its draw, its limit of all tokens, and the core beside the reference."""

from __future__ import annotations

import gzip
import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_run import (
    Run,
    assert_equal,
    assert_follows_the_reference,
    in_float64,
    new_state,
)
from test_optimizers import OPTIMIZERS, VARIANTS

import makemore_cpp as mm
from makemore_cpp import _core, reference
from makemore_cpp.models.mlp import NAMES

SIZES = [{"V": 27, "H": 40}, {"V": 1003, "H": 77}]


def skewed(V: int, H: int = 20, N: int = 900) -> Run:
    """Return targets of which half are token 0 and a quarter token 3, so some are certain."""
    run = Run(V=V, H=H, N=N)
    run.Y[: N // 2] = 0
    run.Y[N // 2 : 3 * N // 4] = 3
    return run


# -- the draw ------------------------------------------------------------------------------------
@pytest.mark.parametrize("weights", ["equal", "skewed", "few heavy"])
def test_a_token_is_drawn_as_often_as_it_is_expected(weights: str) -> None:
    """No step draws a token twice; the frequencies are within five standard deviations."""
    V, n, steps, targets = 23, 9, 1000, [5, 5, 2]
    w = {
        "equal": np.full(V, 1024),
        "skewed": 1024 + 97 * np.arange(V) ** 2,
        "few heavy": np.where(np.arange(V) % 7 == 3, 90_000, 1024),
    }[weights].astype(np.int64)
    drawn = np.zeros(V)
    expected = np.full(V, np.nan)
    for step in range(steps):
        tokens, share = reference.candidates(1, step, w, np.array(targets), n)
        assert tokens[:2].tolist() == [2, 5]
        assert len(set(tokens.tolist())) == len(tokens) == n + 2
        drawn[tokens] += 1
        expected[tokens] = share
    assert np.nansum(expected) == pytest.approx(n + 2)
    deviation = np.sqrt(expected * (1 - expected) / steps)
    assert (np.abs(drawn / steps - expected) <= 5 * deviation).all()


def test_some_tokens_are_certain_and_no_more_than_are_there() -> None:
    w = np.array([1024, 900_000, 1024, 1024, 900_000, 1024], np.int64)
    tokens, expected = reference.candidates(1, 0, w, np.array([1]), 2)
    assert tokens[:2].tolist() == [1, 4]
    assert expected.tolist() == [1, 1, 0.25]
    for negatives in (5, 4, 500):
        tokens, expected = reference.candidates(1, 0, w, np.array([3, 0]), negatives)
        assert sorted(tokens.tolist()) == [0, 1, 2, 3, 4, 5]
        assert (expected == 1).all()


@pytest.mark.parametrize(("V", "negatives"), [(27, 1), (27, 5), (300, 40), (1003, 500), (5000, 64)])
def test_the_core_draws_the_same_tokens(isa, V: int, negatives: int) -> None:
    """The biases that a step changes tell which tokens it drew."""
    run = skewed(V)
    weights = reference.proposal_weights(run.Y, V)
    for seed, step in [(1, 0), (1, 1), (2**64 - 1, 2**40), *((7, i) for i in range(20))]:
        rows = reference.batch_rows(seed, step, 1, 16, len(run.X))[0]
        tokens, _ = reference.candidates(seed, step, weights, run.Y[rows], negatives)
        options = {"seed": seed, "first_step": step, "batch_size": 16, "negatives": negatives}
        _, (*_, b2) = run.train([1.0], **options)
        assert np.flatnonzero(b2 != run.first[4]).tolist() == sorted(tokens.tolist())


# -- the limit -----------------------------------------------------------------------------------
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_all_other_tokens_make_it_the_softmax_of_all(sizes: dict[str, int], optimizer: str) -> None:
    run = Run(**sizes)
    every = {"negatives": run.first[4].size - 1, "optimizer": optimizer}
    states = [new_state(run, optimizer, np.float64) for _ in range(2)]
    losses, full = in_float64(run, [0.1] * 3, optimizer=optimizer, state=states[0])
    again, found = in_float64(run, [0.1] * 3, state=states[1], **every)
    np.testing.assert_allclose(again, losses, rtol=1e-12)
    for f, e in zip(found, full, strict=True):
        np.testing.assert_allclose(f, e, rtol=1e-6, atol=1e-9)


def test_the_sum_of_the_exponentials_is_right_on_average() -> None:
    """The more negatives there are, the closer is the mean gradient to that of all tokens."""
    V, steps = 60, 500
    run = skewed(V, N=400)
    *hidden, W2, b2 = [p.astype(np.float64) for p in run.first]
    b2 += 0.5 * np.random.default_rng(3).normal(size=V)
    batch = np.arange(190, 210)
    X, Y = run.X[batch], run.Y[batch]
    weights = reference.proposal_weights(run.Y, V)
    full = reference.loss_and_gradients(*hidden, W2, b2, X, Y)[1][4]
    errors = []
    for negatives in (3, 10, 30):
        sums, mean = [], np.zeros(V)
        for step in range(steps):
            tokens, expected = reference.candidates(1, step, weights, Y, negatives)
            sums.append((np.exp(b2[tokens]) / expected).sum())
            places = np.searchsorted(np.unique(Y), Y)
            first_logits = b2[tokens] - np.log(expected)
            gradients = reference.loss_and_gradients(
                *hidden, W2[:, tokens], first_logits, X, places
            )[1]
            mean[tokens] += gradients[4] / steps
        deviation = np.std(sums) / np.sqrt(steps)
        assert abs(np.mean(sums) - np.exp(b2).sum()) < 4 * deviation
        errors.append(np.abs(mean - full).sum() / np.abs(full).sum())
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    assert errors[2] < 0.05


# -- the core ------------------------------------------------------------------------------------
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("options", VARIANTS)
@pytest.mark.parametrize("sizes", SIZES)
def test_steps_follow_the_reference(
    isa, sizes: dict[str, int], optimizer: str, options: dict[str, Any]
) -> None:
    run = skewed(**sizes)
    options = {"seed": 3, "first_step": 4, "batch_size": 19, **options}
    options["negatives"] = run.first[4].size // 3
    state, exact_state = assert_follows_the_reference(run, optimizer, np.full(12, 0.01), **options)
    for name, array in state.items():
        assert ((array == 0) == (exact_state[name] == 0)).mean() > 0.999


@pytest.mark.parametrize("V", [27, 1003])
def test_a_full_batch_of_several_chunks(isa, V: int) -> None:
    run = skewed(V, N=2600)
    options = {"rows": "all", "negatives": V // 4, "first_step": 5}
    expected, exact = in_float64(run, [0.5, 0.2, 0.1], **options)
    losses, found = run.train([0.5, 0.2, 0.1], **options)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    for f, e in zip(found, exact, strict=True):
        np.testing.assert_allclose(f, e, rtol=1e-3, atol=2e-5 * np.abs(e).max())


@pytest.mark.parametrize("direct", [False, True])
def test_groups_without_a_candidate_add_nothing(isa, direct: bool) -> None:
    """From the second step on there are two candidates, but four groups of tokens."""
    run = skewed(1003, N=1100)
    run.first = list(reference.initial_parameters(3, 10, 20, 1003, 1, "scaled", direct))
    rows = np.zeros((4, 1100), np.int64)
    rows[0] = np.arange(1100)
    options = {"rows": rows, "negatives": 1, "optimizer": "sgd"}
    expected, exact = in_float64(run, [0.05] * 4, **options)
    losses, found = run.train([0.05] * 4, **options)
    np.testing.assert_allclose(losses, expected, rtol=1e-5, atol=1e-6)
    for f, e in zip(found, exact, strict=True):
        np.testing.assert_allclose(f, e, rtol=1e-3, atol=2e-5 * np.abs(e).max())


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("V", "batch_size", "negatives"), [(27, 4, 8), (20_011, 40, 700)])
def test_neither_threads_nor_calls_change_a_bit(
    isa, optimizer: str, V: int, batch_size: int, negatives: int
) -> None:
    run = skewed(V)
    options = {"optimizer": optimizer, "batch_size": batch_size, "negatives": negatives}
    options |= {"dropout": 0.25, "weight_decay": 0.01}
    lr = np.linspace(0.02, 0.01, 12)
    whole_state = new_state(run, optimizer)
    losses, whole = run.train(lr, state=whole_state, threads=1, **options)
    for threads in (2, 3, 7):
        again, found = run.train(lr, state=new_state(run, optimizer), threads=threads, **options)
        assert again.tobytes() == losses.tobytes()
        assert_equal(found, whole)
    state, found = new_state(run, optimizer), [p.copy() for p in run.first]
    for start, stop in itertools.pairwise([0, 1, 5, 5, 12]):
        part = {"first_step": start, "state": state, **options}
        _core.train_steps(*found, run.X, run.Y, lr[start:stop], **part)
    assert_equal(found, whole)
    for name, array in state.items():
        assert array.tobytes() == whole_state[name].tobytes()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_what_belongs_to_other_tokens_stays_as_it_is(isa, optimizer: str) -> None:
    """Weight decay or an earlier moment does not move it either."""
    run = skewed(300)
    state = {
        name: np.abs(np.random.default_rng(1).normal(size=array.shape)).astype(np.float32)
        for name, array in new_state(run, optimizer).items()
    }
    before = {name: array.copy() for name, array in state.items()}
    options = {"optimizer": optimizer, "weight_decay": 0.1, "decay_biases": True, "negatives": 30}
    _, found = run.train([0.1], state=state, **options)
    weights = reference.proposal_weights(run.Y, 300)
    rows = reference.batch_rows(1, 0, 1, 32, len(run.X))[0]
    tokens, _ = reference.candidates(1, 0, weights, run.Y[rows], 30)
    others = np.setdiff1d(np.arange(300), tokens)
    arrays = {**dict(zip(NAMES, found, strict=True)), **state}
    before |= dict(zip(NAMES, run.first, strict=True))
    for name, array in arrays.items():
        if name.endswith(("W2", "b2")):
            assert (array[..., others] == before[name][..., others]).all()
            assert (array[..., tokens] != before[name][..., tokens]).all(axis=-1).mean() > 0.99


# -- errors --------------------------------------------------------------------------------------
@pytest.mark.parametrize("negatives", [0, -1, 27, 2**62])
def test_there_is_at_least_one_and_fewer_than_tokens(negatives: int) -> None:
    run = Run()
    with pytest.raises(mm.ArgumentError, match=rf"^negatives = {negatives} is (below 1|above 26)$"):
        run.train([0.1], negatives=negatives)


@pytest.mark.parametrize("negatives", [0, 1.5, "all", []])
def test_a_model_refuses_them_too(negatives: Any) -> None:
    model = mm.MLP(mm.Vocab(["a", "b"]), 2, 3, 4)
    with pytest.raises((mm.ArgumentError, TypeError), match=r"^negatives"):
        model.train_steps([[0, 1]], [1], [0.1], negatives=negatives)


# -- a real text ---------------------------------------------------------------------------------
@pytest.mark.slow
def test_an_epoch_of_words() -> None:
    """The perplexity, by all tokens, is within 5 % of the one that the full softmax learns."""
    path = os.environ.get("MAKEMORE_BROWN")
    if not path:
        pytest.skip("MAKEMORE_BROWN is not set")
    X, Y, V = word_examples(Path(path))
    n, B, T, E, H = len(Y) * 9 // 10, 256, 3, 30, 100
    lr = np.linspace(0.002, 0.0, n // B)
    perplexities = []
    for negatives in (None, 1024):
        parameters = _core.initial_parameters(T, E, H, V, seed=1)
        state = {
            f"{m}.{name}": np.zeros_like(p)
            for m in "mv"
            for name, p in zip(NAMES, parameters, strict=True)
        }
        _core.train_steps(
            *parameters, X[:n], Y[:n], lr, batch_size=B, optimizer="adam", state=state,
            negatives=negatives,
        )  # fmt: skip
        perplexities.append(np.exp(_core.mean_loss(*parameters, X[n:], Y[n:])))
    assert perplexities[1] < 1.05 * perplexities[0]


def word_examples(path: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """Return contexts of three words and their next; words seen up to three times are token 0."""
    words = np.array(gzip.decompress(path.read_bytes()).decode().lower().split())
    _, ids, counts = np.unique(words, return_inverse=True, return_counts=True)
    is_often = counts > 3
    number = np.where(is_often, np.cumsum(is_often), 0).astype(np.int32)
    windows = np.lib.stride_tricks.sliding_window_view(number[ids], 4)
    return windows[:, :3].copy(), windows[:, 3].copy(), int(is_often.sum()) + 1
