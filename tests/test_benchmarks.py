"""The benchmarks' own arithmetic: wrong losses, slowdowns and cliffs are seen, noise is not."""

from __future__ import annotations

import copy
import os
from types import SimpleNamespace
from typing import Any

import candidates
import difference
import flops
import growth
import numpy as np
import one_second
import pytest
import reporting
import texts
from candidates import AVX2, OURS

import makemore_cpp as mm
from makemore_cpp.reference import random as reference_random

TEXTS = ["emma", "olivia", "ava", "isabella", "sophia", "mia", "amelia", "harper", "luna", "ella"]


# -- two results -----------------------------------------------------------------------------------
def result(turns: list[float], name: str = OURS, what: str = "lecture, us per step") -> Any:
    row = {"name": name, "cpus": 1, "median": float(np.median(turns)), "all": turns}
    return {"machine": {}, "results": {what: [row]}}


@pytest.mark.parametrize(
    ("factor", "expected"), [(1.0, "same"), (1.03, "same"), (1.2, "slower"), (0.8, "faster")]
)
def test_difference_tells_change_from_noise(factor, expected):
    noise = 1 + 0.02 * np.random.default_rng(1).standard_normal((2, 9))
    before, after = (15 * noise[0]).tolist(), (15 * factor * noise[1]).tolist()
    ((*_, old, new, low, high),) = difference.compare(result(before), result(after))
    assert low < new / old < high
    assert difference.verdict(low, high) == expected


def test_wide_noise_is_no_regression():
    before = [10.0, 11.0, 30.0, 12.0, 25.0]
    after = [12.0, 28.0, 11.0, 31.0, 13.0]
    ((*_, low, high),) = difference.compare(result(before), result(after))
    assert difference.verdict(low, high) == "same"


@pytest.mark.parametrize("name", [OURS, AVX2, "makemore_cpp train", "makemore_cpp import"])
def test_difference_compares_every_time_of_ours(name):
    found = list(difference.compare(result([1.0, 1.1], name), result([2.0, 2.2], name)))
    assert [row[:3] for row in found] == [("lecture, us per step", name, 1)]


def test_difference_leaves_out_what_is_not_in_both():
    one, other = result([1.0]), result([1.0], what="seconds until the dev loss is 2.17")
    assert not list(difference.compare(one, other))
    assert not list(difference.compare(result([1.0], "jax scan"), result([1.0], "jax scan")))


def test_difference_reads_what_a_comparison_writes():
    found = {(OURS, 1): [18.0, 17.0, 20.0], ("peak", 1): [240.0, 230.0, 235.0]}
    kept = {"machine": {}, "results": {"table": reporting.rows(found)}}
    ((what, name, cpus, old, new, low, high),) = difference.compare(kept, kept)
    assert (what, name, cpus, old, new) == ("table", OURS, 1, 18.0, 18.0)
    assert low <= 1 <= high


# -- rates, ratios and cliffs ----------------------------------------------------------------------
def test_naive_flop_counts_three_products_of_each_layer():
    B, T, E, H, V = 32, 3, 10, 200, 27
    products = [(B, T * E, H), (T * E, B, H), (B, H, T * E), (B, H, V), (H, B, V), (B, V, H)]
    assert flops.naive_flop(B, T, E, H, V) == sum(2 * m * k * n for m, k, n in products)


def test_measured_peak_leaves_the_instruction_set_alone(default_isa):
    isa = mm.build_info()["isa"]
    assert flops.measured_peak(isa["found"][0]) > 0.1
    assert mm.build_info()["isa"]["used"] == isa["used"]


FOUND = {
    "us per step": {
        (OURS, 1): [20.0, 16.0, 15.0],
        (OURS, 2): [10.0, 8.0, 7.0],
        (AVX2, 1): [20.0],
        (AVX2, 2): [12.0],
        ("numpy", 1): [100.0],
        ("numpy", 2): [80.0],
        ("torch eager", 1): [200.0],
        ("jax scan", 2): [36.0],
    },
    "peak GFLOP/s": {("peak", 1): [250.0], ("peak", 2): [400.0]},
    "us per step beside a busy process": {(OURS, 2): [18.0]},
}


def test_summaries():
    found = dict(reporting.summaries(FOUND, flop=2e6))
    assert found == {
        "best framework (jax scan, 2 CPUs) / ours, 2 CPUs": 36 / 8,
        "NumPy at its best (numpy, 2 CPUs) / ours, 1 CPU": 80 / 16,
        "best framework (jax scan, 2 CPUs) / makemore_cpp avx2, 2 CPUs": 36 / 12,
        "speed of 2 CPUs / 1 CPU": 16 / 8,
        "naive arithmetic / 250 GFLOP/s, the peak of 1 CPU": 2e6 / 16e-6 / 250e9,
        "naive arithmetic / 400 GFLOP/s, the peak of 2 CPUs": 2e6 / 8e-6 / 400e9,
        "time of ours, 2 CPUs, one of them kept busy by another process"
        " / ours, 1 CPU, undisturbed": 18 / 16,
    }


def test_summaries_of_what_was_measured_alone():
    found = copy.deepcopy(FOUND)
    found["us per step"] = {(OURS, 1): [16.0], ("numpy", 1): [80.0]}
    found["peak GFLOP/s"] = {("peak", 1): [250.0]}
    del found["us per step beside a busy process"]
    assert [number for _, number in reporting.summaries(found, 2e6)] == [5.0, 0.5]


def test_summaries_of_jobs():
    names = {"makemore_cpp train": 2.0, "makemore_cpp import": 0.15, "numpy import": 0.1}
    found = {(name, 2): [s, s + 9, s] for name, s in (names | {"torch import": 3.0}).items()}
    numbers = dict(reporting.job_summaries(found))
    assert numbers["import torch / our whole training"] == 1.5
    assert numbers["ms that import makemore_cpp takes beyond import numpy"] == pytest.approx(50)
    assert len(numbers) == 2


def test_a_cliff_is_found_and_an_even_slope_is_not():
    mflop = [0.1, 1.0, 2.0, 4.0, 8.0]
    even = [10.0, 20.0, 40.0, 80.0, 160.0]
    labels = list("abcde")
    assert not list(growth.cliffs(labels, mflop, even))
    assert list(growth.cliffs(labels, mflop, [10.0, 20.0, 40.0, 120.0, 240.0])) == [("d", 1.5)]
    assert not list(growth.cliffs(labels, mflop, [10.0, 20.0, 40.0, 100.0, 240.0]))


def test_a_small_shape_is_no_cliff():
    assert not list(growth.cliffs("ab", [0.1, 0.9], [1.0, 90.0]))
    assert list(growth.cliffs("ab", [0.1, 1.0], [1.0, 100.0])) == [("b", 10.0)]


def test_growth_measures_every_point(monkeypatch, capsys):
    monkeypatch.setattr(growth, "TURN_SECONDS", 1e-3)
    points = [growth.Point(TEXTS, B=2, T=3, E=4, H=16, V=V) for V in (None, 50)]
    times = growth.measure(points, turns=1)
    assert np.all(np.isfinite(times))
    assert np.min(times) > 0
    growth.report("V", points, times, markdown=True)
    lines = capsys.readouterr().out.splitlines()
    V = len(mm.Vocab.from_texts(TEXTS))
    assert "Time of a step against V, with B=2, T=3, E=4, H=16" in lines
    assert [line.split("|")[1].strip() for line in lines if "|" in line] == [
        "V", "---:", str(V), "50",
    ]  # fmt: skip


def test_tokens_follow_zipf():
    X, Y = growth.zipf_examples(V=100, T=3)
    np.testing.assert_array_equal(X[3:, 0], Y[:-3])  # the next contexts begin with the targets
    counts = np.bincount(Y, minlength=100)
    assert counts[0] / counts[9] == pytest.approx(10, rel=0.1)


# -- candidates ------------------------------------------------------------------------------------
@pytest.fixture
def measuring(monkeypatch):
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system cannot bind a process to a CPU")
    import measuring

    monkeypatch.setattr(measuring, "SETTLE_SECONDS", 0)
    return measuring


@pytest.fixture
def jobs(measuring, monkeypatch):
    import jobs

    monkeypatch.setattr(jobs, "SETTLE_SECONDS", 0)
    monkeypatch.setattr(jobs, "LECTURE_STEPS", 10)
    monkeypatch.setattr(jobs, "EVALUATE_EVERY", 20)
    return jobs


ANSWERS = {
    who: {"losses": [3.3, 3.2], "mean_loss": 3.1 * rounding, "dev_loss": 3.15}
    for who, rounding in [("makemore_cpp, 1 CPUs", 1), ("numpy, 1 CPUs", 1 + 1e-6)]
}


def test_verify_accepts_rounding(measuring):
    measuring.verify(ANSWERS)


@pytest.mark.parametrize("what", ["losses", "mean_loss", "dev_loss"])
@pytest.mark.parametrize("wrong", [3.25, float("nan")])
def test_verify_catches_a_wrong_loss(measuring, what, wrong):
    answers = copy.deepcopy(ANSWERS)
    answers["numpy, 1 CPUs"][what] = [3.3, wrong] if what == "losses" else wrong
    with pytest.raises(RuntimeError, match=f"numpy, 1 CPUs computes other {what} than makemore"):
        measuring.verify(answers)


@pytest.mark.parametrize(
    ("found", "used", "reason"),
    [
        (["baseline", "avx2", "avx512"], "avx512", None),
        (["baseline", "avx2"], "avx2", "avx2, which is used anyway, is not wider"),
        (
            ["baseline", "avx2", "avx512"],
            "baseline",
            "baseline, which is used anyway, is not wider",
        ),
        (["neon"], "neon", "this machine has no AVX2"),
    ],
)
def test_avx2_is_forced_only_below_something_wider(measuring, found, used, reason):
    assert measuring.why_not_avx2({"found": found, "used": used}) == reason


def test_candidates_solve_the_same_problem(measuring, jobs, tmp_path):
    file = str(tmp_path / "problem.npz")
    data = mm.Dataset.split(TEXTS)
    V = measuring.write_problem(file, (4, 3, 5, 16), TEXTS, steps=40)
    assert len(data.vocab) == V
    with np.load(file) as problem:
        np.testing.assert_array_equal(problem["X"][slice(*problem["dev"])], data.dev.X)
        assert problem["rows"].shape == (40, 4)
        assert problem["rows"].max() < len(data.train.Y)
    running = measuring.start_all(file, [OURS, "numpy"])
    try:
        assert {c.who for c in running} == {
            (name, cpus) for name in (OURS, "numpy") for cpus in (1, measuring.ALL_CPUS)
        }
        found, ends = jobs.time_to_loss(running, target=0.0, turns=2)
        assert {len(found[c.who]) for c in running if c.name == OURS} == {2}
        assert {len(found[c.who]) for c in running if c.name == "numpy"} == {1}
        steps, losses = zip(*ends.values(), strict=True)
        assert set(steps) == {40}
        np.testing.assert_allclose(losses, losses[0], rtol=1e-4)
        _, ends = jobs.time_to_loss(running[:1], target=9.0, turns=1)
        assert ends[OURS, 1][0] == 20
    finally:
        for candidate in running:
            candidate.close()


def test_a_busy_process_is_ended(measuring):
    with measuring.busy_cpu() as process:
        assert process.poll() is None
        assert len(os.sched_getaffinity(process.pid)) == 1
    assert process.returncode < 0


def test_commands_run_to_their_end(monkeypatch, measuring, jobs):
    monkeypatch.setattr(jobs.importlib.util, "find_spec", lambda module: module == "numpy")
    found = jobs.time_commands(None, turns=1)
    assert [name for name, _ in found] == ["makemore_cpp train", "python", "numpy import"]
    assert (
        found["makemore_cpp train", measuring.ALL_CPUS][0] > found["python", measuring.ALL_CPUS][0]
    )


# -- names in a second -------------------------------------------------------------------------
class LearnsBy:
    """A runner whose loss is least with a batch of 32 and a rate of 0.04, for any candidate."""

    def __init__(self) -> None:
        self.tried: list[Any] = []

    def train(self, candidate, recipe, seconds, seed):
        self.tried.append(recipe)
        off = abs(np.log2(recipe.batch_size / 32)) + abs(np.log2(recipe.lr / 0.04))
        return {"dev": 2.0 + off - 0.1 * (recipe.preset == "tenth-second")}


def test_a_search_climbs_to_the_best_recipe():
    candidate = SimpleNamespace(name="some")
    runner = LearnsBy()
    found = list(one_second.search(candidate, runner, [0.1, 0.3]))
    assert [seconds for seconds, *_ in found] == [0.1, 0.3]
    for _, recipe, loss in found:
        assert (recipe.preset, recipe.batch_size) == ("tenth-second", 32)
        assert abs(np.log2(recipe.lr / 0.04)) <= 0.5
        assert loss <= 2.4
    assert len(runner.tried) < 60


def test_every_candidate_has_a_recipe_for_every_budget():
    for name in (OURS, "numpy", "torch eager", "torch compile", "jax scan"):
        for seconds in one_second.BUDGETS:
            recipe = one_second.recipe_of(name, seconds)
            assert recipe.preset in one_second.BUDGETS.values()


class Clock:
    """A clock that goes on by a millisecond for every step of a server."""

    def __init__(self, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.rates, self._run = 0.0, [], server.run
        server.run = self.run
        monkeypatch.setattr(candidates.time, "perf_counter", lambda: self.now)

    def run(self, rows: Any, lr: Any) -> Any:
        self.now += 0.001 * len(lr)
        self.rates.append(lr)
        return self._run(rows, lr)


@pytest.mark.parametrize("name", [OURS, "numpy"])
def test_a_training_of_some_time_keeps_to_it(name, tmp_path, measuring, monkeypatch):
    file = str(tmp_path / "problem.npz")
    V, *examples = measuring.examples_of(mm.load_texts()[:2000], 2)
    first = reference_random.initial_parameters(2, 4, 16, V, seed=3)
    measuring.save_problem(file, examples, candidates.Update("adamw"), first)
    server = candidates.Server(name, file)
    clock = Clock(server, monkeypatch)
    answer = server.train_for(0.5, 32, 0.02, 1)
    trained = [lr for lr in clock.rates if lr.any()]  # the calls before have no rate
    rates = np.concatenate(trained)
    assert answer["steps"] == len(rates)
    assert 0.47 <= answer["seconds"] <= 0.5 + 1e-9
    assert len({len(lr) for lr in trained}) == 1
    assert candidates.CALLS / 2 <= len(trained) <= candidates.CALLS
    expected = 0.02 * (1 + np.cos(np.pi * np.arange(len(rates)) / 500)) / 2
    np.testing.assert_allclose(rates, expected, atol=1e-12)
    assert answer["dev"] < np.log(V) - 0.2
    assert {"train", "test"} < answer.keys()


def test_a_training_that_diverges_has_no_loss(tmp_path, measuring, monkeypatch):
    file = str(tmp_path / "problem.npz")
    V, *examples = measuring.examples_of(mm.load_texts()[:200], 2)
    first = reference_random.initial_parameters(2, 4, 16, V, seed=3)
    measuring.save_problem(file, examples, candidates.Update("sgd"), first)
    server = candidates.Server(OURS, file)
    Clock(server, monkeypatch)
    assert server.train_for(0.1, 32, 1e30, 1)["dev"] == np.inf


def test_a_candidate_begins_from_other_parameters(tmp_path, measuring):
    file = str(tmp_path / "problem.npz")
    names = mm.load_texts()[:500]
    V, X, Y, dev = measuring.examples_of(names, 2)
    first, other = (reference_random.initial_parameters(2, 4, 16, V, seed=s) for s in (3, 4))
    measuring.save_problem(file, (X, Y, dev), candidates.Update("adamw"), first)
    server = candidates.Server(OURS, file)
    measuring.save_problem(file, (X, Y, dev), candidates.Update("adamw"), other)
    server.begin_from(file)
    server.start()
    model = mm.MLP.from_arrays(mm.Dataset.split(names, 2).vocab, *other)
    part = slice(*dev)
    assert server.loss("dev") == pytest.approx(model.loss(X[part], Y[part]), rel=1e-5)


@pytest.mark.parametrize("name", ["torch eager", "jax scan"])
def test_dropout_of_the_others_is_in_steps_alone(name, tmp_path, measuring):
    pytest.importorskip(name.split()[0])
    file = str(tmp_path / "problem.npz")
    V, X, Y, dev = measuring.examples_of(mm.load_texts()[:500], 2)
    first = [30 * p for p in reference_random.initial_parameters(2, 4, 16, V, seed=3)]
    rows, losses = np.arange(3200).reshape(1, -1) % dev[0], []
    for dropout in (0.0, 0.5):
        measuring.save_problem(file, (X, Y, dev), candidates.Update("adamw", 0.0, dropout), first)
        server = candidates.Server(name, file)
        before = server.loss("dev")
        losses.append((before, server.run(rows, np.zeros(1))[0]))
    assert losses[0][0] == losses[1][0]
    assert losses[1][1] > losses[0][1] + 0.05, "dropout of a net with large logits costs"


class Recorder:
    """A candidate that answers at once, and keeps what it was told."""

    def __init__(self, name: str, cpus: int) -> None:
        self.name, self.who, self.told = name, (name, cpus), []

    def ask(self, do: str, **told: Any) -> Any:
        self.told.append((do, told))
        if do != "train_for":
            return {}
        loss = 2.0 + told["seed"] / 1000
        return {"seconds": told["seconds"], "steps": 7, "train": loss, "dev": loss, "test": loss}


def test_candidates_take_turns_and_load_a_problem_once(tmp_path, capsys):
    runner = one_second.Runner(mm.load_texts()[:300], tmp_path)
    running = [Recorder(OURS, 1), Recorder("jax scan", 2)]
    rows = one_second.compare(running, runner, [0.1, 0.3])
    assert [(row["budget"], row["name"], row["cpus"]) for row in rows] == [
        (budget, *candidate.who) for budget in (0.1, 0.3) for candidate in running
    ]
    assert rows[0]["dev"] == [2.0 + seed / 1000 for seed in one_second.SEEDS]
    assert "2.1030 (2.101 to 2.105)" in capsys.readouterr().out
    for candidate, loads in zip(running, (2, 1), strict=True):  # JAX has one recipe for both
        commands = [command for command, _ in candidate.told]
        assert commands.count("load") == loads
        assert commands.count("train_for") == 2 * len(one_second.SEEDS)
        seeds = [told["seed"] for command, told in candidate.told if command == "train_for"]
        assert seeds == 2 * list(one_second.SEEDS)


def test_the_losses_of_the_counts_are_of_the_same_split():
    names = mm.load_texts()[:500]
    data = mm.Dataset.split(names, 3, seed=42)
    counts = mm.KneserNey(data.vocab, data.train.texts, order=4)
    assert one_second.n_gram_losses(names)[4] == counts.loss(data.dev.X, data.dev.Y)


def test_a_picture_of_seconds_has_a_line_for_each_candidate(tmp_path):
    rows = [
        {"budget": budget, "name": name, "cpus": cpus, "dev": [2.0 + cpus, 2.1]}
        for budget in (0.1, 1.0)
        for name in candidates.NAMES
        for cpus in (1, 2)
    ]
    reporting.draw_seconds(rows, {2: 2.45}, tmp_path / "seconds.png")
    assert (tmp_path / "seconds.png").read_bytes().startswith(b"\x89PNG")


# -- texts -----------------------------------------------------------------------------------------
def test_every_job_on_texts_takes_its_turns(monkeypatch, capsys):
    for name, value in {"MILLION": 50, "UNSEEN": 5, "NEXT_CALLS": 3, "SETTLE_SECONDS": 0}.items():
        monkeypatch.setattr(texts, name, value)
    names = mm.load_texts()
    model, _ = texts.trained(names, 3, 8, 500)  # ends its names
    jobs = texts.our_jobs(model, model, names[:20])
    each = texts.report(jobs, texts.measure(jobs, turns=2))
    assert each.keys() == jobs.keys()
    assert all(us > 0 for us in each.values())
    assert len(capsys.readouterr().out.splitlines()) == len(jobs)


def test_scores_by_torch_are_ours():
    pytest.importorskip("torch")
    names = mm.load_texts()
    model, _ = texts.trained(names, 3, 8, 20)
    jobs, scores = texts.torch_jobs(model, model, names[:20])
    np.testing.assert_allclose(scores, model.score(names[:20]), atol=texts.TOLERANCE)
    assert len(jobs) == 1 + len(texts.BATCHES)
