"""Every allocation of every binding fails once: a MemoryError or the result, nothing in between.

    python tests/failing_allocations.py [--most POSITIONS]

This compiles the library that lets allocations fail (c++ must be there) and calls the bindings
under it in a process of its own.  It prints how many calls there were, or what went wrong.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from binding_calls import BINDINGS

from makemore_cpp import Error

HERE = Path(__file__).parent
IN_A_ROW = (1, 3)  # allocations that fail one after another


def bits_of(value: Any) -> Any:
    """Return a value that two results share exactly when all their bits are the same."""
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, dict):
        return {name: bits_of(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [bits_of(each) for each in value]
    return value if isinstance(value, int | float | str | bytes) else None


def outcome(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Return the result's bits, or the sentence of an error."""
    try:
        return bits_of(function(**arguments))
    except Error as error:
        return str(error)


def positions(count: int, most: int) -> Iterator[int]:
    step = max(1, count // most)
    yield from range(0, count, step)


def attack(shim: Any, most: int) -> int:
    calls = 0
    for name, make in BINDINGS.items():
        print(f"in {name}", flush=True)
        function, arguments = make()
        expected = outcome(function, arguments), bits_of(arguments)
        function, arguments = make()
        shim.fail_allocation(-1, 0)
        outcome(function, arguments)
        for number in positions(shim.allocations(), most):
            for n in IN_A_ROW:
                function, arguments = make()
                before = bits_of(arguments)
                shim.fail_allocation(number, n)
                try:
                    result = outcome(function, arguments)
                except MemoryError:
                    result = MemoryError
                finally:
                    shim.fail_allocation(-1, 0)
                calls += 1
                after = bits_of(arguments)
                good = after == before if result is MemoryError else (result, after) == expected
                assert good, f"{name}, allocation {number} and {n - 1} more: {str(result)[:200]}"
    return calls


def run(most: int) -> tuple[int, str]:
    """Run this script in a process; return its exit code and the end of its output."""
    with tempfile.TemporaryDirectory() as folder:
        shim = Path(folder) / "failing_allocations.so"
        source = HERE / "failing_allocations.cpp"
        compiler = os.environ.get("CXX", "c++")
        subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-std=c++20", source, "-o", shim],
                       check=True)  # fmt: skip
        command = [sys.executable, __file__, "--most", str(most), "--shim", str(shim)]
        path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            command, env={**os.environ, "LD_PRELOAD": str(shim), "PYTHONPATH": path},
            capture_output=True, text=True, timeout=600,
        )  # fmt: skip
    return done.returncode, (done.stdout + done.stderr).strip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=2000, help="positions of each binding")
    parser.add_argument("--shim", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.shim:
        library = ctypes.PyDLL(options.shim)
        library.fail_allocation.argtypes = [ctypes.c_long, ctypes.c_long]
        library.allocations.restype = ctypes.c_long
        print(f"{attack(library, options.most)} calls", flush=True)
        return 0
    code, printed = run(options.most)
    print(printed[-2000:])
    return code


if __name__ == "__main__":
    sys.exit(main())
