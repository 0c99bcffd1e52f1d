"""Makes Ctrl-C print one line, not a traceback, while the command line is still being imported.

Importing NumPy and the core takes long enough to be interrupted, and happens before `__main__`.
In any other process than the command line this module changes nothing.
"""

import os
import sys


def _is_command_line() -> bool:
    """Whether the interpreter was started for `makemore_cpp` or `-m makemore_cpp`."""
    n_arguments = len(sys.argv[1:])  # the arguments behind the name of what is run
    what_is_run = sys.orig_argv[: len(sys.orig_argv) - n_arguments][-1:]
    return [os.path.basename(name) for name in what_is_run] == ["makemore_cpp"]


def _end(*_: object) -> None:
    os.write(2, b"makemore_cpp: interrupted\n")
    os._exit(130)  # at once: nothing was begun, and some modules are only half imported


if _is_command_line():
    try:
        import signal

        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # SIGINT is not ignored
            signal.signal(signal.SIGINT, _end)
    except KeyboardInterrupt:
        _end()
