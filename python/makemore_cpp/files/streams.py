"""Reads and writes streams that may be non-blocking; calls wait, and no byte is lost or doubled.

Whoever opened a pipe or a terminal may have made it non-blocking for all processes that share it;
a read or write then says "not now" where it would have to wait.
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
        """Return at most `size` bytes that are there now; b"" at the end, None for "not now"."""


def read_block(stream: Stream, size: int) -> bytes:
    """Wait until there is something to read and return at most `size` bytes, b"" only at the end.

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
    """Whether b"" may mean "not now": a buffer returns it for that and at the end."""
    if not isinstance(stream, io.BufferedReader):
        return False
    try:
        return not os.get_blocking(stream.fileno())  # asked twice, a terminal would end twice
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
    """The raw file behind stdout or stderr; its errors carry the name of the stream.

    After an interrupt inside `write`, nothing more is written: nobody knows how much of the
    interrupted data was.
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
        except OSError as error:  # nothing was written
            self.is_dropped = False
            raise OSError(error.errno, error.strerror, self._shown) from None
        self.is_dropped = False
        return written


@contextmanager
def patient_output() -> Iterator[None]:
    """Replace stdout and stderr by streams that wait where they cannot be written now.

    Their errors are OSErrors whose `filename` is "standard output" or "standard error". At the end
    both are flushed, and what cannot be written then is dropped; a caller who has to know flushes
    them before.
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
    except (AttributeError, OSError):  # a stream without a descriptor
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(output),
        stream.encoding,
        stream.errors,
        newline="\n",
        line_buffering=getattr(stream, "line_buffering", False)
        or getattr(stream, "write_through", False),
    )
