"""The generator: published vectors, exactness, distribution, and the same bits in C++ and NumPy."""

from __future__ import annotations

import hashlib
import math
import signal
import threading
import time
from functools import partial
from statistics import NormalDist

import numpy as np
import pytest

from makemore_cpp import _core
from makemore_cpp.reference import random as rr

SEEDS = [0, 1, 42, 2**32 - 1, 2**32, 2**63, 2**64 - 1]


# -- the reference itself ------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0,) * 4, (0,) * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_known_answers(counter, key, words):
    """The vectors are those of the Random123 distribution."""
    found = rr.philox4x32(tuple(np.array([c], np.uint64) for c in counter), key)
    assert " ".join(f"{w:08x}" for w in found[0]) == words


def scalar_word(seed: int, purpose: int, index: int, w: int) -> int:
    """Philox4x32-10 once more, in Python's unbounded integers: word w of a stream."""
    mask = 2**32 - 1
    c = [w // 4, purpose, index & mask, index >> 32]
    k = [seed & mask, seed >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & mask, (a >> 32) ^ c[3] ^ k[1], a & mask]
        k = [(k[0] + 0x9E3779B9) & mask, (k[1] + 0xBB67AE85) & mask]
    return c[w % 4]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("first", [0, 1, 3, 4, 7, 2**33])
def test_stream_words_wherever_the_window_starts(seed, first):
    index = [0, 5, 2**32 - 1, 2**32, 2**64 - 1]
    found = rr.stream_words(seed, "batch", np.array(index, np.uint64), first, 6)
    expected = [[scalar_word(seed, 5, i, first + j) for j in range(6)] for i in index]
    np.testing.assert_array_equal(found, np.array(expected, np.uint64))


def test_log_is_within_two_ulp(rng):
    t = np.concatenate([np.exp(rng.uniform(-45, 0, 5000)), 1 - 2.0 ** -np.arange(1, 53), [1.0]])
    expected = np.array([math.log(v) for v in t])
    assert np.all(np.abs(rr.log(t) - expected) <= 2 * np.spacing(np.abs(expected)))


def test_normals_are_the_inverse_distribution(rng):
    x = np.concatenate([rng.uniform(0, 1, 5000), [1 - 2.0**-k for k in range(1, 33)]])
    expected = np.array([-NormalDist().inv_cdf((1 - v) / 2) for v in x])  # precise in that tail
    error = np.abs(np.sqrt(2) * rr.erfinv(x) / expected - 1)
    assert error[x < 1 - 1e-7].max() < 1.5e-7
    assert error.max() < 4e-4
    np.testing.assert_array_equal(rr.erfinv(-x), -rr.erfinv(x))


def test_normals_have_the_moments_of_a_normal():
    normals = rr.standard_normals(3, "W1", 200_000)
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        error = (normals**power).mean() - moment
        assert abs(error) < 4.5 * math.sqrt(variance / len(normals))


def test_purposes_and_seeds_give_unrelated_numbers():
    streams = [rr.standard_normals(s, p, 4000) for s in (0, 1) for p in ("C", "W1", "b1", "W2")]
    correlations = np.corrcoef(streams) - np.eye(len(streams))
    assert np.abs(correlations).max() < 5 / math.sqrt(4000)


@pytest.mark.parametrize("n_examples", [1, 2, 27, 182_625, 2**31, 2**32 - 1])
def test_batch_rows_are_exact(n_examples):
    rows = rr.batch_rows(9, 7, 3, 5, n_examples)
    for s, b in np.ndindex(rows.shape):
        low, high = (scalar_word(9, 5, 7 + s, 2 * b + half) for half in (0, 1))
        assert rows[s, b] == ((high << 32 | low) * n_examples) >> 64


def test_batch_rows_are_uniform():
    counts = np.bincount(rr.batch_rows(1, 0, 4000, 32, 64).ravel(), minlength=64)
    chi2 = ((counts - 2000) ** 2 / 2000).sum()
    assert 24 < chi2 < 122  # 63 degrees of freedom, four sigma and more to either side


def test_sample_uniforms_are_exact_and_below_one():
    u = rr.sample_uniforms(9, 100, 5, 3)
    for k in range(5):
        low, high = (scalar_word(9, 6, 100 + k, 6 + half) for half in (0, 1))
        assert u[k] == math.ldexp((high << 32 | low) >> 11, -53)
    many = rr.sample_uniforms(1, 0, 100_000, 0)
    assert 0 <= many.min() < 1e-4
    assert 1 - 1e-4 < many.max() < 1
    assert abs(many.mean() - 0.5) < 4.5 * math.sqrt(1 / 12 / 100_000)


@pytest.mark.parametrize(
    ("init", "digest"),
    [("scaled", "e51bc0fca6c1f83c"), ("lecture", "e8459d7bf17c51d3")],
)
def test_a_seed_means_the_same_numbers_in_every_version(init, digest):
    """Seeds stand in people's notes and model files, so these digests never change."""
    arrays = rr.initial_parameters(3, 10, 200, 27, 1, init)
    found = hashlib.sha256(b"".join(a.astype("<f4").tobytes() for a in arrays)).hexdigest()
    assert found[:16] == digest


# -- the core gives the same bits ----------------------------------------------------------------
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("init", ["scaled", "lecture"])
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (3, 10, 200, 27), (2, 3, 5, 7), (8, 1, 3, 1001)])
def test_core_initial_parameters(sizes, seed, init):
    found = _core.initial_parameters(*sizes, seed, init)
    for a, b in zip(found, rr.initial_parameters(*sizes, seed, init), strict=True):
        assert a.dtype == np.float32
        assert a.shape == b.shape
        assert a.tobytes() == b.tobytes()
        assert a.flags.writeable
        assert a.flags.c_contiguous


def test_core_normals_are_equal_over_many_words():
    """A million words use both branches of the inverse error function, thousands its far tail."""
    found = _core.initial_parameters(1, 1, 1, 60_000, 11, "lecture")
    expected = rr.initial_parameters(1, 1, 1, 60_000, 11, "lecture")
    found_wide = _core.initial_parameters(10, 10, 10_000, 2, 12, "lecture")[1]
    expected_wide = rr.initial_parameters(10, 10, 10_000, 2, 12, "lecture")[1]
    assert found[0].tobytes() == expected[0].tobytes()
    assert found[3].tobytes() == expected[3].tobytes()
    assert found_wide.tobytes() == expected_wide.tobytes()
    assert np.abs(found_wide).max() > 4.4


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("first_step", "steps", "batch_size", "n_examples"),
    [(0, 4, 32, 182_625), (5, 0, 3, 10), (2**32 - 2, 4, 5, 1), (2**40, 1, 1, 2**32 - 1),
     (0, 3, 7, 2), (1, 1000, 33, 27)],
)  # fmt: skip
def test_core_batch_rows(seed, first_step, steps, batch_size, n_examples):
    found = _core.batch_rows(seed, first_step, steps, batch_size, n_examples)
    assert found.dtype == np.int64
    expected = rr.batch_rows(seed, first_step, steps, batch_size, n_examples)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("first", "n", "position"), [(0, 5, 0), (0, 5, 1), (3, 2, 2), (2**32 - 1, 3, 17), (9, 0, 4)]
)
def test_core_sample_uniforms(seed, first, n, position):
    found = _core.sample_uniforms(seed, first, n, position)
    assert found.dtype == np.float64
    expected = rr.sample_uniforms(seed, first, n, position)
    np.testing.assert_array_equal(found, expected)


# -- bad input -----------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", [-1, 2**64, 2**200])
@pytest.mark.parametrize(
    "draw",
    [
        lambda seed: _core.initial_parameters(3, 2, 4, 5, seed),
        lambda seed: _core.batch_rows(seed, 0, 1, 2, 3),
        lambda seed: _core.sample_uniforms(seed, 0, 1, 0),
    ],
    ids=["initial_parameters", "batch_rows", "sample_uniforms"],
)
def test_seeds_outside_64_bits_are_refused(draw, seed):
    named = rf"^seed = {seed} " if seed.bit_length() <= 65 else "^seed "
    with pytest.raises(ValueError, match=named) as caught:
        draw(seed)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: _core.initial_parameters(0, 2, 4, 5, 1), "block_size"),
        (lambda: _core.initial_parameters(3, -1, 4, 5, 1), "n_embd"),
        (lambda: _core.initial_parameters(3, 2, 2**40, 5, 1), "n_hidden"),
        (lambda: _core.initial_parameters(3, 2, 4, 2**40, 1), "vocab_size"),
        (lambda: _core.initial_parameters(3, 2, 4, 5, 1, "other"), "init"),
        (lambda: _core.batch_rows(1, 0, 1, 2, 0), "n_examples"),
        (lambda: _core.batch_rows(1, 0, 1, 2, 2**32), "n_examples"),
        (lambda: _core.batch_rows(1, 0, 1, 0, 3), "batch_size"),
        (lambda: _core.batch_rows(1, -1, 1, 2, 3), "first_step"),
        (lambda: _core.batch_rows(1, 0, -1, 2, 3), "steps"),
        (lambda: _core.batch_rows(1, 0, 2**40, 2**40, 3), "steps|batch_size"),
        (lambda: _core.sample_uniforms(1, -1, 1, 0), "first_sample"),
        (lambda: _core.sample_uniforms(1, 0, -1, 0), "n_samples"),
        (lambda: _core.sample_uniforms(1, 0, 2**50, 0), "n_samples"),
        (lambda: _core.sample_uniforms(1, 0, 1, -1), "position"),
        (lambda: _core.sample_uniforms(1, 0, 1, 2**40), "position"),
    ],
)
def test_sizes_outside_their_range_are_refused(call, name):
    with pytest.raises(ValueError, match=name) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", [1.5, "1", None])
def test_seeds_are_integers(seed):
    with pytest.raises(TypeError):
        _core.batch_rows(seed, 0, 1, 2, 3)


@pytest.mark.parametrize("init", [None, 1, b"scaled"])
def test_the_initialisation_is_a_str(init):
    with pytest.raises(TypeError, match=r"^init must be a str, not \w+$"):
        _core.initial_parameters(3, 2, 4, 5, 1, init)
    with pytest.raises(ValueError, match="init has the lone surrogate"):
        _core.initial_parameters(3, 2, 4, 5, 1, "\ud800")


def test_the_last_numbers_of_steps_and_samples():
    last = 2**63 - 1
    found = _core.batch_rows(1, last - 2, 2, 3, 5)
    np.testing.assert_array_equal(found, rr.batch_rows(1, last - 2, 2, 3, 5))
    found = _core.sample_uniforms(1, last - 2, 2, 0)
    np.testing.assert_array_equal(found, rr.sample_uniforms(1, last - 2, 2, 0))
    with pytest.raises(ValueError, match=f"^first_step = {last - 1} is above {last - 2}$"):
        _core.batch_rows(1, last - 1, 2, 3, 5)
    with pytest.raises(ValueError, match=f"^first_sample = {last - 1} is above {last - 2}$"):
        _core.sample_uniforms(1, last - 1, 2, 0)


# -- long calls ----------------------------------------------------------------------------------
LONG_CALLS = {  # of about a second each; all but the last argument, and that
    "initial_parameters": (partial(_core.initial_parameters, 100, 1000, 600, 2), 1),
    "one large batch": (partial(_core.batch_rows, 1, 0, 1, 10**8), 5),
    "many batches": (partial(_core.batch_rows, 1, 0, 10**8, 1), 5),
    "sample_uniforms": (partial(_core.sample_uniforms, 1, 0, 10**8), 0),
}


@pytest.mark.parametrize("name", LONG_CALLS)
def test_long_calls_let_other_threads_run_and_obey_signals(name):
    """Another thread raises a signal while the call runs, and its handler ends the call."""
    results = []
    call, last = LONG_CALLS[name]

    def stop(*_: object) -> None:
        raise TimeoutError

    begins = threading.Event()

    def interrupt() -> None:
        begins.wait()
        time.sleep(0.05)
        if not results:
            signal.raise_signal(signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, stop)
    thread = threading.Thread(target=interrupt)
    try:
        thread.start()
        begins.set()
        with pytest.raises(TimeoutError):
            results.extend(map(call, [last]))  # no other thread runs between call and result
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)
