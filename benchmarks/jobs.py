"""Whole jobs: a training from the command line, imports, and the time until a loss is reached."""

import importlib.util
import subprocess
import sys
import tempfile
import time
from collections import defaultdict

from candidates import FAST
from measuring import ALL_CPUS, LECTURE_STEPS, SETTLE_SECONDS

EVALUATE_EVERY = 5000  # steps


def commands(folder, data):
    """Return {name: command} of the processes to time from start to exit."""
    train = [sys.executable, "-m", "makemore_cpp", "train", "--steps", str(LECTURE_STEPS)]
    train += ["--out", f"{folder}/run", "--overwrite"] + (["--data", data] if data else [])
    found = {"makemore_cpp train": train, "python": [sys.executable, "-c", ""]}
    for module in ("numpy", "makemore_cpp", "torch", "jax"):
        if importlib.util.find_spec(module):
            found[f"{module} import"] = [sys.executable, "-c", f"import {module}"]
    return found


def time_commands(data, turns):
    """Let the commands take turns and return {who: seconds of each turn}."""
    found = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(turns + 1):  # the first fills the caches of files and fonts
            for name, command in commands(folder, data).items():
                time.sleep(SETTLE_SECONDS)
                started = time.perf_counter()
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                if turn > 0:
                    found[name, ALL_CPUS].append(time.perf_counter() - started)
    return found


def time_to_loss(running, target, turns):
    """Train to the dev loss; return {who: seconds of each turn} and {who: (steps, loss reached)}.

    Training and evaluations are timed, imports and compilation are not.  Slow candidates train
    once.
    """
    found, ends = defaultdict(list), {}
    for turn in range(turns):
        for candidate in running:
            if turn == 0 or candidate.name in FAST:
                answer = candidate.ask("train_until", target=target, every=EVALUATE_EVERY)
                found[candidate.who].append(answer["seconds"])
                ends[candidate.who] = (answer["steps"], answer["loss"])
    return found, ends
