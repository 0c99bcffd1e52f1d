"""A small part of the campaigns against running processes: kills, interrupts, failing saves.

The whole: ``python tests/interruptions.py`` and ``python tests/failing_saves.py``.
"""

from __future__ import annotations

from pathlib import Path

import failing_saves
import pytest
from interruptions import FAULTS, Campaign

from makemore_cpp.language_model import CHECKPOINT_FILE


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


@pytest.mark.skipif(not failing_saves.has_strace(), reason="needs strace")
def test_a_save_that_fails_loses_nothing(tmp_path: Path) -> None:
    harness = failing_saves.Harness(tmp_path)
    first = {call.kind: call for call in reversed(harness.calls)}
    for kind in ("newfstatat", "write", "fsync", "renameat"):
        assert harness.let_fail(first[kind], "ENOSPC") is None


@pytest.mark.skipif(not failing_saves.has_strace(), reason="needs strace")
def test_a_save_into_the_old_file_is_found(tmp_path: Path) -> None:
    harness = failing_saves.Harness(tmp_path, "torn writes")
    writes = [c for c in harness.calls if c.kind == "write" and f"/{CHECKPOINT_FILE}>" in c.shown]
    found = harness.let_fail(writes[-1], "EIO")
    assert "does not load" in str(found)
