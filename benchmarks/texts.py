"""Times scoring and sampling by the frozen model, and PyTorch doing the same where it is installed.

    python benchmarks/texts.py --data names.txt --turns 7

Everything takes turns, and the median of the turns is shown with the fastest and the slowest.  The
models are the lecture's net and, for scores without a table, one with 8 characters of context and
400 hidden units, after a short training.  PyTorch samples with a loop like the lecture's, one
character after the other from parameters that record gradients, and scores without gradients in
batches of the size that suits it best.
"""

import argparse
import statistics
import time
from collections import defaultdict

import numpy as np
from measuring import SETTLE_SECONDS, machine

import makemore_cpp as mm

MILLION = 1_000_000
UNSEEN = 100_000
LECTURE_NAMES = 200  # sampled by the lecture's loop, which is slow
NEXT_CALLS = 20_000
BATCHES = (1 << 12, 1 << 15, None)  # sizes for PyTorch's scores; None: all at once
TOLERANCE = 1e-3  # between scores in float32, which are about -20


def trained(texts, block_size, n_hidden, steps):
    """Return a net after some training, and its data."""
    data = mm.Dataset.split(texts, block_size)
    model = mm.MLP(data.vocab, block_size, n_hidden=n_hidden)
    mm.train(model, data, steps=steps)
    return model, data


def our_jobs(model, long_model, texts):
    """Return {what: (function, how many things it does)}."""
    frozen, long_frozen = model.freeze(), long_model.freeze()
    many = (texts * (MILLION // len(texts) + 1))[:MILLION]
    column = mm.text.TextColumn()
    column.append(many)
    known = model.training_texts()

    def ask():
        for _ in range(NEXT_CALLS):
            frozen.next("emm")

    return {
        "score a million names": (lambda: frozen.score(many), MILLION),
        "score a million names, 1 thread": (lambda: frozen.score(many, threads=1), MILLION),
        "score a million names of an Arrow array": (lambda: frozen.score(column), MILLION),
        "sample a million names": (lambda: frozen.sample(MILLION), MILLION),
        "sample a million names as an Arrow array": (
            lambda: frozen.sample(MILLION, as_arrow=True),
            MILLION,
        ),
        "sample a million names, 1 thread": (lambda: frozen.sample(MILLION, threads=1), MILLION),
        "sample unseen names, no two alike": (
            lambda: frozen.sample(UNSEEN, unique=True, exclude=known),
            UNSEEN,
        ),
        'next("emm")': (ask, NEXT_CALLS),
        "score without a table": (lambda: long_frozen.score(texts), len(texts)),
    }


def torch_jobs(model, long_model, texts):
    """Return the same jobs in PyTorch, and its scores of the texts by the long model."""
    import torch

    def tensors(net):
        return [torch.from_numpy(array.copy()) for array in net.parameters.values()]

    generator = torch.Generator().manual_seed(42)
    C, W1, b1, W2, b2 = (tensor.requires_grad_() for tensor in tensors(model))

    def sample():
        for _ in range(LECTURE_NAMES):
            out, context = [], [0] * model.block_size
            while True:
                emb = C[torch.tensor([context])]
                h = torch.tanh(emb.view(1, -1) @ W1 + b1)
                probs = torch.softmax(h @ W2 + b2, dim=1)
                ix = torch.multinomial(probs, num_samples=1, generator=generator).item()
                context = [*context[1:], ix]
                out.append(ix)
                if ix == 0:
                    break

    X, Y = mm.build_dataset(texts, long_model.vocab, long_model.block_size)
    inputs, targets = torch.from_numpy(X.astype(np.int64)), torch.from_numpy(Y.astype(np.int64))
    long = tensors(long_model)

    @torch.inference_mode()
    def score(size):
        C, W1, b1, W2, b2 = long
        parts = []
        for x, y in zip(inputs.split(size), targets.split(size), strict=True):
            h = torch.tanh(C[x].view(len(x), -1) @ W1 + b1)
            parts.append(torch.log_softmax(h @ W2 + b2, 1).gather(1, y[:, None])[:, 0])
        return torch.cat(parts)

    jobs = {"sample as the lecture does, PyTorch": (sample, LECTURE_NAMES)}
    for batch in BATCHES:
        size = batch or len(Y)
        name = f"score without a table, PyTorch in batches of {size:,} contexts"
        jobs[name] = (lambda size=size: score(size), len(texts))
    ends = np.flatnonzero(Y == 0) + 1
    scores = np.add.reduceat(score(1 << 15).double().numpy(), np.r_[0, ends[:-1]])
    return jobs, scores


def measure(jobs, turns):
    """Return the seconds of every turn of each job."""
    seconds = defaultdict(list)
    for turn in range(turns + 1):  # turn 0 warms up
        for what, (run, _) in jobs.items():
            time.sleep(SETTLE_SECONDS)  # threads of some frameworks spin for a while
            started = time.perf_counter()
            run()
            if turn > 0:
                seconds[what].append(time.perf_counter() - started)
    return seconds


def report(jobs, seconds):
    """Print a line for each job and return {what: microseconds for each thing}."""
    each = {}
    for what, (_, count) in jobs.items():
        middle = statistics.median(seconds[what])
        each[what] = middle / count * 1e6
        spread = f"{min(seconds[what]) * 1e3:.1f} to {max(seconds[what]) * 1e3:.1f}"
        print(f"{what:<66} {middle * 1e3:9.1f} ms ({spread}), {each[what]:.3f} us each")
    return each


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="text file, one name a line; by default the bundled names")
    parser.add_argument("--turns", type=int, default=7)
    options = parser.parse_args()
    texts = mm.load_texts(options.data)
    model, _ = trained(texts, 3, 200, 20_000)
    long_model, _ = trained(texts, 8, 400, 2_000)
    jobs = our_jobs(model, long_model, texts)
    try:
        theirs, scores = torch_jobs(model, long_model, texts)
    except ImportError as error:
        print(f"PyTorch: not installed ({error})")
    else:
        if not np.allclose(long_model.score(texts), scores, atol=TOLERANCE):
            raise RuntimeError("PyTorch computes other scores")
        jobs |= theirs
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    each = report(jobs, measure(jobs, options.turns))
    pairs = [("sample as the lecture does", "sample a million names")]
    pairs.append(("score without a table, PyTorch", "score without a table"))
    for theirs_begin, ours in pairs:
        theirs_each = [us for what, us in each.items() if what.startswith(theirs_begin)]
        if theirs_each:
            ratio = min(theirs_each) / each[ours]
            print(f"{ours}: {ratio:,.0f} times as fast as PyTorch at its best")


if __name__ == "__main__":
    main()
