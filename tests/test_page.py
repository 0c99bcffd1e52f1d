"""The page: its contents are right, no text becomes markup, and it computes what Python does."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from command_line import refuse, run
from hostile_texts import PAYLOADS
from in_node import answer

import makemore_cpp as mm
from makemore_cpp import reference, runs
from makemore_cpp.export import page, page_file
from makemore_cpp.export.page_data import page_data, text_hash
from makemore_cpp.reference import random as reference_random

NAMES = mm.load_texts()
CHANGED_LINES = [
    b"[]",
    b"{}",
    b"\xff",
    b"[" * 100_000,
    b'{"loss": 1}',
    b'{"step": 1, "loss": "<b>", "lr": 1}',
    b'{"step": 1, "loss": NaN, "lr": 1}',
    b'{"step": true, "dev_loss": 1}',
]


@pytest.fixture(scope="module")
def data() -> mm.Dataset:
    return mm.Dataset.split(NAMES[:6_000], block_size=3)


@pytest.fixture(scope="module")
def trained(data: mm.Dataset) -> tuple[mm.MLP, mm.History]:
    model = mm.MLP(data.vocab, n_hidden=40)
    return model, mm.train(model, data, steps=2_000, lr=0.1)


@pytest.fixture(scope="module")
def content(trained: tuple[mm.MLP, mm.History], data: mm.Dataset) -> dict:
    model, history = trained
    return page_data(model, mm.training.Course.of(history), data)


class Parsed(HTMLParser):
    """The elements of a page, and the contents of its scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.inside: list[str] = []
        self.texts: dict[str, str] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        kept = tuple((name, value) for name, value in attrs if name != "content")
        self.elements.append((tag, kept))
        self.inside = [tag, *(value or "" for name, value in attrs if name == "id")]

    def handle_data(self, data: str) -> None:
        key = " ".join(self.inside)
        self.texts[key] = self.texts.get(key, "") + data

    def handle_endtag(self, tag: str) -> None:
        self.inside = []


# -- what it holds -------------------------------------------------------------------------------
def test_the_command_writes_a_page_of_the_run(tmp_path: Path) -> None:
    run(tmp_path, "train", "--steps", 300, "--samples", 0, "--out", "run")
    out, _ = run(tmp_path, "export", "run", "page.html")
    assert out.startswith("page: page.html, ")
    text = (tmp_path / "page.html").read_text()
    assert len(text) < 400_000
    held = json.loads(Parsed(text).texts["script content"])
    curve = runs.read_course(tmp_path / "run")
    assert curve is not None
    assert [step for step, _ in held["curve"]["dev"]] == [step for step, _ in curve.evaluations]
    assert held["data"]["train"] == 25_975
    assert held["missing"] == {}
    assert [line["name"] for line in held["lines"]][-1] == "floor with 3 tokens of context"
    assert "--name is for headers, and a.html is a page" in refuse(
        tmp_path, "export", "run", "a.html", "--name", "a"
    )
    assert "--data is for pages, and a.h is a header" in refuse(
        tmp_path, "export", "run", "a.h", "--data", "a"
    )


def test_texts_that_have_moved_are_named(tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("".join(f"{name}\n" for name in NAMES[:300]))
    run(tmp_path, "train", "--data", "texts", "--steps", 50, "--samples", 0, "--out", "run")
    (tmp_path / "texts").rename(tmp_path / "moved")
    _, note = run(tmp_path, "export", "run", "page.html")
    assert note.startswith("makemore_cpp: the page has no texts: ")
    assert note.count("\n") == 1
    held = json.loads(Parsed((tmp_path / "page.html").read_text()).texts["script content"])
    assert held["data"] is None
    assert held["map"]["snapshots"] != []
    _, note = run(tmp_path, "export", "run", "page.html", "--data", "moved")
    assert note == ""
    held = json.loads(Parsed((tmp_path / "page.html").read_text()).texts["script content"])
    assert held["data"] == {"train": 240, "dev": 30}
    assert "cannot read texts: " in refuse(
        tmp_path, "export", "run", "page.html", "--data", "texts"
    )


def test_without_data_and_history_sections_say_why(
    tmp_path: Path, trained, data: mm.Dataset
) -> None:
    still = mm.train(trained[0], data, steps=10, should_stop=lambda: True)
    page(trained[0], tmp_path / "page.html", history=still)
    held = json.loads(Parsed((tmp_path / "page.html").read_text()).texts["script content"])
    assert "losses" in held["missing"], "no step was taken"
    held = page_data(trained[0], None, None)
    assert held["texts"] is held["known"] is held["curve"] is held["detector"] is None
    assert {"losses", "marks", "detector"} <= held["missing"].keys()
    page(trained[0], tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 150_000


def test_what_it_refuses(tmp_path: Path, trained, data: mm.Dataset) -> None:
    model, path = trained[0], tmp_path / "page.html"
    path.write_text("older")
    with pytest.raises(mm.ArgumentError, match="has 597,117 parameters; a page holds at most"):
        page(mm.MLP(data.vocab, n_hidden=10_290), path)
    broken = mm.MLP(data.vocab, n_hidden=4)
    broken.W2[3, 7] = np.nan
    with pytest.raises(mm.ArgumentError, match=r"W2\[3, 7\] is nan; it must be finite"):
        page(broken, path)
    for wrong in ({"data": NAMES}, {"history": [3.3]}):
        with pytest.raises(TypeError, match=next(iter(wrong))):
            page(model, path, **wrong)
    other = mm.MLP(data.vocab, n_embd=2, n_hidden=4)
    history = mm.train(other, data, steps=10)
    with pytest.raises(mm.ArgumentError, match=r"history has embeddings of shape \(27, 2\)"):
        page(model, path, history=history)
    with pytest.raises(mm.ArgumentError, match="block_size"):
        page(model, path, data=mm.Dataset.split(NAMES[:100], block_size=2, vocab=data.vocab))
    assert path.read_text() == "older"


def test_a_run_whose_losses_were_changed(tmp_path: Path) -> None:
    assert runs.read_course(tmp_path) is None
    first = b'{"step": 1, "loss": 3.3, "lr": 0.1}\n'
    for line in CHANGED_LINES:
        (tmp_path / runs.METRICS_FILE).write_bytes(first + line + b"\n")
        with pytest.raises(mm.FormatError, match="line 2, is not one of a run's record"):
            runs.read_course(tmp_path)


def test_a_run_whose_embeddings_were_changed(tmp_path: Path) -> None:
    (tmp_path / runs.METRICS_FILE).write_text('{"step": 1, "loss": 3.3, "lr": 0.1}\n')
    assert runs.read_course(tmp_path).snapshots == []
    for line in ('{"step": 0}', '{"step": 0, "C": [[1, 2], [3]]}', '{"step": 0, "C": [["1"]]}',
                 '{"step": "<b>", "C": [[1]]}', '{"step": 0, "C": [[1e999]]}'):  # fmt: skip
        (tmp_path / runs.EMBEDDINGS_FILE).write_text(line + "\n")
        with pytest.raises(
            mm.FormatError, match=r"embeddings.jsonl, line 1, is not one of a run's"
        ):
            runs.read_course(tmp_path)


def test_a_run_comes_back_from_its_folder(tmp_path: Path, trained, data: mm.Dataset) -> None:
    model, history = trained
    comparison = mm.evaluation.compare(model, data)
    runs.save_description(tmp_path, model, history, comparison, {})
    found, expected = runs.read_course(tmp_path), mm.training.Course.of(history)
    assert found[:2] == expected[:2]
    assert [snapshot.step for snapshot in found.snapshots] == list(range(0, 2_001, 200))
    for one, other in zip(found.snapshots, expected.snapshots, strict=True):
        np.testing.assert_allclose(one.C, other.C, atol=5.1e-5)
    # A run without snapshots leaves none of an older one beside its model.
    history.snapshots[:], kept = [], history.snapshots[:]
    runs.save_description(tmp_path, model, history, comparison, {})
    history.snapshots[:] = kept
    assert runs.read_course(tmp_path).snapshots == []


# -- nothing becomes markup ----------------------------------------------------------------------
def hostile_page(level: str) -> tuple[str, dict]:
    texts = [*PAYLOADS, *PAYLOADS]
    vocab = mm.Vocab.from_texts(texts, "\u0416" if level == "char" else "</script>", level=level)
    data = mm.Dataset.split(texts, 2, vocab=vocab)
    held = page_data(mm.MLP(vocab, 2, 3, 4), None, data)
    return page_file.page_text(held), held


@pytest.mark.parametrize("level", ["char", "word"])
def test_hostile_texts_add_no_element(level: str, trained, data: mm.Dataset) -> None:
    harmless = Parsed(page_file.page_text(page_data(trained[0], None, data)))
    text, held = hostile_page(level)
    parsed = Parsed(text)
    assert parsed.elements == harmless.elements
    assert Counter(tag for tag, _ in parsed.elements)["script"] == 2
    assert json.loads(parsed.texts["script content"]) == json.loads(json.dumps(held))
    # Browsers obey more than Python's parser does.
    assert not re.search("[<>&\u2028\u2029]", parsed.texts["script content"])
    assert not any(
        name.startswith("on") for _, attributes in parsed.elements for name, _ in attributes
    )


def test_there_are_sixty_hostile_texts() -> None:
    assert len(set(PAYLOADS)) >= 60


def test_the_policy_allows_this_script_and_style_alone(content: dict) -> None:
    text = page_file.page_text(content)
    policy = re.search('http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    parsed = Parsed(text)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; ")
    hashes = re.findall("'sha256-([^']*)'", policy[1])
    expected = [parsed.texts["script"], parsed.texts["style"]]
    assert hashes == [
        base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in expected
    ]
    assert "unsafe" not in policy[1]


def test_the_parts_have_nothing_by_which_text_becomes_markup() -> None:
    for path in page_file.PARTS.iterdir():
        text = path.read_text()
        found = re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\(|DOMParser"
            r"|setAttribute\(\"(style|on)|srcdoc|createContextualFragment|</script>.+|<!--",
            text,
        )
        assert found is None or path.suffix == ".html", (path.name, found)
        assert set(re.findall(r"https?://[^\"' ]*", text)) <= {"http://www.w3.org/2000/svg"}


# -- it computes what Python does ----------------------------------------------------------------
def test_log_probs_agree(content: dict, trained, data: mm.Dataset) -> None:
    contexts = data.dev.X[:1_000]
    found = answer(
        "const net = netOf(question[0]);"
        "return question[1].map((context) => Array.from(logProbs(net, context)));",
        [content, contexts.tolist()],
    )
    np.testing.assert_allclose(np.exp(found), np.exp(trained[0].log_probs(contexts)), atol=1e-6)


@pytest.mark.parametrize("n_hidden", [0, 7])
def test_log_probs_with_direct_connections_agree(data: mm.Dataset, n_hidden: int) -> None:
    model = mm.MLP(data.vocab, n_hidden=n_hidden, init="lecture", direct=True)
    contexts = data.dev.X[:100]
    held = page_data(model, None, data)
    assert ("nearest" in held["missing"]) == (n_hidden == 0)
    found = answer(
        "const net = netOf(question[0]);"
        "return question[1].map((context) => Array.from(logProbs(net, context)));",
        [held, contexts.tolist()],
    )
    np.testing.assert_allclose(np.exp(found), np.exp(model.log_probs(contexts)), atol=1e-6)


@pytest.mark.parametrize("seed", [0, 42, 2**32 + 5, 2**53 - 1])
@pytest.mark.parametrize(("temperature", "prefix"), [(1.0, ""), (0.5, "an"), (0.0, ""), (2.0, "k")])
def test_samples_are_pythons(
    content: dict, trained, seed: int, temperature: float, prefix: str
) -> None:
    found = answer(
        "const [content, seed, temperature, prefix] = question;"
        "const net = netOf(content), vocab = newVocab(content.vocab);"
        "return Array.from({length: 50}, (_, i) => vocab.decode("
        "sampleTokens(net, seed, i, temperature, vocab.encode(prefix).tokens, 100)));",
        [content, seed, temperature, prefix],
    )
    assert found == trained[0].sample(50, seed=seed, temperature=temperature, prefix=prefix)


@pytest.mark.parametrize("seed", [0, 1, 2**32 + 5, 2**53 - 1])
@pytest.mark.parametrize("index", [0, 19, 2**32 + 1])
def test_uniform_numbers_have_the_references_bits(seed: int, index: int) -> None:
    body = "return [0, 1, 2, 99].map((position) => sampleUniform(...question, position));"
    expected = [
        reference_random.sample_uniforms(seed, index, 1, position)[0] for position in (0, 1, 2, 99)
    ]
    assert answer(body, [seed, index]) == expected


@pytest.mark.parametrize(("seed", "step"), [(1, 0), (2**40 + 3, 12_345)])
@pytest.mark.parametrize("n", [1, 7, 200_001, 2**32 - 1])
def test_minibatches_are_the_references(seed: int, step: int, n: int) -> None:
    body = (
        "const rows = new Float64Array(33); batchRows(rows, ...question); return Array.from(rows);"
    )
    expected = reference_random.batch_rows(seed, step, 1, 33, n)[0]
    assert answer(body, [seed, step, n]) == expected.tolist()


@pytest.mark.parametrize("init", ["scaled", "lecture"])
def test_initial_parameters_have_the_references_bits(init: str) -> None:
    body = (
        "const net = newNet(...question);"
        'return ["C", "W1", "b1", "W2", "b2"].map((name) => Array.from(net[name]));'
    )
    expected = reference_random.initial_parameters(3, 5, 16, 27, 9, init)
    for found, array in zip(answer(body, [3, 5, 16, 27, 9, init]), expected, strict=True):
        assert np.float32(found).tobytes() == array.tobytes()


def test_a_page_takes_no_text_of_any_length() -> None:
    texts = ["ab" * 20_000, "ab" * 500, "ba"]
    data = mm.Dataset.split(texts * 7, 1)
    held = page_data(mm.MLP(data.vocab, 1, 2, 3), None, data)
    assert len(json.dumps(held)) < 30_000
    assert set(answer("return textsOf(question);", held["texts"])) == set(texts[1:])
    data = mm.Dataset.split([texts[0]] * 3, 1)
    held = page_data(mm.MLP(data.vocab, 1, 2, 3), None, data)
    assert held["texts"] is None
    assert held["missing"]["training"].startswith("All texts are longer than the 1,000 characters")


@pytest.mark.parametrize(
    "texts", [["", "a", "a", "ab", "b"], PAYLOADS, ["x" * 50, "x" * 50 + "y"], ["\0\n😀", "é"]]
)
def test_texts_come_back(texts: list[str]) -> None:
    vocab = mm.Vocab.from_texts(texts, "\u0416")
    held = page_data(mm.MLP(vocab, 2, 3, 4), None, mm.Dataset.split(texts * 20, 2, vocab=vocab))
    train = mm.Dataset.split(texts * 20, 2, vocab=vocab).train.texts
    assert answer("return textsOf(question);", held["texts"]) == sorted(train)


def test_known_texts_and_few_others_are_known(content: dict, data: mm.Dataset) -> None:
    others = [f"{text}q{i}" for i, text in enumerate(NAMES)]
    found, wrong = answer(
        "const known = knownTexts(question[0]);"
        "return [question[1].every(known.has), question[2].filter(known.has).length];",
        [content["known"]["train"], data.train.texts, others],
    )
    assert found
    share = content["known"]["train"]["false_positives"]
    assert 0 < share <= 2**-12
    assert abs(wrong - share * len(others)) < 5 * np.sqrt(share * len(others))


def test_what_cannot_be_seen_is_shown_by_its_code_point() -> None:
    shown = {
        " ": "\u2423", "new york": "new york", "a\u202eb": "aU+202Eb", "\0": "U+0000",
        "\u00a0": "U+00A0", "\ufeff": "U+FEFF", "é漢😀": "é漢😀", "\U000e0041": "U+E0041",
    }  # fmt: skip
    assert answer("return question.map(visible);", list(shown)) == list(shown.values())


def test_hashes_agree() -> None:
    texts = ["", "emma", *PAYLOADS, "😀" * 9]
    assert answer("return question.map(hashOf);", texts) == [text_hash(text) for text in texts]


def test_the_detector_agrees(content: dict, trained, data: mm.Dataset) -> None:
    known = set(data.train.texts)
    good = [text for text in data.dev.texts if text not in known]
    detector = mm.Detector.fit(trained[0].freeze(), good, 0.01)
    texts = ["", "a", "xqzt", "emma", "zzzzzzzzzzzzzzzzzzzzzzzzz", *data.test.texts[:200]]
    found = answer(
        "const [content, texts] = question, net = netOf(content), vocab = newVocab(content.vocab);"
        "const detector = {...content.detector, scores: floats(content.detector.scores)};"
        "return texts.map((text) => {"
        "const {tokens} = vocab.encode(text), all = surprisals(net, tokens);"
        "return pValue(detector, -all.reduce((a, b) => a + b), tokens.length); });",
        [content, texts],
    )
    one = 1 / (detector.n_good + 1)  # of the good texts, in which a score may be on either side
    np.testing.assert_allclose(found, detector.p_values(texts), atol=1.01 * one)


# -- live training -------------------------------------------------------------------------------
LIVE = """
const [texts, vocab, T, H, init, lr, batch] = question;
const net = newNet(T, 4, H, vocab.itos.length, 1, init), tokens = newVocab(vocab);
const data = buildDataset(texts.map((text) => tokens.encode(text).tokens), T);
const trainer = newTrainer(net, data, batch, 1);
return Array.from({length: 20}, () => trainer.step(lr));
"""


def live_losses(data: mm.Dataset, content: dict, *chosen: object) -> list[float]:
    found = answer(LIVE, [data.train.texts, content["vocab"], *chosen])
    assert len(found) == 20
    return found


@pytest.mark.parametrize(
    ("T", "H", "init", "lr", "batch"),
    [
        (3, 32, "scaled", 0.1, 32),
        (1, 32, "scaled", 1.0, 1),
        (5, 32, "lecture", 0.1, 32),
        (3, 32, "scaled", 10.0, 32),
        (3, 0, "scaled", 0.5, 32),
        (2, 0, "lecture", 0.1, 1),
    ],
)
def test_live_training_follows_the_reference(
    content: dict, data: mm.Dataset, T: int, H: int, init: str, lr: float, batch: int
) -> None:
    found = live_losses(data, content, T, H, init, lr, batch)
    first = reference_random.initial_parameters(T, 4, H, 27, 1, init, direct=H == 0)
    parameters = [array.astype(np.float64) for array in first]
    X, Y = mm.build_dataset(data.train.texts, data.vocab, T)
    losses = reference.train_steps(*parameters, X, Y, [lr] * 20, batch_size=batch)
    # At a learning rate of 10 the differences by the order of sums grow tenfold in a step.
    n = 8 if lr == 10 else 20
    np.testing.assert_allclose(found[:n], losses[:n], atol=1e-5)


# -- the cards -----------------------------------------------------------------------------------
def test_the_lectures_questions_are_all_there(content: dict) -> None:
    titles = [card["title"] for card in content["cards"]]
    assert len(titles) == len(set(titles)) == 8
    for card in content["cards"]:
        assert any(re.search(r"\d", sentence) for sentence in card["answer"]), card["title"]


def test_cards_say_what_the_library_measures(content: dict, trained, data: mm.Dataset) -> None:
    model, cards = trained[0], {card["title"]: card for card in content["cards"]}
    last = mm.evaluation.ngram_table(data, 9)[-1]
    assert f"{last.contexts_seen:,}" in cards["Why not count longer contexts?"]["answer"][0]
    fit = cards["Underfitting, overfitting, or a good fit?"]["answer"]
    assert f"{model.loss(data.train.X, data.train.Y):.4f} on train" in fit[0]
    assert f"{mm.diagnose(model, data).floor:.4f}" in fit[1]
    texts, known = model.sample(1_000, seed=42), set(data.train.texts)
    new = np.mean([text not in known for text in texts])
    assert (
        f"{new:.1%} of 1,000" in cards["How can it make up texts that it never saw?"]["answer"][0]
    )
    softmax = cards["Why subtract the greatest logit?"]["answer"]
    assert "[nan, nan, nan]" in softmax[0]
    assert "[0.0900, 0.2447, 0.6652]" in softmax[1]


def answer_of(content: dict, title: str) -> str:
    (card,) = (card for card in content["cards"] if card["title"] == title)
    return " ".join(card["answer"]).replace("\u2212", "-")


def test_the_card_on_embeddings_by_other_means(
    content: dict, trained: tuple[mm.MLP, mm.History], data: mm.Dataset
) -> None:
    text = answer_of(content, "What does it mean that two embeddings are alike?")
    joined = ".".join(["", *data.train.texts, ""])
    counts, pairs = Counter(joined[1:]), Counter(pairwise(joined))
    letters = [c for c in data.vocab.tokens if counts[c] >= 0.01 * len(data.train.Y)]
    found = {}
    for a in letters:
        for b, cosine in trained[0].nearest(a, 100):
            if a < b and b in letters:
                shares = [[pairs[c, d] / counts[c] for d in data.vocab.itos] for c in (a, b)]
                found[a, b] = cosine, 1 - sum(map(min, *shares))
    a, b = max(found, key=lambda pair: found[pair][0])
    cosines, differences = map(list, zip(*found.values(), strict=True))
    assert f"\u201c{a}\u201d and \u201c{b}\u201d: the cosine of their embeddings is " in text
    assert f"is {max(cosines):.2f}, where that of all pairs is {np.mean(cosines):.2f} on" in text
    assert f"differ in {found[a, b][1]:.0%} of the cases" in text
    assert f"of all pairs, in {np.mean(differences):.0%}" in text
    ranks = [[sorted(values).index(one) for one in values] for values in (cosines, differences)]
    n = len(found)
    spearman = 1 - 6 * sum((i - j) ** 2 for i, j in zip(*ranks, strict=True)) / (n**3 - n)
    stated = re.search(r"rank correlation of the cosine with this difference is (-?[\d.]+)", text)
    assert stated is not None
    assert float(stated[1]) == pytest.approx(spearman, abs=0.006)  # ties have ranks of their own


def test_the_card_on_minibatches_by_steps_of_the_core(content: dict, data: mm.Dataset) -> None:
    text = answer_of(content, "Why minibatches of 32?")
    every = -(-len(data.train.Y) // 20_000)
    X, Y = data.train.X[::every], data.train.Y[::every]

    def direction(**rows: object) -> np.ndarray:
        net = mm.MLP(data.vocab, n_hidden=40)
        before = np.concatenate([w.ravel() for w in net.parameters.values()]).astype(np.float64)
        net.train_steps(X, Y, [1.0], seed=1, **rows)
        step = before - np.concatenate([w.ravel() for w in net.parameters.values()])
        return step / np.linalg.norm(step)

    whole = direction(rows="all")
    stated = re.findall(r"is (0\.\d\d)", text)
    for size, cosine in zip((1, 32, 256), stated, strict=True):
        own = [direction(batch_size=size, first_step=i) @ whole for i in range(50)]
        assert float(cosine) == pytest.approx(np.mean(own), abs=0.006), size
    assert f"that of {len(Y):,} is" in text


def test_the_card_on_attention_by_hand(content: dict, trained: tuple[mm.MLP, mm.History]) -> None:
    text = answer_of(content, "What limits this net, that attention does not?")
    model, cosines = trained[0], []
    for c in model.C[1:].astype(np.float64):
        pushes = [c @ model.W1[10 * t : 10 * t + 10] for t in range(3)]
        for a, b in ((0, 1), (0, 2), (1, 2)):
            lengths = np.linalg.norm(pushes[a]) * np.linalg.norm(pushes[b])
            cosines.append(pushes[a] @ pushes[b] / lengths)
    assert text.startswith(f"{np.mean(cosines):.2f} is the mean cosine")
    assert f"costs {10 * 40:,} weights" in text


def test_the_card_on_more_data_by_other_calls(content: dict, data: mm.Dataset) -> None:
    text = answer_of(content, "What would ten times more data do?")
    dev = {}
    for hidden in (20, 200):
        for share in (10, 1):
            net, n = mm.MLP(data.vocab, n_hidden=hidden), len(data.train.Y) // share
            for first, rate, steps in ((0, 0.1, 7_500), (7_500, 0.01, 2_500)):
                net.train_steps(data.train.X[:n], data.train.Y[:n], rate, steps=steps,
                                first_step=first)  # fmt: skip
            dev[hidden, share] = net.loss(data.dev.X, data.dev.Y)
    more_data = {hidden: dev[hidden, 10] - dev[hidden, 1] for hidden in (20, 200)}
    larger = {share: dev[20, share] - dev[200, share] for share in (10, 1)}
    assert text == (
        f"By {more_data[200]:.4f} nats with 200 hidden units, and by {more_data[20]:.4f} with 20, "
        "in 10,000 steps each. From 20 to 200 hidden units the loss on dev falls by "
        f"{larger[10]:.4f} on a tenth, and by {larger[1]:.4f} on all of train."
    )


def test_cards_without_evidence_are_left_out() -> None:
    texts = ["ab", "ba", "b"]
    vocab = mm.Vocab.from_texts(texts)
    held = page_data(mm.MLP(vocab, 1, 2, 3), None, mm.Dataset.split(texts, 1, vocab=vocab))
    titles = {card["title"] for card in held["cards"]}
    assert "Why not count longer contexts?" not in titles, "there is no dev text"
    assert "What limits this net, that attention does not?" not in titles, "its window is one token"
    assert "Why subtract the greatest logit?" in titles
