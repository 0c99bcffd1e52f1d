"""The pictures of commands: tried last, and one that fails costs a sentence but no result."""

import contextlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from makemore_cpp._core import Error, FileError
from makemore_cpp.cli import console

# What a notebook or somebody's own configuration sets for every command that it starts.
VARIABLES = ("MPLBACKEND", "MATPLOTLIBRC")


def draw(
    folder: str | os.PathLike[str],
    names: Sequence[str],
    pictures: Callable[[], Sequence[Callable[[], Any]]],
) -> list[str]:
    """Draw pictures into files of a folder and return those that are there now.

    For each that cannot be drawn or written, one sentence on stderr says why, and an older file of
    its name goes, as it shows something else.

    Parameters
    ----------
    folder : str or path
        It exists.
    names : list of str
        Of the files.
    pictures : function
        Called once matplotlib can be imported; gives for each file a function that returns Axes
        or a Figure.
    """
    drawn = []
    with quiet_matplotlib(Path(folder)) as reason:
        functions = [None] * len(names) if reason else pictures()
        for name, picture in zip(names, functions, strict=True):
            path = Path(folder) / name
            try:
                if picture is None:
                    raise FileError(reason)
                from makemore_cpp.plots import style

                shown = picture()
                style.save(getattr(shown, "figure", shown), path)
                drawn.append(str(path))
            except Exception as error:  # whatever it is, the results are there
                console.note(f"the picture {path} is missing: {_sentence(error)}")
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
    return drawn


@contextlib.contextmanager
def quiet_matplotlib(place: Path) -> Iterator[str | None]:
    """Import matplotlib without the user's settings; give None, or why that cannot be.

    Its remarks, such as where it caches fonts, are not this command's.
    """
    logging.getLogger("matplotlib").setLevel(logging.CRITICAL)
    for name in VARIABLES:
        os.environ.pop(name, None)
    with warnings.catch_warnings(), contextlib.ExitStack() as stack:
        warnings.simplefilter("ignore")
        reason = _import()
        if reason is not None:
            # A matplotlibrc that cannot be read, or no place for its cache: once more without the
            # one, in the current folder or at home, and with a place that is known to be writable.
            with contextlib.suppress(OSError):
                cache = tempfile.TemporaryDirectory(prefix=".makemore-", suffix=".tmp", dir=place)
                os.environ["MPLCONFIGDIR"] = os.path.abspath(stack.enter_context(cache))
                for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
                    del sys.modules[name]  # the half that was imported
                with contextlib.chdir(cache.name):
                    reason = _import()
        yield reason


def _import() -> str | None:
    try:
        import matplotlib.figure
        import matplotlib.font_manager  # noqa: F401 - it is this that needs a cache
    except Exception as error:
        return f"matplotlib cannot be imported: {_sentence(error)}"
    return None


def _sentence(error: Exception) -> str:
    """Return an error on one line, with its kind where it is none of ours."""
    text = " ".join(str(error).split())
    return text if isinstance(error, Error) else f"{type(error).__name__}: {text}"
