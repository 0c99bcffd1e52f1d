"""Tells vowels from consonants, and measures how well embeddings keep them apart."""

import unicodedata
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError
from makemore_cpp.arrays import Float64
from makemore_cpp.models.mlp import MLP

# The Latin y is a consonant here: the lecture shows a, e, i, o and u apart from the other letters.
VOWELS = frozenset("aeiouæœøαεηιουωаеиоуыэюяєі")  # noqa: RUF001 - three alphabets
MAX_PERMUTATIONS = 10**6
BLOCK_ELEMENTS = 1 << 22  # of the largest array of a block of permutations, 32 MiB

Kind = Literal["vowel", "consonant", "other"]


class VowelClustering(NamedTuple):
    """How far apart vowels and consonants lie, and how often chance would do as well."""

    silhouette: float  # -1 to 1; 0 where the two kinds are mixed
    p_value: float  # 1 / (permutations + 1) to 1
    vowels: str
    consonants: str


def kind(token: str) -> Kind:
    """Return the kind of a token: Latin, Greek and Cyrillic letters are known, accents ignored."""
    if len(token) > 1:
        return "other"
    base = unicodedata.normalize("NFD", token)[0].lower()
    if base in VOWELS:
        return "vowel"
    script = unicodedata.name(base, "").split(" ")[0]
    return "consonant" if script in ("LATIN", "GREEK", "CYRILLIC") and base.isalpha() else "other"


def vowel_clustering(
    model: MLP,
    *,
    metric: Literal["cosine", "euclidean"] = "cosine",
    permutations: int = 9_999,
    seed: int = 1,
) -> VowelClustering | None:
    """Measure how well the embeddings of vowels and of consonants form two clusters.

    If a is the mean distance of a letter to the others of its kind and b that to the letters of the
    other kind, its silhouette is (b - a) / max(a, b) (Peter J. Rousseeuw, "Silhouettes: a graphical
    aid to the interpretation and validation of cluster analysis", 1987); the measure is the mean of
    all letters, in all E dimensions. By default a distance is 1 - cosine of the angle, as is usual
    for embeddings: a letter's direction is learnt, but much of its length, and so of the Euclidean
    distances, comes from the random start.

    The p-value is the share of random assignments of the same number of vowels to the letters that
    have at least this silhouette; the real assignment counts as one of them (Belinda Phipson and
    Gordon K. Smyth, "Permutation p-values should never be zero", 2010).

    Parameters
    ----------
    model : MLP
    metric : {"cosine", "euclidean"}
    permutations : int
        The number of random assignments, 1 to 1,000,000.
    seed : int
        The seed of the permutations.

    Returns
    -------
    clustering : VowelClustering or None
        None where the vocabulary has fewer than two vowels or two consonants.

    Raises
    ------
    TypeError
        `model` is not an MLP, `metric` not a str, or a number not an integer.
    ArgumentError
        A number is outside its range, `metric` is unknown, or an embedding is not finite.
    """
    checks.instance("model", model, MLP)
    checks.choice("metric", metric, METRICS)
    permutations = checks.integer("permutations", permutations, 1, MAX_PERMUTATIONS)
    rng = np.random.default_rng(checks.integer("seed", seed, 0, checks.MAX_SEED))
    kinds = np.array([kind(token) for token in model.vocab.tokens])
    is_letter = kinds != "other"
    is_vowel = kinds[is_letter] == "vowel"
    if not 2 <= is_vowel.sum() <= len(is_vowel) - 2:
        return None
    points = np.asarray(model.C[1:], np.float64)[is_letter]  # without the boundary
    if not np.isfinite(points).all():
        raise ArgumentError("C holds an embedding that is not finite")

    distances = METRICS[metric](points)
    silhouette = float(_silhouettes(distances, is_vowel[None, :])[0])
    as_good = 0
    block = max(1, BLOCK_ELEMENTS // len(is_vowel))
    for done in range(0, permutations, block):
        shape = (min(block, permutations - done), len(is_vowel))
        labels = rng.permuted(np.broadcast_to(is_vowel, shape), axis=1)
        # A silhouette that is equal up to rounding is as good.
        as_good += int((_silhouettes(distances, labels) >= silhouette - 1e-9).sum())
    letters = np.array(model.vocab.tokens)[is_letter]
    return VowelClustering(
        silhouette,
        (as_good + 1) / (permutations + 1),
        "".join(letters[is_vowel]),
        "".join(letters[~is_vowel]),
    )


def _euclidean(points: Float64) -> Float64:
    squares = np.zeros((len(points), len(points)))
    for x in points.T:
        squares += (x[:, None] - x[None, :]) ** 2
    distances: Float64 = np.sqrt(squares)
    return distances


def _cosine(points: Float64) -> Float64:
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    # A point at the origin has no direction: its cosine with any other is taken as 0.
    directions = np.divide(points, lengths, out=np.zeros_like(points), where=lengths > 0)
    distances: Float64 = np.maximum(1.0 - directions @ directions.T, 0.0)
    np.fill_diagonal(distances, 0.0)
    return distances


# Functions from points (n,E) to the distances between them (n,n).
METRICS: dict[str, Callable[[Float64], Float64]] = {"cosine": _cosine, "euclidean": _euclidean}


def _silhouettes(distances: Float64, labels: NDArray[np.bool_]) -> Float64:
    """Return mean silhouettes (P,) of P ways to label n points: labels (P,n), two or more each."""
    n_true = int(labels[0].sum())  # the same in every row
    n_false = labels.shape[1] - n_true
    to_true = labels.astype(np.float64) @ distances
    to_false = distances.sum(axis=0) - to_true
    # A point, at distance 0 from itself, is not one of the others of its kind.
    a = np.where(labels, to_true / (n_true - 1), to_false / (n_false - 1))
    b = np.where(labels, to_false / n_false, to_true / n_true)
    larger = np.maximum(a, b)
    s = np.divide(b - a, larger, out=np.zeros_like(a), where=larger > 0)
    means: Float64 = s.mean(axis=1)
    return means
