"""The data of a page: a model, its run and its texts, as types that JSON has."""

import base64
import math
from collections.abc import Iterable
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makemore_cpp._core import __version__
from makemore_cpp.data.dataset import Dataset, new_texts
from makemore_cpp.data.vocab import Vocab
from makemore_cpp.evaluation.diagnosis import Diagnosis, diagnose
from makemore_cpp.evaluation.embedding_plane import EmbeddingPlane
from makemore_cpp.evaluation.vowels import kind
from makemore_cpp.export.page_cards import cards
from makemore_cpp.models.mlp import MLP
from makemore_cpp.text.calibration import RARE
from makemore_cpp.text.detector import Detector
from makemore_cpp.training.course import Course

MAX_TEXT_BYTES = 120_000  # of the texts in a page; where there are more, it holds some of them
MAX_TEXT_LENGTH = 1_000  # characters
MAX_KNOWN = 100_000  # texts whose hashes a page can hold
HASH_BITS = 12  # more than number the texts: one new text in 4,096 is taken for a known one
MAX_SHARED = 35  # characters that a text shares with the beginning of the one before: one digit
FALSE_POSITIVE_RATE = 0.01
NO_DATA = "The texts that this model was trained on were not at hand when the page was made."


def page_data(model: MLP, course: Course | None, data: Dataset | None) -> dict[str, Any]:
    """Return the data of the page's script.

    ``missing`` maps the names of sections that are missing, or incomplete, to the reason.
    """
    T, E, H, V = model.sizes
    missing: dict[str, str] = {}
    findings = None if data is None else diagnose(model, data)
    result = {
        "version": __version__,
        "sizes": {"T": T, "E": E, "H": H, "V": V, "direct": model.direct},
        "n_parameters": model.n_parameters,
        "parameters": {name: _base64(array) for name, array in model.parameters.items()},
        "vocab": _vocab(model.vocab),
        "kinds": ["other", *map(kind, model.vocab.tokens)],
        "map": _map(model, course),
        "curve": None if course is None else _curve(course),
        "lines": _lines(model, findings),
        "data": None if data is None else _splits(data),
        "texts": None,
        "known": None,
        "detector": None,
        "cards": [],
        "missing": missing,
    }
    if course is None:
        missing["losses"] = "The run's record of its losses was not at hand when the page was made."
    if data is None or findings is None:
        missing.update(
            dict.fromkeys(("training", "nearest", "cards", "marks", "detector"), NO_DATA)
        )
        return result
    if model.vocab.is_plain:
        result["texts"] = _texts(data.train.texts, model.vocab)
        if result["texts"] is None:
            long = (
                f"All texts are longer than the {MAX_TEXT_LENGTH:,} characters that a page takes."
            )
            missing["training"] = missing["nearest"] = long
    else:
        words = "Tokens of this model are words, or one stands for unknown ones; a page trains on "
        missing["training"] = missing["nearest"] = f"{words}characters alone."
    if H == 0:
        missing["nearest"] = "This model has no hidden layer in which contexts could be near."
    n_texts = len(data.train.texts) + len(data.dev.texts)
    if n_texts <= MAX_KNOWN:
        splits = {"train": data.train.texts, "dev": data.dev.texts}
        result["known"] = {name: _known(texts) for name, texts in splits.items()}
    else:
        missing["marks"] = f"Samples are not marked: a page knows at most {MAX_KNOWN:,} texts."
    result["detector"] = _detector(model, data, missing)
    result["cards"] = [card._asdict() for card in cards(model, data, findings)]
    return result


# -- the model -----------------------------------------------------------------------------------
def _base64(array: NDArray[Any]) -> str:
    """Return float32 numbers as little-endian bytes in base64."""
    return base64.b64encode(array.astype("<f4").tobytes()).decode()


def _vocab(vocab: Vocab) -> dict[str, Any]:
    unknown = None if vocab.unknown is None else vocab.stoi[vocab.unknown]
    return {"itos": vocab.itos, "separator": vocab.separator, "unknown": unknown}


def _map(model: MLP, course: Course | None) -> dict[str, Any]:
    """Return the points of the embeddings, and of all snapshots, on the final embeddings' plane."""
    plane = EmbeddingPlane.of(model.C)
    frames = [
        {"step": snapshot.step, "points": _rounded(plane.points(snapshot.C))}
        for snapshot in (() if course is None else course.snapshots)
        if not np.allclose(snapshot.C, model.C, atol=1e-4)  # the final embeddings come last anyway
    ]
    points = _rounded(plane.points(model.C))
    return {"axes": plane.labels, "points": points, "snapshots": frames}


# -- the run -------------------------------------------------------------------------------------
def _curve(course: Course) -> dict[str, Any]:
    return {
        "train": [[window.step, _rounded(window.loss)] for window in course.windows],
        "dev": [[step, _rounded(loss)] for step, loss in course.evaluations],
    }


def _lines(model: MLP, findings: Diagnosis | None) -> list[dict[str, Any]]:
    """Return the lines with which the loss is compared: names, losses on train and dev."""
    if findings is None:
        return [{"name": "uniform, ln V", "train": math.log(model.vocab_size), "dev": None}]
    floor = f"floor with {findings.block_size} tokens of context"
    return [
        *(row._asdict() for row in findings.losses),
        {"name": floor, "train": findings.floor, "dev": None},
    ]


# -- the texts -----------------------------------------------------------------------------------
def _splits(data: Dataset) -> dict[str, int]:
    return {"train": len(data.train.texts), "dev": len(data.dev.texts)}


def _texts(texts: list[str], vocab: Vocab) -> dict[str, Any] | None:
    """Return texts, or some of them, sorted, each without the beginning shared with the one before.

    They are joined by the boundary, which no text contains.
    """
    short = [text for text in texts if len(text) <= MAX_TEXT_LENGTH]  # a stream's are too long
    size = sum(len(text.encode()) + 2 for text in short)
    every = -(-size // (2 * MAX_TEXT_BYTES))  # without shared beginnings they take about half
    shared, rests, before = [], [], ""
    for text in sorted(short)[:: max(every, 1)]:
        pairs = zip(before, text, strict=False)
        same = min(sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs)), MAX_SHARED)
        shared.append("0123456789abcdefghijklmnopqrstuvwxyz"[same])
        rests.append(text[same:])
        before = text
    if not rests:
        return None
    return {
        "shared": "".join(shared),
        "rests": vocab.boundary.join(rests),
        "boundary": vocab.boundary,
        "every": every,
    }


def _known(texts: Iterable[str]) -> dict[str, Any]:
    """Return a set of hashes as the differences of the sorted numbers, with seven bits a byte."""
    hashes = {text_hash(text) for text in texts}
    bits = min(32, max(1, len(hashes)).bit_length() + HASH_BITS)
    numbers = sorted({number >> (32 - bits) for number in hashes})
    differences = bytearray()
    for difference in np.diff(numbers, prepend=0).tolist():
        while difference >= 128:
            differences.append(difference & 127 | 128)
            difference >>= 7
        differences.append(difference)
    share = len(numbers) / 2**bits  # the share of new texts that are taken for known ones
    return {
        "bits": bits,
        "differences": base64.b64encode(differences).decode(),
        "false_positives": share,
    }


def text_hash(text: str) -> int:
    """Return 32 bits of a text: FNV-1a over its UTF-8, then the last steps of MurmurHash3."""
    number = 0x811C9DC5
    for byte in text.encode():
        number = (number ^ byte) * 0x01000193 % 2**32
    number = (number ^ number >> 16) * 0x85EBCA6B % 2**32
    number = (number ^ number >> 13) * 0xC2B2AE35 % 2**32
    return number ^ number >> 16


def _detector(model: MLP, data: Dataset, missing: dict[str, str]) -> dict[str, Any] | None:
    """Return a detector fitted to the dev texts that are not in train, if there are enough."""
    good = new_texts(data.train.texts, data.dev.texts)
    least = round(1 / FALSE_POSITIVE_RATE)
    if len(good) < least:
        missing["detector"] = (
            f"There is no detector here: it takes {least} dev texts that are not in train, and "
            f"there are {len(good)}."
        )
        return None
    detector = Detector.fit(model.freeze(), good, FALSE_POSITIVE_RATE)
    norm, shares = detector._norm, detector._shares
    tail = {name: getattr(shares, name) for name in ("below", "share", "shape", "scale")}
    return {
        "rate": FALSE_POSITIVE_RATE,
        "n_good": detector.n_good,
        "shortest": norm.shortest,
        **{name: array.tolist() for name, array in norm.arrays().items()},
        "rare": RARE,
        "scores": _base64(shares.scores),
        "tail": tail if math.isfinite(shares.below) else None,
    }


def _rounded(values: Any) -> Any:
    """Return numbers with four decimals, which suffice for a picture."""
    return np.round(np.asarray(values, np.float64), 4).tolist()
