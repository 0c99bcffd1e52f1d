"""Many threads with one object, calls inside calls, subinterpreters, and the interpreter's end."""

from __future__ import annotations

import contextlib
import gc
import importlib
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from command_line import environment
from extent import CAMPAIGN
from forked import ends_by
from text_models import model_of, small_data

import makemore_cpp as mm
from makemore_cpp import _core

DATA = small_data()
X, Y = DATA.train.X, DATA.train.Y
WRITTEN = "written in place by another call, which has not ended$"
TRAINED = "^model is being trained by another call, which has not ended$"


def new_model() -> mm.MLP:
    return mm.MLP(DATA.vocab, DATA.block_size, 2, 8)


# -- one call trains a model at a time -------------------------------------------------------------
def during(call: Callable[[Callable[[], bool]], object], deed: Callable[[], object]) -> None:
    """Call `deed` in this thread while another is inside a call, which then goes on to its end."""
    inside, go_on = threading.Event(), threading.Event()

    def wait() -> bool:
        inside.set()
        return not go_on.wait(20)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(call, wait)
        try:
            assert inside.wait(20)
            deed()
        finally:
            go_on.set()
        running.result(20)


def inside(call: Callable[[Callable[[], bool]], object], deed: Callable[[], object]) -> None:
    """Call `deed` in a function that the call itself calls."""
    done: list[object] = []

    def once() -> bool:
        if not done:
            done.append(None)
            deed()
        return False

    call(once)
    assert done


@pytest.mark.parametrize("place", [during, inside])
def test_steps_of_a_model_that_another_call_trains(place: Callable[..., None]) -> None:
    model, alone, other = new_model(), new_model(), new_model()
    state, state_alone = model.optimizer_state("adam"), model.optimizer_state("adam")
    options: dict[str, Any] = {"optimizer": "adam", "steps": 5}
    alone.train_steps(X, Y, 0.1, state=state_alone, **options)

    def attempts() -> None:
        for refused, of, kept in (
            ("C", model, model.optimizer_state("adam")),
            (r"state\['m.C'\]", other, state),
        ):
            with pytest.raises(mm.ArgumentError, match=rf"^{refused} is {WRITTEN}"):
                of.train_steps(X, Y, 0.1, state=kept, **options)
        with pytest.raises(mm.ArgumentError, match=f"^w is {WRITTEN}"):
            _core.sgd_update(model.W2, np.zeros_like(model.W2), 0.1)
        other.train_steps(X, Y, 0.1, steps=2)  # another model, at the same time
        assert np.isfinite(model.loss(X, Y))  # as it was before the call

    place(
        lambda stop: model.train_steps(X, Y, 0.1, state=state, should_stop=stop, **options),
        attempts,
    )
    for found, expected in ((model.parameters, alone.parameters), (state, state_alone)):
        for name, array in expected.items():
            assert found[name].tobytes() == array.tobytes()
    model.train_steps(X, Y, 0.1, state=state, **options)  # the refusals left nothing behind


@pytest.mark.parametrize("place", [during, inside])
@pytest.mark.parametrize("function", ["should_stop", "on_progress", "on_checkpoint"])
def test_a_run_of_a_model_that_another_run_trains(
    place: Callable[..., None], function: str
) -> None:
    model, alone = new_model(), new_model()
    options: dict[str, Any] = {"steps": 30, "checkpoint_every": 5, "patience": 2, "eval_every": 10}
    mm.train(alone, DATA, **options)

    def attempts() -> None:
        with pytest.raises(mm.ArgumentError, match=TRAINED):
            mm.train(model, DATA, steps=3)
        mm.train(new_model(), DATA, steps=3)

    def run(called: Callable[[], bool]) -> None:
        mm.train(model, DATA, **options, **{function: lambda *_: called()})

    place(run, attempts)
    for name, array in alone.parameters.items():
        assert model.parameters[name].tobytes() == array.tobytes()


def test_a_run_that_failed_leaves_the_model_to_others() -> None:
    model = new_model()
    for options in ({"lr": 1e30}, {"on_progress": lambda _: 1 / 0}, {"steps": 3}):
        try:
            mm.train(model, DATA, **{"steps": 50, **options})
        except (mm.DivergedError, ZeroDivisionError):
            continue
    assert "steps" in options


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_forked_while_a_model_is_trained_may_train_it() -> None:
    model = new_model()

    def forked() -> None:
        assert ends_by(lambda: mm.train(model, DATA, steps=3)) == ""
        assert ends_by(lambda: model.train_steps(X, Y, 0.1, steps=3)) == ""

    during(
        lambda stop: mm.train(model, DATA, steps=3, should_stop=stop),
        forked,
    )
    during(
        lambda stop: model.train_steps(X, Y, 0.1, steps=3, should_stop=stop),
        forked,
    )


# -- many threads ----------------------------------------------------------------------------------
def questions(model: Any, number: int) -> list[Callable[[], bytes]]:
    contexts, texts = X[number : number + 50, -model.block_size :], DATA.train.texts[number:40:5]
    return [
        lambda: model.log_probs(contexts).tobytes(),
        lambda: np.float64(model.loss(contexts, Y[:50])).tobytes(),
        lambda: model.score(texts).tobytes(),
        lambda: repr(model.sample(2, seed=number)).encode(),
        lambda: repr(model.complete(texts[0][:2], 3)).encode(),
        lambda: model.next(texts[0][:1]).tobytes(),
        lambda: pickle.dumps(model.vocab.encode_many(texts)),
        lambda: pickle.loads(pickle.dumps(model)).log_probs(contexts).tobytes(),
    ]


def crowd(kind: str, threads: int, turns: int) -> None:
    """Ask a model from many threads, while garbage is collected all the time."""
    model = model_of(kind)
    asked = [questions(model, number) for number in range(8)]
    expected = [[ask() for ask in of_one] for of_one in asked]
    barrier = threading.Barrier(threads)
    gc.freeze()  # what pytest has made
    gc.set_threshold(1, 1, 1)
    sys.setswitchinterval(1e-6)

    def work(number: int) -> None:
        barrier.wait()
        for turn in range(turns):
            who, which = number % 8, (number // 8 + turn) % 8
            cycle: list[Any] = [model]
            cycle.append(cycle)
            assert asked[who][which]() == expected[who][which]

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, number) for number in range(threads)]:
            done.result()


@pytest.mark.parametrize("kind", ["MLP", "frozen", "KneserNey", "Mixture"])
def test_64_threads_ask_one_model_while_garbage_is_collected(kind: str) -> None:
    assert ends_by(lambda: crowd(kind, 64, 20 if CAMPAIGN else 1), 600) == ""


# -- an object whose constructor runs in another thread --------------------------------------------
UNDER_CONSTRUCTION: dict[str, Callable[[Any, Iterator[str]], None]] = {
    "_core.Vocabulary": lambda one, texts: one.__init__(texts),
    "Vocab": lambda one, texts: one.__init__(texts),
    "NGram": lambda one, texts: one.__init__(DATA.vocab, texts),
    "KneserNey": lambda one, texts: one.__init__(DATA.vocab, texts, 3),
}


@pytest.mark.parametrize("name", UNDER_CONSTRUCTION)
def test_an_object_whose_constructor_runs_in_another_thread(name: str) -> None:
    kind = _core.Vocabulary if name == "_core.Vocabulary" else getattr(mm, name)
    one = kind.__new__(kind)

    def texts(wait: Callable[[], bool]) -> Iterator[str]:
        yield "a"
        wait()
        yield "b"

    def attempts() -> None:
        for ask in (
            lambda: one.encode("a"), lambda: len(one), lambda: one == one, lambda: one.tokens,
            lambda: one.log_probs([[0]]), lambda: one.sample(1), lambda: one.vocab,
            lambda: pickle.dumps(one), lambda: mm.MLP(one), lambda: repr(one), lambda: dir(one),
        ):  # fmt: skip
            with contextlib.suppress(TypeError, AttributeError):
                ask()

    assert (
        ends_by(lambda: during(lambda w: UNDER_CONSTRUCTION[name](one, texts(w)), attempts)) == ""
    )


# -- other interpreters ----------------------------------------------------------------------------
INTERPRETERS = """
import {module} as interpreters
{first}
for _ in range(2):
    other = interpreters.create()
    try:
        told = interpreters.run_string(other, "import warnings; warnings.simplefilter('ignore')\\n"
                                              "import makemore_cpp")
    except Exception as error:
        told = error
    print(told)
    interpreters.destroy(other)
"""


def interpreters_module() -> str:
    for name in ("_interpreters", "_xxsubinterpreters"):
        try:
            importlib.import_module(name)
        except ImportError:
            continue
        return name
    pytest.skip("this Python makes no subinterpreters")


@pytest.mark.parametrize("first", ["", "import makemore_cpp"])
def test_a_subinterpreter_is_refused(first: str) -> None:
    """NumPy, which no process loads twice, may refuse it first; this interpreter goes on."""
    code = INTERPRETERS.format(module=interpreters_module(), first=first)
    code += "print(makemore_cpp.Vocab(['a']).encode('a'))" if first else ""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment()
    )
    assert (run.returncode, run.stderr) == (0, "")
    told = run.stdout.splitlines()
    assert [line for line in told if "ImportError" in line] == told[:2]
    assert told[2:] == (["[1]"] if first else [])
    if not first and sys.version_info < (3, 12):  # where NumPy does not refuse first
        assert "makemore_cpp cannot be imported in a subinterpreter" in told[0]


# -- the end of the interpreter --------------------------------------------------------------------
AT_THE_END = {
    "a run in a daemon thread": "thread(lambda: mm.train(model, data, steps=10**9))",
    "samples in a daemon thread": "thread(lambda: [model.sample(10**5) for _ in range(10**5)])",
    "a Python model in a daemon thread": """
class Own(mm.Model):
    vocab, block_size = model.vocab, model.block_size
    def log_probs(self, X): return model.log_probs(X)
thread(lambda: Own().sample(10**9))""",
    "a thread that is waited for": """
threading.Thread(target=lambda: print(len(mm.train(model, data, steps=2000).losses))).start()""",
    "a finaliser": """
class Last:
    def __del__(self, train=mm.train, m=model, d=data, show=print):
        for ask in (lambda: m.loss(d.train.X, d.train.Y), lambda: m.sample(3),
                    lambda: m.complete("a"), lambda: train(m, d, steps=2000)):
            try: ask()
            except ImportError: pass  # Python imports nothing any more
        show(2000)
last = Last(); last.itself = last""",
    "an exit inside a call": """
try: model.train_steps(data.train.X, data.train.Y, 0.1, steps=10, should_stop=sys.exit)
finally: print(2000)""",
    "at exit, beside daemon threads": """
for _ in range(3): thread(lambda: [model.score(["anna"] * 10**5) for _ in range(10**5)])
atexit.register(lambda: print(len(mm.train(model, data, steps=2000).losses)))""",
}
START = """
import atexit, sys, threading, time
import makemore_cpp as mm
data = mm.Dataset.split(mm.load_texts()[:1000])
model = mm.MLP(data.vocab, 3, 4, 20)
def thread(target): threading.Thread(target=target, daemon=True).start()
"""


@pytest.mark.parametrize("name", AT_THE_END)
def test_the_end_of_the_interpreter(name: str) -> None:
    code = f"{START}{AT_THE_END[name]}\ntime.sleep(0.05)"
    for _ in range(20 if CAMPAIGN else 1):
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
            env=environment(),
        )  # fmt: skip
        assert (run.returncode, run.stderr) == (0, "")
        assert run.stdout == ("" if name.endswith("in a daemon thread") else "2000\n")
