"""The NumPy specification of the random generator and of everything that is drawn from it.

The generator is counter-based (Philox4x32-10): a random word is a pure function of the seed, a
purpose, the number of a step or sample, and the word's place there.  There is no state to keep, and
the order in which words are computed cannot matter.  The compiled core gives the same bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
UInt64 = NDArray[np.uint64]

# The purposes of streams.  A number in this table never changes its meaning.
PURPOSES = {
    "C": 0, "W1": 1, "b1": 2, "W2": 3, "b2": 4, "batch": 5, "sample": 6, "dropout": 7,
    "negatives": 8,
}  # fmt: skip

LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


# -- words ---------------------------------------------------------------------------------------
def philox4x32(counter: tuple[UInt64, UInt64, UInt64, UInt64], key: tuple[int, int]) -> UInt64:
    """Apply ten rounds of Philox4x32 to counters of four 32-bit words each.

    Source: Salmon, Moraes, Dror, Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3".

    Parameters
    ----------
    counter : four uint64 arrays that broadcast together, values below 2^32
    key : two words below 2^32

    Returns
    -------
    (..., 4) uint64, values below 2^32
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0 = c0 * np.uint64(0xD2511F53)  # 32 x 32 bits fit in 64
        p1 = c2 * np.uint64(0xCD9E8D57)
        c0, c1 = (p1 >> HALF) ^ c1 ^ np.uint64(k0), p1 & LOW
        c2, c3 = (p0 >> HALF) ^ c3 ^ np.uint64(k1), p0 & LOW
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return np.stack(np.broadcast_arrays(c0, c1, c2, c3), axis=-1)


def stream_words(seed: int, purpose: str, index: UInt64, first: int, count: int) -> UInt64:
    """Return `count` words, from number `first` on, of the stream (seed, purpose, i) for each i.

    Word w of a stream is word w % 4 of the block with counter (w // 4, purpose, low half of i,
    high half of i), under the key (low half of the seed, high half of the seed).

    Parameters
    ----------
    index : (M,) uint64, each i

    Returns
    -------
    (M, count) uint64, values below 2^32
    """
    first_block, skip = divmod(first, 4)
    blocks = np.arange(first_block, -(-(first + count) // 4), dtype=np.uint64)
    i = index[:, None]
    counter = (blocks, np.uint64(PURPOSES[purpose]) + 0 * blocks, i & LOW, i >> HALF)
    words = philox4x32(counter, (seed % 2**32, seed >> 32))
    return words.reshape(len(index), 4 * len(blocks))[:, skip : skip + count]


def paired_words(seed: int, purpose: str, index: UInt64, first: int, count: int) -> UInt64:
    """Return `count` 64-bit numbers from `first` on: number p is words 2p (low half) and 2p + 1."""
    words = stream_words(seed, purpose, index, 2 * first, 2 * count)
    return words[:, 0::2] | (words[:, 1::2] << HALF)


# -- normals -------------------------------------------------------------------------------------
def horner(coefficients: tuple[float, ...], z: Float64) -> Float64:
    """Evaluate the polynomial with these coefficients, highest power first."""
    value = np.full_like(z, coefficients[0])
    for c in coefficients[1:]:
        value = value * z + c
    return value


def log(t: Float64) -> Float64:
    """Compute natural logarithms to a few ulp, with the same bits on every machine.

    With t = m * 2^e and s = (m - 1) / (m + 1): log t = e ln 2 + 2 (s + s^3/3 + s^5/5 + ...).
    |s| <= 0.172, so that the first term left out, s^21/21, is below 1e-16 of the sum.
    """
    m, e = np.frexp(t)
    small = m < 0.7071067811865476  # sqrt(1/2): centres m around 1
    m, e = np.where(small, 2.0 * m, m), np.where(small, e - 1, e)
    s = (m - 1.0) / (m + 1.0)
    series = horner(tuple(1.0 / k for k in range(19, 0, -2)), s * s)
    return e * 0.6931471805599453 + (2.0 * s) * series


def erfinv(x: Float64) -> Float64:
    """Compute the inverse error function on (-1, 1).

    The relative error is below 1.5e-7, the precision of float32; in the last 1e-7 at either end,
    for which the polynomials were not made, it grows to 4e-4.

    Source: Giles (2012), "Approximating the erfinv function", single-precision coefficients.
    """
    w = -log((1.0 - x) * (1.0 + x))
    centre = (
        2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
        -0.00125372503, -0.00417768164, 0.246640727, 1.50140941,
    )  # fmt: skip
    tail = (
        -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
        -0.0076224613, 0.00943887047, 1.00167406, 2.83297682,
    )  # fmt: skip
    return np.where(w < 5.0, horner(centre, w - 2.5), horner(tail, np.sqrt(w) - 3.0)) * x


def standard_normals(seed: int, purpose: str, count: int) -> Float64:
    """Return the first `count` standard normal numbers of a stream, one for each word.

    Returns
    -------
    (count,) float64
    """
    word = stream_words(seed, purpose, np.zeros(1, np.uint64), 0, count)[0]
    x = (2.0 * word + 1.0) * 2.0**-32 - 1.0  # exact; symmetric around 0, never -1, 0 or 1
    return float(np.sqrt(2.0)) * erfinv(x)


# -- what is drawn -------------------------------------------------------------------------------
def initial_parameters(
    block_size: int,
    n_embd: int,
    n_hidden: int,
    vocab_size: int,
    seed: int,
    init: str = "scaled",
    direct: bool = False,
) -> tuple[NDArray[np.float32], ...]:
    """Draw C, W1, b1, W2, b2; each element uses one word, in row-major order.

    Parameters
    ----------
    init : "scaled" (C from N(0,1), W1 from N(0,1) times (5/3)/sqrt(K), W2 from N(0,1) times 0.01,
        biases 0, so that the activations start at unit scale and the loss near ln V) or "lecture"
        (all from N(0,1))
    direct : whether W2 has K more rows, for the embeddings, behind the rows of the hidden units

    Returns
    -------
    C (V,E), W1 (K,H), b1 (H,), W2 (F,V), b2 (V,), float32; F = H + K with direct, else H
    """
    K = block_size * n_embd
    scaled = {"C": 1.0, "W1": (5.0 / 3.0) / float(np.sqrt(K)), "b1": 0.0, "W2": 0.01, "b2": 0.0}
    scales = {"scaled": scaled, "lecture": dict.fromkeys(scaled, 1.0)}[init]
    shapes = {
        "C": (vocab_size, n_embd), "W1": (K, n_hidden), "b1": (n_hidden,),
        "W2": (n_hidden + K * direct, vocab_size), "b2": (vocab_size,),
    }  # fmt: skip

    def draw(name: str) -> NDArray[np.float32]:
        if scales[name] == 0.0:
            return np.zeros(shapes[name], np.float32)
        normals = standard_normals(seed, name, int(np.prod(shapes[name])))
        return np.asarray(normals * scales[name], np.float32).reshape(shapes[name])

    return tuple(draw(name) for name in shapes)


def batch_rows(
    seed: int, first_step: int, steps: int, batch_size: int, n_examples: int
) -> NDArray[np.int64]:
    """Draw the rows of `steps` minibatches from first_step on, uniformly and with replacement.

    Number b of a step's stream, a 64-bit r, gives row floor(r * n_examples / 2^64);
    n_examples < 2^32.

    Returns
    -------
    (steps, batch_size) int64, values in [0, n_examples)
    """
    index = np.arange(steps, dtype=np.uint64) + np.uint64(first_step)
    r = paired_words(seed, "batch", index, 0, batch_size)
    n = np.uint64(n_examples)
    return (((r >> HALF) * n + (((r & LOW) * n) >> HALF)) >> HALF).astype(np.int64)


def dropout_mask(
    seed: int, step: int, batch_size: int, n_hidden: int, probability: float
) -> NDArray[np.float32]:
    """Return 0 for the hidden units that a step drops, 1 / (1 - probability) for the others.

    Unit j of row b is dropped where its word is below 2^32 * probability.  It has word
    (j // 16) % 4 of block 16 * (b * G + j // 64) + j % 16 of the step's stream, where
    G = ceil(n_hidden / 64): the words of a block go to units that lie 16 apart.

    Returns
    -------
    (batch_size, n_hidden) float32
    """
    groups = -(-n_hidden // 64)
    index = np.full(1, step, np.uint64)
    words = stream_words(seed, "dropout", index, 0, batch_size * groups * 64)
    by_unit = words.reshape(batch_size, groups, 16, 4).swapaxes(2, 3).reshape(batch_size, -1)
    dropped = by_unit[:, :n_hidden] < int(probability * 2.0**32)
    return np.where(dropped, np.float32(0), np.float32(1 / (1 - probability)))


def sample_uniforms(seed: int, first_sample: int, n_samples: int, position: int) -> Float64:
    """Return uniform numbers in [0, 1), multiples of 2^-53, for one position of many samples.

    Returns
    -------
    (n_samples,) float64; number k belongs to sample first_sample + k
    """
    index = np.arange(n_samples, dtype=np.uint64) + np.uint64(first_sample)
    r = paired_words(seed, "sample", index, position, 1)[:, 0]
    return (r >> np.uint64(11)).astype(np.float64) * 2.0**-53
