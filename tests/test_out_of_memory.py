"""Calls that find no memory."""

from __future__ import annotations

import shutil
import subprocess
import sys

import failing_allocations
import pytest
from command_line import environment
from extent import CAMPAIGN, SANITIZED

OUT_OF_MEMORY = """
import resource, sys
import numpy as np
from makemore_cpp import _core
p = _core.initial_parameters(3, 10, 200, 27, 1)
X, Y = np.zeros((400_000, 3), np.int32), np.zeros(400_000, np.int32)
floats = np.zeros((200_000, 60), np.float32)
model = _core.LanguageModel(_core.SavedModel(_core.Vocabulary("abcdefghijklmnopqrstuvwxyz"), *p))
sampler = _core.Sampler(model, model.vocabulary, 3)
before = [a.copy() for a in p]
calls = {
    "initial_parameters": lambda: _core.initial_parameters(3, 10, 1 << 19, 27, 1),
    "batch_rows": lambda: _core.batch_rows(1, 0, 10**4, 1000, 100),
    "log_probs": lambda: _core.log_probs(*p, X, 2),
    "LanguageModel.log_probs": lambda: model.log_probs(X, 2),
    "train_steps": lambda: _core.train_steps(*p, X, Y, [0.1], batch_size=10**7, threads=2),
    "train_steps, all": lambda: _core.train_steps(*p, X, Y, [0.1], rows="all", threads=2),
    "log_softmax": lambda: _core.log_softmax(floats, 2),
    "linear_forward": lambda: _core.linear_forward(floats, np.zeros((60, 90), "f4"),
                                                   np.zeros(90, "f4"), 2),
    "draw": lambda: sampler.draw(0, 1 << 23, 2),
    "encode": lambda: _core.Vocabulary(["a"]).encode("a" * 15_000_000),
}
expected = [_core.log_probs(*p, X[:1000], 2), sampler.draw(0, 50, 2)]  # starts the pool too
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + (16 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for name, call in calls.items():
    try:
        call()
        print(name, "had enough memory")
    except MemoryError:
        pass
    assert all(a.tobytes() == b.tobytes() for a, b in zip(p, before)), name
again = [_core.log_probs(*p, X[:1000], 2), sampler.draw(0, 50, 2)]
assert again[0].tobytes() == expected[0].tobytes()
assert again[1][0].tolist() == expected[1][0].tolist()
"""


@pytest.mark.skipif(SANITIZED, reason="a sanitizer needs address space")
@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not bound it")
def test_memory_that_cannot_be_had_is_a_memory_error() -> None:
    """The next call, which needs less, is right."""
    run = subprocess.run(
        [sys.executable, "-c", OUT_OF_MEMORY], capture_output=True, text=True, timeout=120,
        env=environment(),
    )  # fmt: skip
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.skipif(SANITIZED, reason="the sanitizer has its own allocations")
@pytest.mark.skipif(sys.platform != "linux", reason="others preload in another way")
@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")
def test_an_allocation_that_fails_is_a_memory_error_or_changes_nothing() -> None:
    code, printed = failing_allocations.run(most=2000 if CAMPAIGN else 40)
    assert code == 0, printed[-2000:]
