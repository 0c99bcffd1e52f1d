"""Streams that may answer "not now": reading and writing wait, so that no byte is lost or doubled.

Whoever opened a pipe or a terminal may have made it non-blocking, for all processes that share it.
"""

import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol, TextIO


class Stream(Protocol):
    """A binary file, standard input or anything else that is read in blocks."""

    def read1(self, size: int, /) -> bytes | None:
        """Return what is there now, at most `size` bytes; nothing at the end, None for not now."""


def read_block(stream: Stream, size: int) -> bytes:
    """Return what is there, at most `size` bytes, once there is something; nothing at the end only.

    Raises
    ------
    OSError
        The stream cannot be read, or has nothing now and no descriptor to wait for.
    """
    while True:
        try:
            block = stream.read1(size)
            if block == b"" and _may_be_not_now(stream):
                block = stream.raw.read(size)  # type: ignore[attr-defined]
        except BlockingIOError:
            block = None
        if block is not None:
            return block
        _wait(_descriptor_of(stream), select.POLLIN)


def _may_be_not_now(stream: Stream) -> bool:
    """Whether a buffer, which says nothing in both cases, may mean "not now" and not the end."""
    if not isinstance(stream, io.BufferedReader):
        return False
    try:
        return not os.get_blocking(stream.fileno())  # else a terminal's end is asked for twice
    except OSError:  # it has no descriptor
        return True


def _descriptor_of(stream: Any) -> int:
    try:
        return int(stream.fileno())
    except (AttributeError, io.UnsupportedOperation):
        raise OSError(
            0, "nothing is there now, and no descriptor tells when there will be"
        ) from None


def _wait(descriptor: int, event: int) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    poll.poll()


class _Output(io.FileIO):
    """Where the bytes of stdout or stderr go; errors carry its name.

    After an interrupt inside `write`, nothing more is written: nobody knows how much of that was.
    """

    def __init__(self, descriptor: int, shown: str) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._shown = shown
        self.is_dropped = False

    def write(self, data: Any) -> int:
        if self.is_dropped:
            return memoryview(data).nbytes
        self.is_dropped = True
        try:
            while (written := super().write(data)) is None:
                _wait(self.fileno(), select.POLLOUT)
        except OSError as error:  # then nothing was
            self.is_dropped = False
            raise OSError(error.errno, error.strerror, self._shown) from None  # of the same kind
        self.is_dropped = False
        return written


@contextmanager
def patient_output() -> Iterator[None]:
    """Let stdout and stderr be streams that wait where they cannot be written now.

    Their errors are OSErrors whose `filename` is "standard output" or "standard error". At the end
    they are flushed, and what cannot be written then is dropped: who has to know flushes before.
    """
    before = sys.stdout, sys.stderr
    ours = _patient(sys.stdout, "standard output"), _patient(sys.stderr, "standard error")
    sys.stdout, sys.stderr = ours
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream, other in zip(ours, before, strict=True):
            if stream is not other:
                with suppress(OSError):
                    stream.flush()
                stream.buffer.raw.is_dropped = True


def _patient(stream: TextIO | None, shown: str) -> Any:
    if stream is None:  # closed, as after `>&-`
        return None
    try:
        stream.flush()
        output = _Output(stream.fileno(), shown)
    except (AttributeError, OSError):  # somebody's own, without a descriptor
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(output),
        stream.encoding,
        stream.errors,
        newline="\n",
        line_buffering=getattr(stream, "line_buffering", False)
        or getattr(stream, "write_through", False),
    )
