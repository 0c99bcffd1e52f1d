"""Makes folders for runs and sweeps, locks them, and removes what killed processes have left."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from makemore_cpp._core import FileError
from makemore_cpp.files import atomic

# The temporary files that a process leaves when it is killed during a save.
STRAYS = ".makemore-*.tmp"
# The errors by which a file system, such as some of a network, says that it has no locks.
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.EBADF, errno.EINVAL)
ATTEMPTS = 100  # to make a folder that other processes remove at the same time


class _VanishedError(FileError):
    """A folder was removed before it could be locked."""


@contextlib.contextmanager
def new_folder(
    out: str | os.PathLike[str] | None = None,
    overwrite: bool | None = None,
    root: str | os.PathLike[str] = "runs",
) -> Iterator[Path]:
    """Make a folder in which files can be written, lock it, and give it.

    Parameters
    ----------
    out : str or path, optional
        The folder. Without it, the folder is ``root/<n>`` with the next free number.
    overwrite : bool, optional
        Whether `out` may hold files already; None means no, and errors do not offer the choice.

    Raises
    ------
    FileError
        The folder cannot be made or written in, holds files already, or another process is at
        work in it.
    """
    with contextlib.ExitStack() as stack:
        for attempt in range(ATTEMPTS):
            folder = stack.enter_context(made(out, root))
            try:
                stack.enter_context(locked(folder))
                break
            except _VanishedError:
                if attempt == ATTEMPTS - 1:
                    raise
        if not overwrite:
            _check_empty(folder, "" if overwrite is None else ", or --overwrite")
        atomic.check_folder(folder)
        yield folder


@contextlib.contextmanager
def made(
    out: str | os.PathLike[str] | None, root: str | os.PathLike[str] = "runs"
) -> Iterator[Path]:
    """Give a folder as `new_folder` does, but unlocked, and whether it holds files or not.

    At the end, the folders that this call has made are removed if they are empty and no other
    process is at work in them.
    """
    new: list[Path] = []
    try:
        try:
            folder = _numbered(Path(root), new) if out is None else _make(Path(out), new)
        except OSError as error:
            raise FileError(f"cannot make the folder {error.filename}: {error.strerror}") from error
        yield folder
    finally:
        for path in reversed(new):
            with contextlib.suppress(OSError, FileError), locked(path):
                path.rmdir()


def make(folder: str | os.PathLike[str]) -> None:
    """Make a folder if there is none; raise FileError unless files can be written in it."""
    try:
        _make(Path(folder), [])
    except OSError as error:
        raise FileError(f"cannot make the folder {error.filename}: {error.strerror}") from error
    atomic.check_folder(folder)


def _make(folder: Path, new: list[Path]) -> Path:
    """Make a folder and its missing parents; append to `new` the folders that this call makes."""
    for _ in range(ATTEMPTS):
        try:
            folder.mkdir()
        except FileExistsError:
            if folder.is_dir():
                return folder
            if os.path.lexists(folder):
                raise
        except FileNotFoundError:  # there is no parent, or another process has removed it
            if folder.parent == folder:
                raise
            _make(folder.parent, new)
        else:  # only success tells who has made it: a look before would be a guess
            new.append(folder)
            return folder
    raise FileNotFoundError(
        errno.ENOENT, "it cannot be, or others remove it again and again", str(folder)
    )


def _numbered(root: Path, new: list[Path]) -> Path:
    number = 0
    for _ in range(ATTEMPTS):
        _make(root, new)
        taken = [int(path.name) for path in root.iterdir() if path.name.isdecimal()]
        number = max(number, *taken, 0) + 1
        # Another process may take the number, or remove the root, between the look and the mkdir.
        with contextlib.suppress(FileExistsError, FileNotFoundError):
            (root / str(number)).mkdir()
            new.append(root / str(number))
            return new[-1]
    raise FileExistsError(errno.EEXIST, "others take every free number", str(root))


def _check_empty(folder: Path, advice: str) -> None:
    try:
        is_empty = not any(folder.iterdir())
    except OSError as error:
        raise FileError(f"cannot list the folder {folder}: {error.strerror}") from error
    if not is_empty:
        raise FileError(f"{folder} is not empty; give another folder{advice}")


@contextlib.contextmanager
def locked(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Lock a folder, so that there is only one writer, and remove what killed writers left there.

    The lock is on the folder itself, so that it leaves no file and ends with the process. On a file
    system without locks the folder stays unlocked.

    Raises
    ------
    FileError
        Another process is at work in the folder, or there is no such folder.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise _VanishedError(f"cannot open the folder {folder}: {error.strerror}") from error
    except OSError as error:
        raise FileError(f"cannot open the folder {folder}: {error.strerror}") from error
    try:
        try:
            is_ours = _lock(descriptor)
        except OSError as error:
            raise FileError(f"cannot lock {folder}: {error.strerror}") from error
        if not is_ours:
            raise FileError(f"another process is at work in {folder}")
        if not _leads_to(folder, descriptor):  # its maker removed it before it was locked
            raise _VanishedError(f"the folder {folder} has just been removed")
        for stray in Path(folder).glob(STRAYS):
            _remove_if_left(stray)
        yield
    finally:
        os.close(descriptor)


def _leads_to(path: str | os.PathLike[str], descriptor: int) -> bool:
    """Whether a path leads to the open file or folder."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False


def _lock(descriptor: int) -> bool:
    """Lock an open file or folder; return False where another process has locked it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return True


def _remove_if_left(stray: Path) -> None:
    """Remove the temporary file of a save that was cut off; a running save has its file locked."""
    with contextlib.suppress(OSError):  # a file that stays does no harm
        descriptor = os.open(stray, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            stray.unlink()
        finally:
            os.close(descriptor)
