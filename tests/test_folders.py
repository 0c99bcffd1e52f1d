"""Folders of runs and sweeps: one process makes and holds each, and none is removed in use."""

from __future__ import annotations

import multiprocessing
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from extent import CAMPAIGN

import makemore_cpp as mm
from makemore_cpp import files
from makemore_cpp.files import folders

STARTS = 300 if CAMPAIGN else 20


def kept(*where: Any, **more: Any) -> Path:
    """Make a folder and keep a file in it."""
    with folders.new_folder(*where, **more) as folder:
        (folder / "file").touch()
    return folder


def test_numbered_folders_are_never_reused(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    assert kept(root=root) == root / "1"
    assert kept(root=root) == root / "2"
    (root / "7").write_text("a file")
    (root / "notes").mkdir()
    assert kept(root=root) == root / "8"
    with folders.new_folder(root=root) as folder:
        assert folder == root / "9"
    assert not (root / "9").exists()


def test_a_failed_run_leaves_no_folder(tmp_path: Path) -> None:
    for out, root in ((None, "a/runs"), ("b/c/d", "unused")):
        place = None if out is None else tmp_path / out
        with pytest.raises(KeyError), folders.new_folder(place, root=tmp_path / root):
            raise KeyError
        assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "empty" / "x", tmp_path / "empty"):
        with pytest.raises(KeyError), folders.new_folder(place):
            raise KeyError
    assert list(tmp_path.iterdir()) == [tmp_path / "empty"], "it was there before"


def test_a_number_taken_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "1").mkdir()
    iterdir, looks = type(tmp_path).iterdir, iter([[]])
    monkeypatch.setattr(
        type(tmp_path), "iterdir", lambda self: iter(next(looks, list(iterdir(self))))
    )
    with folders.made(None, tmp_path) as folder:
        assert folder == tmp_path / "2"


def test_out_folder(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    assert kept(out) == out
    with pytest.raises(mm.FileError, match="is not empty"):
        kept(out)
    assert kept(out, overwrite=True) == out
    for place in (out / "file", out / "file" / "below", out / ("x" * 300), "/proc/makemore"):
        with pytest.raises(mm.FileError, match="cannot make the folder"):
            kept(place)
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(mm.FileError, match="cannot make the folder"):
        kept(tmp_path / "dangling")


# -- what others leave, and what they use ---------------------------------------------------------
def test_what_killed_saves_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".makemore-123-4.tmp").write_bytes(b"half")
    (tmp_path / "mine.tmp").write_bytes(b"")
    with folders.new_folder(tmp_path, overwrite=True) as folder:
        assert [path.name for path in folder.iterdir()] == ["mine.tmp"]
    (tmp_path / "mine.tmp").unlink()
    (tmp_path / ".makemore-123-4.tmp").write_bytes(b"half")
    with folders.new_folder(tmp_path) as folder:  # which counts as empty
        assert list(folder.iterdir()) == []


def test_a_save_that_is_going_on_is_not_disturbed(tmp_path: Path) -> None:
    data = bytes(1 << 20)
    stop = threading.Event()
    failed: list[BaseException] = []

    def save() -> None:
        try:
            while not stop.is_set():
                files.replace(tmp_path / "file", data)
        except BaseException as error:
            failed.append(error)

    writers = [threading.Thread(target=save) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(STARTS):
            with folders.locked(tmp_path):
                pass
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert failed == []
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_lock_is_given_back(tmp_path: Path) -> None:
    for _ in range(2):
        with folders.locked(tmp_path), pytest.raises(mm.FileError, match="another process"):
            folders.locked(tmp_path).__enter__()
    with pytest.raises(KeyError), folders.locked(tmp_path):
        raise KeyError
    with folders.locked(tmp_path):
        pass
    with pytest.raises(mm.FileError, match="cannot open the folder"):
        folders.locked(tmp_path / "missing").__enter__()


# -- several that start on one new folder ---------------------------------------------------------
def start(out: Path, barrier: Any, results: Any, delay: float) -> None:
    """Hold the folder, if nobody else does, and say whether it was there all the time."""
    mkdir = Path.mkdir

    def slow(self: Path, *arguments: Any, **more: Any) -> None:
        mkdir(self, *arguments, **more)
        threading.Event().wait(delay)

    Path.mkdir = slow  # type: ignore[method-assign]
    barrier.wait()
    try:
        with folders.new_folder(out) as folder:
            before = folder.stat().st_ino
            results.put("holds")
            barrier.wait()  # all have tried
            results.put(folder.stat().st_ino == before)
            (folder / "file").touch()
    except mm.FileError as error:
        results.put(str(error))
        barrier.wait()


@pytest.mark.parametrize("processes", [2, 4])
@pytest.mark.parametrize("delay", [0.0, 0.005])
def test_one_of_many_holds_a_new_folder(tmp_path: Path, processes: int, delay: float) -> None:
    context = multiprocessing.get_context("fork")
    for i in range(STARTS // 2):  # with each delay
        out = tmp_path / str(i) / "out"
        barrier, results = context.Barrier(processes, timeout=30), context.Queue()
        children = [
            context.Process(target=start, args=(out, barrier, results, delay))
            for _ in range(processes)
        ]
        for child in children:
            child.start()
        found = [results.get(timeout=30) for _ in range(processes + 1)]
        for child in children:
            child.join(30)
        assert found.count("holds") == 1, found
        assert found.count(True) == 1, found
        others = [one for one in found if one not in ("holds", True)]
        assert all("another process is at work" in str(one) for one in others), found
        assert os.listdir(out) == ["file"]
