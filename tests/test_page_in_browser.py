"""The page in a browser, from a file and without a network: silent, right and usable."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_texts import PAYLOADS
from in_chromium import Page, chromium, violations

import makemore_cpp as mm
from makemore_cpp import reference
from makemore_cpp.export import page
from makemore_cpp.reference import random as reference_random

SECTIONS = ["type", "map", "losses", "training", "sampling", "nearest", "cards"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[mm.MLP, mm.Dataset, Path]:
    data = mm.Dataset.split(mm.load_texts()[:6_000], block_size=3)
    model = mm.MLP(data.vocab, n_hidden=40)
    history = mm.train(model, data, steps=2_000, lr=0.1)
    path = tmp_path_factory.mktemp("page") / "page.html"
    page(model, path, history=history, data=data)
    return model, data, path


@pytest.fixture(scope="module")
def tab() -> Iterator[Page]:
    with chromium() as browser:
        yield browser.new_page()


def type_into(tab: Page, name: str, text: str, event: str = "input") -> None:
    tab.run(
        f"(() => {{ const field = document.getElementById({json.dumps(name)}); "
        f"field.value = {json.dumps(text)}; "
        f"field.dispatchEvent(new Event({json.dumps(event)}, {{bubbles: true}})); }})()"
    )


def click(tab: Page, selector: str) -> None:
    tab.run(f"document.querySelectorAll({json.dumps(selector)}).forEach((part) => part.click())")


def text_of(tab: Page, selector: str) -> list[str]:
    found: list[str] = tab.run(
        f"Array.from(document.querySelectorAll({json.dumps(selector)}), (part) => part.textContent)"
    )
    return found


def use_everything(tab: Page) -> None:
    """Scroll through the page, train until the end, and look at all cards."""
    tab.run("document.getElementById('nearest').scrollIntoView({behavior: 'instant'})")
    tab.run("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 100)))")
    click(tab, "#training-form [type=submit]")
    click(tab, "#card-list [type=submit]")
    tab.run(
        "new Promise((done) => { const look = () => document.getElementById('stop-training')"
        ".disabled ? done() : setTimeout(look, 50); look(); })"
    )


# -- silence -------------------------------------------------------------------------------------
def test_it_is_silent_and_asks_for_nothing(tab: Page, trained: Any) -> None:
    tab.open(trained[2])
    use_everything(tab)
    assert tab.complaints == []
    assert tab.requests == [trained[2].as_uri()]
    assert (
        tab.run("Array.from(document.querySelectorAll('main > section'), (s) => s.id)") == SECTIONS
    )
    assert text_of(tab, ".missing") == []
    assert len(text_of(tab, "#nearest-table tbody tr")) == 8
    assert text_of(tab, "#training-message")[0].startswith("Done: loss 2.")


def test_a_network_would_be_refused(tab: Page, trained: Any) -> None:
    """The policy is in force: a forbidden request fails, and the console says so."""
    tab.open(trained[2])
    tab.run("fetch('https://example.org/').catch(() => null)")
    assert any("Content Security Policy" in complaint for complaint in tab.complaints)
    refused = tab.run(
        "(() => { try { document.body.innerHTML = '<p>'; return false; }"
        " catch (error) { return error instanceof TypeError; } })()"
    )
    assert refused


# -- right ---------------------------------------------------------------------------------------
def test_probabilities_agree(tab: Page, trained: Any) -> None:
    model, data, path = trained
    tab.open(path)
    contexts = data.dev.X[:1_000]
    found = tab.run(
        "(() => { const net = netOf(JSON.parse(byId('content').textContent)); return "
        f"{contexts.tolist()}.map((context) => Array.from(logProbs(net, context), Math.exp)); }})()"
    )
    np.testing.assert_allclose(found, np.exp(model.log_probs(contexts)), atol=1e-6)


@pytest.mark.parametrize(
    ("seed", "temperature", "prefix"), [(42, 1.0, ""), (7, 0.6, "an"), (2**40, 0.0, "")]
)
def test_samples_are_pythons(
    tab: Page, trained: Any, seed: int, temperature: float, prefix: str
) -> None:
    model, data, path = trained
    tab.open(path)
    type_into(tab, "prefix", prefix)
    type_into(tab, "seed", str(seed))
    type_into(tab, "temperature", str(temperature))
    expected = model.sample(20, seed=seed, temperature=temperature, prefix=prefix)
    assert text_of(tab, "#samples bdi") == expected
    marks = text_of(tab, "#samples .mark")
    train, dev = set(data.train.texts), set(data.dev.texts)
    for text, mark in zip(expected, marks, strict=True):
        assert mark == ("in train" if text in train else "in dev" if text in dev else "new")


def test_live_training_follows_the_reference(tab: Page, trained: Any) -> None:
    _, data, path = trained
    tab.open(path)
    found = tab.run(
        "(() => { const content = JSON.parse(byId('content').textContent);"
        "const vocab = newVocab(content.vocab), texts = textsOf(content.texts);"
        "const net = newNet(3, LIVE.E, LIVE.H, vocab.itos.length, LIVE.SEED, 'scaled');"
        "const examples = buildDataset(texts.map((text) => vocab.encode(text).tokens), 3);"
        "const trainer = newTrainer(net, examples, 32, LIVE.SEED);"
        "return Array.from({length: 20}, () => trainer.step(0.1)); })()"
    )
    first = reference_random.initial_parameters(3, 4, 32, 27, 1)
    parameters = [array.astype(np.float64) for array in first]
    X, Y = mm.build_dataset(sorted(data.train.texts), data.vocab, 3)
    losses = reference.train_steps(*parameters, X, Y, [0.1] * 20, batch_size=32)
    np.testing.assert_allclose(found, losses, atol=1e-5)


def test_surprisals_are_pythons(tab: Page, trained: Any) -> None:
    model, _, path = trained
    tab.open(path)
    for text in ("", "q", "jayden", "xqzt"):
        type_into(tab, "text", text)
        expected = model.freeze().per_char(text)
        found = [float(number) for number in text_of(tab, "#heat .nats")]
        np.testing.assert_allclose(found, expected, atol=0.0051)


def test_the_map_shows_the_embeddings_on_their_way(tab: Page, trained: Any) -> None:
    _, _, path = trained
    tab.open(path)

    def places() -> list[str]:
        found: list[str] = tab.run(
            "Array.from(document.querySelectorAll('#map svg circle'), (c) => c.getAttribute('cx'))"
        )
        return found

    assert text_of(tab, "#map output") == ["the end"]
    at_the_end = places()
    type_into(tab, "map-step", "0")
    assert text_of(tab, "#map output") == ["step 0"]
    assert len(set(places()) & set(at_the_end)) < 5
    assert tab.run("document.getElementById('map-step').max") == "10", "the start and ten parts"
    type_into(tab, "map-step", "10")
    assert places() == at_the_end


@pytest.mark.parametrize("n_hidden", [0, 5])
def test_direct_connections_are_shown(
    tab: Page, trained: Any, tmp_path: Path, n_hidden: int
) -> None:
    data = mm.Dataset.split(mm.load_texts()[:500], block_size=3)
    page(mm.MLP(data.vocab, n_hidden=n_hidden, direct=True), tmp_path / "page.html", data=data)
    tab.open(tmp_path / "page.html")
    use_everything(tab)
    assert tab.complaints == []
    assert (text_of(tab, ".stage code")[-1] == "p = softmax(x @ W2 + b2)") == (n_hidden == 0)
    assert len(text_of(tab, ".missing")) == 1 + (n_hidden == 0), "of the losses, and of the nearest"


# -- usable --------------------------------------------------------------------------------------
def test_a_stranger_is_named_and_the_text_stays(tab: Page, trained: Any) -> None:
    tab.open(trained[2])
    type_into(tab, "text", "em\u202ema")
    assert text_of(tab, "#stranger") == ["The model has no token for U+202E: leave it out."]
    assert text_of(tab, "#heat .token") == [*"emma."]
    type_into(tab, "text", "anna")
    assert text_of(tab, "#stranger") == [""]
    type_into(tab, "text", ".")
    assert text_of(tab, "#stranger") == ["The model has no token for .: leave it out."]


def test_every_number_is_reached_by_keys(tab: Page, trained: Any) -> None:
    model, _, path = trained
    tab.open(path)
    sliders = "document.querySelectorAll('[role=slider]')"
    assert tab.run(f"{sliders}.length") == 3 + 1 + 1 + 1
    tab.run(f"{sliders}[4].focus()")
    for _ in range(3):
        tab.press("ArrowRight")
    said = tab.run(f"{sliders}[4].getAttribute('aria-valuetext')")
    assert said.startswith("h[3] = tanh(x @ W1[:, 3] + b1[3]) = ")
    assert text_of(tab, "#readout") == [said]
    context = model.vocab.encode("mma")
    x = model.C[context].reshape(-1).astype(np.float64)
    h = np.tanh(x @ model.W1[:, 3] + model.b1[3])
    assert float(said.rpartition("= ")[2].replace("\u2212", "-")) == pytest.approx(h, abs=1e-4)
    tab.press("End")
    assert tab.run(f"{sliders}[4].getAttribute('aria-valuenow')") == "39"


@pytest.mark.parametrize("width", [320, 360, 1280, 2560])
def test_nothing_is_wider_than_the_window(tab: Page, trained: Any, width: int) -> None:
    tab.open(trained[2], width)
    use_everything(tab)
    assert tab.run("document.documentElement.scrollWidth") <= width


def test_own_lines_are_learnt(tab: Page, trained: Any) -> None:
    tab.open(trained[2])
    type_into(tab, "own-lines", "a.b\nb.a\n\n漢字.\n")
    use_everything(tab)
    assert text_of(tab, "#training-message")[0].startswith("Done: loss 0.")
    assert "uniform 1.792" in text_of(tab, "#training-picture svg")[0]


def test_a_rate_of_ten_ends_in_a_sentence(tab: Page, trained: Any) -> None:
    tab.open(trained[2])
    click(tab, "[name=lr][value='10'], [name=layer][value=none], [name=batch][value='1']")
    use_everything(tab)
    assert text_of(tab, "#training-message")[0].startswith(("Done", "Diverged"))
    assert tab.complaints == []


# -- hostile texts -------------------------------------------------------------------------------
@pytest.mark.parametrize("level", ["char", "word"])
def test_hostile_texts_stay_texts(tab: Page, trained: Any, tmp_path: Path, level: str) -> None:
    def elements(hostile: bool) -> dict[str, int]:
        found: dict[str, int] = tab.run(
            "Array.from(document.querySelectorAll('script, style, img, iframe, object, embed, base,"
            " link, a, video, template, svg script, [onload], [onerror], [onfocus]'))"
            ".reduce((n, e) => ({...n, [e.tagName]: (n[e.tagName] ?? 0) + 1}), {})"
        )
        return found

    tab.open(trained[2])
    usual = elements(False)
    texts = [*PAYLOADS] * 3
    vocab = mm.Vocab.from_texts(texts, "\u0416" if level == "char" else "</script>", level=level)
    data = mm.Dataset.split(texts, 2, vocab=vocab)
    path = tmp_path / "<img src=x onerror=alert(1)>.html"
    page(mm.MLP(vocab, 2, 3, 4), path, data=data)
    tab.open(path)
    for payload in PAYLOADS:
        for name in ("text", "prefix"):
            type_into(tab, name, payload)
    if level == "char":
        type_into(tab, "own-lines", "\n".join(PAYLOADS))
        for name in ("prediction-0", "prediction-1"):
            type_into(tab, name, PAYLOADS[0])
        use_everything(tab)
    assert tab.dialogs == 0
    assert tab.complaints == []
    assert elements(True) == usual


# -- for everybody -------------------------------------------------------------------------------
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing(tab: Page, trained: Any, width: int, dark: bool) -> None:
    tab.open(trained[2], width, dark)
    use_everything(tab)
    assert violations(tab) == []
