"""Makes independent calls side by side: in threads of this process, or on a Dask cluster."""

import contextlib
import functools
import importlib.util
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, TypeVar

from makemore_cpp import checks
from makemore_cpp._core import ArgumentError, build_info

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")
IsStopped = Callable[[], bool] | None

MAX_JOBS = 1024
SECONDS_TO_CONNECT = 10


def check_jobs(jobs: int | None, dask: str | None) -> int:
    """Return the number of calls that run side by side on this machine.

    Parameters
    ----------
    jobs : int, optional
        This number; by default that of the CPUs that this process may use.
    dask : str, optional
        The address of a Dask scheduler, whose workers make the calls instead.

    Raises
    ------
    TypeError
        `jobs` is not an integer, or `dask` not a str.
    ArgumentError
        `jobs` is out of range or given together with `dask`, or Dask is not installed.
    """
    if dask is not None:
        if not isinstance(dask, str):
            raise TypeError(f"dask must be a str, not {type(dask).__name__}")
        if jobs is not None:
            raise ArgumentError("jobs and dask exclude each other: a cluster runs what it can")
        if importlib.util.find_spec("distributed") is None:
            raise ArgumentError("dask needs the library distributed; install makemore_cpp[cluster]")
        return 1
    if jobs is None:
        return int(build_info()["threads"])
    return checks.integer("jobs", jobs, 1, MAX_JOBS)


def unordered(
    function: Callable[[Shared, Item, IsStopped], Result],
    shared: Shared,
    items: Iterable[Item],
    jobs: int = 1,
    dask: str | None = None,
) -> Generator[Result, None, None]:
    """Yield the result of ``function(shared, item, is_stopped)`` for each item when it is done.

    A generator that is closed or interrupted stops the calls on this machine and waits for their
    end.

    Parameters
    ----------
    function : callable
        It runs in threads, so it should release the GIL; for `dask` the function, its arguments and
        its results must pickle. In a thread, `is_stopped` tells whether nobody waits for the result
        any more; elsewhere it is None.
    shared : object
        An argument of all calls, sent to each worker of a cluster once.
    items : iterable
    jobs, dask
        The same as in `check_jobs`.
    """
    if dask is not None:
        yield from _on_a_cluster(function, shared, items, dask)
    elif jobs == 1:
        for item in items:
            yield function(shared, item, None)
    else:
        yield from _in_threads(function, shared, items, jobs)


def _in_threads(
    function: Callable[[Shared, Item, IsStopped], Result],
    shared: Shared,
    items: Iterable[Item],
    jobs: int,
) -> Generator[Result, None, None]:
    stopped = threading.Event()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            calls = [pool.submit(function, shared, item, stopped.is_set) for item in items]
            for call in as_completed(calls):
                yield call.result()
        finally:  # leaving the pool waits: no thread may be in the core when the interpreter ends
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)


def _on_a_cluster(
    function: Callable[[Shared, Item, IsStopped], Result],
    shared: Shared,
    items: Iterable[Item],
    dask: str,
) -> Generator[Result, None, None]:
    import distributed

    with _client(dask) as client:
        sent = client.scatter(shared, broadcast=True)
        call = functools.partial(_never_stopped, function)
        calls = [client.submit(call, sent, item, pure=False) for item in items]
        try:
            for done in distributed.as_completed(calls, loop=client.loop):
                yield done.result()
        except ImportError as error:
            raise ArgumentError(f"a worker of {dask} says: {error}") from error
        finally:
            client.cancel(calls)


def _never_stopped(
    function: Callable[[Shared, Item, IsStopped], Result], shared: Shared, item: Item
) -> Result:
    return function(shared, item, None)


@contextlib.contextmanager
def _client(dask: str) -> Iterator[Any]:
    from distributed import Client

    try:
        client = Client(dask, timeout=SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:  # ValueError where `dask` is not an address
        shown = checks.quoted(dask)
        raise ArgumentError(f"dask is {shown}, where no scheduler answers: {error}") from error
    with client:
        yield client
