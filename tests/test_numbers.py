"""Numbers that are known beforehand: limits that can be computed by hand, and the lecture's own."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from makemore_cpp import _core


def examples_of(texts: list[str], block_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return X and Y as the lecture builds them: the last characters, padded with token 0."""
    characters = sorted(set("".join(texts)))
    stoi = {c: i + 1 for i, c in enumerate(characters)}
    X, Y = [], []
    for text in texts:
        context = [0] * block_size
        for token in [*(stoi[c] for c in text), 0]:
            X.append(context)
            Y.append(token)
            context = [*context[1:], token]
    return np.array(X, np.int32), np.array(Y, np.int32)


def read_texts(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split()


@pytest.fixture(scope="module")
def names(names_path: Path) -> list[str]:
    return read_texts(names_path)


def test_five_texts_are_learnt_to_their_entropy(isa, names):
    """The five texts begin in one context, `...`; everything after it can be known.

    Hence the loss cannot fall below 5 ln 5 / 32, and 1,000 steps bring it within 0.02.
    """
    X, Y = examples_of(names[:5], 3)
    assert X.shape == (32, 3)
    entropy = 5 * math.log(5) / 32
    assert entropy == pytest.approx(0.2514747, abs=1e-7)
    parameters = _core.initial_parameters(3, 10, 200, int(Y.max()) + 1, 1)
    losses = _core.train_steps(*parameters, X, Y, np.full(1000, 0.1), rows="all")
    final = _core.mean_loss(*parameters, X, Y)
    assert final < entropy + 0.02
    assert min(losses.min(), final) > entropy - 1e-6


@pytest.mark.parametrize("seed", range(1, 11))
def test_first_loss_of_the_default_init_is_uniform(names, seed):
    X, Y = examples_of(names[:2000], 3)
    parameters = _core.initial_parameters(3, 10, 200, 27, seed)
    losses = _core.train_steps(*parameters, X, Y, [0.1], seed=seed)
    assert abs(losses[0] - math.log(27)) < 0.1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_first_loss_of_the_lecture_init_is_confidently_wrong(names, seed):
    X, Y = examples_of(names[:2000], 3)
    parameters = _core.initial_parameters(3, 10, 200, 27, seed, "lecture")
    losses = _core.train_steps(*parameters, X, Y, [0.1], seed=seed)
    assert 15 < losses[0] < 35


@pytest.mark.slow
@pytest.mark.parametrize("init", ["scaled", "lecture"])
def test_the_lectures_recipe(names_path, init):
    """The losses are means of three seeds.  The lecture prints train 2.1260 and dev 2.1701."""
    import makemore_cpp as mm

    texts = mm.load_texts(names_path)
    data = mm.Dataset.split(texts, block_size=3, seed=42)
    losses = []
    for seed in (1, 2, 3):
        model = mm.MLP(data.vocab, block_size=3, n_embd=10, n_hidden=200, seed=seed, init=init)
        lr = np.repeat([0.1, 0.01], 100_000)
        model.train_steps(data.train.X, data.train.Y, lr, batch_size=32, seed=seed)
        losses.append([model.loss(s.X, s.Y) for s in (data.train, data.dev)])
    train, dev = np.mean(losses, axis=0)
    if init == "lecture":
        assert abs(train - 2.126) < 0.03
        assert abs(dev - 2.170) < 0.03
    else:
        assert dev <= 2.112
