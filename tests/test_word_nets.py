"""Nets of words beside n-grams: table 1 of the paper, and their losses in unseen contexts."""

from __future__ import annotations

import csv
import json
import math
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from command_line import refuse, run

import makemore_cpp as mm
from makemore_cpp.sweeps import bengio, pictures, transfer, word_nets
from makemore_cpp.sweeps.word_nets import Shape, TargetLogProbs

SENTENCES = transfer.sentences(400, seed=9)
FEW = {"steps": 30, "batch_size": 16, "negatives": 5}


@pytest.fixture(scope="module")
def data() -> mm.Dataset:
    """Return a stream of sentences of the grammar."""
    return mm.Dataset.stream(SENTENCES, (1600, 400), 4)


@pytest.fixture(scope="module")
def rows(data: mm.Dataset) -> list[bengio.BengioRow]:
    shapes = (Shape(5, 8, 6), Shape(3, 8, 6), Shape(5, 100, 30))
    return bengio.run_bengio(data, seeds=(1, 2), shapes=shapes, options=FEW)


# -- a grammar in which words come in pairs --------------------------------------------------------
def test_sentences_are_of_the_grammar_and_no_dog_has_sat() -> None:
    assert SENTENCES == transfer.sentences(400, seed=9) != transfer.sentences(400, seed=8)
    assert transfer.sentences(30, seed=9) == SENTENCES[:30]
    seen = set()
    for sentence in transfer.sentences(4000, seed=1):
        _, noun, verb, on, _, place = sentence.split()
        [(verbs, places)] = [uses for pair, uses in transfer.GRAMMAR.items() if noun in pair]
        assert verb in verbs
        assert place in places
        assert on == "on"
        seen.add((noun, verb))
    assert len(seen) == 10 * 5 - 1
    assert ("dog", "sat") not in seen


def test_a_net_knows_of_a_dog_what_it_has_seen_of_cats() -> None:
    found = transfer.run_grammar()
    assert [row.seed for row in found] == [1, 2, 3, 4, 5]
    for row in found:
        assert row.net > 1000 * row.trigram
        assert row.ratio == row.net / row.trigram
        assert row.pairs_found == len(row.nearest) == 10
        assert (row.nearest["dog"], row.nearest["cat"]) == ("cat", "dog")
        assert row.seen_trigram > 1e-4  # the trigram knows the contexts that it has seen


# -- contexts that were never seen -----------------------------------------------------------------
def test_losses_at_unseen_contexts_are_those_of_a_loop(data: mm.Dataset) -> None:
    net = mm.MLP(data.vocab, 3, 4, 5).freeze()
    ngram = mm.KneserNey(data.vocab, data.train.texts, 3)
    found = transfer.unseen_losses(net, ngram, data)
    X, Y = data.dev.X[:, -3:], data.dev.Y
    own, other = net.log_probs(X), ngram.log_probs(X[:, -2:])
    for length, row in enumerate(found):
        seen = {tuple(x[4 - length :]) for x in data.train.X.tolist()}
        chosen = [
            i for i, x in enumerate(X.tolist()) if not length or tuple(x[3 - length :]) not in seen
        ]
        assert (row.length, row.positions) == (length, len(chosen))
        assert row.share == len(chosen) / len(Y)
        pairs = [(own[i, Y[i]], other[i, Y[i]]) for i in chosen]
        if not pairs:
            assert (row.net, row.kneser_ney, row.mixture) == (None, None, None)
            continue
        mixed = [math.log((math.exp(a) + math.exp(b)) / 2) for a, b in pairs]
        expected = [-np.mean([a for a, _ in pairs]), -np.mean([b for _, b in pairs])]
        np.testing.assert_allclose([row.net, row.kneser_ney], expected, rtol=1e-5)
        assert row.mixture == pytest.approx(-np.mean(mixed), rel=1e-5)
    assert [row.length for row in found] == [0, 1, 2, 3]
    assert 0 == found[1].positions < found[2].positions < found[3].positions < found[0].positions


# -- table 1 ---------------------------------------------------------------------------------------
def test_ngrams_of_the_table(data: mm.Dataset, rows: list[bengio.BengioRow]) -> None:
    """The unigram is computed by hand, the others by models of their own."""
    unigram, trigram, *kneser_neys = rows[:5]
    counts = Counter(data.train.Y.tolist())
    V, N = len(data.vocab), len(data.train.Y)
    for split, found in ((data.dev, unigram.dev), (data.test, unigram.test)):
        losses = [-math.log((counts[y] + 1) / (N + V)) for y in split.Y.tolist()]
        assert found == pytest.approx(math.exp(np.mean(losses)), rel=1e-12)
    model = mm.InterpolatedNGram(data.vocab, data.train.texts, 3, data.dev.texts, by_frequency=True)
    assert trigram.test == pytest.approx(model.perplexity(data.test.texts), rel=1e-12)
    assert (trigram.paper_dev, trigram.paper_test) == (352, 336)
    for order, row in zip((3, 4, 5), kneser_neys, strict=True):
        model = mm.KneserNey(data.vocab, data.train.texts, order)
        assert (row.model, row.n) == (f"Kneser-Ney {order}", order)
        assert row.dev == pytest.approx(model.perplexity(data.dev.texts), rel=1e-12)
        assert row.parameters == sum(len(level.counts) for level in model.counts.levels)
        X, Y = mm.build_dataset(data.train.texts, data.vocab, order - 1)
        assert row.train == pytest.approx(math.exp(model.loss(X[::8], Y[::8])), rel=1e-12)


def test_nets_of_the_table(data: mm.Dataset, rows: list[bengio.BengioRow]) -> None:
    """Each seed's net counts alone and in mixtures, which equal mixtures made one by one."""
    assert [(row.n, row.h, row.seed) for row in rows[5:]] == [
        (n, h, seed) for n, h in ((5, 8), (3, 8), (5, 100)) for seed in (1, 2) for _ in range(4)
    ]
    assert len({row.dev for row in rows}) == len(rows)
    shape = Shape(3, 8, 6)
    net, _ = word_nets.train_net(shape, data, 2, FEW)
    alone, equal, fitted, by_frequency = rows[17:21]
    X, Y = mm.build_dataset(data.test.texts, data.vocab, 4)
    assert alone.test == pytest.approx(math.exp(net.loss(X[:, -2:], Y)), rel=1e-6)
    assert alone.parameters == net.n_parameters
    trigram = mm.InterpolatedNGram(
        data.vocab, data.train.texts, 3, data.dev.texts, by_frequency=True
    )
    mixture = mm.Mixture([net, trigram], [0.5, 0.5])
    assert equal.test == pytest.approx(math.exp(mixture.loss(X[:, -2:], Y)), rel=1e-6)
    mixture = mm.Mixture.fit(
        [net, mm.KneserNey(data.vocab, data.train.texts, 5)], data.dev.X, data.dev.Y
    )
    assert fitted.test == pytest.approx(math.exp(mixture.loss(X, Y)), rel=1e-6)
    assert fitted.mixed_with == f"Kneser-Ney 5, {mixture.weights[1]:.2f}"
    assert by_frequency.mixed_with == "Kneser-Ney 5 by frequency"
    assert by_frequency.dev < 1.00001 * fitted.dev
    papers = [(row.paper_dev, row.paper_test) for row in rows[21:25]]
    assert papers == [(280, 276), (265, 252), (None, None), (None, None)]
    assert {(row.paper_dev, row.paper_test) for row in rows[5:21]} == {(None, None)}


def test_weights_by_the_frequency_of_the_last_word(data: mm.Dataset) -> None:
    """A bin that is large enough has the weight of a mixture that is fitted to it alone."""
    unigram, bigram = (mm.NGram(data.vocab, data.train.texts, order) for order in (1, 2))
    one, other = (TargetLogProbs.of(model, data) for model in (unigram, bigram))
    weights = one.weights_by_frequency(other, data)
    assert [len(w) for w in weights] == [len(lps) for lps in one]
    seen = Counter(data.train.Y.tolist())
    bins = [math.ceil(-math.log((1 + seen[x]) / len(data.train.Y))) for x in data.dev.X[:, -1]]
    sizes = Counter(bins)
    assert min(sizes.values()) < word_nets.LEAST_EXAMPLES < sorted(sizes.values())[-2]
    for i, size in sizes.items():
        its = np.array(bins) == i
        if size < word_nets.LEAST_EXAMPLES:
            its[:] = True
        mixture = mm.Mixture.fit([unigram, bigram], data.dev.X[its][:, -1:], data.dev.Y[its])
        np.testing.assert_allclose(weights[1][np.array(bins) == i], mixture.weights[0], atol=1e-12)


def test_shapes_of_nets(data: mm.Dataset) -> None:
    for shape in (Shape(1, 8, 6), Shape(5, 8, 0), Shape(5, 0, 6)):
        with pytest.raises(mm.ArgumentError, match=r"block_size|n_embd|n_hidden"):
            bengio.run_bengio(data, shapes=[shape])
    assert set(bengio.PAPER_NETS) <= set(bengio.SHAPES)
    assert all(shape.options for shape in (*bengio.SHAPES, *bengio.QUICK_SHAPES))
    found = bengio.run_bengio(data, shapes=[Shape(3, 0, 6, True)], options=FEW)
    V, K = len(data.vocab), 2 * 6  # the paper's V(1 + K + H) + H(1 + K) + V E
    assert found[5].parameters == V * (1 + K) + V * 6
    with pytest.raises(mm.ArgumentError, match=r"block_size 4, but Shape\(n=6"):
        bengio.run_bengio(data, shapes=[Shape(6, 8, 6)])
    nothing = mm.Dataset.stream(SENTENCES, (2000, 0), 4)
    with pytest.raises(mm.ArgumentError, match="dev and test must not be empty"):
        bengio.run_bengio(nothing, shapes=[Shape(5, 8, 6)])


def test_the_recipe(data: mm.Dataset) -> None:
    recipe = word_nets.recipe_of(data, {})
    assert recipe.steps == math.ceil(word_nets.EPOCHS * len(data.train.Y) / 256)
    assert recipe.negatives == len(data.vocab) - 1  # fewer than the recipe's
    assert recipe.optimizer == "adamw"
    quick = word_nets.recipe_of(data, {"batch_size": "all"}, is_quick=True)
    assert quick.steps == word_nets.QUICK_EPOCHS
    other = word_nets.recipe_of(data, {"schedule": "constant", "steps": 7, "lr": 0.5})
    assert (other.schedule, other.steps, other.lr, other.lr_floor) == ("constant", 7, 0.5, None)
    with pytest.raises(mm.ArgumentError, match="batch_size"):
        word_nets.recipe_of(data, {"batch_size": 0})


def test_a_net_begins_with_the_frequencies(data: mm.Dataset) -> None:
    net, _ = word_nets.train_net(Shape(5, 0, 6, True), data, 1, {**FEW, "lr": 0.0})
    counts = np.bincount(data.train.Y, minlength=len(data.vocab)) + 1
    np.testing.assert_allclose(np.exp(net.b2), counts / counts.sum(), rtol=1e-6)
    unigram = mm.NGram(data.vocab, data.train.texts, order=1)
    assert net.loss(data.dev.X, data.dev.Y) == pytest.approx(
        unigram.loss(data.dev.X[:, -1:], data.dev.Y), rel=0.05
    )


def test_the_papers_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    def sizes(n_texts: int, **more: bool) -> list[int]:
        data = word_nets.read_stream(SENTENCES[:n_texts], None, 4, **more)
        return [len(split.Y) - 1 for split in (data.train, data.dev, data.test)]

    monkeypatch.setattr(word_nets, "PAPER_SIZES", (800, 200))
    monkeypatch.setattr(word_nets, "QUICK_SIZES", (100, 20))
    monkeypatch.setattr(word_nets, "QUICK_TEST", 20)
    assert sizes(300) == [800, 200, 800]  # of sentences of six words
    assert sizes(100) == [480, 60, 60]
    assert sizes(300, is_quick=True) == [100, 20, 24]
    assert sizes(10, is_quick=True) == [48, 6, 6]


def test_log_probs_are_mixed_by_weights() -> None:
    one, other = (
        TargetLogProbs(*(np.log(np.array([p, q])) for _ in range(3)))
        for p, q in ((0.2, 0.5), (0.4, 0.1))
    )
    np.testing.assert_allclose(np.exp(one.mixed(other, [1, 0.25, 1]).dev), [0.35, 0.2])
    np.testing.assert_allclose(one.mixed(other, [0, 0, np.array([1.0, 0.0])]).test[0], one.test[0])
    assert one.perplexities() == pytest.approx([1 / math.sqrt(0.1)] * 3)
    assert TargetLogProbs(np.empty(0), one.dev, one.test).perplexities()[0] is None


def test_the_picture(rows: list[bengio.BengioRow]) -> None:
    ax = pictures.bengio(rows)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[:3] == ["n=5, h=8, m=6", "n=3, h=8, m=6", "n=5, h=100, m=30"]
    assert [label.split(":")[0] for label in labels[3:]] == [row.model for row in rows[1:5]]
    drawn = sorted(y for line in ax.lines[:6] for y in line.get_ydata())
    assert drawn == sorted(row.dev for row in rows[5:])
    pictures.bengio(rows[:5])  # no net is known yet


def test_the_quick_table_of_brown(tmp_path: Path) -> None:
    """Few words are too few for a net to win alone, but it knows what the n-grams do not."""
    file = os.environ.get("MAKEMORE_BROWN")
    if not file:
        pytest.skip("MAKEMORE_BROWN is not set")
    out, _ = run(tmp_path, "experiment", "bengio", "--data", file, "--quick", "--json")
    table = json.loads(out)
    assert table["data"] == {"vocab_size": 4225, "train": 100_001, "dev": 20_001, "test": 20_007}
    rows = table["rows"]
    best = next(row for row in rows if row["model"] == "Kneser-Ney 5")
    nets = [row for row in rows if row["mixed_with"] is None and row["model"] == "net"]
    mixed = [row for row in rows if (row["mixed_with"] or "").startswith("Kneser-Ney 5, ")]
    assert len(nets) == len(mixed) == len(bengio.QUICK_SHAPES)
    for alone, both in zip(nets, mixed, strict=True):
        assert both["test"] < min(alone["test"], 0.95 * best["test"])


# -- commands --------------------------------------------------------------------------------------
def test_commands(tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("\n".join(SENTENCES))
    few = ("--steps", 20, "--batch-size", 8)
    bengio_command = ("experiment", "bengio", "--data", "texts", "--min-count", 1, "--quick", *few)
    out, _ = run(tmp_path, *bengio_command, "--seeds", "1,2", "--out", "b")
    assert "dropout 0.3" in out
    assert "n=5 h=50 m=30 + Kneser-Ney 5" in out
    table = list(csv.DictReader((tmp_path / "b" / "table.csv").read_text().splitlines()))
    assert len(table) == 5 + 4 * 2 * len(bengio.QUICK_SHAPES)
    assert (tmp_path / "b" / "picture.png").read_bytes().startswith(b"\x89PNG")
    line = next(line for line in out.splitlines() if line.startswith("n=5 h=50 m=30  "))
    alone = {"n": "5", "h": "50", "m": "30", "direct": "False", "mixed_with": ""}
    its = [row for row in table if alone.items() <= row.items()]
    assert [row["seed"] for row in its] == ["1", "2"]
    means = [f"{np.mean([float(row[c]) for row in its]):.1f}" for c in ("train", "dev", "test")]
    assert line.split()[-5:-2] == means
    out, _ = run(tmp_path, *bengio_command, "--json")
    assert json.loads(out)["training"]["steps"] == 20
    out, _ = run(
        tmp_path, "experiment", "transfer", "--data", "texts", "--quick", *few, "--min-count", 1,
        "--seeds", "3", "--n-hidden", 8, "--json",
    )  # fmt: skip
    found = json.loads(out)
    assert [row["seed"] for row in found["grammar"]] == [3]
    assert [row["length"] for row in found["unseen"]] == [0, 1, 2, 3, 4]
    out, _ = run(tmp_path, "experiment", "transfer", "--seeds", "1")
    assert "10 of 10" in out
    for arguments, sentence in (
        (("experiment", "bengio"), "--data is missing"),
        ((*bengio_command, "--out", "b"), "b is not empty"),
        ((*bengio_command, "--lr", "-1"), "--lr"),
        (("experiment", "transfer", "--steps", 3), "--steps belongs to --data, which is missing"),
        (("experiment", "transfer", "--quick"), "--quick belongs to --data, which is missing"),
        (("experiment", "transfer", "--seeds", "-1"), "seed"),
        (("experiment", "transfer", "--data", "texts", "--n-hidden", 0), "n-hidden is 0"),
        (("experiment", "transfer", "--data", "texts", "--block-size", 0), "block-size"),
    ):
        assert sentence in refuse(tmp_path, *arguments)
