"""The same training step in several frameworks, each as its users would write it.

Started by compare.py as a process of its own, one for each candidate and number of threads:

    python benchmarks/candidates.py NAME THREADS

It reads a JSON command a line from stdin and answers with a line of JSON on stdout.  Every
candidate is a function that takes the sizes, parameters and data and returns

    run(rows (steps,B), lr (steps,)) -> losses (steps,)      trains on from where it stands
    loss(X, Y) -> mean loss of many examples, in nats
"""

import json
import os
import sys
import time

import numpy as np

NAMES = ("makemore_cpp", "numpy", "torch eager", "torch compile", "jax scan")


def makemore(parameters, X, Y):
    from makemore_cpp import _core

    arrays = [p.copy() for p in parameters]

    def run(rows, lr):
        return _core.train_steps(*arrays, X, Y, lr, rows=rows)

    return run, lambda: _core.mean_loss(*arrays, X, Y)


def numpy_reference(parameters, X, Y):
    from makemore_cpp import reference

    arrays = [p.copy() for p in parameters]

    def run(rows, lr):
        return reference.train_steps(*arrays, X, Y, lr, rows=rows)

    return run, lambda: reference.mean_loss(*arrays, X, Y)


def torch_step(compiled):
    def make(parameters, X, Y):
        import torch
        import torch.nn.functional as F  # noqa: N812

        torch.set_num_threads(len(os.sched_getaffinity(0)))
        tensors = [torch.tensor(p, requires_grad=True) for p in parameters]
        C, W1, b1, W2, b2 = tensors
        X, Y = torch.tensor(X).long(), torch.tensor(Y).long()

        def logits_of(x):
            h = torch.tanh(C[x].view(len(x), -1) @ W1 + b1)
            return h @ W2 + b2

        def loss_of(x, y):
            return F.cross_entropy(logits_of(x), y)

        step_loss = torch.compile(loss_of) if compiled else loss_of

        def run(rows, lr):
            losses = np.empty(len(lr), np.float32)
            rows = torch.tensor(rows)
            for i, rate in enumerate(lr.tolist()):
                loss = step_loss(X[rows[i]], Y[rows[i]])
                for p in tensors:
                    p.grad = None
                loss.backward()
                with torch.no_grad():
                    for p in tensors:
                        p -= rate * p.grad
                losses[i] = loss.item()
            return losses

        def loss():
            with torch.no_grad():
                return float(loss_of(X, Y))

        return run, loss

    return make


def jax_scan(parameters, X, Y):
    import jax
    import jax.numpy as jnp

    X, Y = jnp.asarray(X), jnp.asarray(Y)
    state = [tuple(jnp.asarray(p) for p in parameters)]

    def loss_of(p, x, y):
        C, W1, b1, W2, b2 = p
        h = jnp.tanh(C[x].reshape(len(x), -1) @ W1 + b1)
        log_p = jax.nn.log_softmax(h @ W2 + b2)
        return -jnp.take_along_axis(log_p, y[:, None], axis=1).mean()

    def step(p, row_and_rate):
        rows, rate = row_and_rate
        loss, gradient = jax.value_and_grad(loss_of)(p, X[rows], Y[rows])
        return tuple(w - rate * g for w, g in zip(p, gradient, strict=True)), loss

    train = jax.jit(lambda p, rows, lr: jax.lax.scan(step, p, (rows, lr)))
    mean_loss = jax.jit(loss_of)

    def run(rows, lr):
        state[0], losses = train(state[0], jnp.asarray(rows), jnp.asarray(lr, jnp.float32))
        return np.asarray(losses)

    return run, lambda: float(mean_loss(state[0], X, Y))


MAKERS = {
    "makemore_cpp": makemore,
    "numpy": numpy_reference,
    "torch eager": torch_step(compiled=False),
    "torch compile": torch_step(compiled=True),
    "jax scan": jax_scan,
}


def serve(name, threads):
    """Answer commands until stdin ends; the first answer says whether the framework is there."""
    # Before any framework is imported: each sizes its thread pool by the CPUs that it may use.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a framework prints must not look like an answer

    def answer(**values):
        print(json.dumps(values), file=answers, flush=True)

    run = loss = None
    for line in sys.stdin:
        command = json.loads(line)
        try:
            if command["do"] == "load":
                data = np.load(command["file"])
                parameters = [data[p] for p in ("C", "W1", "b1", "W2", "b2")]
                run, loss = MAKERS[name](parameters, data["X"], data["Y"])
                answer(ok=True)
            elif command["do"] == "verify":
                answer(losses=run(data["rows"][:20], data["lr"][:20]).tolist(), mean_loss=loss())
            elif command["do"] == "steps":
                n = command["n"]
                rows, lr = data["rows"][:n], data["lr"][:n]
                started = time.perf_counter()
                run(rows, lr)
                answer(seconds=time.perf_counter() - started)
            elif command["do"] == "mean_loss":
                started = time.perf_counter()
                loss()
                answer(seconds=time.perf_counter() - started)
        except ImportError as error:
            answer(absent=str(error))


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
