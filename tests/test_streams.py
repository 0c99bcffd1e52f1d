"""Streams that say "not now" or fail: nothing is lost, and nothing comes twice."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from command_line import is_one_sentence, run, started

import makemore_cpp as mm
from makemore_cpp.data.lines import read_lines
from makemore_cpp.files.streams import patient_output

SLOWLY = 0.15  # seconds between two writes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model, "m", and a file of texts, "many"."""
    folder = tmp_path_factory.mktemp("streams")
    texts = mm.load_texts()[:3000]
    (folder / "texts").write_text("\n".join(texts))
    run(folder, "train", "--data", "texts", "--steps", 50, "--samples", 0, "--out", "m")
    (folder / "many").write_text("\n".join(texts[i % 3000] for i in range(60_000)))
    return folder


def pipe() -> tuple[int, int]:
    return os.pipe()


def sockets() -> tuple[int, int]:
    a, b = socket.socketpair()
    return a.detach(), b.detach()


def not_blocking(descriptor: int) -> int:
    os.set_blocking(descriptor, False)
    return descriptor


def written_slowly(descriptor: int, pieces: list[bytes]) -> threading.Thread:
    """Write pieces, each after a pause, then close."""

    def write() -> None:
        for piece in pieces:
            time.sleep(SLOWLY)
            os.write(descriptor, piece)
        time.sleep(SLOWLY)
        os.close(descriptor)

    thread = threading.Thread(target=write)
    thread.start()
    return thread


# -- reading --------------------------------------------------------------------------------------
PIECES = [b"anna\nbo", b"b\n", b"emma\nzo", b"e\n\nmia"]
LINES = ["anna", "bob", "emma", "zoe", "", "mia"]
ARGUMENTS = [
    ("score", "m", "--oov", "-inf"),
    ("detect", "m", "--all"),
    ("score", "m", "/dev/stdin", "--oov", "-inf"),
]


@pytest.mark.parametrize("ends", [pipe, sockets])
@pytest.mark.parametrize("arguments", ARGUMENTS, ids=" ".join)
def test_an_input_that_is_not_there_yet(folder, ends, arguments):
    if ends is sockets and "/dev/stdin" in arguments:
        pytest.skip("a socket cannot be opened by a name")
    reader, writer = ends()
    # Nothing is there until long after the command has started.
    time_to_start = [b""] * round(1.5 / SLOWLY)
    with started(folder, *arguments, stdin=not_blocking(reader)) as process:
        thread = written_slowly(writer, time_to_start + PIECES)
        out, error = process.communicate()
        thread.join()
    assert not os.get_blocking(reader), "it is others' too"
    os.close(reader)
    assert (process.returncode, error) == (0, b"")
    assert [line.split("\t")[-1] for line in out.decode().splitlines()] == LINES


def test_training_on_an_input_that_is_not_there_yet(folder, tmp_path):
    reader, writer = pipe()
    with started(
        tmp_path, "train", "--data", "-", "--steps", 10, "--samples", 0, stdin=not_blocking(reader)
    ) as process:
        thread = written_slowly(writer, [b""] * 8 + [b"anna\nbob\n" * 10, b"carl\n" * 10])
        error = process.communicate()[1]
        thread.join()
    os.close(reader)
    assert (process.returncode, error) == (0, b"")
    assert mm.MLP.load(tmp_path / "runs" / "1").vocab.characters == list("abclnor")


def no_buffer(descriptor: int) -> Any:
    """A stream that returns None for "not now", as a user's may do."""

    class Unbuffered(io.FileIO):
        def read1(self, size: int) -> bytes | None:
            return self.read(size)

    return Unbuffered(descriptor)


def raising(descriptor: int) -> Any:
    class Raising(io.FileIO):
        def read1(self, size: int) -> bytes:
            return os.read(self.fileno(), size)

    return Raising(descriptor)


@pytest.mark.parametrize("kind", [lambda d: open(d, "rb"), no_buffer, raising])  # noqa: SIM115
def test_a_stream_of_the_library_is_waited_for(kind: Callable[[int], Any]) -> None:
    reader, writer = pipe()
    thread = written_slowly(writer, PIECES)
    with kind(not_blocking(reader)) as stream:
        assert list(chain.from_iterable(read_lines(stream, "it"))) == LINES
    thread.join()


def test_a_stream_that_cannot_be_waited_for_is_refused() -> None:
    class Never:
        def read1(self, size: int) -> None:
            return None

    with pytest.raises(OSError, match="nothing is there now"):
        list(read_lines(Never(), "it"))


class Memory(io.RawIOBase):
    """A stream of bytes without a descriptor, as archives and connections give."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        answer = self.answers.pop(0) if self.answers else b""
        if answer is None:
            return None
        buffer[: len(answer)] = answer
        return len(answer)


def test_a_stream_without_a_descriptor() -> None:
    assert list(read_lines(io.BufferedReader(Memory(b"a\nb", b"c\n")), "it")) == [["a"], ["bc"]]
    found = read_lines(io.BufferedReader(Memory(b"a\nb", None, None)), "it")
    assert next(found) == ["a"]
    with pytest.raises(OSError, match="nothing is there now"):
        next(found)


def test_a_named_pipe_is_read_to_its_end(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    descriptor = os.open(tmp_path / "fifo", os.O_RDWR | os.O_NONBLOCK)
    thread = threading.Thread(target=lambda: (time.sleep(SLOWLY), os.close(descriptor)))
    os.write(descriptor, b"anna\nbob\n")
    thread.start()
    assert mm.load_texts(tmp_path / "fifo") == ["anna", "bob"]
    thread.join()


# -- writing --------------------------------------------------------------------------------------
def read_slowly(descriptor: int) -> bytes:
    """Read all, with pauses in which the pipe is full."""
    seen = b""
    while True:
        time.sleep(0.002)
        try:
            part = os.read(descriptor, 3001)
        except OSError:  # a terminal's end
            part = b""
        if not part:
            return seen
        seen += part


def full_pipe() -> tuple[int, int, int]:
    """Return the ends of a full pipe, which does not block, and the number of bytes in it."""
    reader, writer = pipe()
    not_blocking(writer)
    filled = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            filled += os.write(writer, b"x")
    return reader, writer, filled


@pytest.mark.parametrize("ends", [pipe, sockets, pty.openpty])
def test_an_output_that_is_full(folder, ends):
    """Every line comes once, however slowly it is read."""
    expected = run(folder, "score", "m", "many")[0]
    reader, writer = ends()
    if ends is pipe and hasattr(fcntl, "F_SETPIPE_SZ"):
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
    with started(folder, "score", "m", "many", stdout=not_blocking(writer)) as process:
        assert not os.get_blocking(writer)
        os.close(writer)
        seen = read_slowly(reader).replace(b"\r\n", b"\n")
        assert (process.wait(timeout=60), process.stderr.read()) == (0, b"")
    os.close(reader)
    assert seen.decode() == expected


def test_help_and_tables_on_an_output_that_is_full(folder):
    for arguments in (("sample", "--help"), ("eval", "m")):
        expected = run(folder, *arguments)[0].encode()
        reader, writer, filled = full_pipe()
        with started(folder, *arguments, stdout=writer) as process:
            os.close(writer)
            time.sleep(1.5)
            seen = read_slowly(reader)
            assert (process.wait(timeout=60), process.stderr.read()) == (0, b"")
        os.close(reader)
        assert seen[filled:] == expected


def test_a_sentence_on_an_stderr_that_is_full(folder):
    reader, writer, filled = full_pipe()
    with started(folder, "eval", "nothing", stderr=writer) as process:
        os.close(writer)
        time.sleep(1.5)
        seen = read_slowly(reader)[filled:].decode()
        assert process.wait(timeout=60) == 2
    os.close(reader)
    assert is_one_sentence(seen)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("eval", "nothing"), 2),
        (("sample", "m", "--max-length", 1, "-n", 9, "--unfinished", "keep"), 2),
        (("info",), 0),
    ],
)
def test_an_stderr_that_cannot_be_written(folder, arguments, code):
    """A sentence that cannot be written is an error; a command that has none to write ends well."""
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    with open("/dev/full", "wb") as full, started(folder, *arguments, stderr=full) as process:
        process.communicate()
        assert process.returncode == code


def test_a_terminal_that_went_away(folder):
    controller, terminal = pty.openpty()
    with started(folder, "score", "m", stdout=terminal) as process:
        os.close(terminal)
        process.stdin.write(b"anna\n")
        process.stdin.flush()
        assert b"anna" in os.read(controller, 100)
        os.close(controller)
        error = process.communicate(b"bob\n")[1].decode()
        assert process.returncode == 2
        assert error == "makemore_cpp: standard output: Input/output error\n"


@pytest.mark.parametrize(
    ("arguments", "progress"),
    [
        (("train", "--steps", 60_000), b"steps/s"),
        (("sweep", "grid", "--steps", 8000, "--lr", "0.1,0.2,0.3,0.4", "--jobs", 1), b"1 of 4"),
    ],
    ids=["train", "sweep"],
)
def test_a_terminal_that_went_away_while_progress_was_shown(tmp_path, arguments, progress):
    controller, terminal = pty.openpty()
    with started(tmp_path, *arguments, "--out", "r", stderr=terminal) as process:
        os.close(terminal)
        seen = b""
        while progress not in seen:
            seen += os.read(controller, 100)
        os.close(controller)
        assert b"folder: r" in process.communicate()[0]
        assert process.returncode == 0


def test_an_interrupt_while_the_output_is_full(folder):
    """The command ends at once, and every line that it had written stands there once."""
    reader, writer = pipe()
    with started(folder, "sample", "m", "-n", 10**9, stdout=not_blocking(writer)) as process:
        os.close(writer)
        seen = os.read(reader, 1)
        time.sleep(0.3)  # until the pipe is full
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130
        assert time.monotonic() - begin < 2
        assert process.stderr.read().lstrip(b"\n") == b"makemore_cpp: interrupted\n"
    seen += read_slowly(reader)
    os.close(reader)
    expected = run(folder, "sample", "m", "-n", seen.count(b"\n") + 1)[0].encode()
    assert expected.startswith(seen)


@pytest.mark.parametrize("stream", [None, io.StringIO(), io.TextIOWrapper(io.BytesIO())])
def test_streams_of_somebody_else_are_left_alone(stream, monkeypatch):
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    with patient_output():
        assert sys.stdout is sys.stderr is stream
    assert sys.stdout is sys.stderr is stream
