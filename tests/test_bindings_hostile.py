"""Every binding under attack: a right result, or one sentence that names the argument.

``MAKEMORE_CAMPAIGN=1`` raises the number of examples from a few hundred to 15,000.
"""

from __future__ import annotations

import os
import re
import resource
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from architecture import module_signatures
from binding_calls import (
    BINDINGS,
    TEXT_FUNCTIONS,
    Arguments,
    T,
    V,
    frozen,
    parameters,
    tokens,
)  # fmt: skip
from extent import CAMPAIGN, SANITIZED
from hostile_values import INTEGERS, LAYOUTS, MischiefError, anything, changed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from makemore_cpp import _core, reference
from makemore_cpp.reference import random as reference_random

WITHOUT_ARGUMENTS = {
    "Vocabulary.tokens", "Vocabulary.separator", "Vocabulary.unknown", "Vocabulary.boundary",
    "Vocabulary.is_plain",
    "Vocabulary.__len__", "Vocabulary.__eq__",
    "SavedModel.vocabulary", "SavedModel.block_size", "SavedModel.parameters", "SavedModel.data",
    "SavedModel.to_bytes", "LanguageModel.vocabulary", "LanguageModel.sizes",
    "LanguageModel.direct", "TextColumn", "TextColumn.__len__", "TextColumn.tolist",
    "TextColumn.__arrow_c_array__",
}  # fmt: skip
WRITTEN = {"train_steps": {"C", "W1", "b1", "W2", "b2"}, "sgd_update": {"w"}}
# Bindings whose plain call is refused already: it names no file.
REFUSED = {"SavedModel.load", "SavedModel.save", "write_file", "read_tensor_file"}
# Words by which an error may name an argument otherwise than by its name.
ALIASES = (
    r"characters|the character|the text|line \d+ of|the shape|token|row|vocabulary|batch"
    r"|tensor|cannot (?:read|write)"
)


@pytest.fixture(scope="module", autouse=True)
def _a_place_for_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Run in an empty folder, because some hostile paths are good names of files."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("hostile"))
    yield
    os.chdir(before)


@pytest.fixture(scope="module", autouse=True)
def _bounded_memory() -> Iterator[None]:
    """Bound the memory, so that a claim of too much ends in a MemoryError."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    if not SANITIZED:  # sanitizers need much address space
        resource.setrlimit(resource.RLIMIT_AS, (16 << 30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def attacks(each: int) -> Callable[[Any], Any]:
    """Settings of hypothesis: so many examples, the same ones in every run of the suite."""
    health = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(
        max_examples=each * (30 if CAMPAIGN else 1), deadline=None, database=None,
        derandomize=not CAMPAIGN, suppress_health_check=health,
    )  # fmt: skip


def check_sentence(sentence: str, arguments: Arguments) -> None:
    assert "\n" not in sentence
    assert "incompatible" not in sentence
    names = rf"\b({'|'.join(map(re.escape, arguments))}|{ALIASES})"
    assert re.search(names, sentence), sentence


def outcome(call: Callable[..., Any], arguments: Arguments) -> Any:
    """Return the result, or the error if it is one that a caller may get."""
    try:
        return call(**arguments)
    except (MischiefError, MemoryError, _core.DivergedError) as error:
        return error
    except (_core.Error, TypeError, ValueError) as error:
        check_sentence(str(error), arguments)
        return error


def flat(result: Any) -> list[Any]:
    """Return a result as a value that == compares by bits."""
    if isinstance(result, tuple | list):
        return [part for value in result for part in flat(value)]
    return [result.tobytes() if isinstance(result, np.ndarray) else repr(result)]


def test_every_binding_is_attacked() -> None:
    bindings = {
        name.removesuffix(".__init__")
        for name, parameters in module_signatures(_core).items()
        if parameters or "." in name
    }
    assert bindings - WITHOUT_ARGUMENTS <= BINDINGS.keys() | {"build_info"}


@pytest.mark.parametrize("name", BINDINGS)
@attacks(each=6)
@given(st.data())
def test_one_argument_is_anything(name: str, data: st.DataObject) -> None:
    call, arguments = BINDINGS[name]()
    before = {key: np.copy(arguments[key]) for key in WRITTEN.get(name, ())}
    for key in data.draw(st.sets(st.sampled_from([*arguments]), min_size=1, max_size=2)):
        arguments[key] = data.draw(changed(arguments.get(key)), label=key)
        before.pop(key, None)
    if isinstance(outcome(call, arguments), Exception):
        for key, value in before.items():
            assert value.tobytes() == arguments[key].tobytes(), f"{key} is not as it was"


@pytest.mark.parametrize("name", BINDINGS)
def test_every_array_has_another_size(name: str) -> None:
    """Each axis of each array in turn without an element, with one alone and with one more."""
    for key, array in BINDINGS[name]()[1].items():
        for axis in range(array.ndim if isinstance(array, np.ndarray) else 0):
            for size in (0, 1, array.shape[axis] + 1):
                call, arguments = BINDINGS[name]()
                arguments[key] = np.resize(
                    array, (*array.shape[:axis], size, *array.shape[axis + 1 :])
                )
                outcome(call, arguments)


@pytest.mark.parametrize("name", BINDINGS)
@attacks(each=5)
@given(st.data())
def test_the_layout_of_arrays_does_not_matter(name: str, data: st.DataObject) -> None:
    call, arguments = BINDINGS[name]()
    expected = outcome(*BINDINGS[name]())
    assert isinstance(expected, Exception) == (name in REFUSED)
    writes = False
    for key, value in arguments.items():
        if isinstance(value, np.ndarray):
            arguments[key] = data.draw(st.sampled_from(LAYOUTS))(value)
            if value.dtype.kind == "i":
                arguments[key] = arguments[key].astype(data.draw(st.sampled_from(INTEGERS)))
            plain = arguments[key].flags.carray
            writes |= key in WRITTEN.get(name, ()) and not plain
    result = outcome(call, arguments)
    if writes:
        assert "written in place" in str(result)
    else:
        assert flat(result) == flat(expected) or name in REFUSED


@pytest.mark.parametrize("name", [*vars(reference), "batch_rows", "sample_uniforms"])
def test_the_plain_call_is_right(name: str) -> None:
    if name not in BINDINGS or name == "train_steps":
        pytest.skip("no binding, or tested with the trainer")
    call, arguments = BINDINGS[name]()
    definition = getattr(reference, name, None) or getattr(reference_random, name)
    copies = {k: np.copy(v) if isinstance(v, np.ndarray) else v for k, v in arguments.items()}
    for of_core_alone in ("threads", "exchange"):
        copies.pop(of_core_alone, None)
    expected, found = definition(**copies), call(**arguments)
    if name == "sgd_update":
        expected, found = copies["w"], arguments["w"]
    for e, f in zip(np.atleast_1d(expected), np.atleast_1d(found), strict=True) if not isinstance(
        expected, tuple) else zip(expected, found, strict=True):  # fmt: skip
        np.testing.assert_allclose(f, e, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore::makemore_cpp.LengthWarning")
@pytest.mark.parametrize("name", TEXT_FUNCTIONS)
@attacks(each=4)
@given(st.data())
def test_text_is_anything(name: str, data: st.DataObject) -> None:
    call, arguments = TEXT_FUNCTIONS[name]()
    arguments[data.draw(st.sampled_from([*arguments]))] = data.draw(anything())
    outcome(call, arguments)


# -- arrays that change during a call -------------------------------------------------------------
SECONDS = 60.0 if CAMPAIGN else 0.6


def scribble(arrays: list[np.ndarray], stop: threading.Event) -> None:
    rng = np.random.default_rng(1)
    while not stop.is_set():
        for array in arrays:
            place = rng.integers(array.size)
            array.flat[place] = rng.choice([-1, 0, V - 1, V, 1 << 30, -(2**31), 2**31 - 1])
            array.flat[rng.integers(array.size, size=100)] = 0
        time.sleep(0)


@pytest.mark.parametrize("name", ["train_steps", "mean_loss", "log_probs", "LanguageModel"])
def test_tokens_that_another_thread_changes(name: str) -> None:
    """The call returns a result or an error, and reads nothing outside the arrays."""
    X, Y, rows = tokens(5000, T), tokens(5000), np.zeros((50, 64), np.int64)
    model = frozen()
    calls: dict[str, Callable[[], Any]] = {
        "train_steps": lambda: _core.train_steps(
            *parameters().values(), X, Y, np.full(50, 0.01), rows=rows, threads=2),
        "mean_loss": lambda: _core.mean_loss(*parameters().values(), X, Y, 2),
        "log_probs": lambda: _core.log_probs(*parameters().values(), X, 2),
        "LanguageModel": lambda: model.log_probs(X, 2),
    }  # fmt: skip
    stop = threading.Event()
    writer = threading.Thread(target=scribble, args=([X, Y, rows], stop))
    writer.start()
    end, answers = time.monotonic() + SECONDS / 4, []
    try:
        while time.monotonic() < end:
            try:
                calls[name]()
                answers.append("a result")
            except (_core.RangeError, _core.ArgumentError) as error:
                answers.append(str(error))
    finally:
        stop.set()
        writer.join()
    assert answers
    for answer in set(answers):
        assert re.match(r"a result|(token|row) -?\d+ at|X\[\d+\] changed during the call", answer)
