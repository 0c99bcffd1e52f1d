"""Every public function answers any arguments with a result or with one clear sentence."""

from __future__ import annotations

import contextlib
import inspect
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from text_models import model_of, small_data

import makemore_cpp as mm
from makemore_cpp import _core, evaluation, ops, plots, sweeps
from makemore_cpp.runs import checkpoint
from makemore_cpp.sweeps.table import Table

DATA = small_data()
MODEL = mm.MLP(DATA.vocab, DATA.block_size, 2, 5)
X, Y = DATA.train.X[:5], DATA.train.Y[:5]
W = np.ones((3, 4), np.float32)
TEXTS = DATA.train.texts[:30]


class Frame:
    """An object that looks like a table of another library."""

    columns = ("name", "count")

    def __iter__(self):
        return iter(self.columns)


class Refusing:
    """An object that refuses to be an array, as a tensor that requires a gradient does."""

    def __array__(self, *_: object, **__: object) -> None:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use detach()")


LONG = "x" * 10_000
MOST = 400  # characters of a sentence, however long what it speaks of
HOSTILE = [
    None, -1, 10**400, 10**5000, 0.5, float("nan"), LONG, "", b"\xff", [], {}, [[0.1]], [None],
    [LONG], [10**5000], {LONG: W}, np.zeros(1, [(LONG, "f4")]), object(), Frame(), Refusing(),
    np.array(1j), np.zeros((2, 2, 2)), int, DATA, MODEL, lambda: 1 / 0,
]  # fmt: skip

CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "train": (mm.train, {"model": MODEL, "data": DATA, "steps": 2, "batch_size": 4, "lr": 0.1,
        "schedule": "step", "lr_floor": None, "lr_decay": None, "seed": 1, "threads": 1,
        "eval_every": 1, "patience": None, "on_progress": None, "should_stop": None,
        "on_checkpoint": None, "checkpoint_every": 1, "resume": None, "ranks": None,
        "optimizer": "sgd",
        "weight_decay": 0.0, "decay_biases": False, "dropout": 0.0,
        "negatives": None}),
    "MLP": (mm.MLP, {"vocab": DATA.vocab, "block_size": 2, "n_embd": 2, "n_hidden": 3, "seed": 1,
        "init": "scaled"}),
    "train_steps": (MODEL.train_steps, {"X": X, "Y": Y, "lr": [0.1], "steps": 1, "batch_size": 4,
        "seed": 1, "first_step": 0, "rows": None, "state": None, "threads": 1,
        "should_stop": None, "exchange": None}),
    "from_arrays": (mm.MLP.from_arrays, {"vocab": DATA.vocab, **MODEL.parameters}),
    "MLP.save": (MODEL.save, {"path": "saved"}),
    "load": (mm.load, {"path": "missing"}),
    "MLP.load": (mm.MLP.load, {"path": "missing"}),
    "from_bytes": (mm.MLP.from_bytes, {"data": b"", "name": "bytes"}),
    "Vocab": (mm.Vocab, {"tokens": ["a"], "boundary": "."}),
    "from_texts": (mm.Vocab.from_texts, {"texts": TEXTS, "boundary": "."}),
    "split": (mm.Dataset.split, {"texts": TEXTS, "block_size": 2, "seed": 1, "boundary": ".",
        "vocab": None}),
    "build_dataset": (mm.build_dataset, {"texts": TEXTS, "vocab": DATA.vocab, "block_size": 2}),
    "load_texts": (mm.load_texts, {"path": "missing"}),
    "score": (mm.text.score, {"model": MODEL, "texts": TEXTS, "oov": "error", "threads": 1}),
    "loss": (MODEL.loss, {"X": X, "Y": Y, "threads": 1}),
    "per_char": (mm.text.per_char, {"model": MODEL, "text": "a"}),
    "perplexity": (mm.text.perplexity, {"model": MODEL, "texts": TEXTS, "oov": "error"}),
    "bits_per_char": (mm.text.bits_per_char, {"model": MODEL, "texts": TEXTS}),
    "next_probs": (mm.text.next_probs, {"model": MODEL, "prefix": "a"}),
    "complete": (mm.text.complete, {"model": MODEL, "prefix": "a", "k": 1, "max_length": 3}),
    "sample": (mm.text.sample, {"model": MODEL, "n": 2, "seed": 1, "temperature": 1.0,
        "top_k": None,
        "top_p": 1.0, "prefix": "", "min_length": 0, "max_length": 5, "unique": False,
        "exclude": (), "threads": 1}),
    "detector": (mm.Detector.fit, {"model": MODEL, "good": TEXTS, "false_positive_rate": 0.1}),
    "Mixture": (mm.Mixture, {"models": [MODEL], "weights": [1.0]}),
    "Mixture.fit": (mm.Mixture.fit, {"models": [MODEL], "X": X, "Y": Y}),
    "NGram": (mm.NGram, {"vocab": DATA.vocab, "texts": TEXTS, "order": 2, "smoothing": 1.0}),
    "KneserNey": (mm.KneserNey, {"vocab": DATA.vocab, "texts": TEXTS, "order": 2}),
    "InterpolatedNGram": (mm.InterpolatedNGram, {"vocab": DATA.vocab, "texts": TEXTS, "order": 2,
        "dev_texts": TEXTS, "by_frequency": True}),
    "diagnose": (mm.diagnose, {"model": MODEL, "data": DATA, "threads": 1}),
    "ngram_table": (mm.evaluation.ngram_table, {
        "data": DATA, "max_block_size": 1, "smoothing": 0.1}),
    "vowel_clustering": (mm.evaluation.vowel_clustering, {"model": MODEL, "metric": "cosine",
        "permutations": 9, "seed": 1}),
    "hidden_activations": (mm.evaluation.hidden_activations, {
        "model": MODEL, "X": X, "threads": 1}),
    "saturation": (mm.evaluation.saturation, {"h": [[0.1]]}),
    "learning_rates": (mm.learning_rates, {"schedule": "step", "lr": 0.1, "steps": 3}),
    "from_lecture": (mm.from_lecture, {"vocab": DATA.vocab,
        "parameters": list(MODEL.parameters.values())}),
    "to_lecture": (mm.to_lecture, {"model": MODEL}),
    "to_makemore_py": (mm.to_makemore_py, {"model": MODEL}),
    "from_makemore_py": (mm.from_makemore_py, {"vocab": DATA.vocab,
        "state_dict": mm.to_makemore_py(MODEL)}),
    "export_header": (mm.export_header, {"model": MODEL, "path": "/nowhere/x.h", "name": "x"}),
    "shuffled_letters": (mm.text.shuffled_letters, {"texts": TEXTS, "seed": 1}),
    "random_letters": (mm.text.random_letters, {"texts": TEXTS, "vocab": DATA.vocab, "seed": 1}),
    "auc": (mm.text.auc, {"good": [1.0], "bad": [0.0]}),
    "compare": (evaluation.compare, {"model": MODEL, "data": DATA, "threads": 1}),
    "grid": (sweeps.grid, {"data": DATA, "options": {"steps": 1, "n_hidden": 2}, "seeds": [1],
        "samples": 0, "jobs": 1, "on_row": None}),
    "loss_curve": (plots.loss_curve, {"history": [3.0, 2.0]}),
    "embeddings": (plots.embeddings, {"model": MODEL}),
    "windows": (DATA.windows, {"text": "a"}),
    "layers": (mm.models.layers, {"model": MODEL}),
    "data_shares": (sweeps.data_shares, {"data": DATA, "shares": [0.5],
        "options": {"steps": 1, "n_hidden": 2}, "seeds": [1], "jobs": 1}),
    "segments": (mm.lecture.segments, {"path": "names.txt", "seed": 1, "steps": 3}),
    "linear_forward": (ops.linear_forward, {"x": W.T, "W": W, "b": W[0], "threads": 1}),
    "cross_entropy": (ops.cross_entropy, {"logits": W, "Y": [0, 1, 2]}),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_the_plain_call_is_right(name: str, tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    function, arguments = CALLS[name]
    with contextlib.suppress(mm.FileError, mm.FormatError), warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.LengthWarning)
        function(**arguments)  # some of a file that is not there


@pytest.mark.parametrize("name", CALLS)
def test_one_sentence_or_a_result(name: str, tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    function, arguments = CALLS[name]
    for parameter in arguments:
        for value in HOSTILE:
            if name == "train" and parameter == "should_stop" and callable(value):
                continue  # what the caller's own function raises reaches the caller
            given = {**arguments, parameter: value}
            try:
                with warnings.catch_warnings(), np.errstate(all="ignore"):
                    warnings.simplefilter("ignore")
                    function(**given)
            except (mm.Error, TypeError, ZeroDivisionError) as error:
                sentence = str(error)
                assert "\n" not in sentence, sentence
                assert 5 < len(sentence) < MOST, f"{name}({parameter}=...): {sentence[:700]}"
            except mm.Exhausted:
                pass


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: mm.train(MODEL, TEXTS), "data must be a makemore_cpp.Dataset, not list"),
        (lambda: mm.train(MODEL, DATA, resume=3), "resume must be a makemore_cpp.TrainingState"),
        (lambda: mm.train(MODEL, DATA, on_progress=1), "on_progress must be a function, not int"),
        (lambda: mm.diagnose(MODEL, TEXTS), "data must be a makemore_cpp.Dataset, not list"),
        (lambda: mm.evaluation.ngram_table(TEXTS), "data must be a makemore_cpp.Dataset, not list"),
        (lambda: mm.evaluation.vowel_clustering(MODEL.freeze()),
            "model must be a makemore_cpp.MLP, not Lang"),
        (lambda: mm.evaluation.hidden_activations(MODEL.freeze(), X),
            "must be a makemore_cpp.MLP, not Lang"),
        (lambda: plots.embeddings(MODEL.freeze()), "must be a makemore_cpp.MLP, not Language"),
        (lambda: mm.text.perplexity(3, TEXTS), "model must be a model, not int"),
        (lambda: MODEL.save(3), "path must be a path, not int"),
        (lambda: mm.KneserNey(DATA.vocab, TEXTS, 2).save(3), "path must be a path, not int"),
        (lambda: checkpoint.load(3), "path must be a path, not int"),
        (lambda: plots.save(plots.embeddings(MODEL).figure, 3), "path must be a path, not"),
        (lambda: mm.to_lecture(3), "model must be a makemore_cpp.MLP, not int"),
        (lambda: MODEL.score(Frame()), r"texts is a table \(Frame\); give one of its columns, s"),
        (lambda: MODEL.freeze().score(Frame()), r"texts is a table \(Frame\)"),
        (lambda: mm.Dataset.split(Frame()), r"texts is a table .* such as texts\['name'\]"),
        (lambda: MODEL.sample(2, exclude=Frame()), r"exclude is a table \(Frame\)"),
        (lambda: MODEL.score({"emma": 3}), "texts is a dict; give a list of its keys or values"),
        (lambda: mm.MLP.from_arrays(DATA.vocab, *[Refusing()] * 5), "C cannot be made a NumPy a"),
    ],
)  # fmt: skip
def test_what_a_newcomer_gives(call: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(TypeError, match=sentence):
        call()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: sweeps.grid(DATA, {}, seeds=[]), "seeds is empty"),
        (lambda: mm.Detector.fit(MODEL, TEXTS, 10**400), "false_positive_rate is inf; it must lie"),
        (
            lambda: mm.evaluation.saturation([[]]),
            r"h has the shape \(1, 0\); it must be \(N, H\), not empty",
        ),
        (lambda: mm.text.score(MODEL, TEXTS, oov=LONG), "oov is .x{300}"),
        (lambda: mm.Mixture([MODEL], [10**400]), "weights holds an integer that is outside the r"),
        (lambda: mm.Mixture([MODEL], [2**1000]), r"weights\[0\] is 1.07\d*e\+301; it must be fin"),
        (lambda: MODEL.log_probs(X[:, :1]), r"X has the shape \(5, 1\); it must be \(N, 3\)"),
        (lambda: mm.diagnose(mm.KneserNey(DATA.vocab, TEXTS, 2), DATA), "model has block_size 1"),
    ],
)
def test_values_that_a_newcomer_gives(call: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(mm.ArgumentError, match=sentence):
        call()


def moments(name: str, array: Any) -> dict[str, Any]:
    return {**MODEL.optimizer_state("momentum"), name: array}


UNKNOWN: dict[str, Callable[[], Any]] = {
    "option of train": lambda: mm.train(MODEL, DATA, **{LONG: 1}),
    "option of train_steps": lambda: MODEL.train_steps(X, Y, [0.1], **{LONG: 1}),
    "option of iter_samples": lambda: mm.text.iter_samples(MODEL, **{LONG: 1}),
    "option of a grid": lambda: sweeps.grid(DATA, {LONG: 1}),
    "values of a grid": lambda: sweeps.grid(DATA, {LONG: [], "lr": 1}),
    "value twice": lambda: sweeps.grid(DATA, {"optimizer": [LONG, LONG]}),
    "option of a search": lambda: sweeps.growing_rate(DATA, options={LONG: 1}),
    "array of a state": lambda: MODEL.train_steps(
        X, Y, [0.1], optimizer="momentum", state=moments(LONG, np.zeros(3, "f4"))
    ),
    "type of a state": lambda: MODEL.train_steps(
        X, Y, [0.1], optimizer="momentum", state=moments(LONG, 3)
    ),
    "name of a tensor": lambda: _core.write_tensors("{}", {LONG: 3}),
    "type of a tensor": lambda: _core.write_tensors("{}", {LONG: np.zeros(1, "c8")}),
    "array of makemore.py": lambda: mm.from_makemore_py(
        DATA.vocab, {**mm.to_makemore_py(MODEL), LONG: W}
    ),
    "experiment": lambda: sweeps.run_experiment(LONG, DATA),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_long_name_is_cut(name: str) -> None:
    with pytest.raises((mm.ArgumentError, TypeError)) as caught:
        UNKNOWN[name]()
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert "xxx" in sentence
    assert len(sentence) < MOST


@pytest.mark.parametrize("name", sorted({*mm.__all__} - {"__version__"}))
def test_every_public_name_says_what_it_is(name: str) -> None:
    value = getattr(mm, name)
    text = vars(value).get("__doc__") if isinstance(value, type) else value.__doc__
    assert text, "no text of its own"
    assert not (isinstance(value, type) and text.startswith(f"{name}(")), "made by dataclass"


def test_any_model_is_diagnosed() -> None:
    four_gram = mm.KneserNey(DATA.vocab, DATA.train.texts, 4)
    mixture = mm.Mixture([MODEL, four_gram], [0.5, 0.5])
    X, Y = DATA.dev.X, DATA.dev.Y
    for model in (MODEL, MODEL.freeze(), four_gram, mixture, model_of("one's own")):
        found = mm.diagnose(model, DATA)
        expected = -model.log_probs(X).astype(np.float64)[np.arange(len(Y)), Y].mean()
        assert found.losses[-1].dev == pytest.approx(expected, rel=1e-6)


def test_weights_of_a_linear_layer_are_recognised() -> None:
    C, W1, b1, W2, b2 = MODEL.parameters.values()
    for given, hint in (
        ([C, W1.T, b1, W2.T, b2], "give W1.T and W2.T"),
        ([C, W1, b1, W2.T, b2], "give W2.T"),
        ([C, W1.T, b1, W2, b2], "give W1.T"),
    ):
        with pytest.raises(mm.ArgumentError, match=f"weights transposed: {hint}$"):
            mm.from_lecture(DATA.vocab, given)


# -- manners that all models share -----------------------------------------------------------------
METHODS = ("score", "loss", "per_char", "perplexity", "bits_per_char", "sample", "iter_samples",
           "next", "complete", "training_texts")  # fmt: skip
KINDS = {
    "MLP": MODEL,
    "LanguageModel": MODEL.freeze(),
    "NGram": mm.NGram(DATA.vocab, TEXTS),
    "KneserNey": mm.KneserNey(DATA.vocab, TEXTS, 3),
    "Mixture": mm.Mixture([MODEL], [1.0]),
}


@pytest.mark.parametrize("method", METHODS)
def test_all_models_have_the_same_methods(method: str) -> None:
    wanted = [p.name for p in inspect.signature(getattr(MODEL, method)).parameters.values()]
    for name, model in KINDS.items():
        bound = getattr(model, method)
        found = inspect.signature(bound).parameters.values()
        assert [p.name for p in found] == wanted, name
        again = pickle.loads(pickle.dumps(bound))
        assert again.__self__.vocab == model.vocab


@pytest.mark.parametrize("name", KINDS)
def test_positions_and_keywords_mean_the_same(name: str) -> None:
    model = KINDS[name]
    cloudpickle = pytest.importorskip("cloudpickle")
    scores = model.score(["anna", "zzz", "é"], "skip")
    assert scores.tobytes() == model.score(["anna", "zzz", "é"], oov="skip", threads=1).tobytes()
    score = pickle.loads(cloudpickle.dumps(model.score))
    assert score(["anna", "zzz", "é"], "skip").tobytes() == scores.tobytes()
    some = X[:, -model.block_size :]
    assert model.loss(some, Y, 1) == model.loss(some, Y, threads=1)


# -- what objects say of themselves ----------------------------------------------------------------
def test_every_repr_is_short_and_says_sizes() -> None:
    history = mm.train(mm.MLP(DATA.vocab, DATA.block_size, 2, 4), DATA, steps=20)
    states: list[mm.training.TrainingState] = []
    mm.train(mm.MLP(DATA.vocab, DATA.block_size, 2, 4), DATA, steps=3, checkpoint_every=1,
             on_checkpoint=states.append)  # fmt: skip
    objects = [
        DATA,
        DATA.train,
        DATA.vocab,
        mm.Vocab([chr(0x4E00 + i) for i in range(20_000)]),
        mm.load_texts(),
        *KINDS.values(),
        mm.Mixture([MODEL] * 50, [1 / 50] * 50),
        mm.models.NGramCounts(DATA.vocab, TEXTS, 3),
        mm.Detector.fit(MODEL, DATA.dev.texts[:200], 0.05),
        mm.diagnose(MODEL, DATA),
        history,
        states[0],
        sweeps.grid(DATA, {"steps": 1, "n_hidden": [2, 3]}),
    ]
    assert any(isinstance(one, Table) for one in objects)
    for one in objects:
        text = repr(one)
        assert len(text) < 1000, text[:200]
        assert text.count("\n") < 10
        assert " object at 0x" not in text, text
        assert any(character.isdigit() for character in text), text
