"""The nearest tokens of a token, against cosines that are known, and their picture and command."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import refuse, run

import makemore_cpp as mm
from makemore_cpp import plots

WORDS = mm.Vocab(["<unk>", "cat", "dog", "the", "a"], "</s>", " ", "<unk>")
ROWS = [[1, 0], [0, 0], [3, 4], [6, 8], [4, 3], [-2, 0]]


@pytest.fixture(params=["MLP", "LanguageModel"])
def model(request: pytest.FixtureRequest) -> Any:
    """Return a net whose embeddings are `ROWS`, or its frozen copy."""
    net = mm.MLP(WORDS, 2, 2, 3)
    net.C[:] = ROWS
    return net if request.param == "MLP" else net.freeze()


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("cat", [("dog", 1.0), ("the", 0.96), ("</s>", 0.6), ("<unk>", 0.0), ("a", -0.6)]),
        ("</s>", [("the", 0.8), ("cat", 0.6), ("dog", 0.6), ("<unk>", 0.0), ("a", -1.0)]),
        ("<unk>", [("</s>", 0), ("cat", 0), ("dog", 0), ("the", 0), ("a", 0)]),
    ],
)
def test_neighbours_by_hand(model: Any, token: str, expected: list[tuple[str, float]]) -> None:
    for k in (1, 2, 5, 2**20 - 1):
        found = model.nearest(token, k)
        assert [other for other, _ in found] == [other for other, _ in expected[:k]]
        np.testing.assert_allclose(
            [cosine for _, cosine in found], [cosine for _, cosine in expected[:k]], atol=1e-15
        )
        assert all(-1 <= cosine <= 1 for _, cosine in found)
    assert model.nearest(token) == model.nearest(token, 10)


@pytest.mark.parametrize("n_embd", [2, 3, 10, 61])
def test_equal_embeddings_are_in_the_order_of_their_numbers(n_embd: int) -> None:
    model = mm.MLP(mm.Vocab([f"w{i}" for i in range(500)], "</s>", " "), 1, n_embd, 2)
    model.C[:] = np.tile(model.C[:7], (72, 1))[:501]
    names = [name for name, _ in model.nearest("w3", 71)]
    assert names == [f"w{i}" for i in range(3, 500, 7) if i != 3] + names[70:]
    cosines = [cosine for _, cosine in model.nearest("w3", 500)]
    assert cosines == sorted(cosines, reverse=True)


def test_lengths_of_float32_do_not_matter(model: Any) -> None:
    net = mm.MLP(WORDS, 2, 2, 3)
    net.C[:] = np.array(ROWS) * np.array([1, 1, 1e37, 1e-37, 1e-45, 1])[:, None]
    net.C[4] = [1e-45, 1e-45]  # the least float32 above 0
    found = dict(net.nearest("</s>"))
    assert found["cat"] == pytest.approx(0.6, abs=1e-6)
    assert found["dog"] == pytest.approx(0.6, abs=1e-6)
    assert found["the"] == pytest.approx(math.sqrt(0.5))


def test_bad_arguments(model: Any) -> None:
    for token in ("bird", "", "the cat", "." * 500):
        with pytest.raises(
            mm.ArgumentError, match=r"token '.*' is not in the vocabulary"
        ) as caught:
            model.nearest(token)
        assert len(str(caught.value)) < 300
    for token in (3, None, b"cat"):
        with pytest.raises(TypeError, match="token must be a str"):
            model.nearest(token)
    with pytest.raises(mm.ArgumentError, match="k is 0, outside"):
        model.nearest("cat", 0)
    with pytest.raises(TypeError, match="k must be an integer"):
        model.nearest("cat", 1.5)
    net = mm.MLP(WORDS, 2, 2, 3)
    net.C[3, 1] = np.nan
    with pytest.raises(mm.ArgumentError, match=r"C\[3\] is not finite"):
        net.nearest("cat")


def test_the_command(tmp_path: Path) -> None:
    net = mm.MLP(WORDS, 2, 2, 3)
    net.C[:] = ROWS
    net.save(tmp_path / "m")
    out, _ = run(tmp_path, "similar", "m", "cat", "-k", 2)
    assert [line.split() for line in out.splitlines()] == [["1.000000", "dog"], ["0.960000", "the"]]
    out, _ = run(tmp_path, "similar", "m", "</s>", "--json")
    found = [json.loads(line) for line in out.splitlines()]
    assert [(one["token"], one["cosine"]) for one in found] == net.nearest("</s>")
    assert "token 'bird' is not in the vocabulary" in refuse(tmp_path, "similar", "m", "bird")
    mm.NGram(WORDS, ["the cat"]).save(tmp_path / "n")
    assert "n holds no net but NGram" in refuse(tmp_path, "similar", "n", "cat")


# -- the picture -----------------------------------------------------------------------------------
@pytest.mark.parametrize(("n_words", "n_embd"), [(1, 1), (40, 2), (400, 10), (3000, 1)])
def test_no_label_of_a_word_covers_another(n_words: int, n_embd: int) -> None:
    words = ["<unk>", *(f"word{i}" for i in range(n_words - 1))]
    model = mm.MLP(mm.Vocab(words, "</s>", " "), 2, n_embd, 3)
    model.C[2:9] = model.C[1]  # so that some cover each other
    ax = plots.embeddings(model)
    for dpi in (72, 100, 150):  # that of a file is 150
        ax.figure.set_dpi(dpi)
        ax.figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in ax.texts]
        for i, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[i + 1 :])
    labels = [text.get_text() for text in ax.texts]
    assert labels[0] == "</s>"
    assert labels == [word for word in model.vocab.itos[:101] if word in set(labels)]
    assert len(ax.collections[0].get_offsets()) == min(n_words, 100) + 1
    assert f"{min(n_words, 100)} of {n_words:,} words" in ax.get_title()
    if n_words >= 40 and n_embd > 1:  # with one, the heights of equal ones differ
        assert not set(words[1:8]) & set(labels)  # the first of the equal ones stands for them
        assert 15 < len(labels) < len(words[:100])
