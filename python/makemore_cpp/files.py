"""Whole files, replaced atomically."""

import os
from pathlib import Path

from makemore_cpp._core import FileError


def replace(path: str, data: bytes) -> None:
    """Make `path` hold `data`, or raise FileError and change nothing."""
    import tempfile  # and so much else that `import makemore_cpp` would take longer

    # A rename would replace a device or a pipe, for example /dev/stdout, by a file.
    if os.path.exists(path) and not os.path.isfile(path):
        raise FileError(f"cannot write {path}: it is not a regular file")
    try:
        folder = os.path.dirname(path) or "."
        with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=folder) as unfinished:
            new = Path(unfinished) / "file"
            new.write_bytes(data)
            os.replace(new, path)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}") from error
    except ValueError as error:  # a zero byte in the path, or what has no encoding
        raise FileError(f"cannot write {path!a}: {error}") from error
