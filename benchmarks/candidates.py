"""The same training step in several frameworks, each as its users would write it.

measuring.py starts this script as a process for each candidate and number of threads:

    python benchmarks/candidates.py NAME THREADS

It reads one JSON command per line from stdin and answers with a line of JSON on stdout.  Every
candidate is a function of the first parameters, the examples (X, Y) of "all", "train", "dev" and
"test", and the `Update` of a step; it returns

    start()                                              goes back to the first parameters
    run(rows (steps,B), lr (steps,)) -> losses (steps,)  trains on; `rows` are rows of "all"
    loss(split) -> mean loss of the examples of a split, in nats
"""

import importlib
import json
import os
import statistics
import sys
import time
from typing import NamedTuple

import numpy as np

OURS = "makemore_cpp"
AVX2 = "makemore_cpp avx2"  # ours, forced to AVX2 where it would choose a wider instruction set
NAMES = (OURS, AVX2, "numpy", "torch eager", "torch compile", "jax scan")
# The other candidates take so long for a step that they do fewer, lest a turn take minutes.
FAST = (OURS, AVX2, "jax scan")
PARAMETERS = ("C", "W1", "b1", "W2", "b2")
MOMENTS = {"sgd": (), "adamw": ("m", "v")}
CALLS = (
    50  # at most so many calls make a training of so many seconds, and about half as many at least
)
LOGITS = 2**27  # at most so many are computed at once for a loss: half a gigabyte


class Update(NamedTuple):
    """How a step changes the parameters."""

    optimizer: str = "sgd"  # or "adamw"
    weight_decay: float = 0.01  # adamw's, on C, W1 and W2
    dropout: float = 0.0  # of the hidden units


def own_module(name):
    """Return the maker of a candidate by a module of makemore_cpp: `_core` or `reference`."""

    def make(parameters, splits, update):
        module = importlib.import_module(f"makemore_cpp.{name}")
        arrays = [p.copy() for p in parameters]
        state, done = {}, 0
        options = {"optimizer": update.optimizer, "dropout": update.dropout}
        if update.optimizer == "adamw":
            options |= {"weight_decay": update.weight_decay, "state": state}

        def start():
            nonlocal done
            done = 0
            for array, first in zip(arrays, parameters, strict=True):
                array[...] = first
            for moment in MOMENTS[update.optimizer]:
                for p, first in zip(PARAMETERS, parameters, strict=True):
                    state[f"{moment}.{p}"] = np.zeros_like(first)

        def run(rows, lr):
            nonlocal done
            done += len(lr)
            return module.train_steps(
                *arrays, *splits["all"], lr, rows=rows, first_step=done - len(lr), **options
            )

        start()

        return start, run, lambda split: module.mean_loss(*arrays, *splits[split])

    return make


def torch_step(compiled):
    def make(parameters, splits, update):
        import torch
        import torch.nn.functional as F  # noqa: N812

        torch.set_num_threads(len(os.sched_getaffinity(0)))
        tensors = [torch.tensor(p, requires_grad=True) for p in parameters]
        C, W1, b1, W2, b2 = tensors
        examples = {
            split: (torch.tensor(X).long(), torch.tensor(Y).long())
            for split, (X, Y) in splits.items()
        }
        X, Y = examples["all"]

        def loss_of(x, y, dropout=0.0):
            h = torch.tanh(C[x].view(len(x), -1) @ W1 + b1)
            if dropout > 0:
                h = F.dropout(h, dropout)
            return F.cross_entropy(h @ W2 + b2, y)

        # Every problem is compiled anew, for its own shapes, whatever came before it.
        if compiled:
            torch.compiler.reset()
        step_loss = torch.compile(loss_of, dynamic=False) if compiled else loss_of
        adamw = None

        def start():
            nonlocal adamw
            if update.optimizer == "adamw":
                groups = [
                    {"params": [C, W1, W2], "weight_decay": update.weight_decay},
                    {"params": [b1, b2], "weight_decay": 0.0},
                ]
                # fused is faster than foreach and the plain loop
                adamw = torch.optim.AdamW(groups, fused=True)
            with torch.no_grad():
                for p, first in zip(tensors, parameters, strict=True):
                    p.copy_(torch.tensor(first))

        def run(rows, lr):
            losses = np.empty(len(lr), np.float32)
            rows = torch.tensor(rows)
            for i, rate in enumerate(lr.tolist()):
                loss = step_loss(X[rows[i]], Y[rows[i]], update.dropout)
                for p in tensors:
                    p.grad = None
                loss.backward()
                if adamw is not None:
                    for group in adamw.param_groups:
                        group["lr"] = rate
                    adamw.step()
                else:
                    with torch.no_grad():
                        for p in tensors:
                            p -= rate * p.grad
                losses[i] = loss.item()
            return losses

        def loss(split):
            x, y = examples[split]
            with torch.no_grad():
                return mean_of_chunks(
                    lambda part: float(loss_of(x[part], y[part])), len(y), len(b2)
                )

        start()
        return start, run, loss

    return make


def jax_scan(parameters, splits, update):
    import jax
    import jax.numpy as jnp

    examples = {split: (jnp.asarray(X), jnp.asarray(Y)) for split, (X, Y) in splits.items()}
    X, Y = examples["all"]

    def loss_of(p, x, y, key=None):
        C, W1, b1, W2, b2 = p
        h = jnp.tanh(C[x].reshape(len(x), -1) @ W1 + b1)
        if key is not None:
            kept = jax.random.bernoulli(key, 1 - update.dropout, h.shape)
            h = jnp.where(kept, h / (1 - update.dropout), 0)
        log_p = jax.nn.log_softmax(h @ W2 + b2)
        return -jnp.take_along_axis(log_p, y[:, None], axis=1).mean()

    def loss_and_gradient(p, rows, t):
        key = jax.random.fold_in(jax.random.key(0), t) if update.dropout > 0 else None
        return jax.value_and_grad(loss_of)(p, X[rows], Y[rows], key)

    def sgd(state, row_and_rate):
        p, t = state
        rows, rate = row_and_rate
        loss, gradient = loss_and_gradient(p, rows, t)
        return (tuple(w - rate * g for w, g in zip(p, gradient, strict=True)), t + 1), loss

    def adamw(state, row_and_rate):
        p, t, ms, vs = state
        rows, rate = row_and_rate
        loss, gradient = loss_and_gradient(p, rows, t)
        t = t + 1
        ms = tuple(0.9 * m + 0.1 * g for m, g in zip(ms, gradient, strict=True))
        vs = tuple(0.999 * v + 0.001 * g * g for v, g in zip(vs, gradient, strict=True))

        def updated(w, m, v):
            decayed = w - rate * update.weight_decay * w if w.ndim == 2 else w
            m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
            return decayed - rate * m_hat / (jnp.sqrt(v_hat) + 1e-8)

        return (tuple(map(updated, p, ms, vs)), t, ms, vs), loss

    step = adamw if update.optimizer == "adamw" else sgd
    # JAX may overwrite the old state, which a training loop does not need any more.
    train = jax.jit(lambda state, rows, lr: jax.lax.scan(step, state, (rows, lr)), donate_argnums=0)
    mean_loss = jax.jit(loss_of)
    state = ()

    def start():
        nonlocal state
        first = tuple(jnp.array(p) for p in parameters)
        zeros = [tuple(jnp.zeros_like(p) for p in first) for _ in MOMENTS[update.optimizer]]
        state = (first, jnp.int32(0), *zeros)

    def run(rows, lr):
        nonlocal state
        state, losses = train(state, jnp.asarray(rows), jnp.asarray(lr, jnp.float32))
        return np.asarray(losses)

    def loss(split):
        x, y = examples[split]
        return mean_of_chunks(
            lambda part: float(mean_loss(state[0], x[part], y[part])), len(y), len(parameters[-1])
        )

    start()
    return start, run, loss


def mean_of_chunks(loss_of, n, V):
    """Return the mean of the n examples' losses, with at most `LOGITS` logits at a time."""
    size = max(1, LOGITS // V)
    chunks = [slice(i, min(i + size, n)) for i in range(0, n, size)]
    return sum(loss_of(part) * (part.stop - part.start) for part in chunks) / n


MAKERS = {
    OURS: own_module("_core"),
    AVX2: own_module("_core"),
    "numpy": own_module("reference"),
    "torch eager": torch_step(compiled=False),
    "torch compile": torch_step(compiled=True),
    "jax scan": jax_scan,
}


class Server:
    """One candidate with its problem; every method but the first answers one command."""

    def __init__(self, name, file):
        self.problem = dict(
            np.load(file)
        )  # dict, as every access to the file would read an array again
        X, Y, dev = (self.problem[key] for key in ("X", "Y", "dev"))
        ends = [0, *dev, len(Y)]
        self.splits = {"all": (X, Y)}
        for split, begin, end in zip(("train", "dev", "test"), ends[:-1], ends[1:], strict=True):
            self.splits[split] = X[begin:end], Y[begin:end]
        self.parameters = [self.problem[p] for p in PARAMETERS]
        update = Update(*json.loads(str(self.problem["update"])))
        self.start, self.run, self.loss = MAKERS[name](self.parameters, self.splits, update)

    def begin_from(self, file):
        """Take the first parameters of another problem, which differs in nothing else."""
        problem = np.load(file)
        self.parameters[:] = [problem[p] for p in PARAMETERS]
        return {}

    def train(self, first, last):
        """Do these steps of the problem and return their losses."""
        return self.run(self.problem["rows"][first:last], self.problem["lr"][first:last])

    def verify(self):
        """Return the losses of the first 20 steps, and of two splits after them."""
        self.start()
        losses = self.train(0, 20).tolist()
        return {"losses": losses, "mean_loss": self.loss("all"), "dev_loss": self.loss("dev")}

    def steps(self, n):
        """Time n steps."""
        started = time.perf_counter()
        self.train(0, n)
        return {"seconds": time.perf_counter() - started}

    def mean_loss(self):
        """Time the mean loss of all examples."""
        started = time.perf_counter()
        self.loss("all")
        return {"seconds": time.perf_counter() - started}

    def train_until(self, target, every):
        """Time a training until the dev loss, evaluated after `every` steps, reaches `target`."""
        self.train(0, every)  # compiles
        self.loss("dev")
        self.start()
        started = time.perf_counter()
        for done in range(every, len(self.problem["rows"]) + 1, every):
            self.train(done - every, done)
            loss = self.loss("dev")
            if loss <= target:
                break
        return {"seconds": time.perf_counter() - started, "steps": done, "loss": loss}

    def train_for(self, seconds, batch_size, lr, seed):
        """Train for so many seconds with a rate that falls with the clock, as a cosine, to 0.

        Its calls take a fixed number of steps, so that JAX compiles them once, before the clock
        starts. A call that would not end in time, by the median of those before it, is not begun.
        """
        random, n_train = np.random.default_rng(seed), int(self.problem["dev"][0])
        clock = time.perf_counter

        def timed_call(rates):
            started = clock()
            self.run(random.integers(n_train, size=(len(rates), batch_size)), rates)
            return clock() - started

        self.start()
        count, taken = 1, 0.0
        while taken < seconds / CALLS:
            count = 2 * count if taken < seconds / CALLS / 2 else count + count // 2 + 1
            timed_call(np.zeros(count))  # compiles
            taken = timed_call(np.zeros(count))
        self.start()
        elapsed, calls = 0.0, [taken]
        started = clock()
        try:
            while elapsed + statistics.median(calls) <= seconds:
                shares = (elapsed + calls[-1] * np.arange(count) / count) / seconds
                calls.append(timed_call(lr * (1 + np.cos(np.pi * np.minimum(shares, 1))) / 2))
                elapsed = clock() - started
        except ArithmeticError:  # ours says so where the others go on with NaN
            losses = dict.fromkeys(("train", "dev", "test"), np.nan)
        else:
            losses = {split: self.loss(split) for split in ("train", "dev", "test")}
        found = {split: loss if np.isfinite(loss) else np.inf for split, loss in losses.items()}
        return {"seconds": elapsed, "steps": count * (len(calls) - 1), **found}


def serve(name, threads):
    """Answer commands until stdin ends; the first is "load", which imports the framework."""
    # The CPUs are set before the import: a framework sizes its thread pool by them.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a framework's own output must not look like an answer

    server = None
    for line in sys.stdin:
        command = json.loads(line)
        what = command.pop("do")
        if what == "load":
            try:
                server = Server(name, command["file"])
                answer = {}
            except ImportError as error:
                answer = {"absent": str(error)}
        else:
            answer = getattr(server, what)(**command)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
