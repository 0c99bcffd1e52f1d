"""The folders of the installed package from which a C++ program is built."""

from pathlib import Path

from makemore_cpp import _core


def get_include() -> str:
    """Return the include folder, which holds ``makemore/model.hpp`` and the other headers.

    Raises
    ------
    FileError
        The package is not installed but imported, for example, from its source tree.
    """
    return _installed("include")


def get_cmake_dir() -> str:
    """Return the folder of the CMake package, for ``cmake -Dmakemore_cpp_DIR=...``.

    ``find_package(makemore_cpp)`` then gives the target ``makemore_cpp::makemore``: headers and a
    static library, without Python.

    Raises
    ------
    FileError
        The package is not installed but imported, for example, from its source tree.
    """
    return _installed("lib/cmake/makemore_cpp")


def _installed(folder: str) -> str:
    package = Path(_core.__file__).parent  # of an editable install's two folders, the core's
    if not (package / folder).is_dir():
        raise _core.FileError(
            f"{package} has no folder {folder}: it is not an installed package; "
            "`pip install .` makes one"
        )
    return str(package / folder)
