"""One training on several ranks of MPI: it gives the bits of one process and leaves no process."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mpi_training
import numpy as np
import pytest
from command_line import command, environment, run

import makemore_cpp as mm
from makemore_cpp import training
from makemore_cpp.models.frozen import CHECKPOINT_FILE, MODEL_FILE
from makemore_cpp.runs import checkpoint

TESTS = Path(__file__).parent
PATH = os.pathsep.join([environment()["PYTHONPATH"], str(TESTS)])
SECONDS = 120  # after that a launch counts as hanging
NET = ("--level", "word", "--n-hidden", 20, "--n-embd", 6, "--batch-size", 32, "--samples", 2,
       "--threads", 1)  # fmt: skip


def launcher() -> str:
    """Return the mpiexec of the wheel, which lies beside Python, or another."""
    pytest.importorskip("mpi4py")
    beside = Path(sys.executable).with_name("mpiexec")
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    if found is None:
        pytest.skip("no mpiexec")
    return found


@contextmanager
def launched(
    ranks: int, arguments: list[str], folder: Path, **more: str
) -> Iterator[subprocess.Popen[str]]:
    """Start ranks; on leaving, none is left."""
    own = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", **more}
    process = subprocess.Popen(
        [launcher(), "-n", str(ranks), *arguments], cwd=folder, env=environment(**own), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        left = below(process.pid)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=10)


def launch(ranks: int, arguments: list[str], folder: Path, **more: str) -> tuple[str, str, int]:
    """Run ranks to their end; return their output and the exit code."""
    with launched(ranks, arguments, folder, **more) as process:
        out, error = process.communicate(timeout=SECONDS)
    return out, error, process.returncode


def below(pid: int) -> list[int]:
    """Return a process and its descendants that have not ended."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # ended meanwhile
            continue
        if state != "Z":
            parents[int(stat.parent.name)] = int(parent)
    found = [pid] if pid in parents else []
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def ranks_below(pid: int) -> dict[int, int]:
    """Return the process of each rank of a launch."""
    found = {}
    for one in below(pid):
        given = Path(f"/proc/{one}/environ").read_bytes().decode().split("\0")
        for name in ("PMI_RANK=", "OMPI_COMM_WORLD_RANK="):
            found |= {int(text.removeprefix(name)): one for text in given if text.startswith(name)}
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with texts of 2,000 words."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "texts.txt").write_text("\n".join(mpi_training.texts(2000, 600)) + "\n")
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the contents of a run's files except the one that says where its data are."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "data.json"}


@pytest.fixture(scope="module")
def of_one_process() -> dict[str, str]:
    return mpi_training.results(training.Ranks())


@pytest.mark.parametrize("ranks", [2, 4])
def test_the_bits_of_one_process(
    ranks: int, of_one_process: dict[str, str], tmp_path: Path
) -> None:
    out, error, code = launch(
        ranks,
        [sys.executable, str(TESTS / "mpi_training.py")],
        tmp_path,
        PYTHONPATH=PATH,
    )
    assert code == 0, error
    assert json.loads(out) == {"ranks": ranks, **of_one_process}


def test_the_command_writes_and_prints_once(place: Path) -> None:
    arguments = ("train", "--data", "texts.txt", *NET, "--steps", 60, "--out")
    alone, _ = run(place, *arguments, "alone")
    out, error, code = launch(2, command(*arguments, "shared"), place)
    assert code == 0, error
    assert files_of(place / "shared") == files_of(place / "alone")
    assert re.sub(r"[0-9.]+ s\n", "", out.replace("shared", "alone")) == re.sub(
        r"[0-9.]+ s\n", "", alone
    )
    assert error == ""


def wait_for(path: Path, process: subprocess.Popen[Any]) -> None:
    due = time.monotonic() + SECONDS
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < due
        time.sleep(0.01)


def whole(place: Path) -> bytes:
    """Return the model of the run that nobody interrupts."""
    if not (place / "whole").exists():
        run(place, "train", "--data", "texts.txt", *NET, "--steps", 1500, "--out", "whole")
    return files_of(place / "whole")[MODEL_FILE]


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_rank_ends_the_others_and_the_run_goes_on(place: Path, victim: int) -> None:
    arguments = ("train", "--data", "texts.txt", *NET, "--steps", 1500, "--checkpoint-every", 50)
    name = f"killed{victim}"
    with launched(2, command(*arguments, "--out", name), place) as process:
        wait_for(place / name / CHECKPOINT_FILE, process)
        os.kill(ranks_below(process.pid)[victim], signal.SIGKILL)
        killed = time.monotonic()
        process.communicate(timeout=SECONDS)
        assert time.monotonic() - killed < 10
        assert process.returncode != 0
        assert below(process.pid) == []
    assert len(checkpoint.load_run(place / name).state.losses) >= 50
    if victim == 0:
        _, error, code = launch(3, command("train", "--resume", name, "--threads", 1), place)
        assert code == 0, error
    else:
        run(place, "train", "--resume", name)
    assert files_of(place / name)[MODEL_FILE] == whole(place)


@pytest.mark.parametrize("receiver", ["all", "the second"])
def test_a_signal_to_any_rank_stops_all_after_the_same_step(place: Path, receiver: str) -> None:
    name = receiver.replace(" ", "-")
    given = (*NET, "--steps", 1500, "--checkpoint-every", 50, "--out", name)
    with launched(2, command("train", "--data", "texts.txt", *given), place) as process:
        wait_for(place / name / CHECKPOINT_FILE, process)
        pids = ranks_below(process.pid)
        for pid in pids.values() if receiver == "all" else [pids[1]]:
            os.kill(pid, signal.SIGTERM)
        sent = time.monotonic()
        _, error = process.communicate(timeout=SECONDS)
        assert time.monotonic() - sent < 10
    assert process.returncode == 128 + signal.SIGTERM
    assert len(sentences(error)) == 1, error
    assert "terminated after " in error
    assert f"train --resume {name} goes on" in error
    run(place, "train", "--resume", name)
    assert files_of(place / name)[MODEL_FILE] == whole(place)


def sentences(error: str) -> list[str]:
    return [line for line in error.splitlines() if line.startswith("makemore_cpp: ")]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--data", "none.txt"), "cannot read none.txt"),
        (("--level", "char"), "ranks cannot share this training: with a vocabulary of"),
        (("--lr", "1e30"), "is not finite"),
        (("--resume", "nowhere"), "nowhere"),
    ],
)
def test_an_error_of_all_is_told_once(place: Path, options: Any, sentence: str) -> None:
    given = () if "--resume" in options else ("--data", "texts.txt", *NET, "--steps", 10)
    _, error, code = launch(2, command("train", *given, *options), place)
    assert code == 2, error
    assert len(sentences(error)) == 1, error
    assert sentence in error
    assert "Traceback" not in error
    assert "bort" not in error  # nobody had to be
    assert not (place / "runs").exists()


FAILING = """
import sys
import makemore_cpp as mm
from makemore_cpp import training
from makemore_cpp.__main__ import main
if training.Ranks.of_launch().rank == int(sys.argv.pop(1)):
    from makemore_cpp.models.mlp import MLP
    def fail(*_, **__):
        raise {error}
    MLP.train_steps = fail
main()
"""


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize(
    ("error", "sentence"),
    [("MemoryError", "not enough memory"), ("ZeroDivisionError('a bug')", "a bug")],
)
def test_a_rank_that_fails_alone_ends_the_others(
    place: Path, rank: int, error: str, sentence: str
) -> None:
    (place / "failing.py").write_text(FAILING.format(error=error))
    started = time.monotonic()
    program = [sys.executable, "failing.py", str(rank)]
    arguments = ("train", "--data", "texts.txt", *NET, "--steps", 100_000)
    _, told, code = launch(2, [*program, *map(str, arguments)], place)
    assert code != 0
    assert time.monotonic() - started < 30
    assert sentence in told
    assert len(sentences(told)) == 1 + (rank > 0), told
    assert not (place / "runs/1/model.safetensors").exists()


def test_ranks_with_different_data_are_refused(place: Path) -> None:
    program = """
import makemore_cpp as mm, mpi_training
from makemore_cpp import training
ranks = training.Ranks.of_launch()
data = mm.Dataset.split(mpi_training.texts(2000, 600 + ranks.rank), 3, level="word")
vocab = mm.Vocab.from_texts(mpi_training.texts(2000, 600), level="word")
try:
    training.train(mm.MLP(vocab), mm.Dataset.split(data.texts, 3, vocab=vocab), ranks=ranks)
except mm.ArgumentError as error:
    if ranks.is_first:
        print(error)
"""
    out, error, code = launch(2, [sys.executable, "-c", program], place, PYTHONPATH=PATH)
    assert code == 0, error
    assert out.startswith("data is not the same on all ranks: ")
    assert out.count("\n") == 1


def test_a_launch_without_the_library_or_of_another_mpi(place: Path) -> None:
    arguments = ("train", "--data", "texts.txt", *NET, "--steps", 10)
    program = (
        "import sys; sys.modules['mpi4py'] = None\nfrom makemore_cpp.__main__ import main; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], cwd=place, text=True,
        env=environment(OMPI_COMM_WORLD_SIZE="2"), capture_output=True, timeout=SECONDS,
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stderr.startswith(
        "makemore_cpp: 2 ranks were launched, but they need the library"
    )
    launcher()
    result = subprocess.run(
        command(*arguments), cwd=place, text=True, env=environment(OMPI_COMM_WORLD_SIZE="2"),
        capture_output=True, timeout=SECONDS,
    )  # fmt: skip
    assert result.returncode == 2
    assert "it belongs to another MPI than the launcher" in result.stderr


class Fake:
    """The first of two ranks; the other's messages are made up."""

    rank, size = 0, 2

    def __init__(self, **members: Any) -> None:
        self.messages: list[Any] = []
        vars(self).update(members)

    def all_gather(self, message: Any, counts: tuple[int, ...]) -> None:
        assert len(message) == sum(counts)
        self.messages.append(message)
        message[:] = 255  # NaN, in each float


def steps_with(exchange: Any, **options: Any) -> tuple[mm.MLP, mm.MLP, Any]:
    """Return a model before and after three steps with an exchange, and the error raised."""
    vocab = mm.Vocab([f"w{i}" for i in range(2999)], "</s>", " ")
    model, before = (mm.MLP(vocab, 2, 4, 20) for _ in range(2))
    X = np.arange(64).reshape(32, 2)
    try:
        model.train_steps(X, np.arange(32), [0.1] * 3, exchange=exchange, **options)
    except BaseException as error:
        return before, model, error
    return before, model, None


def all_gather_that_raises(*_: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("exchange", "options", "kind", "sentence"),
    [
        (object(), {}, TypeError, "size of exchange must be an integer"),
        (Fake(size=0), {}, mm.ArgumentError, "size of exchange = 0"),
        (Fake(rank=2), {}, mm.ArgumentError, "rank of exchange = 2"),
        (Fake(rank=None), {}, TypeError, "rank of exchange must be"),
        (Fake(all_gather=3), {}, TypeError, "all_gather of exchange must be a function"),
        (Fake(size=100), {}, mm.ArgumentError, "100 ranks cannot share this training"),
        (Fake(), {"should_stop": lambda: False}, mm.ArgumentError, "should_stop cannot be given"),
        (Fake(), {}, mm.DivergedError, "step 0: the loss is not finite"),
        (Fake(), {"negatives": 2500}, mm.DivergedError, "step 0: the loss is not finite"),
        (Fake(), {"weight_decay": 0.1}, mm.DivergedError, "step 0: the loss is not finite"),
        (Fake(all_gather=all_gather_that_raises), {}, KeyboardInterrupt, ""),
    ],
)
def test_an_exchange_that_is_none(exchange: Any, options: Any, kind: Any, sentence: str) -> None:
    before, after, error = steps_with(exchange, **options)
    assert isinstance(error, kind)
    assert sentence in str(error)
    assert "\n" not in str(error)
    for name, array in before.parameters.items():
        np.testing.assert_array_equal(after.parameters[name], array)


@pytest.mark.parametrize("options", [{}, {"negatives": 2500}, {"weight_decay": 0.1}])
def test_a_message_may_be_kept_and_is_short(options: Any) -> None:
    exchange = Fake()
    steps_with(exchange, **options)
    assert all((message == 255).all() for message in exchange.messages)
    *of_embeddings, of_found, of_dh, of_finite = (len(message) for message in exchange.messages)
    # Embeddings are shared where all of them decay; the batch has 46 different tokens.
    assert of_embeddings == ([4 * 4 * 46] if "weight_decay" in options else [])
    assert of_found == 4 * (32 + 8 * 2 * 32)  # the targets' logits; two numbers of eight groups
    assert of_dh == 2 * 4096  # each rank sends one sum: 20 x 32 floats, in whole pages
    assert of_finite == 8  # a flag of each group


@pytest.mark.parametrize(
    ("hosts", "cpus", "threads"),
    [("aa", [{0, 1}, {0, 1}], 1), ("ab", [{0, 1}, {0, 1}], 2), ("aa", [{0, 1}, {2, 3}], 2),
     ("aaa", [{0}, {0}, {0}], 1), ("aaab", [range(8), range(8), {3}, range(8)], 2)],
)  # fmt: skip
def test_ranks_share_the_cpus_of_their_machine(
    hosts: str, cpus: Any, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranks = training.MpiRanks.__new__(training.MpiRanks)
    of_all = [(host, set(its)) for host, its in zip(hosts, cpus, strict=True)]
    ranks._comm = SimpleNamespace(allgather=lambda mine: [mine, *of_all[1:]])
    monkeypatch.setattr("platform.node", lambda: hosts[0])
    monkeypatch.setattr("os.sched_getaffinity", lambda _: of_all[0][1], raising=False)
    assert ranks.threads(None) == threads
    assert ranks.threads(5) == 5
