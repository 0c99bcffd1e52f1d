"""A small part of the campaigns against running processes: kills, interrupts, failing saves.

The whole campaigns are ``python tests/interruptions.py``, ``python tests/failing_saves.py`` and
``python tests/failing_writes.py``.
"""

from __future__ import annotations

from pathlib import Path

import failing_saves
import failing_writes
import pytest
from extent import SANITIZED
from interruptions import FAULTS, Campaign

pytestmark = pytest.mark.skipif(SANITIZED, reason="many processes, each of which is much slower")
needs_strace = pytest.mark.skipif(not failing_saves.has_strace(), reason="needs strace")


def test_killed_and_interrupted_runs_end_in_the_same_bytes(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, seed=3)
    for trial in (campaign.kill(True), campaign.kill(True), campaign.interrupt()):
        assert trial.wrong is None, trial


@pytest.mark.parametrize(
    "fault", [pytest.param(f, marks=[pytest.mark.slow] * (f != "torn writes")) for f in FAULTS]
)
def test_planted_faults_are_found(tmp_path: Path, fault: str) -> None:
    campaign = Campaign(tmp_path, seed=1, fault=fault)
    assert any(campaign.kill(True).wrong for _ in range(4))


@needs_strace
def test_a_save_that_fails_loses_nothing(tmp_path: Path) -> None:
    harness = failing_saves.Harness(tmp_path)
    last = {call.kind: call for call in harness.calls if call.is_of_checkpoint}
    for kind in ("write", "fsync", "renameat"):
        assert last[kind].is_kept
        assert harness.let_fail(last[kind], "ENOSPC") is None


@needs_strace
@pytest.mark.parametrize(
    ("fault", "kind", "sentence"),
    [("torn writes", "write", "does not load"), ("the old file removed", "write", "it lost")],
)
def test_planted_faults_of_saves_are_found(
    tmp_path: Path, fault: str, kind: str, sentence: str
) -> None:
    harness = failing_saves.Harness(tmp_path, fault)
    last = {call.kind: call for call in harness.calls if call.is_of_checkpoint}
    assert sentence in str(harness.let_fail(last[kind], "EIO"))


@needs_strace
def test_a_write_that_fails_leaves_no_half_file(tmp_path: Path) -> None:
    harness = failing_writes.Harness(tmp_path, "export")
    last = {call.kind: call for call in harness.calls}
    for kind in ("write", "fsync", "renameat"):
        assert harness.let_fail(last[kind], "ENOSPC") is None


@needs_strace
def test_a_writer_that_is_not_atomic_is_found(tmp_path: Path) -> None:
    harness = failing_writes.Harness(tmp_path, "export", failing_writes.TORN)
    last = {call.kind: call for call in harness.calls}
    found = harness.let_fail(last["write"], "ENOSPC")
    assert found is not None
    assert "exit code 0" in found or "half" in found
