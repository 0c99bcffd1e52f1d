"""The verdict on a model: its rules one by one, its evidence, and the cases of the lecture."""

import json
import math

import numpy as np
import pytest

import makemore_cpp as mm
from makemore_cpp import evaluation
from makemore_cpp.evaluation import diagnosis
from makemore_cpp.evaluation.verdict import Evidence, judge

EVIDENCE = Evidence(
    train=2.0,
    dev=2.05,
    n_dev=23_000,
    uniform=math.log(27),
    floor=1.87,
    fair_ngram=(4, 2.06),
    best_ngram=(6, 1.97),
    known_share=0.13,
)


# -- the rules -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changed", "verdict", "texts"),
    [
        # 1. train worse than the n-gram on dev, whatever the gap
        ({"train": 3.31, "dev": 3.31}, "underfitting", "no better than a uniform guess"),
        ({"train": 2.41, "dev": 2.41}, "underfitting", "0.350 above that of the 4-gram on dev"),
        ({"train": 2.41, "dev": 2.80}, "underfitting", "even on train"),
        ({"train": 2.065, "dev": 2.065}, "good fit", "6-gram is 0.095 better"),
        # 2. a large gap
        ({"train": 1.9, "dev": 2.2}, "overfitting", "0.300 above that on train; try weight decay"),
        ({"train": 1.9, "dev": 2.02}, "overfitting", "though below that of the 4-gram; try"),
        ({"train": 1.951, "dev": 2.05}, "good fit", "longer context"),
        ({"train": 1.949, "dev": 2.05}, "overfitting", "0.101"),
        # 3. a small gap, but behind the n-gram
        ({"train": 2.04, "dev": 2.105}, "underfitting", "0.045 better on dev; try more hidden"),
        ({"train": 1.875, "dev": 1.95, "fair_ngram": (4, 1.9)}, "overfitting", "0.075"),
        # 4. neither
        ({}, "good fit", "a longer context, with which a 6-gram is 0.080 better"),
        ({"dev": 1.96, "train": 1.9}, "good fit", "no n-gram that was tried is better"),
        ({"known_share": 0.9}, "good fit", "90 % of the dev texts also stand in train"),
        # with little to measure on, small differences say nothing
        ({"train": 1.9, "dev": 2.2, "n_dev": 40}, "good fit", "small"),
        ({"train": 1.9, "dev": 4.2, "n_dev": 40}, "overfitting", "2.300"),
        ({"train": 2.04, "dev": 2.105, "n_dev": 400}, "good fit", "no n-gram"),
    ],
)
def test_rules(changed, verdict, texts):
    found, sentence = judge(EVIDENCE._replace(**changed))
    assert found == verdict
    assert texts in sentence
    assert sentence.lower().startswith(verdict)
    assert sentence.count(". ") == 0, "one sentence"
    assert sentence.endswith(".")


# -- what it rests on ------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def data():
    return mm.Dataset.split(mm.load_texts()[::8])


@pytest.fixture(scope="module")
def model(data):
    model = mm.MLP(data.vocab, n_embd=5, n_hidden=30)
    mm.train(model, data, steps=2000)
    return model


def test_losses_are_what_they_are_called(model, data):
    found = mm.diagnose(model, data)
    assert [row.name for row in found.losses[:3]] == [
        "uniform, ln V", "bigram counts", "4-gram, Kneser-Ney",
    ]  # fmt: skip
    this = found.losses[-1]
    assert this.name == "this model"
    assert this.train == model.loss(data.train.X, data.train.Y)
    assert this.gap == this.dev - this.train
    for row in found.losses[2:-1]:
        ngram = mm.KneserNey(data.vocab, data.train.texts, int(row.name.split("-")[0]))
        for loss, texts in ((row.train, data.train.texts), (row.dev, data.dev.texts)):
            examples = mm.build_dataset(texts, data.vocab, ngram.block_size)
            assert loss == pytest.approx(ngram.loss(*examples), rel=1e-9)
    counts = mm.models.NGramCounts(data.vocab, data.train.texts, 4)
    assert found.floor == counts.conditional_entropy()
    known = [text in data.train.texts for text in data.dev.texts]
    assert found.known_share == np.mean(known)


def test_the_best_ngrams_are_the_best(data):
    dev = {}
    for order in range(2, 9):
        ngram = mm.KneserNey(data.vocab, data.train.texts, order)
        dev[order] = ngram.loss(*mm.build_dataset(data.dev.texts, data.vocab, order - 1))
    best = min(dev, key=dev.get)
    for block_size in (1, 2, 4, 8):
        same = mm.Dataset.split(mm.load_texts()[::8], block_size)
        found = mm.diagnose(mm.MLP(data.vocab, block_size, 2, 4), same)
        fair = min((order for order in dev if order <= block_size + 1), key=dev.get)
        names = [row.name for row in found.losses[2:-1]]
        assert names == [f"{order}-gram, Kneser-Ney" for order in dict.fromkeys((fair, best))]


def test_quick_and_a_known_comparison(model, data):
    comparison = evaluation.compare(model, data)
    found = mm.diagnose(model, data, comparison=comparison, quick=True)
    assert [row.name for row in found.losses[2:]] == ["4-gram, Kneser-Ney", "this model"]
    whole = mm.diagnose(model, data)
    assert (found.floor, found.verdict) == (whole.floor, whole.verdict)
    assert set(found.losses) <= set(whole.losses)


def test_distinct_examples_are_what_was_counted(data):
    for order in (1, 2, 4):
        counts = mm.models.NGramCounts(data.vocab, data.train.texts, order)
        X, Y, n = counts.distinct_examples()
        assert n.sum() == counts.n_examples
        assert counts.count(X, Y).tolist() == n.tolist()
        assert len(np.unique(np.column_stack([X, Y]), axis=0)) == len(Y)


def test_as_dict_is_json(model, data):
    found = json.loads(json.dumps(mm.diagnose(model, data).as_dict(), allow_nan=False))
    assert found["losses"][-1].keys() == {"name", "train", "dev", "gap"}
    assert found.keys() == set(diagnosis.Diagnosis._fields)


# -- odd data --------------------------------------------------------------------------------------
@pytest.mark.parametrize("texts", [["anna"], ["a"], ["a", ""], ["anna"] * 3])
@pytest.mark.parametrize("block_size", [1, 3, 200])
def test_without_dev_there_is_no_verdict(texts, block_size):
    data = mm.Dataset.split(texts, block_size)
    model = mm.MLP(data.vocab, block_size, n_embd=2, n_hidden=3)
    found = mm.diagnose(model, data)
    assert found.verdict == "unknown"
    assert "no dev text" in found.sentence
    assert found.known_share is None
    assert [row.dev for row in found.losses] == [None, None, None]
    assert 0 <= found.floor <= found.losses[-1].train


def test_a_context_longer_than_any_text(data):
    texts = data.texts[:300]
    found = [
        mm.diagnose(mm.MLP(data.vocab, block_size, 2, 4), split).floor
        for block_size in (30, 150)
        for split in [mm.Dataset.split(texts, block_size, vocab=data.vocab)]
    ]
    assert found[0] == found[1]
    split = mm.Dataset.split(texts, 40, vocab=data.vocab)
    by_counting = mm.models.NGramCounts(data.vocab, split.train.texts, 41).conditional_entropy()
    assert found[0] == pytest.approx(by_counting, rel=1e-12)


def test_a_text_of_long_lines():
    line = "".join("abc"[i * i % 7 % 3] for i in range(3000))
    data = mm.Dataset.split([line[i:] for i in range(0, 100, 5)], 120)
    found = mm.diagnose(mm.MLP(data.vocab, 120, 2, 3), data)
    assert found.verdict == "underfitting"


def test_no_ngram_is_longer_than_allowed(data, model, monkeypatch):
    monkeypatch.setattr(diagnosis, "MAX_ORDER", 4)
    found = mm.diagnose(model, data)
    assert [row.name for row in found.losses[2:-1]] == ["4-gram, Kneser-Ney"]


def test_texts_of_another_training(model, tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(mm.load_texts()[:400]))
    other = evaluation.split_as_trained(model, mm.load_texts(path))
    trained = mm.MLP(other.vocab, n_embd=2, n_hidden=5)
    mm.train(trained, other, steps=10)
    assert mm.diagnose(trained, other).verdict == "underfitting"
    path.write_text("\n".join(mm.load_texts()[:500]))
    changed = evaluation.split_as_trained(trained, mm.load_texts(path))
    found = mm.diagnose(trained, changed)
    assert (found.verdict, found.sentence) == (
        "unknown",
        "No verdict: the model was not trained on this train split.",
    )


def test_a_loss_that_is_not_finite(data):
    model = mm.MLP(data.vocab, n_embd=2, n_hidden=5)
    model.W2[:] = 3e38
    model.b1[:] = 1
    with pytest.raises(mm.ArgumentError, match=r"loss on train is (nan|inf)"):
        mm.diagnose(model, data)


# -- real trainings --------------------------------------------------------------------------------
def test_a_memorising_net_is_overfitting():
    data = mm.Dataset.split(mm.load_texts()[:1500])
    model = mm.MLP(data.vocab, n_hidden=300)
    mm.train(model, data, steps=1000)
    assert mm.diagnose(model, data).verdict == "underfitting"
    mm.train(model, data, steps=20_000, lr=0.2, eval_every=0)
    found = mm.diagnose(model, data)
    assert found.losses[-1].gap > 0.3
    assert found.verdict == "overfitting"


@pytest.mark.slow
def test_the_lecture(names_path):
    data = mm.Dataset.split(mm.load_texts(names_path))
    model = mm.MLP(data.vocab)
    mm.train(model, data, steps=1000)
    assert mm.diagnose(model, data).sentence.startswith("Underfitting: even on train")
    mm.train(model, data)
    found = mm.diagnose(model, data)
    assert "the 4-gram, which sees no more context, is 0.0" in found.sentence
    assert found.verdict == "underfitting"
    assert found.floor == pytest.approx(1.8691, abs=5e-5)
    dev = {row.name: row.dev for row in found.losses}
    assert dev["4-gram, Kneser-Ney"] == pytest.approx(2.056, abs=0.002)
    assert dev["6-gram, Kneser-Ney"] == pytest.approx(1.974, abs=0.003)
