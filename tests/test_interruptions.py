"""A small part of the campaigns against running processes: kills, interrupts, failing saves.

The whole: ``python tests/interruptions.py`` and ``python tests/failing_saves.py``.
"""

from __future__ import annotations

from pathlib import Path

import failing_saves
import pytest
from interruptions import FAULTS, Campaign


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
    whole, log = tmp_path / "run-0000", tmp_path / "log"
    assert failing_saves.traced(whole, log).returncode == 0
    expected = failing_saves.digests(whole)
    calls = failing_saves.calls_of_saves(whole, log)
    kinds = {call.kind: call for call in reversed(calls)}
    assert {"write", "fsync", "renameat"} <= kinds.keys()
    for i, kind in enumerate(("write", "fsync", "renameat"), 1):
        folder = tmp_path / f"run-{i:04}"
        assert failing_saves.let_fail(kinds[kind], "ENOSPC", folder, expected) is None
