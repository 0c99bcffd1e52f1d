"""How files are written: whole ones are replaced atomically, records grow by whole lines."""

import contextlib
import os
import stat
from collections.abc import Iterator

from makemore_cpp import _core
from makemore_cpp._core import FileError


def replace(path: str | os.PathLike[str], data: bytes) -> None:
    """Make the file hold `data`, durably, or raise FileError and leave an older one as it was.

    A new file has the permissions of the one that it replaces. A symbolic link stays, and the file
    that it leads to is replaced or made. What is not a regular file is refused.
    """
    _core.write_file(path, data)


def check_replaceable(path: str | os.PathLike[str]) -> None:
    """Raise FileError if `replace` would, as far as that can be known before there are data.

    No file of that name is made, of which a failing disk could leave an empty one; but another one
    is in the folder for a moment.
    """
    place = os.path.realpath(path)
    try:
        if not stat.S_ISREG(os.stat(place).st_mode):
            kind = "a folder" if os.path.isdir(place) else "not a regular file"
            raise FileError(f"cannot write '{os.fspath(path)}': it is {kind}")
    except FileNotFoundError:
        pass
    except FileError:
        raise
    except OSError as error:  # such as a name that is too long
        raise FileError(f"cannot write '{os.fspath(path)}': {error.strerror}") from error
    check_folder(os.path.dirname(place), os.fspath(path))


def check_folder(folder: str | os.PathLike[str], name: str | None = None) -> None:
    """Raise FileError, about the file `name`, unless files can be written in the folder."""
    probe = os.path.join(folder, f".makemore-{os.getpid()}-probe.tmp")
    try:
        _core.write_file(probe, b"probe")
        os.unlink(probe)
    except FileError as error:
        with contextlib.suppress(OSError):  # it can be there, and not outlive a crash
            os.unlink(probe)
        reason = str(error).rpartition(": ")[2]
        what = f"cannot write in {os.fspath(folder)}" if name is None else f"cannot write '{name}'"
        raise FileError(f"{what}: {reason}") from None
    except OSError as error:
        raise FileError(f"cannot remove {probe}: {error.strerror}") from error


def read(path: str | os.PathLike[str]) -> bytes | None:
    """Return what a regular file holds, None where there is no file of that name.

    Raises
    ------
    FileError
        It is something else, or cannot be read.
    """
    try:
        with (
            _opened(path, os.O_RDONLY) as descriptor,
            open(descriptor, "rb", closefd=False) as file,
        ):
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileError(f"cannot read {os.fspath(path)}: {error.strerror}") from error


def read_record(path: str | os.PathLike[str]) -> list[bytes]:
    """Return the lines of a record; without a file none, and without one that a crash has torn.

    Raises
    ------
    FileError
        As `read`.
    """
    lines = (read(path) or b"").splitlines(keepends=True)
    return lines[:-1] if lines and not lines[-1].endswith(b"\n") else lines


def append_line(path: str | os.PathLike[str], line: bytes) -> None:
    """Add a line to a record; once this returns, the line outlives a crash of the machine.

    What a crash has left of a last line goes first. If the line cannot be written whole, the record
    is as it was. A link is refused: whoever made the folder might have aimed it at another file.

    Raises
    ------
    FileError
        It is not a regular file, or the line cannot be written.
    """
    try:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        with _opened(path, flags) as descriptor:
            whole = _end_of_last_line(descriptor)
            os.ftruncate(descriptor, whole)
            try:
                left = memoryview(line + b"\n")
                while left:
                    written = os.write(descriptor, left)
                    if written == 0:
                        raise OSError(0, "nothing could be written")
                    left = left[written:]
                os.fsync(descriptor)
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, whole)
                raise
    except OSError as error:
        raise FileError(f"cannot write {os.fspath(path)}: {error.strerror}") from error


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str], flags: int) -> Iterator[int]:
    """Open a regular file, without waiting where a named pipe has its name."""
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is not a regular file")
        yield descriptor
    finally:
        os.close(descriptor)


def _end_of_last_line(descriptor: int) -> int:
    """Return how many bytes of a file end with a newline."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        begin = max(0, end - (1 << 16))
        newline = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        end = begin
    return 0
