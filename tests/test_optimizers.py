"""Momentum, Adam, AdamW and dropout: closed forms of the reference, and the core beside it."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
from example_run import LARGE, Run, assert_equal, assert_follows_the_reference, new_state

import makemore_cpp as mm
from makemore_cpp import _core, reference

ADAM = {"momentum": 0.9, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
REMEMBERING = ("momentum", "adam", "adamw")
OPTIMIZERS = ("sgd", *REMEMBERING)


def constant_gradient(optimizer: str, g: float, steps: int, lr: float, decay: float = 0.0) -> float:
    """Return a weight that was 1 after some steps with the same gradient."""
    w, moments = np.array([1.0]), [np.zeros(1) for _ in reference.MOMENTS[optimizer]]
    for t in range(1, steps + 1):
        reference.update(optimizer, w, moments, np.array([g]), lr, decay, t, **ADAM)
    return float(w[0])


# -- closed forms --------------------------------------------------------------------------------
@pytest.mark.parametrize("g", [3.0, -0.02])
@pytest.mark.parametrize("steps", [1, 2, 10])
def test_a_constant_gradient(g, steps):
    assert constant_gradient("sgd", g, steps, 0.1) == pytest.approx(1 - 0.1 * steps * g)
    # v_t = g (1 - mu^t) / (1 - mu), summed over t
    path = sum((1 - 0.9**t) / (1 - 0.9) for t in range(1, steps + 1))
    assert constant_gradient("momentum", g, steps, 0.1) == pytest.approx(1 - 0.1 * g * path)
    # The corrected moments are g and g^2 at every step.
    adam = 1 - 0.1 * steps * g / (abs(g) + 1e-8)
    assert constant_gradient("adam", g, steps, 0.1) == pytest.approx(adam)
    assert constant_gradient("adamw", g, steps, 0.1) == pytest.approx(adam)


def test_weight_decay_without_a_gradient():
    assert constant_gradient("sgd", 0.0, 7, 0.1, 0.5) == pytest.approx((1 - 0.05) ** 7)
    assert constant_gradient("adamw", 0.0, 7, 0.1, 0.5) == pytest.approx((1 - 0.05) ** 7)
    # Adam divides the decay by its own size: one step of length lr towards zero.
    assert constant_gradient("adam", 0.0, 1, 0.1, 0.5) == pytest.approx(0.9)


def test_two_different_gradients():
    w, m, v = np.array([1.0]), np.zeros(1), np.zeros(1)
    for t, g in ((1, 2.0), (2, -1.0)):
        reference.update("adam", w, [m, v], np.array([g]), 0.1, 0.0, t, **ADAM)
    m2, v2 = 0.9 * 0.2 - 0.1, 0.999 * 0.004 + 0.001
    expected = 1 - 0.1 - 0.1 * (m2 / 0.19) / (np.sqrt(v2 / (1 - 0.999**2)) + 1e-8)
    assert w[0] == pytest.approx(expected)


# -- the core ------------------------------------------------------------------------------------
VARIANTS = [
    {},
    {"weight_decay": 0.02},
    {"weight_decay": 0.02, "decay_biases": True},
    {"dropout": 0.3},
    {"dropout": 0.9, "weight_decay": 0.01, "momentum": 0.5, "beta1": 0.5, "beta2": 0.9},
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("options", VARIANTS)
@pytest.mark.parametrize("V", [27, 1003])  # cut along hidden units and along tokens
def test_fifteen_steps_follow_the_reference(isa, V, optimizer, options):
    """The reference runs in float64 with the same dropout; Adam's first steps have size lr."""
    run = Run(V=V, H=77)
    options = {"seed": 3, "first_step": 4, "batch_size": 19, **options}
    assert_follows_the_reference(run, optimizer, np.full(15, 0.01), **options)


@pytest.mark.parametrize("options", [{}, {"dropout": 0.5}])
@pytest.mark.parametrize("V", [27, 1003])
def test_a_full_batch_of_several_chunks(isa, V, options):
    run = Run(V=V, H=40, N=2501)
    options = {"optimizer": "momentum", "rows": "all", **options}
    exact = [p.astype(np.float64) for p in run.first]
    lr = [0.5, 0.2]
    state = new_state(run, "momentum", np.float64)
    expected = reference.train_steps(*exact, run.X, run.Y, lr, state=state, **options)
    losses, found = run.train(lr, state=new_state(run, "momentum"), **options)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    for f, e in zip(found, exact, strict=True):
        np.testing.assert_allclose(f, e, rtol=1e-3, atol=2e-5 * np.abs(e).max())


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("sizes", [{}, LARGE, {"V": 1000, "H": 90}, {"V": 16_384, "H": 5, "E": 2}])
def test_neither_threads_nor_calls_change_a_bit(isa, optimizer, sizes):
    run = Run(**sizes)
    lr = np.linspace(0.02, 0.01, 12)
    options = {"optimizer": optimizer, "batch_size": 24, "dropout": 0.25, "weight_decay": 0.01}
    whole_state = new_state(run, optimizer)
    losses, whole = run.train(lr, state=whole_state, threads=1, **options)
    for threads in (2, 3, 7):
        state = new_state(run, optimizer)
        again, found = run.train(lr, state=state, threads=threads, **options)
        assert again.tobytes() == losses.tobytes()
        assert_equal(found, whole)
    state, found = new_state(run, optimizer), [p.copy() for p in run.first]
    for start, stop in itertools.pairwise([0, 1, 5, 5, 12]):
        _core.train_steps(
            *found, run.X, run.Y, lr[start:stop], first_step=start, state=state, **options
        )
    assert_equal(found, whole)
    for name, array in state.items():
        assert array.tobytes() == whole_state[name].tobytes()


@pytest.mark.parametrize("optimizer", REMEMBERING)
def test_divergence_leaves_parameters_and_state(optimizer):
    run, state = Run(), new_state(Run(), optimizer)
    _core.train_steps(
        *(p.copy() for p in run.first), run.X, run.Y, [0.1] * 3, optimizer=optimizer, state=state
    )
    before = {name: array.copy() for name, array in state.items()}
    parameters = [p.copy() for p in run.first]
    with pytest.raises(mm.DivergedError):
        _core.train_steps(*parameters, run.X, run.Y, [1e38] * 9, optimizer=optimizer, state=state)
    assert_equal(parameters, run.first)
    for name, array in state.items():
        assert array.tobytes() == before[name].tobytes()


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("V", [3, 1000])
def test_a_context_of_a_million_examples(share, V):
    """The gradient of b2 is a sum of a million terms of one sign, and small itself."""
    run = Run(T=1, E=1, H=1, V=V)
    N = 1_000_000
    X = np.zeros((N, 1), np.int32)
    Y = np.zeros(N, np.int32)
    Y[: N // 10] = 2
    zeros = [np.zeros_like(p) for p in run.first]
    dropout = 0.0 if share else 1e-12  # drops nothing, but keeps the examples apart
    _core.train_steps(*zeros, X, Y, [1.0], rows="all", dropout=dropout)
    expected = np.full(V, -1 / V)
    expected[[0, 2]] += [0.9, 0.1]
    np.testing.assert_allclose(zeros[4], expected, rtol=1e-4)


# -- dropout -------------------------------------------------------------------------------------
def test_dropout_keeps_the_expectation_and_depends_on_seed_and_step():
    mask = reference.dropout_mask(5, 9, 400, 300, 0.25)
    kept = mask > 0
    assert set(np.unique(mask)) == {np.float32(0), np.float32(1 / 0.75)}
    n = mask.size
    assert abs(kept.mean() - 0.75) < 4 * np.sqrt(0.25 * 0.75 / n)
    for axis in (0, 1):  # no unit and no row is preferred
        means, each = kept.mean(axis=axis), n / kept.shape[1 - axis]
        assert np.abs(means - 0.75).max() < 5 * np.sqrt(0.25 * 0.75 / each)
    assert np.array_equal(mask, reference.dropout_mask(5, 9, 400, 300, 0.25))
    assert np.array_equal(mask[:7], reference.dropout_mask(5, 9, 7, 300, 0.25))
    for other in ((6, 9), (5, 10), (5, 9 + 2**32)):
        agreement = (kept == (reference.dropout_mask(*other, 400, 300, 0.25) > 0)).mean()
        assert abs(agreement - (0.75**2 + 0.25**2)) < 0.02


def test_losses_outside_training_know_no_dropout():
    run = Run()
    with_dropout, found = run.train([0.0], dropout=0.5, rows="all")
    without, _ = run.train([0.0], rows="all")
    mean = _core.mean_loss(*found, run.X, run.Y)
    assert mean == pytest.approx(without[0], rel=1e-6)
    assert abs(with_dropout[0] - mean) > 1e-4


# -- bad arguments -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"optimizer": "adam"}, r"state lacks 'm\.C'"),
        ({"dropout": 1.0}, r"dropout = 1 is not in \[0, 1\)"),
        ({"dropout": -1e-9}, r"dropout = -1e-09 is not in \[0, 1\)"),
        ({"dropout": float("nan")}, "dropout"),
        ({"momentum": 1.0}, "momentum"),
        ({"beta1": 1.0}, "beta1"),
        ({"beta2": 0.99999999999}, r"beta2 = 0\.99999999999 is not"),
        ({"epsilon": 0.0}, "epsilon"),
        ({"epsilon": 1e-60}, "epsilon = 1e-60 is not above 0"),
        ({"weight_decay": -1.0}, "weight_decay"),
    ],
)
def test_bad_options(options, sentence):
    run = Run()
    parameters = [p.copy() for p in run.first]
    with pytest.raises(mm.ArgumentError, match=sentence):
        _core.train_steps(*parameters, run.X, run.Y, [0.1], **options)
    assert_equal(parameters, run.first)


def test_bad_state():
    run = Run()
    parameters = [p.copy() for p in run.first]

    def refused(error: type[Exception], sentence: str, **changes: object) -> None:
        state = {**new_state(run, "adam"), **changes}
        with pytest.raises(error, match=sentence):
            _core.train_steps(
                *parameters, run.X, run.Y, [0.1], optimizer="adam",
                state={k: v for k, v in state.items() if v is not None},
            )  # fmt: skip

    shape = parameters[1].shape
    refused(mm.ArgumentError, r"state lacks 'v\.W1'", **{"v.W1": None})
    refused(mm.ArgumentError, r"state holds 'velocity\.C'", **{"velocity.C": parameters[0] * 0})
    refused(mm.ArgumentError, r"m\.W1'\] has not the shape", **{"m.W1": np.zeros(7, np.float32)})
    refused(mm.ArgumentError, "not the shape", **{"v.W1": np.zeros(shape[::-1], np.float32)})
    refused(TypeError, r"state\['m\.W1'\]", **{"m.W1": np.zeros(shape)})
    refused(mm.ArgumentError, "share memory", **{"m.W1": parameters[1]})
    shared = np.zeros(shape, np.float32)
    refused(mm.ArgumentError, "share memory", **{"m.W1": shared, "v.W1": shared})
    with pytest.raises(TypeError, match="decay_biases must be a bool, not int"):
        _core.train_steps(*parameters, run.X, run.Y, [0.1], decay_biases=1)


# -- the model's own methods ---------------------------------------------------------------------
def test_model_and_training():
    texts = ["emma", "olivia", "ava", "isabella", "sophia", "mia"] * 5
    data = mm.Dataset.split(texts, block_size=2, seed=1)
    model = mm.MLP(data.vocab, 2, 4, 16)
    state = model.optimizer_state("adamw")
    assert list(state)[:2] == ["m.C", "m.W1"]
    assert state["step"] == 0
    shapes = {a.shape for a in model.parameters.values()}
    assert {a.shape for name, a in state.items() if name != "step"} == shapes
    losses = model.train_steps(
        data.train.X, data.train.Y, np.full(20, 0.01), optimizer="adamw", betas=(0.8, 0.99),
        state=state, dropout=0.1, weight_decay=0.1,
    )  # fmt: skip
    assert losses[-1] < losses[0]
    assert all(array.any() for array in state.values())
    for options, error, sentence in (
        ({"dropuot": 0.1}, TypeError, "no option 'dropuot'; there are optimizer, momentum"),
        ({"beta1": 0.5, "optimizer": "adam"}, TypeError, "no option 'beta1'"),
        ({"momentum": 0.5}, mm.ArgumentError, "momentum belongs to momentum, not to 'sgd'"),
        ({"betas": (0.5, 0.9)}, mm.ArgumentError, "betas belongs to adam and adamw, not to 'sgd'"),
    ):
        with pytest.raises(error, match=sentence):
            model.train_steps(data.train.X, data.train.Y, [0.1], **options)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="betas must be two numbers"):
        model.train_steps(data.train.X, data.train.Y, [0.1], optimizer="adam", betas=0.9)  # type: ignore[arg-type]
    assert model.optimizer_state("sgd") == {}


@pytest.mark.parametrize("optimizer", ["momentum", "adam", "adamw"])
def test_a_state_counts_its_steps(optimizer):
    """Leaving out first_step changes nothing, and contradicting the count is an error."""
    data = mm.Dataset.split(["emma", "olivia", "ava", "isabella"] * 5, block_size=2, seed=1)
    examples = data.train.X, data.train.Y
    options = {"optimizer": optimizer, "seed": 3, "dropout": 0.1}
    whole, parts = mm.MLP(data.vocab, 2, 4, 16), mm.MLP(data.vocab, 2, 4, 16)
    state = whole.optimizer_state(optimizer)
    expected = whole.train_steps(*examples, 0.01, steps=30, state=state, **options)
    assert state["step"] == 30
    state = parts.optimizer_state(optimizer)
    calls = [parts.train_steps(*examples, [0.01] * n, state=state, **options) for n in (1, 9, 20)]
    assert np.concatenate(calls).tobytes() == expected.tobytes()
    assert parts.to_bytes() == whole.to_bytes()

    before = parts.to_bytes()
    for first_step in (0, 29, 31):
        sentence = f"first_step is {first_step}, but state has seen 30 steps: leave first_step out"
        with pytest.raises(mm.ArgumentError, match=sentence):
            parts.train_steps(*examples, [0.01], state=state, first_step=first_step, **options)
    parts.train_steps(*examples, [], state=state, first_step=30, **options)
    stops = iter([False, False, True])
    done = parts.train_steps(
        *examples, [0.01] * 9, state=state, should_stop=lambda: next(stops), **options
    )
    assert (len(done), state["step"]) == (3, 33)

    def fail() -> bool:
        raise KeyError

    with pytest.raises(KeyError):
        parts.train_steps(*examples, [0.01] * 9, state=state, should_stop=fail, **options)
    assert state["step"] == 34, "one step was whole before the question"
    before = parts.to_bytes()
    with pytest.raises(mm.DivergedError):
        parts.train_steps(*examples, [1e38] * 9, state=state, **options)
    assert (parts.to_bytes(), state["step"]) == (before, 34)


def test_states_that_do_not_count():
    data = mm.Dataset.split(["emma", "olivia", "ava", "isabella"] * 5, block_size=2, seed=1)
    model = mm.MLP(data.vocab, 2, 4, 16)
    state = model.optimizer_state("adam")
    for count, error in (
        (None, mm.ArgumentError), (5, TypeError), (np.zeros(1), TypeError),
        (np.zeros(2, np.int64), TypeError), (np.array([-1]), mm.ArgumentError),
        (np.zeros(1, np.int32), TypeError), (np.array([2**63 - 1]), mm.ArgumentError),
    ):  # fmt: skip
        wrong = {**state, "step": count}
        if count is None:
            del wrong["step"]
        with pytest.raises(error, match=r"step'|first_step"):
            model.train_steps(data.train.X, data.train.Y, [0.1], optimizer="adam", state=wrong)
    with pytest.raises(
        mm.ArgumentError, match=r"state lacks 'm.C'; optimizer_state\('adam'\) makes"
    ):
        model.train_steps(
            data.train.X, data.train.Y, [0.1], optimizer="adam", state={"step": state["step"]}
        )
    fixed = np.zeros(1, np.int64)
    fixed.setflags(write=False)
    with pytest.raises(mm.ArgumentError, match=r"state\['step'\] is written in place"):
        model.train_steps(
            data.train.X, data.train.Y, [0.1], optimizer="adam", state={**state, "step": fixed}
        )


def test_numbers_of_steps_and_examples_that_contradict_each_other():
    data = mm.Dataset.split(["emma", "olivia", "ava", "isabella"] * 5, block_size=2, seed=1)
    X, Y = data.train.X, data.train.Y
    model = mm.MLP(data.vocab, 2, 4, 16)
    rows = np.zeros((2, 32), np.int64)
    for options, sentence in (
        ({"lr": 0.1}, "lr is one number; say for how many steps with steps="),
        ({"lr": [0.1] * 3, "steps": 2}, r"lr has the shape \(3,\), but steps is 2"),
        ({"lr": 0.1, "steps": -1}, "steps is -1, outside"),
        (
            {"lr": [0.1] * 2, "rows": rows, "batch_size": 64},
            "batch_size is 64, but each step of rows has 32",
        ),
        ({"lr": [0.1], "rows": "all", "batch_size": 64}, f"rows is 'all', and there are {len(Y)}"),
    ):
        with pytest.raises(mm.ArgumentError, match=sentence):
            model.train_steps(X, Y, **options)
    model.train_steps(X, Y, [0.1] * 2, rows=rows, batch_size=32)
    model.train_steps(X, Y, [0.1] * 2, steps=2, rows="all", batch_size=len(Y))
    one, other = copy.copy(model), copy.copy(model)
    one.train_steps(X, Y, np.float32(0.5), steps=3)
    other.train_steps(X, Y, [0.5] * 3, batch_size=32)
    assert one.to_bytes() == other.to_bytes()


def test_patience_keeps_the_best():
    """The rate is much too high for the end of the run."""
    texts = ["anna", "otto", "emma", "ada", "bob", "eve", "ali", "ida", "leo", "mia"] * 3
    data = mm.Dataset.split(texts, block_size=3, seed=3)
    model = mm.MLP(data.vocab, 3, 6, 64)
    history = mm.train(
        model, data, steps=20_000, lr=0.3, schedule="constant", eval_every=50, patience=3,
        batch_size="all", optimizer="momentum",
    )  # fmt: skip
    assert history.best is not None
    assert history.best == min(history.evaluations, key=lambda e: e.dev_loss)
    assert len(history.losses) < 20_000
    assert history.evaluations[-4:].index(history.best) == 0
    assert model.loss(data.dev.X, data.dev.Y) == history.best.dev_loss
    # A stop, an interrupt or an exception leaves the best parameters too.
    model = mm.MLP(data.vocab, 3, 6, 64)
    seen = [0]

    def interrupt(progress: mm.training.Progress) -> None:
        seen.append(progress.step)
        if progress.step >= 2000:
            raise KeyboardInterrupt

    options = {"steps": 20_000, "lr": 0.3, "schedule": "constant", "eval_every": 50}
    with pytest.raises(KeyboardInterrupt):
        mm.train(model, data, patience=1000, on_progress=interrupt, **options)
    interrupted = model.loss(data.dev.X, data.dev.Y)
    seen.append(0)
    model = mm.MLP(data.vocab, 3, 6, 64)
    stopped = mm.train(
        model, data, patience=1000, on_progress=lambda p: seen.append(p.step),
        should_stop=lambda: seen[-1] >= 2000, **options,
    )  # fmt: skip
    assert stopped.best == min(stopped.evaluations, key=lambda e: e.dev_loss)
    assert stopped.best.step < len(stopped.losses) == stopped.evaluations[-1].step
    assert model.loss(data.dev.X, data.dev.Y) == stopped.best.dev_loss == interrupted
    with pytest.raises(mm.ArgumentError, match="patience"):
        mm.train(model, data, steps=10, patience=0)
    with pytest.raises(mm.ArgumentError, match="evaluations"):
        mm.train(model, data, steps=10, patience=2, eval_every=0)
