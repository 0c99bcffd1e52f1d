"""A process that has imported the command line, and runs it in forked children.

    python tests/command_server.py SOCKET

A short command spends most of its time on importing NumPy and Matplotlib.  SOCKET is the descriptor
of a socket; each request on it is [arguments, folder, environment] and three streams.  A child goes
on as a process that was just started would, and the answer is its exit code.
"""

from __future__ import annotations

import json
import os
import socket
import sys

import matplotlib.backends.backend_agg  # noqa: F401

import makemore_cpp.cli.main
import makemore_cpp.plots
import makemore_cpp.sweeps.pictures

LARGEST_REQUEST = 1 << 20


def serve(connection: socket.socket) -> None:
    """Answer requests until there are no more; in a child, return after becoming the command."""
    while True:
        request, streams, _, _ = socket.recv_fds(connection, LARGEST_REQUEST, 3)
        if not request:
            os._exit(0)
        child = os.fork()
        if child == 0:
            connection.close()
            become(*json.loads(request), streams)
            return
        for stream in streams:
            os.close(stream)
        _, status = os.waitpid(child, 0)
        connection.sendall(json.dumps(os.waitstatus_to_exitcode(status)).encode() + b"\n")


def become(
    arguments: list[str], folder: str, environment: dict[str, str], streams: list[int]
) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[:] = ["makemore_cpp", *arguments]


serve(socket.socket(fileno=int(sys.argv[1])))
makemore_cpp.cli.main.main()
