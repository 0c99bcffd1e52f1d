"""The command line in a process of its own, as a user meets it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

PACKAGE_PARENT = Path(__import__("makemore_cpp").__file__).parents[1]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "makemore_cpp", *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(PACKAGE_PARENT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "NO_COLOR": "1", **more}


@contextmanager
def started(folder: Path, *arguments: object, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command whose streams are pipes unless `options` say otherwise.

    It is ended at last, or after a minute: a test that reads from it fails and does not hang.
    """
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(
        command(*arguments), cwd=folder, env=environment(), **{**pipes, **options}
    ) as process:
        watch = Timer(60, process.kill)
        watch.start()
        try:
            yield process
        finally:
            watch.cancel()
            process.kill()


def run(
    folder: Path, *arguments: object, code: int = 0, text: str | bytes = "", **more: str
) -> tuple[str, str]:
    """Run a command with a text as its input; return what it wrote to stdout and stderr."""
    result = subprocess.run(
        command(*arguments),
        cwd=folder,
        env=environment(**more),
        input=text.encode() if isinstance(text, str) else text,
        capture_output=True,
        timeout=120,
    )
    error = result.stderr.decode()
    assert result.returncode == code, error
    assert "Traceback" not in error
    return result.stdout.decode(), error


def is_one_sentence(error: str) -> bool:
    return error.startswith("makemore_cpp: ") and error.count("\n") == 1


def refuse(folder: Path, *arguments: object, **more: Any) -> str:
    """Run a command that must fail; return its one sentence."""
    out, error = run(folder, *arguments, code=2, **more)
    assert out == ""
    assert is_one_sentence(error), error
    return error


def on_terminal(folder: Path, *arguments: object, text: bytes = b"", code: int = 0) -> str:
    """Return what a command shows on a terminal on which a text is typed."""
    controller, terminal = pty.openpty()
    streams = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
    with started(folder, *arguments, **streams) as process:
        os.close(terminal)
        os.write(controller, text)
        seen = b""
        while True:
            try:
                seen += os.read(controller, 65536)
            except OSError:
                break
        os.close(controller)
        assert process.wait(timeout=60) == code, seen
    return seen.decode()
