"""The library's behaviour towards the process that it lives in: forks, exits, signals, state.

``MAKEMORE_CAMPAIGN=1`` repeats forks and exits a hundred times.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from example_run import Run
from extent import CAMPAIGN, SANITIZED
from text_models import OfOnesOwn, model_of, small_data

import makemore_cpp as mm
from makemore_cpp import _core


# -- forks ----------------------------------------------------------------------------------------
@contextmanager
def threads_inside_calls(run: Run) -> Iterator[None]:
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            run.train(np.full(50, 0.1), threads=2)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def exit_code(pid: int, seconds: float) -> int | None:
    """Return a child's exit code; where the child hangs, end it and return None."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


@pytest.mark.skipif(SANITIZED, reason="the sanitizer's own locks do not outlive a fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_forked_while_others_are_inside_calls() -> None:
    run = Run()
    expected = run.train(np.full(20, 0.1), threads=2)[0].tobytes()
    with threads_inside_calls(run):
        for _ in range(100 if CAMPAIGN else 20):
            pid = os.fork()
            if pid == 0:
                os._exit(
                    0 if run.train(np.full(20, 0.1), threads=2)[0].tobytes() == expected else 1
                )
            assert exit_code(pid, 60) == 0


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_forked_inside_a_call_leaves_it() -> None:
    """The caller's own function forks; the parent's call goes on, with the same result."""
    run, parent, children = Run(), os.getpid(), []
    expected = run.train(np.full(40, 0.1), threads=2)[0].tobytes()

    def fork() -> bool:
        children.append(os.fork() if os.getpid() == parent and len(children) < 5 else -1)
        return False

    try:
        found = run.train(np.full(40, 0.1), threads=2, should_stop=fork)[0].tobytes()
    except BaseException as error:
        if os.getpid() == parent:
            raise
        again = run.train(np.full(40, 0.1), threads=2)[0].tobytes() == expected
        os._exit(0 if again and "forked inside this call" in str(error) else 1)
    if os.getpid() != parent:
        os._exit(2)
    assert found == expected
    assert [exit_code(pid, 60) for pid in children if pid > 0] == [0] * 5


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_other_processes_of_multiprocessing(method: str) -> None:
    model, names = model_of("MLP"), ["anna", "bob"]
    with multiprocessing.get_context(method).Pool(2) as pool:
        asked = [pool.apply_async(mm.text.score, (model, names)) for _ in range(4)]
        scores = [answer.get(timeout=120) for answer in asked]
    for score in scores:
        assert score.tobytes() == mm.text.score(model, names).tobytes()


# -- the end of the interpreter -------------------------------------------------------------------
DAEMONS = """
import threading, time, numpy as np
from makemore_cpp import _core
p = _core.initial_parameters(3, 10, 200, 27, 1)
X, Y = np.zeros((200_000, 3), np.int32), np.zeros(200_000, np.int32)
model = _core.LanguageModel(_core.SavedModel(_core.Vocabulary("abcdefghijklmnopqrstuvwxyz"), *p))
sampler = _core.Sampler(model, model.vocabulary, 3, max_length=1000)
calls = [
    lambda: _core.train_steps(*[a.copy() for a in p], X, Y, np.full(10**6, 0.1)),
    lambda: _core.train_steps(*[a.copy() for a in p], X, Y, np.full(10**6, 0.1),
                              should_stop=lambda: False),
    lambda: _core.mean_loss(*p, X, Y), lambda: _core.log_probs(*p, X),
    lambda: sampler.draw(0, 100_000), lambda: model.score("anna" for _ in range(10**7)),
]
def work(call):
    while True: call()
for call in calls: threading.Thread(target=work, args=(call,), daemon=True).start()
time.sleep({delay})
"""


@pytest.mark.parametrize("i", range(100 if CAMPAIGN else 10))
def test_an_exit_with_daemon_threads_inside_calls(i: int) -> None:
    run = subprocess.run(
        [sys.executable, "-c", DAEMONS.replace("{delay}", str(0.03 * (i % 10)))],
        capture_output=True, text=True, timeout=60, env={**os.environ, **path()},
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")


def path() -> dict[str, str]:
    """Return the environment in which a child imports the same modules as this process."""
    return {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


# -- signals --------------------------------------------------------------------------------------
class InterruptionError(Exception):
    pass


def raise_interrupted(*_: Any) -> None:
    raise InterruptionError


def long_calls() -> dict[str, Callable[[], Any]]:
    run = Run()
    deep = Run(T=8, E=10, H=4000, V=27)  # too many contexts to look each one up only once
    X, Y = np.tile(run.X, (20_000, 1)), np.tile(run.Y, 20_000)
    deep_X, deep_Y = np.tile(deep.X, (1000, 1)), np.tile(deep.Y, 1000)
    frozen = model_of("frozen")
    zeros = [0 * p for p in _core.initial_parameters(3, 1, 1, len(frozen.vocab), 1)]
    flat = _core.LanguageModel(_core.SavedModel(frozen.vocab, *zeros))
    sampler = _core.Sampler(flat, frozen.vocab, 3, max_length=1000)
    python = OfOnesOwn(model_of("KneserNey"))
    rates = np.full(2_000_000, 1e-3)
    return {
        "train_steps": lambda: run.train(rates),
        "train_steps, all rows": lambda: _core.train_steps(
            *run.first, X, Y, [0.1] * 100, rows="all"
        ),
        "mean_loss": lambda: _core.mean_loss(*deep.first, deep_X, deep_Y, 1),
        "mean_loss, few contexts": lambda: [_core.mean_loss(*run.first, X, Y) for _ in range(100)],
        "log_probs": lambda: _core.log_probs(*deep.first, deep_X, 1),
        "score": lambda: frozen.score(itertools.repeat("annabella", 10**8)),
        "draw": lambda: sampler.draw(0, 3_000_000),
        "sample": lambda: mm.text.sample(python, 10**8),
        "complete": lambda: [
            _core.complete(flat, frozen.vocab, 3, "a", 1_000_000, 1000) for _ in range(50)
        ],
        "complete of Python's": lambda: mm.text.complete(python, "", 100_000),
        "batch_rows": lambda: _core.batch_rows(1, 0, 1 << 20, 256, 1000),
        "initial_parameters": lambda: _core.initial_parameters(8, 64, 1 << 18, 27, 1),
    }


@pytest.mark.skipif(SANITIZED, reason="everything takes longer")
def test_a_signal_ends_long_calls_soon() -> None:
    before = signal.signal(signal.SIGALRM, raise_interrupted)
    try:
        for name, call in long_calls().items():
            waits = []
            while not waits or (waits[-1] > 0.2 and len(waits) < 4):  # others use this machine too
                start = time.monotonic()
                signal.setitimer(signal.ITIMER_REAL, 0.1)
                with pytest.raises(InterruptionError):
                    call()
                waits.append(time.monotonic() - start - 0.1)
            assert waits[-1] < 0.2, f"{name} went on for {waits} s"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_signal_while_the_first_batch_is_made_changes_nothing() -> None:
    run = Run(N=500)
    X, Y = np.tile(run.X, (6_000, 1)), np.tile(run.Y, 6_000)
    before = signal.signal(signal.SIGALRM, raise_interrupted)
    parameters = [p.copy() for p in run.first]
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.06)
        with pytest.raises(InterruptionError):
            _core.train_steps(*parameters, X, Y, [0.1] * 1000, rows="all")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    for p in parameters:
        assert np.isfinite(p).all()


# -- the host's state -----------------------------------------------------------------------------
STATE = """
import locale, os, random, signal, struct, sys, threading, warnings
import numpy as np
def state():
    return {
        "signals": [signal.getsignal(s) for s in sorted(signal.valid_signals())
                    if s not in (signal.SIGKILL, signal.SIGSTOP)],
        "mask": signal.pthread_sigmask(signal.SIG_BLOCK, []), "wakeup": signal.set_wakeup_fd(-1),
        "locale": locale.setlocale(locale.LC_ALL), "errors of NumPy": np.geterr(),
        "subnormal numbers": struct.pack("dd", 5e-324 * float("1"), 1e-310 / float("3")),
        "subnormal float32": (np.float32(1e-40) * np.float32(0.5)).tobytes(),
        "rounding": struct.pack("dd", 1 + float("1e-16"), 1 - float("1e-16")),
        "random": random.getstate(), "random of NumPy": repr(np.random.get_state()),
        "warnings": list(warnings.filters), "threads": threading.active_count(),
        "tasks": len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 1,
        "environment": dict(os.environ), "folder": os.getcwd(), "path": list(sys.path),
        "hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook),
        "recursion": sys.getrecursionlimit(), "affinity": sorted(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity") else None,
    }
before = state()
import makemore_cpp
{use}
after = state()
for name in before:
    if before[name] != after[name] and name not in {allowed}: print(name)
"""
USE = """
from makemore_cpp import _core
p = _core.initial_parameters(3, 10, 200, 27, 1)
X, Y = np.zeros((500, 3), np.int32), np.zeros(500, np.int32)
_core.train_steps(*p, X, Y, np.full(50, 0.1), threads=3); _core.log_probs(*p, X, 3)
"""


@pytest.mark.parametrize(("use", "allowed"), [("", "()"), (USE, "('tasks',)")])
def test_the_state_of_the_process_is_as_it_was(use: str, allowed: str) -> None:
    code = STATE.replace("{use}", use).replace("{allowed}", allowed)
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **path()},
    )  # fmt: skip
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


# -- exceptions of the caller's own functions -----------------------------------------------------
def test_what_a_callback_raises_reaches_the_caller() -> None:
    raised = InterruptionError("as it is")

    def fail(*_: Any) -> Any:
        raise raised

    run, data, model = Run(), small_data(), OfOnesOwn(model_of("MLP"))
    model.log_probs = fail
    vocabulary = model.vocab
    calls: list[Callable[[], Any]] = [
        lambda: run.train([0.1] * 5, should_stop=fail, threads=2),
        lambda: mm.train(mm.MLP(data.vocab), data, steps=2000, on_progress=fail),
        lambda: mm.text.sample(model, 3),
        lambda: mm.text.complete(model, "a"),
        lambda: mm.text.score(model, ["anna"]),
        lambda: mm.text.next_probs(model, "a"),
        lambda: _core.Sampler(fail, vocabulary, 3).draw(0, 3),
        lambda: _core.complete(fail, vocabulary, 3, "a", 2),
        lambda: model_of("frozen").score(fail() for _ in range(3)),
    ]
    for call in calls:
        with pytest.raises(InterruptionError) as caught:
            call()
        assert caught.value is raised
