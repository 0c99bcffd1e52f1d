"""Mixtures: weighted means of the distributions of several models, nets and counts alike."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError
from makemore_cpp.arrays import Float32, Float64
from makemore_cpp.data.vocab import Vocab
from makemore_cpp.files.tensors import Content
from makemore_cpp.text.model import Model
from makemore_cpp.text.predictor import check_model
from makemore_cpp.text.saved import Saved, model_arrays, take_model

SUM_TOLERANCE = 1e-6  # of the sum of given weights, by which they are then divided
MAX_ITERATIONS = 10_000
TOLERANCE = 1e-6  # nats by which other weights could be better than the fitted ones


class Mixture(Model, Saved):
    """Predicts ``p(y | x) = sum_m weights[m] * p_m(y | x)``.

    Parameters
    ----------
    models : list of Model
        At least one model; all have the same vocabulary. Their block sizes may differ: each gets
        the most recent tokens of a context.
    weights : float array, shape (models,)
        The weights, which are not negative and have the sum 1.

    Raises
    ------
    TypeError
        An entry of `models` is not a model, or one of `weights` not a number.
    ArgumentError
        There is no model, the vocabularies differ, or the weights are not as described.
    """

    _KIND: ClassVar = "Mixture"

    models: tuple[Model, ...] = checks.from_constructor()
    weights: Float64 = checks.from_constructor()

    def __init__(self, models: Sequence[Model], weights: ArrayLike) -> None:
        self.models = _check_models(models)
        self.weights = _check_weights(weights, len(self.models))

    @classmethod
    def fit(cls, models: Sequence[Model], X: ArrayLike, Y: ArrayLike) -> "Mixture":
        """Return the mixture of least loss on targets Y (N,) after contexts X (N,T).

        No model should have been trained on these examples; take, for example, the dev split.

        Raises
        ------
        TypeError
            An entry of `models` is not a model, or X or Y does not hold integers.
        ArgumentError
            There is no model, the vocabularies differ, N is 0, X or Y has another shape, or the
            greatest log-probability that the models give to a target is not finite.
        RangeError
            A token is outside the vocabulary [0, V).
        """
        checked = _check_models(models)
        even = cls(checked, np.full(len(checked), 1 / len(checked)))
        return cls(checked, fit_weights(even._members_log_probs(X, Y)))

    def _content(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        members = {f"models[{i}]": model for i, model in enumerate(self.models)}
        return {"models": len(members)}, {"weights": self.weights, **model_arrays(members)}

    @classmethod
    def _of_content(cls, content: Content) -> Self:
        n = content.take("models", int)
        weights = content.array("weights", np.float64, n)
        mixture = cls([take_model(content, f"models[{i}]") for i in range(n)], weights)
        mixture.weights = weights  # the bits of the file, not divided by their sum once more
        return mixture

    def __repr__(self) -> str:
        parts = [f"{w:.3f} of {m!r:.100}" for m, w in zip(self.models, self.weights, strict=True)]
        more = f" and {len(parts) - 5} more" if len(parts) > 5 else ""
        return f"Mixture({', '.join(parts[:5])}{more})"

    @property
    def vocab(self) -> Vocab:
        """The vocabulary."""
        return self.models[0].vocab

    @property
    def block_size(self) -> int:
        """T, the largest of the models' block sizes."""
        return max(model.block_size for model in self.models)

    def log_probs(self, X: ArrayLike) -> Float32:
        """Return the log-probabilities (N,V) of the token after each context X (N,T).

        Raises
        ------
        TypeError
            X does not hold integers.
        ArgumentError
            X has another shape.
        RangeError
            A token is outside the vocabulary [0, V).
        """
        X = checks.tokens("X", X, self.block_size, len(self.vocab))
        total = np.full((len(X), len(self.vocab)), -np.inf)
        for model, weight in zip(self.models, self.weights, strict=True):
            if weight > 0:
                log_probs = model.log_probs(X[:, -model.block_size :]).astype(np.float64)
                with np.errstate(invalid="ignore"):  # NaN of a model stays NaN
                    np.logaddexp(total, log_probs + np.log(weight), out=total)
        return total.astype(np.float32)

    def target_log_probs(self, X: ArrayLike, Y: ArrayLike) -> Float64:
        """Return the log-probability (N,) of each target Y (N,), as `Model` does, without (N,V)."""
        log_probs = self._members_log_probs(X, Y)
        used = self.weights > 0
        weighted = log_probs[used] + np.log(self.weights[used])[:, None]
        with np.errstate(invalid="ignore"):  # NaN of a model stays NaN
            mixed: Float64 = np.logaddexp.reduce(weighted, axis=0)
        return mixed

    def _members_log_probs(self, X: ArrayLike, Y: ArrayLike) -> Float64:
        """Return the log-probabilities (models,N) that the models give to the targets."""
        X, Y = checks.examples(X, Y, self.block_size, len(self.vocab))
        return np.array(
            [model.target_log_probs(X[:, -model.block_size :], Y) for model in self.models]
        )

    def training_texts(self) -> frozenset[str] | None:
        """Return the texts on which the models were trained, as far as they know them, or None."""
        each = [model.training_texts() for model in self.models]
        known = [texts for texts in each if texts is not None]
        return frozenset().union(*known) if known else None


def fit_weights(log_probs: Float64) -> Float64:
    """Return the weights (models,) of greatest likelihood, by expectation maximisation.

    `log_probs` (models,N) are those of the targets. If g_m is the mean over targets of p_m / p,
    each iteration multiplies the weights by g. The loss of other weights w' cannot be lower than
    that of w by more than log(max g): it is lower by mean(log(p' / p)) <= log(mean(p' / p)) =
    log(sum_m w'_m g_m).
    """
    best = log_probs.max(axis=0)
    bad = np.flatnonzero(~np.isfinite(best))
    if len(bad):
        raise ArgumentError(
            f"the greatest log-probability that a model gives to target {bad[0]} is "
            f"{best[bad[0]]}; weights need a finite one"
        )
    p = np.exp(log_probs - best)  # a common factor for each target changes no weight
    weights = np.full(len(p), 1 / len(p))
    for _ in range(MAX_ITERATIONS):
        g = (p / (weights @ p)).mean(axis=1)
        if np.log(g.max()) < TOLERANCE:
            break
        weights = weights * g
    return weights


def _check_models(models: Sequence[Model]) -> tuple[Model, ...]:
    if not hasattr(models, "__iter__"):
        raise TypeError(f"models must be a list of models, not {type(models).__name__}")
    checked = tuple(models)
    if not checked:
        raise ArgumentError("models is empty; a mixture needs at least one")
    for i, model in enumerate(checked):
        check_model(f"models[{i}]", model)
        if model.vocab != checked[0].vocab:
            raise ArgumentError(f"models[{i}] has another vocabulary than models[0]")
    return checked


def _check_weights(weights: ArrayLike, n: int) -> Float64:
    values = checks.numbers("weights", weights)
    if values.shape != (n,):
        raise ArgumentError(f"weights has the shape {values.shape}; there are {n} models")
    checked = np.array([checks.non_negative(f"weights[{i}]", w) for i, w in enumerate(values)])
    if abs(checked.sum() - 1) > SUM_TOLERANCE:
        raise ArgumentError(f"the sum of weights is {checked.sum()}; it must be 1")
    normalised: Float64 = checked / checked.sum()
    return normalised
