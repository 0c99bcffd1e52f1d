"""Many threads at once on one object: right results or one sentence, with the GIL and without it.

Each test hammers in a child process, which a crash or a deadlock ends; ``MAKEMORE_CAMPAIGN=1``
repeats it often.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arrow_producers import Answers, GivesArray, in_chunks, texts_of
from command_line import environment
from extent import CAMPAIGN
from forked import ends_by
from text_models import model_of, small_data

import makemore_cpp as mm
from makemore_cpp import _core, files

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

IS_FREE = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
THREADS = 8
DATA = small_data()
X, Y = DATA.train.X, DATA.train.Y
TEXTS = DATA.train.texts[:300]


def net(seed: int = 1) -> mm.MLP:
    return mm.MLP(DATA.vocab, DATA.block_size, 2, 8, seed=seed)


def said_by(call: Callable[..., Any], *arguments: Any) -> Any:
    """Return the result of the call, or the sentence of one of our errors."""
    try:
        return call(*arguments)
    except (mm.Error, TypeError) as error:
        return Refused(str(error))


class Refused(str):
    """The sentence of an error."""


def together(work: Callable[[int], Any], threads: int = THREADS) -> list[Any]:
    """Call work(0), work(1), ... in as many threads at once; return results and our sentences."""
    barrier = threading.Barrier(threads)

    def begin(number: int) -> Any:
        barrier.wait()
        return said_by(work, number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(begin, range(threads)))


def hammer(turn: Callable[[], None], turns: int) -> None:
    """Call `turn` again and again in a child process, where threads take turns very often."""

    def deed() -> None:
        sys.setswitchinterval(1e-6)
        for _ in range(turns * (20 if CAMPAIGN else 1)):
            turn()

    assert ends_by(deed, 600 if CAMPAIGN else 60) == ""


@pytest.mark.skipif(not IS_FREE, reason="this Python has its global lock")
def test_the_import_leaves_the_global_lock_off() -> None:
    code = "import sys, makemore_cpp; sys.exit(sys._is_gil_enabled())"
    more = {"PYTHON_GIL": ""}  # neither on nor off by order
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=environment(**more), timeout=60
    )
    assert run.returncode == 0


# -- objects that any number of threads may share --------------------------------------------------
def test_different_models_are_trained_at_once() -> None:
    expected = [net(seed) for seed in range(THREADS)]
    for model in expected:
        mm.train(model, DATA, steps=60, eval_every=20)

    def turn() -> None:
        models = [net(seed) for seed in range(THREADS)]
        together(lambda number: mm.train(models[number], DATA, steps=60, eval_every=20))
        for model, alone in zip(models, expected, strict=True):
            assert model.to_bytes() == alone.to_bytes()

    hammer(turn, 2)


def test_a_new_frozen_model_is_asked_at_once() -> None:
    """Its tables are made during the first questions."""
    model = model_of("MLP")
    asked: list[Callable[[Any], Any]] = [
        lambda of: of.score(TEXTS).tobytes(),
        lambda of: of.log_probs(X[:5000]).tobytes(),
        lambda of: of.sample(200, seed=3),
        lambda of: of.complete("an", 3),
        lambda of: of.per_char(TEXTS[0]).tobytes(),
        lambda of: [of.vocab.encode(text).tobytes() for text in TEXTS[:20]],
        lambda of: of.to_bytes(),
        lambda of: of.loss(X[:5000], Y[:5000]),
    ]
    expected = [ask(model.freeze()) for ask in asked]

    def turn() -> None:
        frozen = model.freeze()
        for found in together(lambda n: [asked[(n + i) % 8](frozen) for i in range(8)]):
            number = found_at = expected.index(found[0])
            assert found == expected[number:] + expected[:found_at]

    hammer(turn, 5)


@pytest.mark.parametrize("kind", ["frozen", "one's own"])
def test_one_sampler_is_drawn_from_at_once(kind: str) -> None:
    model = model_of(kind)
    sampler = _core.Sampler(model.core_predictor(), model.vocab, model.block_size, seed=5)

    def draw(number: int) -> tuple[list[str], bytes]:
        texts, endings = sampler.draw(number % 3 * 20, 20)
        return texts.tolist(), endings.tobytes()

    expected = [draw(number) for number in range(THREADS)]

    def turn() -> None:
        assert together(draw) == expected

    hammer(turn, 10)


def test_one_vocabulary_encodes_at_once() -> None:
    words = mm.Vocab.from_texts([f"w{i} w{i + 1}" for i in range(300)], level="word")

    def ask(_: int) -> list[Any]:
        tokens, offsets = DATA.vocab.encode_many(TEXTS)
        known = [words.encode(f"w{i} w{i + 7}").tolist() for i in range(200)]
        return [
            tokens.tobytes(), offsets.tobytes(), known, words.decode(known[7]), words == words,
            DATA.vocab.tokens, len(DATA.vocab), repr(DATA.vocab),
        ]  # fmt: skip

    expected = ask(0)

    def turn() -> None:
        assert together(ask) == [expected] * THREADS

    hammer(turn, 10)


def test_one_detector_judges_at_once() -> None:
    detector = mm.Detector.fit(model_of("MLP").freeze(), DATA.dev.texts, 0.05)
    expected = detector.p_values(TEXTS).tobytes()

    def turn() -> None:
        assert together(lambda _: detector.p_values(TEXTS).tobytes()) == [expected] * THREADS

    hammer(turn, 10)


def test_one_path_is_saved_and_loaded_at_once(tmp_path: Path) -> None:
    models = [net(seed) for seed in range(3)]
    valid = {model.to_bytes() for model in models}
    path = tmp_path / "model.safetensors"
    models[0].save(path)

    def ask(number: int) -> Any:
        if number == 7:
            return files.check_replaceable(path)
        return models[number].save(path) if number < 3 else mm.load(path).to_bytes()

    def turn() -> None:
        assert set(together(ask)) <= {None, *valid}
        assert os.listdir(tmp_path) == [path.name]

    hammer(turn, 20)


def test_files_can_be_written_in_a_folder_for_all_who_ask_at_once(tmp_path: Path) -> None:
    def turn() -> None:
        assert together(lambda _: files.check_folder(tmp_path)) == [None] * THREADS

    hammer(turn, 20)


# -- objects that one thread changes ---------------------------------------------------------------
def test_one_model_is_trained_by_one_call_at_a_time() -> None:
    said = {
        "C is written in place by another call, which has not ended",
        "model is being trained by another call, which has not ended",
    }

    def turn() -> None:
        model, alone = net(), net()

        def train(number: int) -> int:
            done = 0
            for _ in range(40):
                if number % 2:
                    answer = said_by(lambda: model.train_steps(X, Y, 0.1, steps=1))
                else:
                    answer = said_by(lambda: mm.train(model, DATA, steps=1, lr=0.1, seed=1))
                if isinstance(answer, Refused):
                    assert answer in said
                else:
                    done += 1
            return done

        done = sum(together(train))
        assert done > 0
        for _ in range(done):
            alone.train_steps(X, Y, 0.1, steps=1)
        for name, array in alone.parameters.items():
            assert model.parameters[name].tobytes() == array.tobytes()

    hammer(turn, 2)


def test_arrays_of_their_own_are_written_at_once() -> None:
    def turn() -> None:
        arrays = [np.zeros(3, np.float32) for _ in range(THREADS)]
        gradient = np.full(3, -1, np.float32)

        def write(number: int) -> None:
            for _ in range(1000):
                _core.sgd_update(arrays[number], gradient, 1.0)

        assert together(write) == [None] * THREADS
        assert [array.tolist() for array in arrays] == [[1000.0] * 3] * THREADS

    hammer(turn, 5)


def test_a_state_changes_while_steps_begin() -> None:
    def turn() -> None:
        model = net()
        state = model.optimizer_state("adam")  # at times without a name, at times with more
        spare = {name: array for name, array in state.items() if name != "step"}
        stop = threading.Event()

        def ask(number: int) -> None:
            if number > 0:
                while not stop.is_set():
                    for name in spare:
                        state.pop(name, None)
                        state[f"{name}{number}"] = spare[name].copy()
                    for name in spare:
                        state.pop(f"{name}{number}", None)
                        state[name] = spare[name]
                return
            for _ in range(300):
                said_by(
                    lambda: model.train_steps(X, Y, 0.01, steps=1, state=state, optimizer="adam")
                )
            stop.set()

        assert together(ask, 3) == [None] * 3

    hammer(turn, 2)


def test_tokens_change_while_they_are_read() -> None:
    model = model_of("MLP")
    frozen = model.freeze()

    def turn() -> None:
        contexts, targets = X[:3000].copy(), Y[:3000].copy()
        contexts64 = contexts.astype(np.int64)
        trained, stop = net(), threading.Event()
        asked: list[Callable[[], object]] = [
            lambda: trained.train_steps(contexts, targets, 0.01, steps=5),
            lambda: frozen.log_probs(contexts),
            lambda: model.loss(contexts, targets),
            lambda: model.log_probs(contexts64),
            lambda: mm.ops.embedding_forward(model.C, contexts),
        ]

        def ask(number: int) -> None:
            if number == len(asked):
                while not stop.is_set():
                    for bad in (27, -1, 2**31 - 1, 0):
                        contexts[::97], targets[::89], contexts64[::101] = bad, bad, bad * 2**20
                return
            for _ in range(20):
                answer = said_by(asked[number])
                if isinstance(answer, Refused):
                    # The loss looks a context up after its check, and may then find it changed.
                    assert "is outside the vocabulary [0, 27)" in answer or (
                        number == 2 and re.fullmatch(r"X\[\d+\] changed during the call", answer)
                    )
            stop.set()

        assert set(together(ask, len(asked) + 1)) == {None}

    hammer(turn, 4)


def test_a_column_is_appended_to_and_read_at_once() -> None:
    appended = [[f"{number} {i}" for i in range(10)] for number in range(3)]

    def turn() -> None:
        column = _core.TextColumn()

        def ask(number: int) -> None:
            for _ in range(300):
                if number < 3:
                    column.append(appended[number])
                elif number == 3:
                    assert repr(column).startswith("<TextColumn of ")
                else:
                    n = len(column) // 10
                    shown = column.tolist()
                    assert n * 10 <= len(shown) == 10 * len(shown[::10])
                    assert all(text.endswith(str(i % 10)) for i, text in enumerate(shown))

        assert together(ask, 6) == [None] * 6
        texts = column.tolist()
        assert [texts[i : i + 10] for i in range(0, len(texts), 10)].count(appended[2]) == 300
        assert len(texts) == 9000

    hammer(turn, 1)


def test_columns_are_appended_to_each_other_at_once() -> None:
    def turn() -> None:
        left, right = _core.TextColumn(), _core.TextColumn()

        def ask(number: int) -> None:
            to, texts = (left, right) if number % 2 else (right, left)
            for i in range(100):
                assert said_by(to.append, texts if i < 3 else ["text"]) is None
            assert said_by(to.append, to if number < 2 else ["text"]) is None

        assert together(ask, 4) == [None] * 4
        assert {*left.tolist(), *right.tolist()} == {"text"}

    hammer(turn, 5)


def test_steps_of_one_state_are_counted_once() -> None:
    def turn() -> None:
        model = net()
        state = model.optimizer_state("adam")

        def train(number: int) -> int:
            answers = [
                said_by(
                    lambda: model.train_steps(X, Y, 0.01, steps=1, state=state, optimizer="adam")
                )
                for _ in range(60)
            ]
            return sum(not isinstance(answer, Refused) for answer in answers)

        assert sum(together(train)) == state["step"][0]

    hammer(turn, 3)


def test_columns_are_appended_to_each_other_and_given_away_at_once() -> None:
    shared = "texts cannot be appended to a column that was given away as Arrow"

    def turn() -> None:
        left, right = _core.TextColumn(), _core.TextColumn()
        left.append(["text"])
        right.append(["text"])

        def ask(number: int) -> None:
            to, texts = (left, right) if number % 2 else (right, left)
            for i in range(200):
                if number < 4:
                    answer = said_by(to.append, texts if i < 3 else ["text"])
                    assert answer in (None, shared)
                else:
                    to.__arrow_c_array__()

        assert together(ask) == [None] * THREADS
        assert {*left.tolist(), *right.tolist()} == {"text"}

    hammer(turn, 5)


@pytest.mark.parametrize("kind", ["array", "stream"])
def test_one_capsule_is_taken_out_once(kind: str) -> None:
    texts = ["anna", "bob"] * 10
    frozen = model_of("MLP").freeze()
    expected = frozen.score(texts).tobytes()

    def turn() -> None:
        sources = [
            GivesArray(texts_of(texts)) if kind == "array" else in_chunks(texts, [7])
            for _ in range(50)
        ]
        given = [getattr(source, f"__arrow_c_{kind}__")() for source in sources]
        again = [Answers(**{kind: lambda one=one: one}) for one in given]

        def score(_: int) -> list[Any]:
            return [said_by(frozen.score, one) for one in again]

        found = together(score, 4)
        for answers in zip(*found, strict=True):
            said = [one for one in answers if isinstance(one, Refused)]
            assert [one.tobytes() for one in answers if not isinstance(one, Refused)] == [expected]
            assert all("is released already" in one for one in said)
        again.clear()
        given.clear()  # a schema that nobody took out is released with its capsule
        assert all(source.released == source.given for source in sources)

    hammer(turn, 5)


def test_one_reader_of_arrow_texts_is_called_by_one_thread_at_a_time() -> None:
    texts = [f"text {i}" for i in range(64)]

    def turn() -> None:
        source = in_chunks(texts, [2] * 31)
        read = _core.arrow_reader(source, "texts")
        assert read is not None

        def ask(_: int) -> list[str | None]:
            found: list[str | None] = []
            while True:
                part = said_by(read)
                if not part:
                    return found
                if isinstance(part, Refused):
                    assert part == "texts is being read by another call"
                else:
                    found += part

        assert sorted(text for found in together(ask, 4) for text in found) == sorted(texts)
        assert source.released == source.given

    hammer(turn, 1)
