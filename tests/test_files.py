"""Files that are replaced as a whole, and records that grow: only regular ones."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import refuse, run

import makemore_cpp as mm
from makemore_cpp import _core, files

MODEL = mm.MLP(mm.Vocab.from_texts(["abc"]), 2, 2, 4)


def write_onnx(path: Path) -> None:
    pytest.importorskip("onnx")
    mm.export_onnx(MODEL, path)


WRITERS: dict[str, Callable[[Path], None]] = {
    "replace": lambda path: files.replace(path, b"new"),
    "save": MODEL.save,
    "export_header": lambda path: mm.export_header(MODEL, path, "names"),
    "export_onnx": write_onnx,
}


@pytest.fixture(params=WRITERS)
def write(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    """Return each function that writes a whole file."""
    return WRITERS[request.param]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_old_mode_is_kept(write: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path)
    umask = os.umask(0)
    os.umask(umask)
    assert mode(path) == 0o666 & ~umask
    for wanted in (0o600, 0o640, 0o444):
        path.chmod(wanted)
        write(path)
        assert mode(path) == wanted
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_not_a_regular_file_is_refused(
    write: Callable[[Path], None], tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/null")
    (tmp_path / "link to pipe").symlink_to("pipe")
    (tmp_path / "link to link").symlink_to("link to pipe")
    (tmp_path / "link to folder").symlink_to("folder")
    (tmp_path / "loop").symlink_to("loop")
    before = {path.name: path.lstat() for path in tmp_path.iterdir()}
    for name in before:
        with pytest.raises(mm.FileError, match=f"cannot write '.*{name}': "):
            write(tmp_path / name)
    after = {path.name: path.lstat() for path in tmp_path.iterdir()}
    assert {name: status.st_ino for name, status in after.items()} == {
        name: status.st_ino for name, status in before.items()
    }


def test_a_link_stays_and_its_target_is_replaced(
    write: Callable[[Path], None], tmp_path: Path
) -> None:
    (tmp_path / "far").mkdir()
    target = tmp_path / "far" / "target"
    target.write_bytes(b"old")
    target.chmod(0o600)
    (tmp_path / "relative").symlink_to("far/target")
    (tmp_path / "absolute").symlink_to(tmp_path / "relative")
    (tmp_path / "dangling").symlink_to("far/new")
    (tmp_path / "folder").symlink_to("far")
    for name in ("relative", "absolute", "dangling", "folder/third"):
        write(tmp_path / name)
    assert all((tmp_path / name).is_symlink() for name in ("relative", "absolute", "dangling"))
    assert target.read_bytes() != b"old"
    assert mode(target) == 0o600
    for name in ("new", "third"):
        assert (tmp_path / "far" / name).read_bytes() == target.read_bytes()
    assert len(list((tmp_path / "far").iterdir())) == 3


def test_a_file_without_a_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gone"
    with open(path, "wb") as stream:
        path.unlink()
        with pytest.raises(mm.FileError, match="a link to a file without a name"):
            files.replace(f"/proc/self/fd/{stream.fileno()}", b"new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", ["text", 3, None, bytearray(b"x")])
def test_only_bytes_are_written(data: object, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="data must be bytes, not"):
        _core.write_file(tmp_path / "file", data)
    assert list(tmp_path.iterdir()) == []


def test_all_files_of_a_run_and_a_sweep_keep_their_modes(tmp_path: Path) -> None:
    small = ("--n-hidden", 4, "--steps", 20, "--samples", 2)
    commands = [
        ("train", *small, "--out", "run", "--overwrite"),
        ("eval", "run", "--pictures", "pictures"),
        ("eval", "run", "--split", "test"),
        ("sweep", "grid", *small[:4], "--out", "sweep", "--csv", "all.csv"),
        ("sweep", "lr", "--steps", 10, "--n-hidden", 4, "--rates", "0.1", "--out", "search"),
        ("experiment", "ngram", "--max-block-size", 1, "--out", "ngram", "--overwrite"),
        ("export", "run", "names.h"),
    ]
    commands = [[*command] for command in commands]
    commands[5].remove("--overwrite")  # a sweep goes on in its own folder; this one is made anew
    for command in commands:
        run(tmp_path, *command)
    paths = [path for path in tmp_path.rglob("*") if path.is_file()]
    names = {path.name for path in paths}
    assert names >= {
        "model.safetensors", "config.json", "metrics.jsonl", "embeddings.jsonl", "loss.png",
        "embeddings.png", "hidden.png",
        "test_looks.jsonl", "table.csv", "picture.png", "rows.jsonl", "sweep.json",
        "all.csv", "growing_rate.png", "names.h",
    }  # fmt: skip
    for path in paths:
        path.chmod(0o600)
    for command in [*commands[:5], commands[6]]:
        run(tmp_path, *command)
    assert {path.name for path in paths if mode(path) != 0o600} == {"test_looks.jsonl"}, (
        "the looks at an older model's test split went with it"
    )


# -- records --------------------------------------------------------------------------------------
def test_a_record_grows_by_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "record"
    assert files.read_record(path) == []
    for line in (b"one", b"two"):
        files.append_line(path, line)
    assert files.read_record(path) == [b"one\n", b"two\n"]
    with open(path, "ab") as stream:
        stream.write(b"torn" * 100_000)
    assert files.read_record(path) == [b"one\n", b"two\n"]
    files.append_line(path, b"three")
    assert path.read_bytes() == b"one\ntwo\nthree\n"
    path.write_bytes(b"torn")
    files.append_line(path, b"one")
    assert path.read_bytes() == b"one\n"


def test_a_line_that_cannot_be_written_whole_leaves_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "record"
    files.append_line(path, b"one")
    write = os.write
    with monkeypatch.context() as patch:
        # One disk is full after three bytes; the other takes nothing and gives no reason.
        answers = iter([3, OSError(28, "No space left on device")])

        def full(descriptor: int, data: memoryview) -> int:
            answer = next(answers)
            if isinstance(answer, OSError):
                raise answer
            return write(descriptor, data[:answer])

        patch.setattr(os, "write", full)
        with pytest.raises(mm.FileError, match=r"cannot write .*record: No space left on device"):
            files.append_line(path, b"two and more")
        patch.setattr(os, "write", lambda descriptor, data: 0)
        with pytest.raises(mm.FileError, match="nothing could be written"):
            files.append_line(path, b"two")
    assert path.read_bytes() == b"one\n"


def test_a_record_is_a_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path, Path("/dev/null"), Path("/dev/zero")):
        for use in (files.read_record, lambda place: files.append_line(place, b"line")):
            with pytest.raises(mm.FileError, match=r"not a regular file|directory"):
                use(place)


def test_a_record_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine\n")
    (tmp_path / "record").symlink_to("precious")
    with pytest.raises(mm.FileError, match=r"cannot write .*record: Too many levels of symbolic"):
        files.append_line(tmp_path / "record", b"line")
    assert (tmp_path / "precious").read_text() == "mine\n"


def test_places_are_tried_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")
    os.mkfifo(tmp_path / "pipe")
    for good in ("old", "new"):
        files.check_replaceable(tmp_path / good)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old", "pipe"]
    assert (tmp_path / "old").read_bytes() == b"old"
    for bad in ("pipe", "missing/file", "x" * 300, "", "old/below"):
        with pytest.raises(mm.FileError, match="cannot write '"):
            files.check_replaceable(tmp_path / bad)
    for arguments in (
        ("sweep", "grid", "--csv", "missing/all.csv", "--steps", 10**9),
        ("eval", "model.safetensors", "--pictures", "old"),
        ("train", "--out", "x" * 300, "--steps", 10**9),
        ("train", "--out", "old/x", "--steps", 10**9),
        ("train", "--out", "/proc/makemore", "--steps", 10**9),
    ):
        MODEL.save(tmp_path / "model.safetensors")
        assert "cannot" in refuse(tmp_path, *arguments)


def test_two_writers_of_one_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    kinds = [bytes([i]) * 100_000 for i in range(4)]

    def write_often(data: bytes) -> None:
        for _ in range(30):
            files.replace(path, data)
            assert path.read_bytes() in kinds

    threads = [threading.Thread(target=write_often, args=(data,)) for data in kinds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(tmp_path.iterdir()) == [path]
