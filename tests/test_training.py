"""Training runs: division into calls, evaluations, stops, divergence; baselines and splits."""

import math
import os
import time

import numpy as np
import pytest

import makemore_cpp as mm
from makemore_cpp import evaluation, runs
from makemore_cpp.recipe import schedules
from makemore_cpp.training import loop

NAMES = os.environ.get("MAKEMORE_NAMES")


@pytest.fixture(scope="module")
def data():
    return mm.Dataset.split(mm.load_texts()[:500], block_size=3)


@pytest.fixture
def model(data):
    return mm.MLP(data.vocab, n_embd=4, n_hidden=20)


def bits(model):
    return [array.tobytes() for array in model.parameters.values()]


def test_train_equals_train_steps(model, data):
    history = mm.train(model, data, steps=300, lr=0.2, schedule="cosine", seed=5)
    other = mm.MLP(data.vocab, n_embd=4, n_hidden=20)
    rates = mm.learning_rates("cosine", 0.2, 300)
    losses = other.train_steps(data.train.X, data.train.Y, rates, seed=5)
    assert bits(model) == bits(other)
    assert history.losses.tobytes() == losses.tobytes()
    assert history.lr.tobytes() == rates.tobytes()
    assert history.seconds > 0


def test_evaluations_and_calls_do_not_change_bits(data, monkeypatch):
    results = []
    for eval_every, growth in ((0, 1), (7, 3), (None, 1000)):
        monkeypatch.setattr(loop, "_next_count", lambda count, seconds, g=growth: g)
        model = mm.MLP(data.vocab, n_embd=4, n_hidden=20)
        history = mm.train(model, data, steps=100, eval_every=eval_every)
        results.append((bits(model), history.losses.tobytes()))
    assert results[0] == results[1] == results[2]


def test_threads_do_not_change_bits(data):
    results = []
    for threads in (1, 2, 7):
        model = mm.MLP(data.vocab)
        mm.train(model, data, steps=50, threads=threads)
        results.append(bits(model))
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize(
    ("eval_every", "steps"), [(None, list(range(5, 51, 5))), (20, [20, 40, 50]), (0, [])]
)
def test_evaluations(model, data, eval_every, steps):
    history = mm.train(model, data, steps=50, eval_every=eval_every)
    assert [evaluation.step for evaluation in history.evaluations] == steps
    if steps:
        assert history.evaluations[-1].dev_loss == model.loss(data.dev.X, data.dev.Y)


@pytest.mark.parametrize(
    ("eval_every", "steps"),
    [(0, [0]), (20, [0, 20, 40, 50]), (1, list(range(51))), (None, list(range(0, 51, 5)))],
)
def test_snapshots_are_of_the_start_and_the_evaluations(model, data, eval_every, steps):
    start = model.C.copy()
    snapshots = mm.train(model, data, steps=50, eval_every=eval_every).snapshots
    assert [snapshot.step for snapshot in snapshots] == steps
    assert np.array_equal(snapshots[0].C, start)
    if eval_every != 0:
        assert np.array_equal(snapshots[-1].C, model.C)
        assert not np.array_equal(snapshots[-2].C, model.C)


@pytest.mark.parametrize(("steps", "every"), [(51, 2), (100, 2), (101, 4), (203, 8)])
def test_of_many_evaluations_some_have_snapshots(data, steps, every):
    """The snapshots are those of a run that is evaluated every `every` steps."""
    taken = [
        mm.train(
            mm.MLP(data.vocab, n_embd=2, n_hidden=3), data, steps=steps, eval_every=n
        ).snapshots
        for n in (1, every)
    ]
    assert [snapshot.step for snapshot in taken[0]] == list(range(0, steps + 1, every))
    for one, other in zip(*taken, strict=False):
        assert np.array_equal(one.C, other.C)


def test_large_embeddings_have_no_snapshots(data):
    wide = mm.MLP(data.vocab, n_embd=152, n_hidden=2)  # 27 * 152 is beyond 4,096
    assert mm.train(wide, data, steps=10).snapshots == []


def test_it_learns_and_remembers_its_data(data):
    texts = mm.load_texts()
    data = mm.Dataset.split(texts, seed=3)
    model = mm.MLP(data.vocab, n_embd=8, n_hidden=60)
    history = mm.train(model, data, steps=6000)
    assert abs(history.losses[0] - math.log(27)) < 0.1
    uniform, bigram, this = evaluation.compare(model, data)
    assert this.dev < bigram.dev < uniform.dev == math.log(27)
    assert model.data == (texts.name, texts.sha256, 3)


def test_progress(model, data):
    seen = []
    mm.train(model, data, steps=100, on_progress=seen.append)
    assert [p.step for p in seen] == sorted({p.step for p in seen})
    assert seen[-1].step == seen[-1].steps == 100
    assert all(0 < p.loss < 10 for p in seen)
    assert all(p.seconds > 0 for p in seen)


def test_should_stop(model, data):
    seen = []
    history = mm.train(
        model,
        data,
        steps=10**9,
        on_progress=seen.append,
        should_stop=lambda: bool(seen) and seen[-1].step >= 31,
    )
    assert 31 <= len(history.losses) < 10**6
    assert len(history.lr) == len(history.losses)


@pytest.fixture
def steps_of_calls(monkeypatch):
    """Return the numbers of steps of the core's calls, each of which takes more than 50 ms."""
    counts = []
    train_steps = mm.MLP.train_steps

    def slow_train_steps(self, X, Y, lr, **options):
        time.sleep(0.06)
        counts.append(len(lr))
        return train_steps(self, X, Y, lr, **options)

    monkeypatch.setattr(mm.MLP, "train_steps", slow_train_steps)
    return counts


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_calls_are_long_where_a_call_has_much_to_copy(
    optimizer, model, data, steps_of_calls, monkeypatch
):
    options = {"steps": 7, "optimizer": optimizer, "eval_every": 0}
    mm.train(model, data, **options)
    assert steps_of_calls == [1] * 7
    steps_of_calls.clear()
    numbers = sum(array.size for array in model.parameters.values())
    enough = 1 / (numbers * (3 if optimizer == "adamw" else 1))
    monkeypatch.setattr(loop, "SECONDS_PER_NUMBER", enough)
    mm.train(model, data, **options)
    assert steps_of_calls == [1, 2, 4]
    steps_of_calls.clear()
    monkeypatch.setattr(loop, "MOST_SECONDS_PER_CALL", 0.0)
    mm.train(model, data, **options)
    assert steps_of_calls == [1] * 7


def test_interrupt_leaves_a_step_boundary(model, data):
    done = []

    def interrupt(progress):
        done.append(progress.step)
        if progress.step >= 15:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mm.train(model, data, steps=1000, schedule="constant", eval_every=0, on_progress=interrupt)
    other = mm.MLP(data.vocab, n_embd=4, n_hidden=20)
    other.train_steps(data.train.X, data.train.Y, np.full(done[-1], 0.1))
    assert bits(model) == bits(other)


def test_divergence_restores_the_model(model, data):
    before = bits(model)
    with pytest.raises(mm.DivergedError) as caught:
        mm.train(model, data, steps=1000, lr=3e37)
    assert bits(model) == before
    assert caught.value.learning_rate == pytest.approx(3e37, rel=1e-6)


def test_late_divergence_restores_the_model(model, data, monkeypatch):
    before = bits(model)
    rates = np.full(200, 0.1)
    rates[150:] = 1e38
    monkeypatch.setattr(
        schedules,
        "learning_rates",
        lambda *a, first_step, count, **k: rates[first_step : first_step + count],
    )
    with pytest.raises(mm.DivergedError) as caught:
        mm.train(model, data, steps=200)
    assert 150 <= caught.value.step < 200
    assert bits(model) == before


def test_a_last_update_that_is_too_large_restores_the_model(data, model):
    one_text = mm.Dataset.split(["abc"], vocab=data.vocab)  # no dev split
    model.data = origin = mm.data.DataOrigin("elsewhere", "0" * 64)
    before = bits(model)
    for examples, name, options in (
        (data, "dev", {}),
        (data, "dev", {"eval_every": 0}),
        (data, "dev", {"should_stop": iter([False, True]).__next__, "steps": 10, "eval_every": 0}),
        (one_text, "train", {}),
    ):
        with pytest.raises(mm.DivergedError, match=rf"step 0: the {name} loss .*1e\+38") as caught:
            mm.train(model, examples, **{"steps": 1, "lr": 1e38, **options})
        assert not math.isfinite(caught.value.loss)
        assert (caught.value.step, caught.value.learning_rate) == (0, 1e38)
        assert "nan" in str(caught.value)
        assert bits(model) == before
        assert model.data == origin


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"steps": 0}, ValueError),
        ({"steps": 2**40}, ValueError),
        ({"steps": 1.5}, TypeError),
        ({"batch_size": 0}, ValueError),
        ({"batch_size": 2**80}, ValueError),
        ({"lr": math.nan}, ValueError),
        ({"schedule": "linear"}, ValueError),
        ({"lr_floor": 0.1}, ValueError),
        ({"lr_floor": math.nan, "schedule": "cosine"}, ValueError),
        ({"lr_decay": "1", "schedule": "inverse"}, TypeError),
        ({"seed": -1}, ValueError),
        ({"weight_decay": -1}, ValueError),
        ({"weight_decay": math.nan}, ValueError),
        ({"threads": 0}, ValueError),
        ({"eval_every": -1}, ValueError),
    ],
)
def test_bad_options(model, data, options, error):
    before = bits(model)
    name = next(iter(options))
    if len(options) == 1:  # the schedule calls them floor and decay
        name = name.removeprefix("lr_")
    with pytest.raises(error, match=name) as caught:
        mm.train(model, data, **{"steps": 10, **options})
    assert "\n" not in str(caught.value)
    assert bits(model) == before
    assert model.data is None


def test_model_and_data_must_fit(model):
    with pytest.raises(mm.ArgumentError, match="Vocab"):
        mm.train(model, mm.Dataset.split(["xyz"]))
    with pytest.raises(mm.ArgumentError, match="block_size"):
        mm.train(model, mm.Dataset.split(mm.load_texts()[:500], block_size=2, vocab=model.vocab))


def test_one_text_trains():
    data = mm.Dataset.split(["abc"])
    model = mm.MLP(data.vocab, n_embd=2, n_hidden=5)
    history = mm.train(model, data, steps=20)
    assert history.evaluations == []
    for row in evaluation.compare(model, data):
        assert row.train > 0
        assert row.dev is None
    assert evaluation.evaluate(model, data, "test")[0][1:] == (0, None, None)


# -- evaluation ------------------------------------------------------------------------------------
def test_evaluate_splits_again_the_same_way(tmp_path):
    texts = mm.load_texts()
    data = mm.Dataset.split(texts, seed=11)
    model = mm.MLP(data.vocab, n_embd=2, n_hidden=5)
    mm.train(model, data, steps=50)
    model.save(tmp_path / "m")
    again = mm.MLP.load(tmp_path / "m")
    found = evaluation.split_as_trained(again, evaluation.find_texts(again))
    for name, split in (("train", data.train), ("dev", data.dev), ("test", data.test)):
        (row,) = evaluation.evaluate(again, found, name)
        assert (row.split, row.texts) == (name, len(split.texts))
        assert row.loss == model.loss(split.X, split.Y)
        assert row.perplexity == math.exp(row.loss)
    assert [row.split for row in evaluation.evaluate(again, found)] == ["train", "dev"]
    row, origin = evaluation.evaluate_file(again)
    X, Y = mm.build_dataset(texts, data.vocab, data.block_size)
    assert (row.split, row.texts, origin) == ("all", len(texts), (texts.name, texts.sha256, None))
    assert row.loss == pytest.approx(model.loss(X, Y), rel=1e-6)


def test_changed_data_are_refused(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("anna\nbob\n")
    data = mm.Dataset.split(mm.load_texts(path))
    model = mm.MLP(data.vocab, n_embd=2, n_hidden=5)
    with pytest.raises(mm.ArgumentError, match="does not remember"):
        evaluation.find_texts(model)
    mm.train(model, data, steps=2)
    assert evaluation.find_texts(model) == ["anna", "bob"]
    path.write_text("anna\nbob\nnan\n")
    with pytest.raises(mm.ArgumentError, match=f"{path} has changed"):
        evaluation.find_texts(model)
    with pytest.raises(mm.ArgumentError, match=f"{path} has changed"):
        evaluation.evaluate_file(model)
    assert evaluation.find_texts(model, str(path)) == ["anna", "bob", "nan"]
    assert evaluation.evaluate_file(model, str(path))[0].texts == 3
    path.unlink()
    with pytest.raises(mm.FileError):
        evaluation.find_texts(model)


def test_a_huge_loss_has_no_perplexity(data, model):
    model.b2[1:] = -3e6
    for row in evaluation.evaluate(model, data):
        assert 1e5 < row.loss < math.inf
        assert row.perplexity is None
    model.b2[1:] = [0.0, *[-709.0 / 0.8] * (len(model.b2) - 2)]
    for row in evaluation.evaluate(model, data):
        assert row.perplexity == math.exp(row.loss)


def test_a_loss_that_is_not_finite_is_refused(data, model):
    model.W2[:] = 3e38
    model.b1[:] = 1
    with pytest.raises(mm.ArgumentError, match=r"loss on train is (nan|inf)"):
        evaluation.evaluate(model, data)


# -- run folders -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "failing", [runs.MODEL_FILE, runs.METRICS_FILE, runs.EMBEDDINGS_FILE, runs.CONFIG_FILE]
)
def test_a_full_disk_leaves_one_run_and_not_halves_of_two(
    data, model, tmp_path, monkeypatch, failing
):
    """A file beside a model belongs to that model, or it is not there."""

    def save_run(seed):
        history = mm.train(model, data, steps=5, seed=seed)
        comparison = evaluation.compare(model, data)
        runs.save_model(tmp_path, model)
        runs.save_description(tmp_path, model, history, comparison, {"seed": seed})

    def contents():
        return {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    save_run(1)
    (tmp_path / runs.TEST_LOOKS_FILE).write_text("a look")
    before = contents()
    os.replace(tmp_path / failing, tmp_path / "aside")
    (tmp_path / failing).mkdir()  # which no file can replace
    with pytest.raises(mm.FileError, match=f"cannot write '{tmp_path / failing}'"):
        save_run(2)
    (tmp_path / failing).rmdir()
    os.replace(tmp_path / "aside", tmp_path / failing)
    if failing == runs.MODEL_FILE:
        assert contents() == before
    else:
        assert contents().keys() == {runs.MODEL_FILE, failing}
        assert contents()[runs.MODEL_FILE] == model.to_bytes()
    save_run(2)
    after = contents()
    assert after.keys() == before.keys() - {runs.TEST_LOOKS_FILE}
    assert all(after[name] != before[name] for name in after)


def test_no_nan_is_ever_written(data, model, tmp_path):
    history = mm.train(model, data, steps=5)
    bad = [evaluation.ModelLosses("this model", math.nan, 1.0)]
    with pytest.raises(ValueError, match="JSON"):
        runs.save_description(tmp_path, model, history, bad, {})
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="JSON"):
        runs.record_test_look(tmp_path, {"loss": math.inf})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(NAMES is None, reason="needs MAKEMORE_NAMES")
@pytest.mark.parametrize("seed", range(1, 11))
def test_first_step_loss_of_the_default_initialisation(seed):
    data = mm.Dataset.split(mm.load_texts(NAMES))
    model = mm.MLP(data.vocab, seed=seed)
    history = mm.train(model, data, steps=1, seed=seed)
    assert abs(history.losses[0] - math.log(27)) < 0.1
