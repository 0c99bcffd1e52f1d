"""Runs the candidates as processes that take turns, checks their losses and takes their times."""

import json
import os
import platform
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

import candidates
import numpy as np
from candidates import AVX2, FAST, OURS, PARAMETERS, Update
from flops import measured_peak
from zipf import zipf_examples

import makemore_cpp as mm
from makemore_cpp import _core

LECTURE_STEPS, LECTURE_RATE = 200_000, 0.1
# Threads of some frameworks spin for a while after their work; the next candidate waits this long.
SETTLE_SECONDS = 0.25
ADAMW_RATE = 1e-3
N_OF_LARGE = 20_000  # examples of a large vocabulary, whose loss takes a second
ALL_CPUS = len(os.sched_getaffinity(0))


class Candidate:
    """A process that runs one framework with some CPUs; `who` is (name, number of CPUs)."""

    def __init__(self, name, cpus):
        self.name, self.who = name, (name, cpus)
        self.process = subprocess.Popen(
            [sys.executable, Path(candidates.__file__), name, str(cpus)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | ({"MAKEMORE_ISA": "avx2"} if name == AVX2 else {}),
        )

    def ask(self, do, **command):
        """Wait until the other candidates' threads sleep, send a command, return its answer."""
        time.sleep(SETTLE_SECONDS)
        print(json.dumps({"do": do, **command}), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("{} with {} CPUs has ended unexpectedly".format(*self.who))
        return json.loads(line)

    def us_per_step(self, steps):
        """Time `steps` steps, or a tenth of them with a slow candidate."""
        n = max(1, steps // (1 if self.name in FAST else 10))
        return self.ask("steps", n=n)["seconds"] / n * 1e6

    def close(self):
        """End the process."""
        self.process.communicate()


def machine():
    """Return a description of this machine and of the versions."""
    model = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = (line.partition(":") for line in info.read_text().splitlines())
        model = next((v.strip() for k, _, v in lines if k.strip() == "model name"), model)
    return {
        "cpu": model,
        "cpus": ALL_CPUS,
        "isa": _core.build_info()["isa"]["used"],
        "python": platform.python_version(),
        "numpy": np.__version__,
        "makemore_cpp": mm.__version__,
    }


def why_not_avx2(isa):
    """Say why forcing AVX2 would show nothing new, from build_info()["isa"]; None where it would.

    `isa["found"]` lists the machine's instruction sets from the narrowest to the widest.
    """
    if "avx2" not in isa["found"]:
        return "this machine has no AVX2"
    if isa["found"].index(isa["used"]) <= isa["found"].index("avx2"):
        return f"{isa['used']}, which is used anyway, is not wider"
    return None


def write_problem(file, sizes, texts, steps, optimizer="sgd"):
    """Save first parameters, examples and the rows and rates of every step; return V.

    The examples are those of train, dev and test, one after the other; "dev" holds dev's first
    row and the row after its last.  Minibatches come from train.  Where the sizes give V, the
    tokens are as rare as words.
    """
    B, T, E, H, *large = sizes
    if large:
        V = large[0]
        X, Y = zipf_examples(V, T, N_OF_LARGE)
        ends = np.array([8, 9]) * len(Y) // 10
    else:
        V, X, Y, ends = examples_of(texts, T)
    rate = ADAMW_RATE if optimizer == "adamw" else LECTURE_RATE
    save_problem(
        file,
        (X, Y, ends),
        Update(optimizer),
        _core.initial_parameters(T, E, H, V, seed=1),
        rows=_core.batch_rows(1, 0, steps, B, int(ends[0])),
        lr=mm.learning_rates("step", rate, LECTURE_STEPS, count=steps),
    )
    return V


def examples_of(texts, T):
    """Return V, and X, Y and dev of `write_problem`, of texts split by random.Random(42)."""
    data = mm.Dataset.split(texts, T, seed=42)
    splits = (data.train, data.dev, data.test)
    X, Y = (np.concatenate([getattr(split, a) for split in splits]) for a in "XY")
    return len(data.vocab), X, Y, np.cumsum([len(split.Y) for split in splits])[:2]


def save_problem(file, examples, update, parameters, **more):
    """Save examples (X, Y, dev), the `Update` of a step, the first parameters, and more arrays."""
    X, Y, dev = examples
    first = dict(zip(PARAMETERS, parameters, strict=True))
    np.savez(file, X=X, Y=Y, dev=dev, update=json.dumps(update), **first, **more)


def start_all(file, names, numbers_of_cpus=(1, ALL_CPUS)):
    """Return the candidates that are installed, with these numbers of CPUs, after they agreed."""
    running, answers = [], {}
    for name in names:
        for cpus in sorted(set(numbers_of_cpus)):
            candidate = Candidate(name, cpus)
            loaded = candidate.ask("load", file=file)
            if "absent" in loaded:
                print(f"{name}: not installed ({loaded['absent']})")
                candidate.close()
                break
            answers["{}, {} CPUs".format(*candidate.who)] = candidate.ask("verify")
            running.append(candidate)
    verify(answers)
    return running


def verify(answers):
    """Raise unless all candidates computed the same losses, up to float32 rounding."""
    first = next(iter(answers.values()))
    for who, answer in answers.items():
        for what in ("losses", "mean_loss", "dev_loss"):
            if not np.allclose(answer[what], first[what], rtol=1e-3):
                raise RuntimeError(f"{who} computes other {what} than {next(iter(answers))}")


@contextmanager
def busy_cpu():
    """Let another process keep one of our CPUs busy, and yield it."""
    spin = "while os.getppid() == parent: sum(range(10_000))"  # ends with its parent
    cpu = max(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{cpu}]); parent = {os.getpid()}; print(flush=True)"
    process = subprocess.Popen([sys.executable, "-c", f"{code}\n{spin}"], stdout=subprocess.PIPE)
    process.stdout.readline()
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def one_turn(running, steps, mean_loss, busy):
    """Yield (what, who, value) for a step, the mean loss, a busy process and the peak."""
    for candidate in running:
        yield "us per step", candidate.who, candidate.us_per_step(steps)
        if mean_loss:
            seconds = candidate.ask("mean_loss")["seconds"]
            yield "ms per mean loss", candidate.who, seconds * 1e3
    for candidate in running:
        if busy and candidate.who == (OURS, ALL_CPUS) and ALL_CPUS > 1:
            with busy_cpu():
                value = candidate.us_per_step(steps)
            yield "us per step beside a busy process", candidate.who, value
    time.sleep(SETTLE_SECONDS)
    for cpus in sorted({1, ALL_CPUS}):
        value = measured_peak(_core.build_info()["isa"]["used"], cpus)
        yield "peak GFLOP/s", ("peak", cpus), value


def measure(running, steps, turns, mean_loss=False, busy=False):
    """Let the candidates take turns and return {what: {who: one number per turn}}."""
    found = defaultdict(lambda: defaultdict(list))
    for turn in range(turns + 1):  # turn 0 warms up
        for what, who, value in one_turn(running, steps, mean_loss, busy):
            if turn > 0:
                found[what][who].append(value)
    return found
