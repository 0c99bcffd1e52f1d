"""The MLP: its arrays, its steps, its file; the schedules."""

import copy
import itertools

import numpy as np
import pytest

import makemore_cpp as mm

SIZES = {"block_size": 3, "n_embd": 4, "n_hidden": 20}


@pytest.fixture
def data():
    return mm.Dataset.split(mm.load_texts()[:200], block_size=3)


@pytest.fixture
def model(data):
    return mm.MLP(data.vocab, **SIZES)


def bits(model):
    return [array.tobytes() for array in model.parameters.values()]


# -- arrays ----------------------------------------------------------------------------------------
def test_names_and_shapes(model):
    V = len(model.vocab)
    shapes = {name: array.shape for name, array in model.parameters.items()}
    assert shapes == {"C": (V, 4), "W1": (12, 20), "b1": (20,), "W2": (20, V), "b2": (V,)}
    assert all(array.dtype == np.float32 for array in model.parameters.values())
    assert (model.block_size, model.n_embd, model.n_hidden, model.vocab_size) == (3, 4, 20, V)
    assert model.data is None


@pytest.mark.parametrize(("n_embd", "n_hidden", "count"), [(10, 200, 11_897), (2, 100, 3_481)])
def test_number_of_parameters(n_embd, n_hidden, count):
    vocab = mm.Vocab([chr(97 + i) for i in range(26)])
    model = mm.MLP(vocab, 3, n_embd, n_hidden)
    assert model.n_parameters == count
    assert f"{count:,} parameters" in repr(model)


def test_arrays_are_live(model, data):
    before = model.loss(data.dev.X, data.dev.Y)
    model.b2[:] += np.arange(len(model.vocab), dtype=np.float32)
    assert model.loss(data.dev.X, data.dev.Y) != before
    assert model.b2 is model.parameters["b2"]
    with pytest.raises(AttributeError):
        model.b2 = np.zeros(3)


def test_same_seed_same_parameters(data):
    assert bits(mm.MLP(data.vocab, seed=3)) == bits(mm.MLP(data.vocab, seed=3))
    assert bits(mm.MLP(data.vocab, seed=3)) != bits(mm.MLP(data.vocab, seed=4))


@pytest.mark.parametrize("size", ["block_size", "n_embd", "n_hidden"])
@pytest.mark.parametrize("value", [0, -1, 2**40, 2**80])
def test_absurd_sizes(data, size, value):
    with pytest.raises(ValueError, match=size) as caught:
        mm.MLP(data.vocab, **{size: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"init": "zeros"}, ValueError),
        ({"seed": -1}, ValueError),
        ({"seed": 2**64}, ValueError),
        ({"seed": 1.5}, TypeError),
        ({"n_hidden": 2.5}, TypeError),
    ],
)
def test_bad_options(data, options, error):
    with pytest.raises(error, match=next(iter(options))) as caught:
        mm.MLP(data.vocab, **options)
    assert "\n" not in str(caught.value)


def test_vocab_of_a_wrong_type():
    with pytest.raises(TypeError, match=r"vocab must be a makemore_cpp\.Vocab"):
        mm.MLP(["a"])


def test_from_arrays_copies(model):
    arrays = [array.copy() for array in model.parameters.values()]
    other = mm.MLP.from_arrays(model.vocab, *arrays)
    assert bits(other) == bits(model)
    arrays[0][:] = 0
    assert bits(other) == bits(model)


@pytest.mark.parametrize(
    ("name", "change", "error"),
    [
        ("C", lambda a: a.astype(np.float64), TypeError),
        ("C", lambda a: a[1:], ValueError),
        ("W1", lambda a: a[1:], ValueError),
        ("W1", lambda a: a[:0], ValueError),
        ("b1", lambda a: a[None], ValueError),
        ("W2", lambda a: a.T, ValueError),
        ("b2", lambda a: a[1:], ValueError),
    ],
)
def test_from_arrays_that_do_not_fit(model, name, change, error):
    arrays = {**model.parameters, name: change(model.parameters[name])}
    with pytest.raises(error, match=name):
        mm.MLP.from_arrays(model.vocab, **arrays)


# -- steps -----------------------------------------------------------------------------------------
def test_log_probs_and_loss_agree(model, data):
    model.train_steps(data.train.X, data.train.Y, np.full(50, 0.1))
    log_probs = model.log_probs(data.dev.X)
    assert log_probs.shape == (len(data.dev.Y), len(model.vocab))
    np.testing.assert_allclose(np.exp(log_probs.astype(float)).sum(axis=1), 1, atol=1e-5)
    picked = log_probs[np.arange(len(data.dev.Y)), data.dev.Y]
    assert model.loss(data.dev.X, data.dev.Y) == pytest.approx(-picked.mean(dtype=float), abs=1e-5)


def test_division_into_calls_does_not_change_bits(data):
    X, Y = data.train.X, data.train.Y
    lr = mm.learning_rates("cosine", 0.2, 60)
    whole, parts = mm.MLP(data.vocab, **SIZES), mm.MLP(data.vocab, **SIZES)
    losses = whole.train_steps(X, Y, lr, seed=9, weight_decay=1e-4)
    cuts = [0, 1, 3, 10, 11, 30, 59, 60]
    pieces = [
        parts.train_steps(X, Y, lr[a:b], seed=9, first_step=a, weight_decay=1e-4)
        for a, b in itertools.pairwise(cuts)
    ]
    assert np.concatenate(pieces).tobytes() == losses.tobytes()
    assert losses.dtype == np.float32
    assert bits(whole) == bits(parts)


def test_full_batch_reaches_the_entropy_of_five_texts():
    texts = ["emma", "olivia", "ava", "isabella", "sophia"]
    vocab = mm.Vocab.from_texts(mm.load_texts())
    X, Y = mm.build_dataset(texts, vocab, 3)
    assert len(Y) == 32
    model = mm.MLP(vocab)
    model.train_steps(X, Y, np.full(1000, 0.1), rows="all")
    excess = model.loss(X, Y) - 5 * np.log(5) / 32
    assert -1e-6 <= excess <= 0.02


def test_should_stop_keeps_completed_steps(model, data):
    asked = []

    def should_stop():
        asked.append(None)
        return True

    losses = model.train_steps(
        data.train.X, data.train.Y, np.full(100_000, 0.1), should_stop=should_stop
    )
    assert asked
    assert len(losses) < 100_000


def test_divergence_keeps_the_parameters(model, data):
    before = bits(model)
    with pytest.raises(mm.DivergedError) as caught:
        model.train_steps(data.train.X, data.train.Y, np.full(100, 1e37))
    assert bits(model) == before
    assert isinstance(caught.value, ArithmeticError)
    assert caught.value.step >= 0
    assert caught.value.learning_rate == pytest.approx(1e37, rel=1e-6)


@pytest.mark.parametrize("rate", [np.nan, np.inf, -0.1, 1e39])
def test_bad_rates(model, data, rate):
    before = bits(model)
    with pytest.raises(mm.ArgumentError, match="lr"):
        model.train_steps(data.train.X, data.train.Y, np.array([0.1, rate]))
    assert bits(model) == before


def test_loss_of_nothing(model):
    with pytest.raises(mm.ArgumentError):
        model.loss(np.zeros((0, 3), np.int32), np.zeros(0, np.int32))


# -- file ------------------------------------------------------------------------------------------
def test_save_and_load(model, data, tmp_path):
    model.data = mm.data.DataOrigin("somewhere", "0" * 64, 2**64 - 1)
    model.save(tmp_path / "model.safetensors")
    for path in (tmp_path, tmp_path / "model.safetensors", str(tmp_path)):
        other = mm.MLP.load(path)
        assert bits(other) == bits(model)
        assert other.vocab == model.vocab
        assert other.data == ("", *model.data[1:]), "no file says where its data are"
        assert repr(other) == repr(model)
    other.train_steps(data.train.X, data.train.Y, [0.1])  # the arrays are writable
    model.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model.safetensors").read_bytes()


def test_load_without_origin(model, tmp_path):
    model.save(tmp_path / "m")
    assert mm.MLP.load(tmp_path / "m").data is None


def test_bad_files(model, tmp_path):
    with pytest.raises(mm.FileError):
        mm.MLP.load(tmp_path / "missing")
    with pytest.raises(mm.FileError):
        mm.MLP.load(tmp_path)
    with pytest.raises(mm.FileError):
        model.save(tmp_path / "no" / "folder")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(mm.FormatError):
        mm.MLP.load(tmp_path / "text")


def test_any_kind_of_path(model, tmp_path):
    model.save(tmp_path / "m")
    assert bits(mm.MLP.load(bytes(tmp_path / "m"))) == bits(model)
    for path in (None, 0, ["m"]):
        with pytest.raises(TypeError, match="path must be a path, not "):
            mm.MLP.load(path)


def test_copies_are_independent(model):
    other = copy.deepcopy(model)
    assert bits(other) == bits(model)
    other.C[:] = 0
    assert bits(other) != bits(model)


# -- schedules -------------------------------------------------------------------------------------
def test_schedules():
    assert mm.learning_rates("constant", 0.1, 3).tolist() == [0.1] * 3
    assert mm.learning_rates("step", 0.1, 4).tolist() == [0.1, 0.1, 0.01, 0.01]
    assert mm.learning_rates("step", 0.1, 5).tolist() == [0.1, 0.1, 0.1, 0.01, 0.01]
    cosine = mm.learning_rates("cosine", 1.0, 100, floor=0.2)
    assert cosine[0] == 1.0
    assert cosine[50] == pytest.approx(0.6)
    assert 0.2 < cosine[-1] < 0.201
    assert np.all(np.diff(cosine) < 0)
    np.testing.assert_allclose(mm.learning_rates("inverse", 1.0, 3, decay=0.5), [1, 1 / 1.5, 1 / 2])
    assert mm.learning_rates("inverse", 1.0, 1000)[-1] == pytest.approx(0.1, rel=0.01)


@pytest.mark.parametrize("schedule", ["constant", "step", "cosine", "inverse"])
def test_parts_of_a_schedule(schedule):
    whole = mm.learning_rates(schedule, 0.3, 50)
    assert whole.dtype == np.float64
    parts = [
        mm.learning_rates(schedule, 0.3, 50, first_step=a, count=b - a)
        for a, b in ((0, 0), (0, 7), (7, 30), (30, 50))
    ]
    assert np.concatenate(parts).tobytes() == whole.tobytes()


@pytest.mark.parametrize(
    ("arguments", "options", "error", "name"),
    [
        (("linear", 0.1, 5), {}, ValueError, "schedule"),
        (("step", np.nan, 5), {}, ValueError, "lr"),
        (("step", np.inf, 5), {}, ValueError, "lr"),
        (("step", 1e39, 5), {}, ValueError, "lr"),
        (("step", 10**400, 5), {}, ValueError, "lr"),
        (("step", -0.1, 5), {}, ValueError, "lr"),
        (("step", "fast", 5), {}, TypeError, "lr must be a number, not str"),
        (("step", "0.1", 5), {}, TypeError, "lr must be a number, not str"),
        (("step", b"0.1", 5), {}, TypeError, "lr must be a number, not bytes"),
        (("cosine", 0.1, 5), {"floor": "0"}, TypeError, "floor"),
        (("step", 0.1, 0), {}, ValueError, "steps"),
        (("step", 0.1, 2**40), {}, ValueError, "steps"),
        (("step", 0.1, 1.5), {}, TypeError, "steps"),
        (("step", 0.1, 5), {"floor": 0.1}, ValueError, "floor"),
        (("cosine", 0.1, 5), {"decay": 0.1}, ValueError, "decay"),
        (("inverse", 0.1, 5), {"decay": np.nan}, ValueError, "decay"),
        (("step", 0.1, 5), {"first_step": 3, "count": 3}, ValueError, "count"),
    ],
)
def test_bad_schedules(arguments, options, error, name):
    with pytest.raises(error, match=name):
        mm.learning_rates(*arguments, **options)


# -- what the methods say --------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("method", "arguments", "error"),
    [
        ("log_probs", ([[0.0, 1, 1]],), TypeError),
        ("log_probs", ([[0, 1]],), mm.ArgumentError),
        ("log_probs", ([[0, 1, 99]],), mm.RangeError),
        ("loss", ([[0, 1, 1]], [0.0]), TypeError),
        ("loss", ([[0, 1, 1]], [0, 1]), mm.ArgumentError),
        ("loss", ([[0, 1, 1]], [99]), mm.RangeError),
        ("train_steps", ([[0, 1, 1]], [0.0], [0.1]), TypeError),
        ("train_steps", ([[0, 1, 1]], [0], [-0.1]), mm.ArgumentError),
        ("train_steps", ([[0, 1, 1]], [-1], [0.1]), mm.RangeError),
        ("sample", (1.5,), TypeError),
        ("sample", (-1,), mm.ArgumentError),
    ],
)
def test_errors_are_those_of_the_docstring(model, method, arguments, error):
    with pytest.raises(error):
        getattr(model, method)(*arguments)
    raises = getattr(mm.MLP, method).__doc__.split("Raises")[1]
    assert error.__name__ in raises


@pytest.mark.parametrize(("n_hidden", "direct"), [(7, False), (7, True), (0, True)])
def test_layers_have_all_parameters_and_the_shapes_of_the_operations(n_hidden, direct):
    vocab = mm.Vocab(list("abc"))
    model = mm.MLP(vocab, block_size=3, n_embd=2, n_hidden=n_hidden, direct=direct)
    layers = mm.models.layers(model)
    assert layers == mm.models.layers(model.freeze())
    assert sum(layer.parameters for layer in layers) == model.n_parameters
    emb = mm.ops.embedding_forward(model.C, [[0, 1, 2]] * 5)
    h = np.tanh(emb.reshape(5, -1) @ model.W1 + model.b1)
    assert [layer.shape.replace("B", "5") for layer in layers] == [
        str(shape) for shape in ((5, 3), emb.shape, (5, 6), h.shape, (5, 4), (5, 4))
    ]
    assert ("[h, x]" in layers[4].computes) == direct
    with pytest.raises(TypeError, match=r"model must be a makemore_cpp\.Net, not int"):
        mm.models.layers(3)
