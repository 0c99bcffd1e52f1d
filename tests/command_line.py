"""The command line in a process of its own, as a user meets it, or in one that was forked."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Thread, Timer
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

    The command is ended on leaving, or after a minute, so that a test that reads from it fails and
    does not hang.
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


@cache
def server() -> tuple[socket.socket, dict[str, str], Any]:
    """Start a `command_server`, which ends with this process; return its environment, too."""
    here, there = socket.socketpair()
    started_in = environment()
    script = Path(__file__).with_name("command_server.py")
    process = subprocess.Popen(
        [sys.executable, script, str(there.fileno())], pass_fds=[there.fileno()], env=started_in
    )
    there.close()
    here.settimeout(120)
    return here, started_in, process


def imports_the_same(environment: dict[str, str]) -> bool:
    """Whether a process in this environment would import the modules that the server has."""
    _, started_in, _ = server()
    changed = {name for name, _ in started_in.items() ^ environment.items()}
    return changed <= {"PYTEST_CURRENT_TEST"}


def served(folder: Path, arguments: list[str], env: dict[str, str], text: bytes) -> Any:
    """Run a command in a child of the server, as `subprocess.run` does in a new process."""
    connection, *_ = server()
    pipes = [os.pipe() for _ in range(3)]
    theirs = [pipes[0][0], pipes[1][1], pipes[2][1]]
    request = json.dumps([arguments, str(folder), env]).encode()
    socket.send_fds(connection, [request], theirs)
    for end in theirs:
        os.close(end)
    found: list[bytes] = [b"", b""]

    def read(i: int) -> None:
        with open(pipes[i + 1][0], "rb") as stream:
            found[i] = stream.read()

    readers = [Thread(target=read, args=(i,)) for i in range(2)]
    for reader in readers:
        reader.start()
    with suppress(BrokenPipeError), open(pipes[0][1], "wb", buffering=0) as stream:
        stream.write(text)
    for reader in readers:
        reader.join()
    return subprocess.CompletedProcess(arguments, json.loads(connection.recv(100)), *found)


def run(
    folder: Path, *arguments: object, code: int = 0, text: str | bytes = "", **more: str
) -> tuple[str, str]:
    """Run a command with a text as its input; return what it wrote to stdout and stderr."""
    env = environment(**more)
    given = text.encode() if isinstance(text, str) else text
    if imports_the_same(env):
        result = served(folder, [str(argument) for argument in arguments], env, given)
    else:
        result = subprocess.run(
            command(*arguments), cwd=folder, env=env, input=given, capture_output=True, timeout=120
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
    """Type a text on a terminal and return what the command shows there."""
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
