"""A bar that shows the progress of a training in a notebook or on a terminal."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from makemore_cpp.training.history import Progress

SECONDS_PER_UPDATE = 0.1  # in a notebook, which stores every message


@contextmanager
def live_bar(steps: int) -> Iterator[Callable[[Progress], object] | None]:
    """Show a live bar with loss, speed and time left; give None where nobody would see it.

    At the end the bar stays in a notebook, and disappears on a terminal (stderr).
    """
    if _is_notebook():
        with _notebook_bar() as show:
            yield show
    elif sys.stderr is not None and sys.stderr.isatty():
        with _terminal_bar(steps) as show:
            yield show
    else:
        yield None


def _is_notebook() -> bool:
    """Return whether this process is the kernel of a notebook, which has loaded IPython."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel")


@contextmanager
def _notebook_bar() -> Iterator[Callable[[Progress], object]]:
    """Show an HTML element, which every front end has: widgets would have to be installed."""
    from IPython.display import DisplayHandle

    handle = DisplayHandle()
    shown_at, latest = 0.0, None

    def show(progress: Progress) -> None:
        nonlocal shown_at, latest
        latest = progress
        now = time.perf_counter()
        if now - shown_at >= SECONDS_PER_UPDATE:
            content = _content(progress)
            handle.update(content, raw=True) if shown_at else handle.display(content, raw=True)
            shown_at = now

    try:
        yield show
    finally:
        if latest is not None:
            handle.update(_content(latest), raw=True)


def _content(progress: Progress) -> dict[str, Any]:
    speed = progress.step / progress.seconds
    left = (progress.steps - progress.step) / speed
    text = (
        f"step {progress.step:,} of {progress.steps:,}, loss {progress.loss:.4f}, "
        f"{speed:,.0f} steps/s, " + (f"{left:.0f} s left" if left else f"{progress.seconds:.1f} s")
    )
    bar = f'<progress value="{progress.step}" max="{progress.steps}"></progress>'
    return {"text/plain": text, "text/html": f"{bar} {text}"}


@contextmanager
def _terminal_bar(steps: int) -> Iterator[Callable[[Progress], object]]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    with Bar(
        TextColumn("step {task.completed:,.0f} of {task.total:,.0f}"),
        BarColumn(),
        TextColumn("{task.fields[loss]}"),
        TextColumn("{task.fields[speed]:,.0f} steps/s"),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task("train", total=steps, loss="", speed=0.0)

        def show(progress: Progress) -> None:
            speed = progress.step / progress.seconds
            loss = f"loss {progress.loss:.4f}"
            bar.update(task, completed=progress.step, loss=loss, speed=speed)

        yield show
