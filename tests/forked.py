"""Attacks in a forked child, which may end badly."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable


def ends_by(
    deed: Callable[[], object], seconds: int = 20, allowed: type[Exception] | tuple[()] = ()
) -> str:
    """Call `deed` in a forked child; return "" after a result or allowed error, or how it ended.

    A child that has not ended after `seconds` ends by SIGALRM.
    """
    child = os.fork()
    if child == 0:
        status = 3
        try:
            signal.alarm(seconds)
            deed()
            status = 0
        except allowed:
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return "" if status == 0 else f"exit code {os.WEXITSTATUS(status)}"
