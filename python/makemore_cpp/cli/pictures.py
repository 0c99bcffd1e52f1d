"""The pictures of commands: they come last, and one that fails costs a sentence but no result."""

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

# Variables that a notebook or a user's configuration sets for every command.
VARIABLES = ("MPLBACKEND", "MATPLOTLIBRC")


def draw(
    folder: str | os.PathLike[str],
    names: Sequence[str],
    pictures: Callable[[], Sequence[Callable[[], Any]]],
) -> list[str]:
    """Draw pictures into files of a folder and return the paths of those that were drawn.

    For each picture that cannot be drawn or written, one sentence on stderr says why, and an older
    file of its name is removed, because it shows something else.

    Parameters
    ----------
    folder : str or path
        A folder that exists.
    names : list of str
        The names of the files.
    pictures : function
        A function that is called once matplotlib can be imported; it returns for each file a
        function that returns Axes or a Figure.
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
            except Exception as error:  # of any kind: the results are there already
                console.note(f"the picture {path} is missing: {_sentence(error)}")
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
    return drawn


@contextlib.contextmanager
def quiet_matplotlib(place: Path) -> Iterator[str | None]:
    """Import matplotlib without the user's settings; give None, or why that failed.

    Its remarks, for example on where it caches fonts, are silenced.
    """
    logging.getLogger("matplotlib").setLevel(logging.CRITICAL)
    for name in VARIABLES:
        os.environ.pop(name, None)
    with warnings.catch_warnings(), contextlib.ExitStack() as stack:
        warnings.simplefilter("ignore")
        reason = _import()
        if reason is not None:
            # The matplotlibrc cannot be read, or there is no place for the cache: try once more
            # with a new folder, in which there is no matplotlibrc and a cache can be written.
            with contextlib.suppress(OSError):
                cache = tempfile.TemporaryDirectory(prefix=".makemore-", suffix=".tmp", dir=place)
                os.environ["MPLCONFIGDIR"] = os.path.abspath(stack.enter_context(cache))
                for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
                    del sys.modules[name]  # the modules of the failed import
                with contextlib.chdir(cache.name):
                    reason = _import()
        yield reason


def _import() -> str | None:
    try:
        import matplotlib.figure
        import matplotlib.font_manager  # noqa: F401 - this one needs a cache
    except Exception as error:
        return f"matplotlib cannot be imported: {_sentence(error)}"
    return None


def _sentence(error: Exception) -> str:
    """Return an error on one line, with its type unless it is one of this package."""
    text = " ".join(str(error).split())
    return text if isinstance(error, Error) else f"{type(error).__name__}: {text}"
