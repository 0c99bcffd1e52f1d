"""The ranks of an MPI launch: processes that train one model together.

``mpirun -n 2 python -m makemore_cpp train --level word ...`` is the command of one process with
mpirun before it, and ends in the same bytes. As in section 3.2 of Bengio et al. (2003), each rank
owns some words of the output layer: whole groups of tokens. (`makemore_cpp info` shows them; a
small vocabulary has none, and its net is refused.) Where every step changes all of C, by a moment
or by weight decay, each rank updates the embeddings of some words, too. All ranks do everything
else.

A step exchanges the greatest logits and the sums of exponentials, B x 2 numbers of each group, with
the targets' logits; the ranks' parts of dh, B x H numbers of each (with direct connections, more);
whether all is finite; and the embeddings of the batch, where they are shared. The groups' parts of
dh are added in pairs, then in pairs of pairs, so that a rank can begin with its own and the bits do
not depend on the number of ranks. (Where that is no power of two, a rank may have several sums to
send.)

Every rank has room for all parameters and their moments, as one process has, and for a message as
large as W2. During a call of the core only its own words change, and at the end it receives the
others'. So between calls every rank has the whole model, any rank may save it, and a checkpoint
does not depend on the ranks.

A rank that fails alone ends the others. When a rank is killed, the mpiexec of MPICH and that of
Open MPI end the others. Ranks that all have the same error end by themselves.
"""

import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from makemore_cpp._core import ArgumentError, mean_loss
from makemore_cpp.arrays import Int32, UInt8
from makemore_cpp.models.mlp import MLP

Value = TypeVar("Value")

# Variables with the number of ranks, set by the launchers of MPICH (and its derivatives) and Open
# MPI.
LAUNCHED = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")
# The time for which a rank that fails waits for the others to fail too, before it ends them.
SECONDS_TO_FAIL = 2.0
SECONDS_BETWEEN_LOOKS = 0.02


class Ranks:
    """The ranks that train a model together; an object of this class is one process alone.

    All ranks call the methods in the same order.

    Attributes
    ----------
    rank, size : int
        The number of this process among the ranks, from 0, and the number of ranks.
    exchange : object or None
        The argument `exchange` of the core's functions.
    """

    rank, size = 0, 1
    exchange: Any = None
    # The time that one call of the core should take: so short that a stop seems immediate, and so
    # long that the 40 us that a call of a small net costs do not count. (A large net's is longer.)
    seconds_per_call = 0.05

    @staticmethod
    def of_launch() -> "Ranks":
        """Return the ranks that a launcher of MPI has started, or this process alone.

        Raises
        ------
        ArgumentError
            The library mpi4py is not installed, or belongs to another MPI than the launcher.
        """
        sizes = [os.environ.get(name, "") for name in LAUNCHED]
        started = max(int(size) if size.isascii() and size.isdigit() else 1 for size in sizes)
        if started < 2:
            return Ranks()
        try:
            from mpi4py import MPI
        except (ImportError, RuntimeError) as error:  # RuntimeError where there is no MPI
            raise ArgumentError(
                f"{started} ranks were launched, but they need the library mpi4py ({error}); "
                "install makemore_cpp[mpi]"
            ) from error
        ranks = MpiRanks(MPI.COMM_WORLD)
        if ranks.size != started:
            raise ArgumentError(
                f"{started} ranks were launched, but mpi4py knows {ranks.size}: "
                "it belongs to another MPI than the launcher"
            )
        return ranks

    @property
    def is_first(self) -> bool:
        """Whether this is the rank that reads, writes and prints."""
        return self.rank == 0

    def agreed(self, value: Value) -> Value:
        """Return the value of the first rank, on all ranks."""
        return value

    def any_of(self, flag: bool) -> bool:
        """Return whether the flag of any rank is true."""
        return flag

    def threads(self, wanted: int | None) -> int | None:
        """Return the number of threads of this rank: `wanted`, or its share of the CPUs."""
        return wanted

    def loss(self, model: MLP, X: Int32, Y: Int32, threads: int | None) -> float:
        """Return the result of `MLP.loss`; the ranks share the examples."""
        return model.loss(X, Y, threads)

    def check_same(self, values: Mapping[str, str]) -> None:
        """Raise ArgumentError, on all ranks, unless all have the same values."""

    @contextmanager
    def ended_together(self) -> Iterator[None]:
        """Let the ranks wait for each other at the end, whether they have succeeded or failed.

        Raises
        ------
        FailedAloneError
            This rank has failed and the others have not ended soon after: they wait for it, and
            only `abort` can end them.
        """
        yield

    def abort(self, code: int) -> None:
        """End all ranks at once, with this exit code."""


class MpiRanks(Ranks):
    """The ranks of an MPI communicator of the library mpi4py."""

    # A call is longer than for one process, because ranks exchange at its end what they updated.
    seconds_per_call = 0.5

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        self._mpi = MPI
        self.rank, self.size = comm.Get_rank(), comm.Get_size()
        self._comm = comm.Dup()
        self._ends = comm.Dup()  # separate: a rank may end while others are in the middle of a step
        self.exchange = self

    def all_gather(self, message: UInt8, counts: Sequence[int]) -> None:
        """Fill a message of which this rank has filled its counts[rank] bytes.

        Where there are more ranks than CPUs, ranks that wait should give their CPU to the others.
        MPI's blocking call does not: it took 150 ms where this loop takes 12.
        """
        parts = (counts, None)  # the parts lie one behind the other
        # The request keeps the message alive: an interrupt may come while MPI writes there.
        self._request = self._comm.Iallgatherv(self._mpi.IN_PLACE, [message, parts, self._mpi.BYTE])
        while not self._request.Test():
            os.sched_yield()

    def agreed(self, value: Value) -> Value:
        """See `Ranks`."""
        said: Value = self._comm.bcast(value)
        return said

    def any_of(self, flag: bool) -> bool:
        """See `Ranks`."""
        return any(self._comm.allgather(flag))

    def threads(self, wanted: int | None) -> int | None:
        """See `Ranks`."""
        if hasattr(os, "sched_getaffinity"):
            cpus = os.sched_getaffinity(0)
        else:
            cpus = set(range(os.cpu_count() or 1))
        others = self._comm.allgather((platform.node(), cpus))
        sharing = sum(node == platform.node() and bool(cpus & its) for node, its in others)
        return max(1, len(cpus) // sharing) if wanted is None else wanted

    def loss(self, model: MLP, X: Int32, Y: Int32, threads: int | None) -> float:
        """See `Ranks`."""
        C, W1, b1, W2, b2 = model.parameters.values()
        return mean_loss(C, W1, b1, W2, b2, X, Y, threads=threads, exchange=self)

    def check_same(self, values: Mapping[str, str]) -> None:
        """See `Ranks`."""
        of_all = self._comm.allgather(dict(values))
        for rank, its in enumerate(of_all):
            for name, value in its.items():
                if value != of_all[0][name]:
                    raise ArgumentError(
                        f"{name} is not the same on all ranks: "
                        f"{of_all[0][name]} on rank 0, but {value} on rank {rank}"
                    )

    @contextmanager
    def ended_together(self) -> Iterator[None]:
        """See `Ranks`."""
        try:
            yield
        except BaseException as error:
            if not self._have_ended(SECONDS_TO_FAIL):
                raise FailedAloneError(error) from error
            raise
        self._have_ended(None)

    def _have_ended(self, seconds: float | None) -> bool:
        request = self._ends.Ibarrier()
        due = None if seconds is None else time.monotonic() + seconds
        while not request.Test():
            if due is not None and time.monotonic() > due:
                return False
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return True

    def abort(self, code: int) -> None:
        """See `Ranks`."""
        self._comm.Abort(code)


class FailedAloneError(Exception):
    """One rank has failed, by `error`, while the others go on."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error
