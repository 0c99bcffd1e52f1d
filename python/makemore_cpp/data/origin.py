"""Where the texts of a model are: found again by those who may, and never because a file says so.

A model file holds the digest of its data, but no path. The bundled list is known by its digest. A
run folder remembers the path of its data in a file of its own, which is believed only in the folder
for which this user's training wrote it.
"""

import contextlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from makemore_cpp import files
from makemore_cpp._core import ArgumentError, FileError
from makemore_cpp.data.dataset import PREPARATION, Preparation
from makemore_cpp.data.texts import (
    BUNDLED,
    BUNDLED_SHA256,
    DataOrigin,
    Texts,
    TextStream,
    open_texts,
)
from makemore_cpp.data.vocab import Vocab

DATA_FILE = "data.json"
MAX_DATA_FILE_BYTES = 1 << 16


def in_a_file(origin: DataOrigin | None) -> tuple[str, str, int | None] | None:
    """Return what a model file may say of its data: which they are, but not where.

    Words for how they were made ready stand in the place of the name, which the digest tells too.
    """
    if origin is None:
        return None
    _, sha256, how = origin
    if isinstance(how, str):
        return how, sha256, None
    return BUNDLED if sha256 == BUNDLED_SHA256 else "", sha256, how


def of_a_file(name: str, sha256: str, split_seed: int | None) -> DataOrigin:
    """Return the origin that a model file holds; a path in it is not believed."""
    is_how = split_seed is None and PREPARATION.fullmatch(name) is not None
    known_name = BUNDLED if sha256 == BUNDLED_SHA256 else ""
    return DataOrigin(known_name, sha256, name if is_how else split_seed)


@contextlib.contextmanager
def open_origin(origin: DataOrigin, advice: str) -> Iterator[TextStream]:
    """Open the texts of `origin` as `open_texts` does.

    Raises
    ------
    ArgumentError
        It does not say where they are; the sentence ends with `advice`.
    FileError
        The texts cannot be read, or are no longer in a regular file.
    """
    if origin.sha256 == BUNDLED_SHA256:
        with open_texts() as texts:
            yield texts
        return
    if not origin.name:
        raise ArgumentError(f"nothing says where the data of this model are; {advice}")
    with contextlib.ExitStack() as stack:
        try:
            texts = stack.enter_context(open_texts(origin.name, is_regular=True))
        except FileError as error:
            raise FileError(f"{error}; {advice}") from error
        yield texts


def load_origin(
    origin: DataOrigin, advice: str, since: str = "the training", path: str | None = None
) -> Texts:
    """Return the texts of `origin`, unchanged, from where they were or from `path`.

    Raises
    ------
    ArgumentError
        The texts have changed, or nothing says where they are; the sentence ends with `advice`.
    FileError, FormatError
        They cannot be read.
    """
    with open_texts(path) if path is not None else open_origin(origin, advice) as stream:
        texts = stream.load()
    check_unchanged(texts, origin, advice, since, is_named=path is not None)
    return texts


def check_unchanged(
    texts: Texts | TextStream,
    origin: DataOrigin,
    advice: str,
    since: str = "the training",
    is_named: bool = False,
) -> None:
    """Raise ArgumentError, which ends with `advice`, unless `texts` are still those of `origin`.

    What a file holds is told, by its digest, only to who has named it.
    """
    if texts.sha256 == origin.sha256:
        return
    if is_named:
        raise ArgumentError(
            f"{texts.name} does not hold the texts of {since}: its SHA-256 is {texts.sha256}, "
            f"and theirs is {origin.sha256}"
        )
    raise ArgumentError(f"{texts.name} has changed since {since}; {advice}")


def training_texts(
    origin: DataOrigin, vocab: Vocab, advice: str = "give the texts themselves to be excluded"
) -> list[str]:
    """Return the train split of the texts of `origin`; without a split, all of them.

    Raises
    ------
    ArgumentError, FileError, FormatError
        As `load_origin`.
    """
    texts = load_origin(origin, advice)
    how = origin.split_seed
    return texts if how is None else Preparation.of(how).cut(texts, vocab)[0]


# -- what a run folder remembers ------------------------------------------------------------------
def remember(folder: Path, origin: DataOrigin | None) -> None:
    """Write into a run folder where its data are, unless that is known or they are bundled.

    Raises
    ------
    FileError
        It cannot be written.
    """
    if origin is None or not origin.name or origin.sha256 == BUNDLED_SHA256:
        return
    if _recalled_path(folder, origin.sha256) == origin.name:
        return
    known = {"path": origin.name, "sha256": origin.sha256, "folder": os.stat(folder).st_ino}
    files.replace(folder / DATA_FILE, (json.dumps(known) + "\n").encode())


def recalled(folder: str | os.PathLike[str], origin: DataOrigin | None) -> DataOrigin | None:
    """Return the origin of a model in a run folder, with the path that the folder remembers.

    It is believed if the file is this user's, and names this very folder by its inode: a folder
    that was copied, unpacked or made by somebody else has no memory.
    """
    if origin is None:
        return None
    path = _recalled_path(Path(folder), origin.sha256)
    return origin if path is None else origin._replace(name=path)


def _recalled_path(folder: Path, sha256: str) -> str | None:
    try:
        status = os.lstat(folder / DATA_FILE)
        is_ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
        if not is_ours or status.st_size > MAX_DATA_FILE_BYTES:
            return None
        known = json.loads(files.read(folder / DATA_FILE) or b"")
        if known != {"path": known["path"], "sha256": sha256, "folder": os.stat(folder).st_ino}:
            return None
        path = known["path"]
        return path if isinstance(path, str) and os.path.isabs(path) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
