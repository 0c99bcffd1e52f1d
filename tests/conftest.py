"""Fixtures that multiply every test by implementation: reference, instruction sets, threads."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extent import SLOW

from makemore_cpp import _core, reference

ISAS = list(_core.build_info()["isa"]["found"])
THREADS = [1, 2, 7]
WITHOUT_THREADS = {"sgd_update", "sample_tokens", "initial_parameters", "batch_rows"}


class Implementation:
    """One implementation of all functions; attribute `f` is the function f with its threads."""

    def __init__(self, isa: str | None, threads: int | None) -> None:
        self.isa, self.threads = isa, threads

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if self.isa is None:
            return getattr(reference, name)
        function = getattr(_core, name)
        return function if name in WITHOUT_THREADS else partial(function, threads=self.threads)


def use(isa: str) -> None:
    _core._set_isa(isa)
    assert _core.build_info()["isa"]["used"] == isa


@pytest.fixture
def default_isa() -> Iterator[str]:
    """Puts the instruction set back after the test."""
    before = _core.build_info()["isa"]["used"]
    yield before
    use(before)


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest, default_isa: str) -> str:
    """Every instruction set that this machine can run; the process uses it during the test."""
    use(request.param)
    return str(request.param)


CASES = [None, *((isa, threads) for isa in ISAS for threads in THREADS)]


@pytest.fixture(params=CASES, ids=lambda c: f"{c[0]}-{c[1]}" if c else "reference")
def implementation(request: pytest.FixtureRequest, default_isa: str) -> Implementation:
    """The reference in float32, then every instruction set with 1, 2 and 7 threads."""
    if request.param is None:
        return Implementation(None, None)
    isa, threads = request.param
    use(isa)
    return Implementation(isa, threads)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Numbers that depend on nothing but the test's own name, without its implementation."""
    name = request.node.originalname or request.node.name
    return np.random.default_rng(list(name.encode()))


@pytest.fixture(scope="session")
def names_path() -> Path:
    """The lecture's names.txt, which MAKEMORE_NAMES names; without it a test is skipped."""
    path = os.environ.get("MAKEMORE_NAMES")
    if not path:
        pytest.skip("MAKEMORE_NAMES is not set")
    return Path(path)


def pytest_configure(config: pytest.Config) -> None:
    # A shell lets what it starts in the background ignore interrupts, and so would its children.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with contextlib.suppress(ImportError):  # a run beside the lowest versions does without
        from hypothesis import HealthCheck, settings

        # An example may take long where others use the machine, which says nothing of the package.
        settings.register_profile(
            "shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
        )
        settings.load_profile("shared machine")
    config.addinivalue_line("markers", "slow: minutes; runs only with MAKEMORE_SLOW=1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if SLOW:
        return
    skip = pytest.mark.skip(reason="slow: set MAKEMORE_SLOW=1")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)
