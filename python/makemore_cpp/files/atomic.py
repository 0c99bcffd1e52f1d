"""Replaces whole files atomically, and lets records (files of lines) grow by whole lines."""

import contextlib
import os
import stat
import threading
from collections.abc import Iterator

from makemore_cpp import _core
from makemore_cpp._core import FileError


def replace(path: str | os.PathLike[str], data: bytes) -> None:
    """Make the file hold `data`, durably, or raise FileError and leave an older one as it was.

    A new file has the permissions of the one that it replaces. A symbolic link stays, and the file
    to which it leads is replaced or made. A path that is not a regular file is refused.
    """
    _core.write_file(path, data)


def check_replaceable(path: str | os.PathLike[str]) -> None:
    """Raise FileError if `replace` would, as far as that can be known before there are data.

    A file of another name is in the folder for a moment; a file of this name could be left empty
    there by a failing disk.
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
    own = f"{os.getpid()}-{threading.get_ident()}"  # other threads may be checking the folder too
    probe = os.path.join(folder, f".makemore-{own}-probe.tmp")
    try:
        _core.write_file(probe, b"probe")
        os.unlink(probe)
    except FileError as error:
        with contextlib.suppress(OSError):  # it may be in place, if only the last sync failed
            os.unlink(probe)
        reason = str(error).rpartition(": ")[2]
        what = f"cannot write in {os.fspath(folder)}" if name is None else f"cannot write '{name}'"
        raise FileError(f"{what}: {reason}") from None
    except OSError as error:
        raise FileError(f"cannot remove {probe}: {error.strerror}") from error


def read(path: str | os.PathLike[str]) -> bytes | None:
    """Return the bytes of a regular file, or None where there is no file of that name.

    Raises
    ------
    FileError
        The path is not a regular file, or cannot be read.
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
    """Return the whole lines of a record, none without a file; a line torn by a crash is left out.

    It raises what `read` does.
    """
    lines = (read(path) or b"").splitlines(keepends=True)
    return lines[:-1] if lines and not lines[-1].endswith(b"\n") else lines


def append_line(path: str | os.PathLike[str], line: bytes) -> None:
    """Add a line to a record; once this returns, the line outlives a crash of the machine.

    If a crash has left a part of a line at the end, that part is removed first. If the line cannot
    be written whole, the record is as it was. A link is refused: whoever made the folder might have
    aimed it at another file.

    Raises
    ------
    FileError
        The path is not a regular file, or the line cannot be written.
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
    """Open a regular file; a named pipe at the path is refused at once, not waited for."""
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is not a regular file")
        yield descriptor
    finally:
        os.close(descriptor)


def _end_of_last_line(descriptor: int) -> int:
    """Return the number of bytes up to the last newline of a file, which it includes."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        begin = max(0, end - (1 << 16))
        newline = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        end = begin
    return 0
