"""How a command ends: a sentence and an exit code for every error, and interrupts."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import click

from makemore_cpp import console
from makemore_cpp._core import Error

ERROR = 2
INTERRUPTED = 130  # 128 + SIGINT, the shell's convention
BROKEN_PIPE = 1  # quiet, as click does it


@contextmanager
def stop_on_interrupt() -> Iterator[list[int]]:
    """Collect the first SIGINT in the given list; the next one interrupts as usual."""
    received: list[int] = []
    with _handled_once(received.append, then=signal.getsignal(signal.SIGINT)):
        yield received


@contextmanager
def _handled_once(handle: Callable[[int], object], then: Any) -> Iterator[None]:
    """Let the first SIGINT be handled so, and those after it, or after the end, by `then`."""
    is_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # as under nohup: so it stays
    if is_ignored or threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle_first(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, then)
        handle(number)

    signal.signal(signal.SIGINT, handle_first)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is handle_first:  # or else it has been used
            signal.signal(signal.SIGINT, then)


def _interrupt(number: int) -> NoReturn:
    raise KeyboardInterrupt


def run(command: click.Command) -> int:
    """Run the command and return the exit code; every error becomes one sentence.

    An interrupt is an error too; one that comes while it is dealt with, or while the interpreter
    ends after the command, ends the process at once.
    """
    try:
        with _handled_once(_interrupt, then=signal.SIG_DFL):
            return _run(command)
    except KeyboardInterrupt:  # while another error was told
        return INTERRUPTED


def _run(command: click.Command) -> int:
    if sys.stdout is None:  # as after `>&-`
        console.note("standard output is closed, so nothing can be shown")
        return ERROR
    try:
        code = command.main(prog_name="makemore_cpp", standalone_mode=False)
        sys.stdout.flush()
        return code or 0
    except BrokenPipeError:
        _drop_output()
        return BROKEN_PIPE
    except (KeyboardInterrupt, click.Abort):
        console.note("interrupted")
        return INTERRUPTED
    except click.ClickException as error:
        console.note(error.format_message())
    except UnicodeEncodeError as error:
        console.note(
            f"the encoding {error.encoding} of the output cannot show "
            f"{error.object[error.start]!a}; PYTHONIOENCODING=utf-8:backslashreplace can"
        )
    except Error as error:
        console.note(str(error))
    except MemoryError:
        console.note("there is not enough memory for these sizes")
    except OSError as error:
        # Files have their own errors; what is left without a name is stdout.
        place = "standard output" if error.filename is None else error.filename
        console.note(f"{place}: {error.strerror}")
        _drop_output()
    return ERROR


def _drop_output() -> None:
    """Let what stdout still holds vanish, or the interpreter would fail on it once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
