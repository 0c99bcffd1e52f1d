"""Finds the texts of a model again, and opens no path only because a model file names it.

A model file holds the digest of its data, but no path. The bundled list is known by its digest. A
run folder remembers the path of its data in a separate file, which is believed only in the folder
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


def origin_fields(origin: DataOrigin | None) -> tuple[str, str, int | None] | None:
    """Return the fields of a model file that tell which its data are, but not where.

    They are name, SHA-256 and seed of the split. The name is that of the bundled list or empty;
    where the data were prepared in another way than by a shuffle, the words for it (see
    `DataOrigin`) stand there instead.
    """
    if origin is None:
        return None
    _, sha256, how = origin
    if isinstance(how, str):
        return how, sha256, None
    return BUNDLED if sha256 == BUNDLED_SHA256 else "", sha256, how


def origin_of_fields(name: str, sha256: str, split_seed: int | None) -> DataOrigin:
    """Return the origin that these fields of a model file tell; a path in them is ignored."""
    is_how = split_seed is None and PREPARATION.fullmatch(name) is not None
    known_name = BUNDLED if sha256 == BUNDLED_SHA256 else ""
    return DataOrigin(known_name, sha256, name if is_how else split_seed)


@contextlib.contextmanager
def open_origin(origin: DataOrigin, advice: str) -> Iterator[TextStream]:
    """Open the texts of `origin` as `open_texts` does.

    Raises
    ------
    ArgumentError
        `origin` does not say where the texts are; the sentence ends with `advice`.
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
        The texts cannot be read.
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

    The sentence shows the digest of a file only if the caller has named the file (`is_named`).
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

    It raises what `load_origin` does.
    """
    texts = load_origin(origin, advice)
    how = origin.split_seed
    return texts if how is None else Preparation.of(how).cut(texts, vocab)[0]


# -- the memory of a run folder -------------------------------------------------------------------
def remember(folder: Path, origin: DataOrigin | None) -> None:
    """Write into a run folder where its data are, unless it is written already or the data bundled.

    Raises
    ------
    FileError
        The file cannot be written.
    """
    if origin is None or not origin.name or origin.sha256 == BUNDLED_SHA256:
        return
    if _recalled_path(folder, origin.sha256) == origin.name:
        return
    known = {"path": origin.name, "sha256": origin.sha256, "folder": os.stat(folder).st_ino}
    files.replace(folder / DATA_FILE, (json.dumps(known) + "\n").encode())


def recalled(folder: str | os.PathLike[str], origin: DataOrigin | None) -> DataOrigin | None:
    """Return the origin of a model in a run folder, with the path that the folder remembers.

    The path is believed if its file is this user's and names this very folder by its inode: a
    folder that was copied, unpacked or made by somebody else has no memory.
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
