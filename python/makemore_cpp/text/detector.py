"""Detects texts that are unlike a model's training texts, fairly for every length."""

import math
from typing import Any, ClassVar, Self, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError
from makemore_cpp.arrays import AnyTexts, Bool, Float64
from makemore_cpp.files.tensors import Content
from makemore_cpp.text.calibration import LengthNorm, LowerShares
from makemore_cpp.text.detection_report import DetectionReport, Judged, report
from makemore_cpp.text.model import Model
from makemore_cpp.text.saved import Saved, model_arrays, take_model
from makemore_cpp.text.scoring import score_and_length


class Detector(Saved):
    """Flags texts that are less probable than all but a few good texts of their length.

    The score of a text is its log-probability, standardised with the mean and the spread of the
    log-probabilities of good texts of its length. Standardised scores of all lengths are much alike
    (of names with 4 to 10 letters the lowest 1 % lie below -2.6 to -2.7) and are ranked together:
    so a length does not need a hundred texts of its own to tell the lowest in a hundred.
    `Detector.fit` makes a detector.

    Attributes
    ----------
    model : Model
        The model, which must stay as it was when the detector was fitted; `MLP.freeze` makes sure
        of that.
    false_positive_rate : float
        The share of good texts that is flagged.
    """

    _KIND: ClassVar = "Detector"

    model: Model = checks.from_constructor()
    false_positive_rate: float = checks.from_constructor()
    _norm: LengthNorm = checks.from_constructor()
    _shares: LowerShares = checks.from_constructor()

    def __init__(
        self, model: Model, false_positive_rate: float, norm: LengthNorm, shares: LowerShares
    ) -> None:
        self.model = model
        self.false_positive_rate = false_positive_rate
        self._norm = norm
        self._shares = shares

    @classmethod
    def fit(
        cls, model: Model, good: AnyTexts, false_positive_rate: SupportsFloat = 0.01
    ) -> "Detector":
        """Return the detector that flags this share of texts like the good ones, of any length.

        Parameters
        ----------
        model : Model
        good : list of str
            At least 1 / false_positive_rate - 1 texts on which the model was not trained, such as
            those of the dev split: training texts are more probable than others like them. With n
            texts, the rate is right up to about ``sqrt(rate * (1 - rate) / n)``.
        false_positive_rate : float
            Between 0 and 1.

        Raises
        ------
        TypeError
            `good` is not a list of str, or the rate not a number.
        ArgumentError
            The rate is not between 0 and 1, there are too few texts for it, or the model gives one
            of them the probability 0.
        """
        rate = _check_rate(false_positive_rate)
        texts = checks.string_list("good", good)
        if not 1 / (len(texts) + 1) <= rate:
            raise ArgumentError(
                f"a false_positive_rate of {rate} needs at least {_least_texts(rate)} texts in "
                f"good, not {len(texts)}"
            )
        log_probs, lengths = score_and_length(model, texts, oov="-inf")
        if not np.isfinite(log_probs).all():
            i = int(np.isfinite(log_probs).argmin())
            raise ArgumentError(
                f"the model gives good[{i}] {checks.quoted(texts[i])} the log-probability "
                f"{log_probs[i]}; leave out texts with tokens that its vocabulary lacks, and "
                "smooth a model of counts"
            )
        norm, standardised = LengthNorm.fit(log_probs, lengths)
        return cls(model, rate, norm, LowerShares.fit(standardised))

    def _content(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        arrays = {**self._norm.arrays(), "scores": self._shares.scores}
        fields = {"false_positive_rate": self.false_positive_rate, "shortest": self._norm.shortest}
        return fields, {**arrays, **model_arrays({"model": self.model})}

    @classmethod
    def _of_content(cls, content: Content) -> Self:
        rate = _check_rate(content.take("false_positive_rate", float))
        norm = LengthNorm.of_arrays(
            content.take("shortest", int),
            *(content.array(name, np.float64, None) for name in ("mean", "spread", "leverage")),
        )
        scores = content.array("scores", np.float64, None)
        if len(scores) == 0 or (np.diff(scores) < 0).any():
            raise ArgumentError("scores are empty or do not rise")
        return cls(take_model(content, "model"), rate, norm, LowerShares.fit(scores))

    @property
    def n_good(self) -> int:
        """The number of good texts to which the detector was fitted."""
        return len(self._shares.scores)

    @property
    def offset(self) -> float:
        """The score below which a text is flagged."""
        return self._shares.offset(self.false_positive_rate)

    def scores(self, texts: AnyTexts) -> Float64:
        """Return the standardised scores (n,): 0 is the mean of good texts of the same length.

        The score is -inf for a text with a character that the vocabulary lacks, and for an empty
        text, unless that is a good text; it is NaN for a null of Arrow strings.

        Raises
        ------
        TypeError
            `texts` is not a list of str or Arrow strings.
        ArgumentError
            The model gives a text a probability that is not a number.
        """
        is_arrow = checks.is_arrow(texts)
        return self._judge("texts", texts if is_arrow else checks.string_list("texts", texts))[1]

    def p_values(self, texts: AnyTexts) -> Float64:
        """Return the share (n,) of good texts that score at most as high as each text.

        It is at least 1 / (n_good + 1), and NaN for a null. Errors are those of `scores`.
        """
        return self._shares.p_values(self.scores(texts))

    def flags(self, texts: AnyTexts) -> Bool:
        """Return for each text (n,) whether it is flagged: whether its p-value is at most the rate.

        A null is not flagged. Errors are those of `scores`.
        """
        return self.p_values(texts) <= self.false_positive_rate

    def report(self, good: AnyTexts, bad: AnyTexts) -> DetectionReport:
        """Return a report on good texts, other than those of `fit`, and on bad texts.

        Raises
        ------
        TypeError
            `good` or `bad` is not a list of str.
        ArgumentError
            One of them is empty, or the model gives a text a probability that is no number.
        """
        judged = [
            self._judge(name, checks.string_list(name, texts))
            for name, texts in (("good", good), ("bad", bad))
        ]
        return report(self.false_positive_rate, *judged)

    def _judge(self, name: str, texts: AnyTexts) -> Judged:
        """Return lengths, scores and flags of texts; a null has the length -1 and no number."""
        log_probs, lengths = score_and_length(self.model, texts, oov="-inf")
        is_bad = np.isnan(log_probs) & (lengths >= 0)
        if is_bad.any():
            i = int(is_bad.argmax())
            shown = f" {checks.quoted(texts[i])}" if isinstance(texts, list) else ""
            raise ArgumentError(
                f"the model gives {name}[{i}]{shown} a probability that is no number"
            )
        scores = self._norm.standardise(log_probs, np.maximum(lengths, 0))
        scores[lengths < 0] = np.nan
        return lengths, scores, self._shares.p_values(scores) <= self.false_positive_rate

    def __repr__(self) -> str:
        return f"Detector of {self.false_positive_rate:g}, fitted to {self.n_good:,} good texts"


def _check_rate(value: SupportsFloat) -> float:
    if isinstance(value, str | bytes | bytearray) or not hasattr(value, "__float__"):
        raise TypeError(f"false_positive_rate must be a number, not {type(value).__name__}")
    try:
        rate = float(value)
    except OverflowError:  # an integer beyond the range of floats
        rate = math.inf
    if not 0 < rate < 1:  # false for NaN too
        raise ArgumentError(f"false_positive_rate is {rate}; it must lie between 0 and 1")
    return rate


def _least_texts(rate: float) -> str:
    """Return the least n with 1 / (n + 1) <= rate, for a sentence."""
    return f"{math.ceil(1 / rate) - 1}" if rate > 1e-15 else f"{1 / rate:.0e}"
