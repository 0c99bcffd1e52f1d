"""Independent calls side by side, through joblib: on this machine's cores or a Dask cluster."""

import functools
import importlib.util
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")
IsStopped = Callable[[], bool] | None

MAX_JOBS = 1024
SECONDS_TO_CONNECT = 10


def check_jobs(jobs: int | None, dask: str | None) -> int:
    """Return how many calls run side by side on this machine.

    Parameters
    ----------
    jobs : int, optional
        By default the CPUs that this process may use; 1 where joblib is not installed.
    dask : str, optional
        The address of a Dask scheduler, whose workers then count instead.

    Raises
    ------
    ArgumentError
        `jobs` is out of range or given together with `dask`, or a library is not installed.
    """
    has_joblib = importlib.util.find_spec("joblib") is not None
    if dask is not None:
        if jobs is not None:
            raise ArgumentError("jobs and dask exclude each other: a cluster runs what it can")
        if not has_joblib or importlib.util.find_spec("distributed") is None:
            raise ArgumentError(
                "dask needs the libraries joblib and distributed; install makemore_cpp[cluster]"
            )
        return 1
    if jobs is None:
        return _cpus() if has_joblib else 1
    jobs = checks.integer("jobs", jobs, 1, MAX_JOBS)
    if jobs > 1 and not has_joblib:
        raise ArgumentError(
            f"jobs is {jobs}, but more than 1 needs the library joblib; install makemore_cpp[sweep]"
        )
    return jobs


def unordered(
    function: Callable[[Shared, Item, IsStopped], Result],
    shared: Shared,
    items: Iterable[Item],
    jobs: int = 1,
    dask: str | None = None,
) -> Generator[Result, None, None]:
    """Yield ``function(shared, item, is_stopped)`` for each item, as they are done.

    Parameters
    ----------
    function : callable
        It runs in threads, so it had better release the GIL; for `dask` it and all that it takes
        and returns must pickle. In a thread, `is_stopped` says whether anybody still waits for the
        result; elsewhere it is None.
    shared : object
        Sent to each worker of a cluster once.
    items : iterable
    jobs, dask
        As in `check_jobs`.

    Once closed or interrupted, it stops the calls on this machine and waits for their end.
    """
    if dask is None and jobs == 1:
        for item in items:
            yield function(shared, item, None)
        return
    import joblib

    threads = _Threads(function)
    call = joblib.delayed(threads if dask is None else functools.partial(_never_stopped, function))
    with _backend(jobs, dask, shared) as options:
        with joblib.parallel_config(**options):
            parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1)
        results = parallel(call(shared, item) for item in items)
        try:
            # `yield from` would close `results` together with this generator, warnings and all.
            for result in results:  # noqa: UP028
                yield result
        except ImportError as error:
            if dask is None:
                raise
            raise ArgumentError(f"a worker of {dask} says: {error}") from error
        finally:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of results that nobody asked for any more
                results.close()
            threads.stop()


def _never_stopped(
    function: Callable[[Shared, Item, IsStopped], Result], shared: Shared, item: Item
) -> Result:
    return function(shared, item, None)


class _Threads(Generic[Shared, Item, Result]):
    """A function for several threads, which knows how many are inside it and can call them back."""

    def __init__(self, function: Callable[[Shared, Item, IsStopped], Result]) -> None:
        self._function = function
        self._inside = 0
        self._changed = threading.Condition()
        self._stopped = threading.Event()

    def __call__(self, shared: Shared, item: Item) -> Result:
        with self._changed:
            self._inside += 1
        try:
            return self._function(shared, item, self._stopped.is_set)
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def stop(self) -> None:
        """Wait too: an interpreter that ends while a thread is in compiled code aborts."""
        self._stopped.set()
        with self._changed:
            self._changed.wait_for(lambda: self._inside == 0)


@contextmanager
def _backend(jobs: int, dask: str | None, shared: object) -> Iterator[dict[str, Any]]:
    """What joblib must know of the place where the calls run."""
    if dask is None:
        yield {"backend": "threading", "n_jobs": jobs}
        return
    from distributed import Client

    try:
        client = Client(dask, timeout=SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:  # the latter for what is no address
        raise ArgumentError(f"dask is {dask!r}, where no scheduler answers: {error}") from error
    with client:
        yield {"backend": "dask", "n_jobs": -1, "client": client, "scatter": [shared]}


def _cpus() -> int:
    import joblib

    return int(joblib.cpu_count())
