"""Where the installed package keeps what a C++ program builds with."""

from pathlib import Path

from makemore_cpp import _core


def get_include() -> str:
    """Return the folder to include from: it holds ``makemore/model.hpp`` and the other headers.

    Raises
    ------
    FileError
        This is not an installed package but, say, its source tree.
    """
    return _installed("include")


def get_cmake_dir() -> str:
    """Return the folder of the CMake package, for ``cmake -Dmakemore_cpp_DIR=...``.

    ``find_package(makemore_cpp)`` then gives the target ``makemore_cpp::makemore``: headers and a
    static library, without Python.

    Raises
    ------
    FileError
        This is not an installed package but, say, its source tree.
    """
    return _installed("lib/cmake/makemore_cpp")


def _installed(folder: str) -> str:
    package = Path(_core.__file__).parent  # not this file's: an editable install has two folders
    if not (package / folder).is_dir():
        raise _core.FileError(
            f"{package} has no folder {folder}: it is not an installed package; "
            "`pip install .` makes one"
        )
    return str(package / folder)
