"""The net and the detector as estimators of scikit-learn, which comes with the extra `sklearn`.

Their parameters and defaults are the options of a recipe, which `recipe.OPTIONS` describes. They
take texts where other estimators take rows of numbers.
"""

from collections.abc import Callable, Iterable
from inspect import Parameter, Signature
from typing import Any, Unpack

import numpy as np

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError
from makemore_cpp.arrays import Float64, Int64
from makemore_cpp.data.dataset import Dataset, Split, build_dataset
from makemore_cpp.data.vocab import Vocab
from makemore_cpp.models.frozen import LanguageModel
from makemore_cpp.models.mlp import MLP
from makemore_cpp.recipe.options import OPTIONS, Recipe, names_of
from makemore_cpp.text import scoring
from makemore_cpp.text.detector import Detector
from makemore_cpp.text.sampling import SampleOptions
from makemore_cpp.training.loop import train

try:
    from sklearn.base import BaseEstimator, OutlierMixin
    from sklearn.utils import InputTags
    from sklearn.utils.validation import check_is_fitted
except ImportError as error:
    raise ImportError(
        "makemore_cpp.estimators needs scikit-learn 1.6 or newer; install makemore_cpp[sklearn]"
    ) from error

OF_A_RECIPE = names_of("model", "training", "update")


def _constructor(**more: Any) -> Callable[..., None]:
    """Return an `__init__` that takes the options of a recipe and `more`, by keyword.

    Its signature lists them: scikit-learn finds the parameters of an estimator there.
    """
    defaults = {**{name: OPTIONS[name].default for name in OF_A_RECIPE}, **more}

    def __init__(self: Any, **parameters: Any) -> None:  # noqa: N807
        for name in parameters:
            if name not in defaults:
                raise TypeError(
                    f"there is no parameter {checks.shown(name)}; there are {', '.join(defaults)}"
                )
        for name, default in defaults.items():
            setattr(self, name, parameters.get(name, default))

    own = Parameter("self", Parameter.POSITIONAL_ONLY)
    named = [Parameter(n, Parameter.KEYWORD_ONLY, default=d) for n, d in defaults.items()]
    __init__.__signature__ = Signature([own, *named])  # type: ignore[attr-defined]
    return __init__


class _OfTexts(BaseEstimator):  # type: ignore[misc]
    """An estimator that trains a net on texts with a recipe."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags = InputTags(one_d_array=True, two_d_array=False, string=True)
        return tags

    def _recipe(self) -> Recipe:
        return Recipe(**{name: getattr(self, name) for name in OF_A_RECIPE})

    def _net(self, data: Dataset, recipe: Recipe) -> LanguageModel:
        """Return a frozen net that was trained on the train split."""
        model = MLP(data.vocab, **recipe.options("model"), seed=recipe.seed)
        train(model, data, **recipe.options("training", "update"))
        return model.freeze()


class NameModel(_OfTexts):
    """The net of Bengio et al. (2003), trained on all texts that it is given.

    Parameters
    ----------
    **parameters
        Options of a recipe by name, such as ``n_hidden=200`` or ``steps=200_000``.
    oov : {"error", "skip", "-inf"}
        How `score_samples` and `score` treat an unknown character; see `text.score`. By default its
        text has the score -inf.

    Attributes
    ----------
    model_ : LanguageModel
        The frozen net, which `fit` sets.
    """

    model_: LanguageModel
    oov: scoring.OOV
    __init__ = _constructor(oov="-inf")

    def fit(self, X: Iterable[str], y: object = None) -> "NameModel":
        """Train a net on texts X (n,); `y` is ignored.

        Raises
        ------
        TypeError
            X is not a list of str, or a parameter has a wrong type.
        ArgumentError
            There is no text, or a parameter is out of its range.
        """
        recipe, texts = self._recipe(), _texts(X)
        vocab, T = Vocab.from_texts(texts), recipe.block_size
        none = Split([], *build_dataset([], vocab, T))
        all_of_them = Split(texts, *build_dataset(texts, vocab, T))
        self.model_ = self._net(Dataset(vocab, T, all_of_them, none, none, None), recipe)
        return self

    def score_samples(self, X: Iterable[str]) -> Float64:
        """Return the log-probability (n,) of each text and its end, in nats."""
        check_is_fitted(self)
        return self.model_.score(_texts(X), self.oov)

    def score(self, X: Iterable[str], y: object = None) -> float:
        """Return the mean log-probability of all characters and ends of texts X, in nats.

        It is ``-loss``: the greater, the better. `y` is ignored.
        """
        check_is_fitted(self)
        return -scoring.mean_surprisal(self.model_, _texts(X), oov=self.oov)

    def sample(self, n: int = 1, **options: Unpack[SampleOptions]) -> list[str]:
        """Return n new texts; `options` and errors are those of `text.sample`.

        The seed is by default that of the training.
        """
        check_is_fitted(self)
        chosen: SampleOptions = {"seed": self._recipe().seed, **options}
        return self.model_.sample(n, **chosen)


class NameDetector(OutlierMixin, _OfTexts):  # type: ignore[misc]
    """Detects texts that are unlike those of `fit`, fairly for every length; see `Detector`.

    Four fifths of the texts train a net, and the others calibrate the detector.

    Parameters
    ----------
    **parameters
        Options of a recipe by name, such as ``n_hidden=200`` or ``steps=200_000``.
    false_positive_rate : float
        The share of good texts that is flagged, by default 0.01.

    Attributes
    ----------
    detector_ : Detector
        The detector, which `fit` sets.
    offset_ : float
        The score below which texts are outliers, which `fit` sets.
    """

    detector_: Detector
    offset_: float
    false_positive_rate: float
    __init__ = _constructor(false_positive_rate=0.01)

    def fit(self, X: Iterable[str], y: object = None) -> "NameDetector":
        """Train a net on most of the texts X (n,), and calibrate the detector on the others.

        Raises
        ------
        TypeError
            X is not a list of str, or a parameter has a wrong type.
        ArgumentError
            There are too few texts for the rate, or a parameter is out of its range.
        """
        recipe = self._recipe()
        texts = _texts(X)
        data = Dataset.split(texts, recipe.block_size, recipe.seed)
        held_out = data.dev.texts + data.test.texts
        net = self._net(data, recipe)
        try:
            self.detector_ = Detector.fit(net, held_out, self.false_positive_rate)
        except ArgumentError as error:
            raise ArgumentError(
                f"of the {len(texts):,} texts of X {len(held_out):,} are good ones to calibrate "
                f"the detector with: {error}"
            ) from error
        self.offset_ = self.detector_.offset
        return self

    def score_samples(self, X: Iterable[str]) -> Float64:
        """Return the standardised score (n,) of each text; 0 is the mean for its length."""
        check_is_fitted(self)
        return self.detector_.scores(_texts(X))

    def decision_function(self, X: Iterable[str]) -> Float64:
        """Return the scores (n,) minus `offset_`, which are negative for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Iterable[str]) -> Int64:
        """Return -1 for each text (n,) that is an outlier, and 1 for the others."""
        return np.where(self.decision_function(X) < 0, -1, 1)


def _texts(X: Iterable[str]) -> list[str]:
    texts = checks.string_list("X", X)
    if not texts:
        raise ArgumentError("X is empty; there must be at least one text")
    return texts
