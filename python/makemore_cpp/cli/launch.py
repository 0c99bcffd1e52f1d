"""The end of a command that a launcher of MPI has started as several processes, its ranks."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from makemore_cpp.cli import console, exits
from makemore_cpp.training.ranks import FailedAloneError, Ranks


@contextmanager
def together(ranks: Ranks) -> Iterator[None]:
    """Let ranks end together: the first says why, and one that fails alone ends the others.

    The others would wait for it in the middle of a step for ever.
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
            console.note(repr(alone.error))  # an error of an unexpected kind
        finally:
            ranks.abort(code)
    except BaseException:
        if not ranks.is_first:  # the first rank has the same error and prints it
            sys.exit(exits.ERROR)
        raise
