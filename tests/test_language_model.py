"""The frozen net: it predicts as the net did, does not change, and is safe to share."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from text_models import model_of, small_data

import makemore_cpp as mm


@pytest.fixture
def mlp():
    model = copy.deepcopy(model_of("MLP"))
    model.data = mm.data.DataOrigin("names.txt", "0" * 64, 7)
    return model


@pytest.fixture
def frozen(mlp):
    return mlp.freeze()


def results(model):
    """Return results of a model's methods, as values that compare by their bits."""
    texts = small_data().dev.texts[:50]
    X = small_data().dev.X[:200]
    return [
        model.log_probs(X).tobytes(),
        model.score(texts).tobytes(),
        model.next("emm").tobytes(),
        model.per_char("isabella").tobytes(),
        model.sample(50, seed=3),
        model.sample(50, temperature=0.7, top_p=0.9, min_length=4),
        model.complete("jo", 5),
        model.perplexity(texts),
    ]


def use_heavily(model):
    """Ask for more contexts than there are, so that the model tabulates them."""
    model.score(small_data().texts * 20)


def test_it_is_the_net(mlp, frozen):
    before = results(frozen)
    assert before == results(mlp)
    use_heavily(frozen)
    assert results(frozen) == before
    data = small_data()
    assert frozen.log_probs(data.train.X).tobytes() == mlp.log_probs(data.train.X).tobytes()


@pytest.mark.parametrize(
    ("T", "E", "H", "V"), [(1, 1, 1, 2), (2, 3, 7, 5), (5, 4, 33, 40), (2, 3, 9, 1001)]
)
def test_it_is_the_net_in_all_sizes(T, E, H, V, rng):
    mlp = mm.MLP(mm.Vocab([chr(200 + i) for i in range(V - 1)]), T, E, H, init="lecture")
    frozen = mlp.freeze()
    X = rng.integers(0, V, (5000, T))
    expected = mlp.log_probs(X).tobytes()
    assert [frozen.log_probs(X).tobytes() for _ in range(3)] == [expected] * 3
    assert frozen.log_probs(X[:1]).tobytes() == mlp.log_probs(X[:1]).tobytes()
    assert frozen.log_probs(X[:0]).shape == (0, V)


def test_sizes(frozen):
    assert (frozen.block_size, frozen.n_embd, frozen.n_hidden, frozen.vocab_size) == (3, 4, 30, 27)
    assert repr(frozen) == "LanguageModel(block_size=3, n_embd=4, n_hidden=30, vocab_size=27)"
    assert frozen.freeze() is frozen


def test_it_does_not_change(mlp, frozen):
    before = results(frozen)
    for array in mlp.parameters.values():
        array[:] = 0
    assert results(frozen) == before
    assert frozen.data == ("names.txt", "0" * 64, 7)
    mlp.data = None
    assert frozen.data is not None
    for name in ("vocab", "data", "block_size", "n_hidden", "sizes", "C", "new", "sample"):
        with pytest.raises(AttributeError):
            setattr(frozen, name, 5)
    with pytest.raises(AttributeError):
        del frozen.vocab


def test_it_keeps_the_vocabulary(mlp, frozen):
    assert frozen.vocab is mlp.vocab


def test_copies_are_the_same_object(frozen):
    assert copy.copy(frozen) is frozen
    assert copy.deepcopy([frozen])[0] is frozen


def test_pickle(frozen):
    again = pickle.loads(pickle.dumps(frozen))
    assert type(again) is mm.LanguageModel
    assert results(again) == results(frozen)
    assert again.data == frozen.data
    assert again.vocab == frozen.vocab


def test_load(mlp, frozen, tmp_path):
    mlp.save(tmp_path / "model.safetensors")
    for place in (tmp_path, str(tmp_path / "model.safetensors"), bytes(tmp_path)):
        loaded = mm.LanguageModel.load(place)
        assert results(loaded) == results(frozen)
        assert loaded.data == ("", *frozen.data[1:])
        assert type(loaded.vocab) is mm.Vocab
        assert loaded.vocab == frozen.vocab


def test_bad_files(tmp_path):
    with pytest.raises(mm.FileError):
        mm.LanguageModel.load(tmp_path / "missing")
    with pytest.raises(mm.FileError):
        mm.LanguageModel.load(tmp_path)
    (tmp_path / "text").write_text("hello")
    with pytest.raises(mm.FormatError):
        mm.LanguageModel.load(tmp_path / "text")
    with pytest.raises(TypeError, match="path must be a path, not int"):
        mm.LanguageModel.load(5)
    with pytest.raises(TypeError, match="saved must be a SavedModel, not MLP"):
        mm.LanguageModel(model_of("MLP"))


def test_a_net_that_is_not_finite(mlp):
    mlp.W1[2, 3] = np.inf
    with pytest.raises(mm.ArgumentError, match=r"W1\[2, 3\] is inf"):
        mlp.freeze()


def test_threads_may_share_it(mlp, frozen):
    """Eight threads ask for everything while the table is made."""
    expected = results(mlp)

    def ask(_):
        use_heavily(frozen)
        return results(frozen)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [expected] * 8


def test_it_may_be_a_member_of_a_mixture(mlp, frozen):
    texts = small_data().dev.texts[:20]
    mixture, same = (mm.Mixture([m, model_of("NGram")], [0.6, 0.4]) for m in (frozen, mlp))
    assert mixture.score(texts).tobytes() == same.score(texts).tobytes()
