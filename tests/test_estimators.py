"""Net and detector as estimators: the checks of scikit-learn, and its users' ways with them."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from text_models import small_data

import makemore_cpp as mm
from makemore_cpp.recipe import OPTIONS

sklearn = pytest.importorskip("sklearn", reason="needs scikit-learn")

from sklearn.base import BaseEstimator, clone  # noqa: E402
from sklearn.exceptions import NotFittedError, SkipTestWarning  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import FunctionTransformer  # noqa: E402
from sklearn.utils import InputTags  # noqa: E402
from sklearn.utils.estimator_checks import check_estimator  # noqa: E402
from sklearn.utils.validation import check_is_fitted, validate_data  # noqa: E402

from makemore_cpp.estimators import NameDetector, NameModel  # noqa: E402

TEXTS = small_data().texts
SMALL: dict[str, Any] = {"n_hidden": 20, "n_embd": 4, "steps": 300}
KINDS = (NameModel, NameDetector)


@pytest.fixture(scope="module")
def model() -> NameModel:
    return NameModel(**SMALL).fit(TEXTS)


@pytest.fixture(scope="module")
def detector() -> NameDetector:
    return NameDetector(**SMALL, false_positive_rate=0.05).fit(TEXTS)


# -- scikit-learn's checks -------------------------------------------------------------------------
class OfRows(BaseEstimator):
    """An estimator that turns each row of numbers into a text, so that checks for rows can run."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags = InputTags()
        return tags

    def fit(self, X: Any, y: object = None) -> Any:
        return super().fit(self._texts(X, reset=True))

    def score_samples(self, X: Any) -> Any:
        check_is_fitted(self)
        return super().score_samples(self._texts(X, reset=False))

    def _texts(self, X: Any, reset: bool) -> list[str]:
        rows = validate_data(self, X, reset=reset)
        return ["".join(chr(97 + int(abs(number)) % 26) for number in row) for row in rows]


class RowModel(OfRows, NameModel):
    def score(self, X: Any, y: object = None) -> Any:
        check_is_fitted(self)
        return super().score(self._texts(X, reset=False))


class RowDetector(OfRows, NameDetector):
    pass


FEW: dict[str, Any] = {"n_hidden": 3, "n_embd": 2, "steps": 20}
ONE_TEXT = "one text cannot both train a net and calibrate it; the sentence says how many it takes"
EXPECTED = {RowModel: {}, RowDetector: {"check_fit2d_1sample": ONE_TEXT}}


@pytest.mark.parametrize(
    "estimator", [RowModel(**FEW), RowDetector(**FEW, false_positive_rate=0.4)], ids=repr
)
def test_scikit_learns_checks(estimator: Any) -> None:
    expected = EXPECTED[type(estimator)]
    found = check_estimator(estimator, expected_failed_checks=expected, on_skip=None)
    statuses = {one["check_name"]: one["status"] for one in found}
    assert len(statuses) > 30
    assert {name for name, status in statuses.items() if status == "xfail"} == set(expected)
    assert "failed" not in statuses.values()


@pytest.mark.parametrize("kind", KINDS)
def test_scikit_learns_checks_for_texts(kind: type) -> None:
    with pytest.warns(SkipTestWarning, match="which requires input"):
        found = check_estimator(kind(**SMALL))
    assert {one["status"] for one in found} == {"passed"}
    assert kind().__sklearn_tags__().input_tags == InputTags(
        one_d_array=True, two_d_array=False, string=True
    )


# -- parameters ----------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", KINDS)
def test_parameters_are_those_of_a_recipe(kind: type) -> None:
    parameters = kind().get_params()
    options = {n: o.default for n, o in OPTIONS.items() if o.part != "budget"}
    assert parameters == {**options, **parameters}
    assert parameters.keys() - options.keys() == {
        NameModel: {"oov"}, NameDetector: {"false_positive_rate"}
    }[kind]  # fmt: skip
    one = kind(n_hidden=7, betas=(0.8, 0.9)).set_params(lr=0.3)
    assert clone(one).get_params() == one.get_params() == {
        **parameters, "n_hidden": 7, "betas": (0.8, 0.9), "lr": 0.3,
    }  # fmt: skip
    assert repr(one) == f"{kind.__name__}(betas=(0.8, 0.9), lr=0.3, n_hidden=7)"
    with pytest.raises(TypeError, match="there is no parameter 'n_hiden'; there are block_size, "):
        kind(n_hiden=3)
    with pytest.raises(mm.ArgumentError, match="n_hidden is -1"):
        kind(n_hidden=-1).fit(TEXTS)
    with pytest.raises(mm.ArgumentError, match="momentum belongs to momentum, not to 'sgd'"):
        kind(momentum=0.5).fit(TEXTS)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_fitted_or_no_texts(kind: type) -> None:
    with pytest.raises(NotFittedError):
        kind().score_samples(TEXTS)
    for X, error in (("emma", TypeError), ([1, 2], TypeError), ([], mm.ArgumentError),
                     (np.ones((3, 2)), TypeError)):  # fmt: skip
        with pytest.raises(error, match=r"^X"):
            kind(**SMALL).fit(X)


# -- the net -------------------------------------------------------------------------------------
def test_the_model_is_the_net_trained_on_all_texts(model: NameModel) -> None:
    vocab = mm.Vocab.from_texts(TEXTS)
    X, Y = mm.build_dataset(TEXTS, vocab)
    net = mm.MLP(vocab, n_embd=4, n_hidden=20)
    net.train_steps(X, Y, mm.learning_rates("step", 0.1, 300))
    assert model.model_.to_bytes() == net.to_bytes()
    assert model.score_samples(TEXTS[:5]).tolist() == net.score(TEXTS[:5]).tolist()
    assert model.score(TEXTS) == pytest.approx(-net.loss(X, Y), rel=1e-6)
    assert model.sample(3) == net.sample(3, seed=1) != model.sample(3, seed=2)
    assert model.sample(2, temperature=0.5, prefix="jo") == net.sample(
        2, seed=1, temperature=0.5, prefix="jo"
    )
    assert model.score_samples(["emma", "€"])[1] == -np.inf
    with pytest.raises(mm.ArgumentError, match="€"):
        clone(model).set_params(oov="error").fit(TEXTS).score_samples(["€"])


@pytest.mark.parametrize("X", [np.array(TEXTS), np.array(TEXTS, object), tuple(TEXTS)])
def test_texts_of_any_sequence(model: NameModel, X: Any) -> None:
    assert NameModel(**SMALL).fit(X).model_.to_bytes() == model.model_.to_bytes()


def test_pickles_hold_what_was_learnt(model: NameModel, detector: NameDetector) -> None:
    for one in (model, detector):
        again = pickle.loads(pickle.dumps(one))
        assert again.get_params() == one.get_params()
        assert again.score_samples(TEXTS[:9]).tolist() == one.score_samples(TEXTS[:9]).tolist()


def test_a_search_finds_the_better_parameters() -> None:
    search = GridSearchCV(NameModel(**SMALL), {"lr": [1e-4, 0.1], "block_size": [1, 2]}, cv=2)
    search.fit(TEXTS)
    assert search.best_params_["lr"] == 0.1
    assert search.best_estimator_.model_.block_size == search.best_params_["block_size"]
    folds = cross_val_score(search.best_estimator_, np.array(TEXTS), cv=3)
    assert folds.shape == (3,)
    assert (folds < 0).all()


def test_in_a_pipeline(model: NameModel) -> None:
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    pipeline = make_pipeline(lower, NameModel(**SMALL)).fit([text.upper() for text in TEXTS])
    assert pipeline.score(["EMMA"]) == model.score(["emma"])
    pipeline.set_params(namemodel__n_hidden=5)
    assert pipeline[-1].n_hidden == 5


# -- the detector --------------------------------------------------------------------------------
def test_outliers_are_what_the_detector_flags(detector: NameDetector) -> None:
    data = mm.Dataset.split(TEXTS, 3, seed=1)
    net = mm.MLP(data.vocab, n_embd=4, n_hidden=20)
    mm.train(net, data, steps=300)
    own = mm.Detector.fit(net, data.dev.texts + data.test.texts, 0.05)
    tried = [*mm.load_texts()[2000:4000], "xqzt", "", "€"]
    assert (detector.predict(tried) == np.where(own.flags(tried), -1, 1)).all()
    assert detector.score_samples(tried).tolist() == own.scores(tried).tolist()
    decisions = detector.decision_function(tried)
    assert ((decisions < 0) == own.flags(tried)).all()
    assert (decisions != 0).all()
    few = "^of the 30 texts of X 6 are good ones to calibrate the detector with: .* at least 19"
    with pytest.raises(mm.ArgumentError, match=few):
        clone(detector).fit(TEXTS[:30])
    assert 0.02 < np.mean(detector.predict(tried) < 0) < 0.09
    assert (detector.fit_predict(TEXTS) == detector.predict(TEXTS)).all()
