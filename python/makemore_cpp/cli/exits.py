"""The end of a command: every error and signal becomes a sentence and an exit code."""

import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

import click

from makemore_cpp._core import Error, FormatError
from makemore_cpp.cli import console
from makemore_cpp.files import streams

ERROR = 2
BROKEN_PIPE = 1  # without a sentence, as click does
# The signals that ask a command to end: Ctrl-C, a cluster's scheduler, a terminal that goes away.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(KeyboardInterrupt):
    """One of the ENDING signals has come."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def code_of(number: int) -> int:
    """Return the exit code after a signal, by the shell's convention."""
    return 128 + number


def word_for(number: int) -> str:
    """Return the word for what a signal has done to a command."""
    return "interrupted" if number == signal.SIGINT else "terminated"


@contextmanager
def stop_on_signal() -> Iterator[list[int]]:
    """Collect the first ENDING signal in the given list; the next one ends the command as usual."""
    received: list[int] = []
    with _handled_once(received.append):
        yield received


@contextmanager
def _handled_once(handle: Callable[[int], object], then: Any = None) -> Iterator[None]:
    """Let `handle` handle the first ENDING signal, and `then` those after it or after the end.

    Without `then` those are handled as they were before.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in ENDING}
    is_first = True

    def set_all(handler: Any) -> None:
        for number, earlier in before.items():
            if earlier is not signal.SIG_IGN:  # an ignored signal, as under nohup, stays ignored
                signal.signal(number, earlier if handler is None else handler)

    def handle_first(number: int, frame: FrameType | None) -> None:
        nonlocal is_first
        is_first = False
        set_all(then)
        handle(number)

    set_all(handle_first)
    try:
        yield
    finally:
        if is_first:
            set_all(then)


def _raise(number: int) -> NoReturn:
    raise Ended(number)


def run(command: click.Command) -> int:
    """Run the command and return the exit code; every error becomes one sentence.

    An ENDING signal is an error too; one that comes while an earlier one is handled, or while the
    interpreter ends after the command, ends the process at once.
    """
    try:
        with _handled_once(_raise, then=signal.SIG_DFL), streams.patient_output():
            return _run(command)
    except Ended as ended:  # a signal came while an error was printed
        return code_of(ended.number)


def _tell(sentence: str) -> None:
    """Print the sentence on stderr; where that cannot be written, the exit code must do."""
    with suppress(OSError):
        console.note(sentence)


# Arguments of the package whose option has another name.
OTHER_NAMES = {"floor": "--lr-floor", "decay": "--lr-decay", "betas": "--beta1"}


def _by_options(error: Error, command: click.Command) -> str:
    """Return an error's sentence with the names of options in place of those of arguments.

    A name of several words is replaced everywhere. A name that is a plain word is replaced only at
    the beginning, where errors name the argument, and after "with" and "option". Errors about files
    begin with names that the user chose, and are left alone there.
    """
    names = {**OTHER_NAMES, **_options_of(command)}
    several = "|".join(name for name in names if "_" in name)
    one = "|".join(name for name in names if "_" not in name)
    pattern = rf"(?:(?<=with )|(?<=option ))(?:{several}|{one})\b(?!=)"
    if not isinstance(error, OSError | FormatError):
        pattern += rf"|(?<![\w/.'\"-])(?:{several})(?![\w/.'\"=-])|^(?:{one})\b"
    return re.sub(pattern, lambda found: names[found[0]], str(error))


def _options_of(command: click.Command) -> dict[str, str]:
    """Return the option for each argument's name, for all commands together."""
    if isinstance(command, click.Group):
        each = [_options_of(one) for one in command.commands.values()]
        return {name: option for options in each for name, option in options.items()}
    return {
        parameter.name: max(parameter.opts, key=len)
        for parameter in command.params
        if isinstance(parameter, click.Option) and parameter.name is not None
    }


def _run(command: click.Command) -> int:
    if not console.is_open():  # stdout is closed, as by `>&-`
        _tell("standard output is closed, so nothing can be shown")
        return ERROR
    try:
        code = command.main(prog_name="makemore_cpp", standalone_mode=False)
        console.flush()
        return code or 0
    except (Exception, KeyboardInterrupt) as error:
        return tell(error, command)


def tell(error: BaseException, command: click.Command) -> int:
    """Print a sentence about the error that ended a command; return the exit code.

    An error of an unexpected kind is raised again.
    """
    try:
        raise error
    except BrokenPipeError:
        return BROKEN_PIPE
    except (KeyboardInterrupt, click.Abort) as error:
        number = error.number if isinstance(error, Ended) else signal.SIGINT
        _tell(word_for(number))
        return code_of(number)
    except click.ClickException as error:
        _tell(error.format_message())
    except UnicodeEncodeError as error:
        _tell(
            f"the encoding {error.encoding} of the output cannot show "
            f"{error.object[error.start]!a}; PYTHONIOENCODING=utf-8:backslashreplace can"
        )
    except Error as error:
        _tell(_by_options(error, command))
    except MemoryError:
        _tell("there is not enough memory for these sizes")
    except OSError as error:
        # Files have their own errors; only stdout and stderr are left, under these names.
        place = "standard output" if error.filename is None else error.filename
        _tell(f"{place}: {error.strerror}")
    return ERROR
