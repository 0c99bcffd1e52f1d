"""How a command ends that a launcher of MPI has started in several ranks."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from makemore_cpp.cli import console, exits
from makemore_cpp.training.ranks import FailedAloneError, Ranks


@contextmanager
def together(ranks: Ranks) -> Iterator[None]:
    """Let ranks end together: the first says why, and one that fails alone ends the others.

    They wait for it in the middle of a step, and would do so for ever.
    """
    try:
        with ranks.ended_together():
            yield
    except FailedAloneError as alone:
        code = exits.ERROR
        try:
            if not ranks.is_first:
                console.note(f"rank {ranks.rank} of {ranks.size} has failed:")
            code = exits.tell(alone.error, click.get_current_context().find_root().command)
        except BaseException:
            console.note(repr(alone.error))  # no error that a command should end with
        finally:
            ranks.abort(code)
    except BaseException:
        if not ranks.is_first:  # the first fails of the same, and says so
            sys.exit(exits.ERROR)
        raise
