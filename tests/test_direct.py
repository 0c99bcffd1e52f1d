"""Direct connections: the embeddings as features of the output layer, beside the hidden units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import refuse, run
from example_run import Run, assert_equal, assert_follows_the_reference, new_state
from test_optimizers import OPTIMIZERS, VARIANTS

import makemore_cpp as mm
from makemore_cpp import _core, reference
from makemore_cpp.runs import checkpoint

# V below and above the number that counts as many; no hidden units; several panels and chunks.
SIZES = [
    {"V": 27, "H": 40},
    {"V": 27, "H": 0},
    {"V": 97, "H": 1, "T": 1, "E": 1},
    {"V": 1003, "H": 77},
    {"V": 1003, "H": 0, "E": 3},
]


def a_model(**options: Any) -> mm.MLP:
    options = {"block_size": 3, "n_embd": 4, "n_hidden": 8, "direct": True, **options}
    return mm.MLP(mm.Vocab(list("abcdefghij")), **options)


def some_data() -> mm.Dataset:
    rng = np.random.default_rng(2)
    texts = ["".join(rng.choice(list("abcdefghij"), rng.integers(1, 9))) for _ in range(300)]
    return mm.Dataset.split(texts, 3)


# -- what is computed ------------------------------------------------------------------------------
def test_the_reference_is_the_papers_formula() -> None:
    """The logits are b2 + x W + tanh(b1 + x W1) U, with W the last rows of W2."""
    case = Run(V=11, H=5, E=3, direct=True)
    C, W1, b1, W2, b2 = (p.astype(np.float64) for p in case.first)
    U, W = W2[:5], W2[5:]
    assert W.shape == (9, 11)
    x = C[case.X].reshape(len(case.X), 9)
    y = b2 + x @ W + np.tanh(b1 + x @ W1) @ U
    expected = y - np.log(np.exp(y).sum(axis=1, keepdims=True))
    found = reference.log_probs(C, W1, b1, W2, b2, case.X)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("masked", [False, True])
def test_gradients_are_the_slopes_of_the_loss(masked: bool) -> None:
    case = Run(V=11, H=5, E=3, N=30, init="lecture", direct=True)
    parameters = [p.astype(np.float64) for p in case.first]
    mask = reference.dropout_mask(1, 0, 30, 5, 0.4).astype(np.float64) if masked else None
    _, gradients = reference.loss_and_gradients(*parameters, case.X, case.Y, mask)
    rng = np.random.default_rng(0)
    for p, g in zip(parameters, gradients, strict=True):
        direction = rng.standard_normal(p.shape)
        kept, ends = p.copy(), []
        for step in (1e-5, -1e-5):
            p[...] = kept + step * direction
            ends.append(reference.loss_and_gradients(*parameters, case.X, case.Y, mask)[0])
        p[...] = kept
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx((g * direction).sum(), rel=1e-6)


def test_the_first_numbers_do_not_depend_on_it() -> None:
    for init in ("scaled", "lecture"):
        plain = _core.initial_parameters(3, 4, 8, 11, 5, init)
        direct = _core.initial_parameters(3, 4, 8, 11, 5, init, True)
        assert_equal(list(direct), list(reference.initial_parameters(3, 4, 8, 11, 5, init, True)))
        assert direct[3].shape == (8 + 12, 11)
        assert_equal([*direct[:3], direct[3][:8].copy(), direct[4]], list(plain))


# -- the core --------------------------------------------------------------------------------------
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("options", [{}, VARIANTS[-1], {"negatives": 9, "weight_decay": 0.01}])
@pytest.mark.parametrize("sizes", SIZES)
def test_steps_follow_the_reference(
    isa, sizes: dict[str, int], optimizer: str, options: dict[str, Any]
) -> None:
    case = Run(**sizes, direct=True)
    options = {"seed": 3, "first_step": 4, "batch_size": 19, **options}
    assert_follows_the_reference(case, optimizer, np.full(12, 0.01), **options)


@pytest.mark.parametrize("V", [27, 17_000])
def test_a_golden_trajectory(isa, V: int) -> None:
    case = Run(V=V, H=30, N=600, direct=True)
    assert_follows_the_reference(case, "sgd", np.linspace(0.1, 0.05, 40), batch_size=70)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("sizes", [*SIZES, {"V": 20_011, "H": 12, "E": 4}])
@pytest.mark.parametrize("options", [{"batch_size": 70}, {"rows": "all", "dropout": 0.3}])
def test_any_threads_give_the_same_bits(
    sizes: dict[str, int], optimizer: str, options: dict[str, Any]
) -> None:
    case = Run(**sizes, N=1300, direct=True)  # "all" of them are two chunks
    found = []
    for threads in (1, 2, 3, 7):
        state = new_state(case, optimizer)
        losses, parameters = case.train(
            [0.01] * 3, optimizer=optimizer, state=state, threads=threads, **options
        )
        found.append([losses, *parameters, *state.values()])
    for other in found[1:]:
        assert [a.tobytes() for a in other] == [a.tobytes() for a in found[0]]


@pytest.mark.parametrize("V", [27, 999, 1003, 17_000])
@pytest.mark.parametrize("N", [1, 3, 300])
def test_weights_of_zero_give_the_bits_of_the_model_without(isa, V: int, N: int) -> None:
    case = Run(V=V, H=20, E=6, direct=True)
    C, W1, b1, W2, b2 = case.first
    W2[20:] = 0
    plain = (C, W1, b1, W2[:20].copy(), b2)
    X, Y = case.X[:N], case.Y[:N]
    assert _core.log_probs(*case.first, X).tobytes() == _core.log_probs(*plain, X).tobytes()
    assert _core.mean_loss(*case.first, X, Y) == _core.mean_loss(*plain, X, Y)


def test_without_hidden_units_the_model_is_log_linear() -> None:
    model = a_model(n_hidden=0)
    assert model.sizes == (3, 4, 0, 11)
    assert model.W1.shape == (12, 0)
    data = some_data()
    before = model.loss(data.dev.X, data.dev.Y)
    history = mm.train(model, data, steps=300, batch_size=16)
    assert history.losses[-1] < before
    assert model.W1.size == model.b1.size == 0


@pytest.mark.parametrize("rows", [0, 7, 9, 19, 21])
def test_other_numbers_of_rows_are_refused(rows: int) -> None:
    C, W1, b1, _, b2 = a_model().parameters.values()
    arrays = (C, W1, b1, np.zeros((rows, 11), np.float32), b2)
    with pytest.raises(mm.ArgumentError, match="W2 has"):
        mm.MLP.from_arrays(a_model().vocab, *arrays)
    with pytest.raises(mm.ArgumentError, match="W2 has"):
        _core.log_probs(*arrays, np.zeros((1, 3), np.int32))


def test_no_hidden_units_and_no_direct_connections_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(mm.ArgumentError, match="n_hidden must be between 1"):
        a_model(n_hidden=0, direct=False)
    assert "--n-hidden must be" in refuse(tmp_path, "train", "--n-hidden", 0)


# -- the model -------------------------------------------------------------------------------------
def test_the_paper_counts_its_parameters() -> None:
    """The count is |V| (1 + n m + h) + h (1 + n m) + |V| m, with n the length of the context."""
    V, T, m, h = 11, 3, 4, 8
    assert a_model().n_parameters == V * (1 + T * m + h) + h * (1 + T * m) + V * m
    assert a_model().direct
    assert not a_model(direct=False).direct
    assert "direct=True" in repr(a_model())
    assert "direct=True" in repr(a_model().freeze())
    assert a_model().W.base is not None
    assert a_model().W.shape == (12, 11)
    assert a_model(direct=False).W.shape == (0, 11)


@pytest.mark.parametrize("n_hidden", [0, 8])
def test_a_file_holds_it(tmp_path: Path, n_hidden: int) -> None:
    model = a_model(n_hidden=n_hidden)
    model.save(tmp_path / "m.safetensors")
    again = mm.MLP.load(tmp_path / "m.safetensors")
    assert again.direct
    assert_equal(list(again.parameters.values()), list(model.parameters.values()))
    assert again.to_bytes() == model.to_bytes()
    frozen = mm.load(tmp_path / "m.safetensors")
    assert frozen.direct
    X = np.random.default_rng(0).integers(0, 11, (50, 3)).astype(np.int32)
    assert frozen.log_probs(X).tobytes() == model.log_probs(X).tobytes()
    assert frozen.sample(5, seed=1) == model.sample(5, seed=1)
    assert frozen.score(["abc"]).tolist() == model.score(["abc"]).tolist()


def test_a_forged_file_is_refused() -> None:
    data = a_model(direct=False).to_bytes()
    direct = a_model().to_bytes()
    assert b"direct" in direct
    assert b"direct" not in data
    for forged in (direct.replace(b"direct", b"durect"), direct[:-4]):
        with pytest.raises(mm.FormatError):
            mm.MLP.from_bytes(forged, "forged")


def test_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    data = some_data()
    options: dict[str, Any] = {"steps": 60, "batch_size": 8, "optimizer": "adam", "lr": 0.01}
    whole = a_model()
    mm.train(whole, data, **options)
    stopped = a_model()
    kept: list[Path] = []

    def save(state: Any) -> None:
        kept.append(tmp_path / f"{len(kept)}.checkpoint")
        checkpoint.save(kept[-1], checkpoint.Checkpoint(state, "scaled", 0, ("x",)))

    mm.train(stopped, data, **options, on_checkpoint=save, checkpoint_every=20)
    state = checkpoint.load(kept[0]).state
    assert state.model.direct
    resumed = a_model(seed=9)
    mm.train(resumed, data, **options, resume=state)
    assert resumed.to_bytes() == whole.to_bytes()
    with pytest.raises(mm.ArgumentError, match="model has direct False"):
        mm.train(a_model(direct=False), data, **options, resume=state)


def test_the_command_trains_it(tmp_path: Path) -> None:
    run(tmp_path, "train", "--direct", "--steps", 20, "--n-hidden", 0, "--out", "run")
    assert mm.load(tmp_path / "run").direct
    assert '"direct": true' in (tmp_path / "run" / "config.json").read_text()
    run(tmp_path, "eval", "run", "--split", "dev")


# -- what other formats hold -----------------------------------------------------------------------
@pytest.mark.parametrize("V", [27, 17_000])
def test_onnx_holds_it(tmp_path: Path, V: int) -> None:
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    vocab = mm.Vocab([str(number) for number in range(V - 1)], "</s>", " ")
    model = mm.MLP(vocab, 3, 4, 8, direct=True)
    model.save(tmp_path / "m.safetensors")
    assert mm.MLP.load(tmp_path / "m.safetensors").to_bytes() == model.to_bytes()
    mm.export_onnx(model, tmp_path / "m.onnx")
    session = runtime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    X = np.random.default_rng(0).integers(0, V, (50, 3))
    (found,) = session.run(["log_probs"], {"X": X})
    np.testing.assert_allclose(found, model.log_probs(X), rtol=1e-4, atol=1e-5)


def test_formats_without_room_for_it_say_so(tmp_path: Path) -> None:
    model = a_model()
    with pytest.raises(mm.ArgumentError, match="direct connections"):
        mm.export_header(model, tmp_path / "m.h")
    for export in (mm.to_lecture, mm.to_makemore_py):
        with pytest.raises(mm.ArgumentError, match="direct connections"):
            export(model)
