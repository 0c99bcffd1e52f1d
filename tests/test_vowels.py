"""The measure of how vowels cluster: its definition, every permutation, and the lecture."""

import itertools
import math

import numpy as np
import pytest

import makemore_cpp as mm
from makemore_cpp.evaluation.vowels import kind


def model_of(characters, C):
    C = np.asarray(C, np.float32)
    model = mm.MLP(mm.Vocab(list(characters)), 2, C.shape[1], 4)
    model.C[1:] = C
    return model


def distance(metric, p, q):
    if metric == "euclidean":
        return math.dist(p, q)
    return 1 - sum(a * b for a, b in zip(p, q, strict=True)) / (math.hypot(*p) * math.hypot(*q))


def defined_silhouette(metric, points, labels):
    """Return the silhouette by Rousseeuw's definition, word for word."""
    total = 0.0
    for i, point in enumerate(points):
        own = [j for j in range(len(points)) if labels[j] == labels[i] and j != i]
        other = [j for j in range(len(points)) if labels[j] != labels[i]]
        a, b = (np.mean([distance(metric, point, points[j]) for j in js]) for js in (own, other))
        total += (b - a) / max(a, b)
    return total / len(points)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_silhouette_and_p_value_by_their_definitions(metric, rng):
    characters = "a-bcdeghi"
    C = rng.normal(size=(len(characters), 3)).astype(np.float32)
    found = mm.evaluation.vowel_clustering(
        model_of(characters, C), metric=metric, permutations=20_000
    )
    assert (found.vowels, found.consonants) == ("aei", "bcdgh")
    letters = [i for i, c in enumerate(characters) if c != "-"]
    points = C[letters].astype(np.float64).tolist()
    labels = [characters[i] in "aei" for i in letters]
    silhouette = defined_silhouette(metric, points, labels)
    assert found.silhouette == pytest.approx(silhouette, abs=1e-12)
    every = [
        defined_silhouette(metric, points, [i in chosen for i in range(8)])
        for chosen in itertools.combinations(range(8), 3)
    ]
    expected = np.mean(np.array(every) >= silhouette - 1e-9)
    error = math.sqrt(expected * (1 - expected) / 20_000)
    assert found.p_value == pytest.approx(expected, abs=5 * error + 1e-4)


def test_two_clusters_far_apart_have_the_least_p_value():
    characters = "aeioubcdfghjkl"
    C = [[5 if c in "aeiou" else 0.1, 3 + i / 100] for i, c in enumerate(characters)]
    found = mm.evaluation.vowel_clustering(model_of(characters, C))
    assert found.silhouette > 0.9
    assert found.p_value <= 0.002  # of 2,002 assignments one is as good
    assert mm.evaluation.vowel_clustering(model_of(characters, C)) == found, (
        "the same seed, the same p"
    )
    least = mm.evaluation.vowel_clustering(model_of(characters, C), permutations=9).p_value
    assert least == 0.1


def test_random_embeddings_have_p_values_as_chance_has_it():
    characters = "abcdefghijklmnopqrstuvwxyz"
    p_values = [
        mm.evaluation.vowel_clustering(
            mm.MLP(mm.Vocab(list(characters)), seed=seed), permutations=199
        ).p_value
        for seed in range(200)
    ]
    # Uniform up to the scatter of 200: five standard deviations are 0.1 and 0.18.
    assert abs(np.mean(p_values) - 0.5) < 0.1
    assert abs(np.mean(np.array(p_values) <= 0.5) - 0.5) < 0.18


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_equal_embeddings_are_no_clusters(metric, value):
    found = mm.evaluation.vowel_clustering(model_of("aebc", np.full((4, 3), value)), metric=metric)
    assert found[:2] == (pytest.approx(0.0, abs=1e-9), 1.0)


@pytest.mark.parametrize("characters", ["a", "abc", "aeb", "中文", "12", "aei", "bcd"])
def test_too_few_of_a_kind(characters):
    model = mm.MLP(mm.Vocab(list(characters)), 2, 3, 4)
    assert mm.evaluation.vowel_clustering(model) is None


def test_an_alphabet_of_many_letters():
    letters = [chr(i) for i in range(0xC0, 0x250) if chr(i).isalpha()]
    found = mm.evaluation.vowel_clustering(mm.MLP(mm.Vocab(letters), 2, 5, 4), permutations=500)
    assert len(found.vowels) + len(found.consonants) > 250
    assert found.p_value > 0.001


def test_kinds():
    vowels, consonants, others = "aeiouéøяΩE", "yÿ\u0431λZñ", "中3-.😀\u0301"
    for characters, expected in ((vowels, "vowel"), (consonants, "consonant"), (others, "other")):
        assert {kind(character) for character in characters} == {expected}


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"permutations": 0}, mm.ArgumentError, "permutations is 0"),
        ({"permutations": 10**9}, mm.ArgumentError, "permutations is 1000000000"),
        ({"permutations": 1.5}, TypeError, "permutations must be an integer"),
        ({"seed": -1}, mm.ArgumentError, "seed is -1"),
        ({"metric": "manhattan"}, mm.ArgumentError, "metric is 'manhattan'"),
    ],
)
def test_refusals(options, error, sentence):
    with pytest.raises(error, match=sentence):
        mm.evaluation.vowel_clustering(model_of("aebc", np.eye(4)), **options)


def test_an_embedding_that_is_not_finite():
    with pytest.raises(mm.ArgumentError, match="C holds"):
        mm.evaluation.vowel_clustering(model_of("aebc", [[1], [2], [np.nan], [3]]))


def test_vowels_of_the_bundled_names_come_together():
    """The training is shorter than the lecture's; a slow test does all of it on its names."""
    data = mm.Dataset.split(mm.load_texts())
    model = mm.MLP(data.vocab, n_hidden=100)
    before = mm.evaluation.vowel_clustering(model)
    mm.train(model, data, steps=60_000, eval_every=0)
    after = mm.evaluation.vowel_clustering(model)
    assert after.silhouette > before.silhouette + 0.05
    assert after.p_value < 0.05


@pytest.mark.slow
def test_vowels_of_the_lecture_cluster(names_path):
    data = mm.Dataset.split(mm.load_texts(names_path))
    p_values = []
    for seed in range(1, 6):
        model = mm.MLP(data.vocab, seed=seed)
        mm.train(model, data, seed=seed, eval_every=0)
        p_values.append(mm.evaluation.vowel_clustering(model).p_value)
    assert sum(p < 0.01 for p in p_values) >= 4, p_values
