"""Files of releases whose Python modules all lay in one folder are read as they were."""

from __future__ import annotations

import lzma
import pickle
from pathlib import Path

import numpy as np

import makemore_cpp as mm
from makemore_cpp import old_names
from makemore_cpp.runs import checkpoint

OLDER = Path(__file__).parent / "older"


def test_pickles() -> None:
    things = pickle.loads(lzma.decompress((OLDER / "pickles.xz").read_bytes()))
    classes = {
        "vocab": mm.Vocab, "data": mm.Dataset, "words": mm.Texts, "mlp": mm.MLP,
        "frozen": mm.LanguageModel, "ngram": mm.NGram, "kneser_ney": mm.KneserNey,
        "interpolated": mm.InterpolatedNGram, "mixture": mm.Mixture, "detector": mm.Detector,
        "history": mm.History, "diagnosis": mm.Diagnosis, "origin": mm.data.DataOrigin,
    }  # fmt: skip
    for name, kind in classes.items():
        assert type(things[name]) is kind
    for name, scores in things["scores"].items():
        assert things[name].score(["anna", "bo"]).tolist() == scores
    assert things["mlp"].to_bytes() == things["bytes"]
    assert things["data"].vocab == things["vocab"]
    assert things["data"].texts
    assert things["words"].is_unchanged
    assert type(things["diagnosis"].losses[0]) is mm.evaluation.ModelLosses
    assert np.isfinite(things["detector"].p_values(["anna"])).all()


def test_old_names_are_those_of_modules_that_are() -> None:
    for new in old_names.OLD_NAMES.values():
        folder, _, file = new.partition(".")
        assert (Path(mm.__file__).parent / folder / f"{file}.py").is_file()


def test_a_checkpoint(tmp_path: Path) -> None:
    data = lzma.decompress((OLDER / "checkpoint.xz").read_bytes())
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(data)
    kept = checkpoint.load(path)
    assert len(kept.state.losses) == 7
    assert checkpoint.to_bytes(kept) == data
