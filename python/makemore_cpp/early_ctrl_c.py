"""Ctrl-C while the command line is still being imported: one line and not a traceback.

Importing NumPy and the core takes long enough to be interrupted, and happens before `__main__`.
In every other process this changes nothing.
"""

import os
import sys


def _is_command_line() -> bool:
    """Whether the interpreter was started for `makemore_cpp` or `-m makemore_cpp`."""
    n_arguments = len(sys.argv[1:])  # those that come after what is run
    what_is_run = sys.orig_argv[: len(sys.orig_argv) - n_arguments][-1:]
    return [os.path.basename(name) for name in what_is_run] == ["makemore_cpp"]


def _end(*_: object) -> None:
    os.write(2, b"makemore_cpp: interrupted\n")
    os._exit(130)  # nothing was begun; and no module that is half imported is asked


if _is_command_line():
    try:
        import signal

        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored
            signal.signal(signal.SIGINT, _end)
    except KeyboardInterrupt:
        _end()
