"""The cards of a page's last section: questions that are answered by numbers of this run."""

from collections.abc import Callable
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from makemore_cpp import checks, reference
from makemore_cpp.arrays import Bool, Float64, Int64
from makemore_cpp.data.dataset import Dataset
from makemore_cpp.evaluation.diagnosis import Diagnosis
from makemore_cpp.evaluation.ngram_losses import NGramRow, ngram_table
from makemore_cpp.models.mlp import MLP
from makemore_cpp.text.sampling import iter_samples

LONGEST_CONTEXT = 9
FREQUENT = 0.01  # of all tokens in train; the embeddings of rarer ones have hardly moved
GRADIENTS = 50  # minibatches whose gradients' directions are compared
MAX_EXAMPLES = 20_000  # of the gradient of "all"
MAX_ELEMENTS = 20_000_000  # of the largest array of that gradient
N_SAMPLES = 1_000
# The sizes of the trainings for the card on more data, which should not take long.
STEPS, HIDDEN, MAX_VOCABULARY = 10_000, (20, 200), 256


class Card(NamedTuple):
    """A question, what to predict before looking, and the answer: sentences and a table."""

    title: str
    question: str
    prediction: str
    answer: list[str]
    table: dict[str, Any] | None = None  # caption, headers, rows


class Evidence(NamedTuple):
    """The objects on which the answers of cards rest."""

    model: MLP
    data: Dataset
    findings: Diagnosis
    ngrams: list[NGramRow]


def cards(model: MLP, data: Dataset, findings: Diagnosis) -> list[Card]:
    """Return the cards for which there is evidence; their numbers are computed here.

    Parameters
    ----------
    model : MLP
    data : Dataset
        The data on which the model was trained.
    findings : Diagnosis
        The diagnosis of this model on these data.

    Raises
    ------
    TypeError
        An argument has a wrong type.
    ArgumentError
        The data do not fit the model.
    """
    for name, value, kind in (
        ("model", model, MLP), ("data", data, Dataset), ("findings", findings, Diagnosis)
    ):  # fmt: skip
        checks.instance(name, value, kind)
    data.check_fits(model.vocab, model.block_size)
    ngrams = ngram_table(data, LONGEST_CONTEXT)
    evidence = Evidence(model, data, findings, ngrams)
    questions: tuple[Callable[[Evidence], Card | None], ...] = (
        _counting, _embeddings, _bottleneck, _minibatch, _softmax, _attention, _scaling, _novelty,
    )  # fmt: skip
    return [card for question in questions if (card := question(evidence)) is not None]


# -- the concept questions -----------------------------------------------------------------------
def _counting(evidence: Evidence) -> Card | None:
    rows = evidence.ngrams
    last = rows[-1]
    if last.unseen_share is None:
        return None
    best = min(rows, key=lambda row: row.kneser_ney or 0)
    return Card(
        "Why not count longer contexts?",
        f"A table of counts could have a row for each context of {last.block_size} tokens. What "
        "prevents it?",
        f"At what share of the places in dev is a context of {last.block_size} tokens one that "
        "train never showed?",
        [
            f"At {last.unseen_share:.1%}. There are {last.possible_contexts:,} contexts of "
            f"{last.block_size} tokens, and train has {last.contexts_seen:,} of them: all other "
            "rows of the table are empty.",
            f"Smoothed counts (Kneser and Ney's) are best on dev with {best.block_size} tokens of "
            f"context, at {best.kneser_ney:.4f} nats.",
        ],
        _table(
            "Counting, by the tokens of context",
            ["tokens", "possible contexts", "seen in train", "unseen in dev", "loss on dev"],
            [
                [str(row.block_size), f"{row.possible_contexts:,}", f"{row.contexts_seen:,}",
                 f"{row.unseen_share or 0:.1%}", row.kneser_ney]
                for row in rows
            ],
        ),
    )  # fmt: skip


def _embeddings(evidence: Evidence) -> Card | None:
    model, data = evidence.model, evidence.data
    V = model.vocab_size
    previous, following = data.train.X[:, -1].astype(np.int64), data.train.Y.astype(np.int64)
    n = np.bincount(previous, minlength=V)
    frequent = [v for v in range(1, V) if n[v] >= FREQUENT * len(following)]
    if len(frequent) < 3:
        return None
    after = {v: np.bincount(following[previous == v], minlength=V) / n[v] for v in frequent}
    pairs = list(combinations(frequent, 2))
    cosines = np.array([_cosine(model.C[a], model.C[b]) for a, b in pairs])
    differences = np.array([np.abs(after[a] - after[b]).sum() / 2 for a, b in pairs])
    nearest = int(cosines.argmax())
    a, b = (_shown(model, v) for v in pairs[nearest])
    correlation = _correlation(_ranks(cosines), _ranks(differences))
    return Card(
        "What does it mean that two embeddings are alike?",
        "Two tokens have embeddings that point in nearly the same direction. What does that say of "
        "how they are used?",
        "Which two tokens are the most alike here?",
        [
            f"Of the {len(frequent)} tokens that make up at least {FREQUENT:.0%} of train, {a} and "
            f"{b}: the cosine of their embeddings is {cosines[nearest]:.2f}, where that of all "
            f"pairs is {cosines.mean():.2f} on average.",
            f"What follows {a} and what follows {b} in train differ in {differences[nearest]:.0%} "
            f"of the cases; of all pairs, in {differences.mean():.0%}.",
            f"Over all {len(pairs)} pairs, the rank correlation of the cosine with this difference "
            f"is {_signed(correlation, 2)}: below 0, if tokens that are alike are followed by the "
            "same.",
        ],
    )


def _bottleneck(evidence: Evidence) -> Card:
    findings, T = evidence.findings, evidence.model.block_size
    this = findings.losses[-1]
    reachable = [row for row in evidence.ngrams if row.floor < 1.5]
    first = (
        f"contexts of {reachable[0].block_size} tokens are the shortest with a floor below that "
        f"({reachable[0].floor:.4f})"
        if reachable
        else f"no context of up to {LONGEST_CONTEXT} tokens has a floor below that"
    )
    losses = ", ".join(
        f"{loss:.4f} on {name}"
        for name, loss in (("train", this.train), ("dev", this.dev))
        if loss is not None
    )
    return Card(
        "Underfitting, overfitting, or a good fit?",
        "A model has a loss of 1.5 on train and of 1.6 on dev. Which of the three is it, and what "
        "would you try next?",
        "And which is it for this run?",
        [
            f"This run's losses are {losses}. {findings.sentence}",
            f"No model with {T} tokens of context can have a loss below {findings.floor:.4f} on "
            "this train split, as one context has different successors. For a loss of 1.5, "
            f"{first}.",
        ],
    )


def _minibatch(evidence: Evidence) -> Card:
    model, data = evidence.model, evidence.data
    T, E, H, V = model.sizes
    start = MLP(model.vocab, T, E, H, direct=model.direct).parameters
    most = max(GRADIENTS, min(MAX_EXAMPLES, MAX_ELEMENTS // max(T * E, H, V)))
    every = -(-len(data.train.Y) // most)
    X, Y = data.train.X[::every], data.train.Y[::every]

    def direction(rows: Int64 | slice) -> Float64:
        _, gradients = reference.loss_and_gradients(**start, X=X[rows], Y=Y[rows])
        flat = np.concatenate([gradient.ravel() for gradient in gradients]).astype(np.float64)
        return flat / np.linalg.norm(flat)

    all_of_them = direction(slice(None))

    def agreement(batch_size: int) -> float:
        rows = reference.batch_rows(1, 0, GRADIENTS, batch_size, len(Y))
        return float(np.mean([direction(step) @ all_of_them for step in rows]))

    sizes = (1, 32, 256)
    cosines = [agreement(size) for size in sizes]
    return Card(
        "Why minibatches of 32?",
        "A step could use one example, 32, or all. What are the costs and the gains?",
        "How well does the gradient of one example point where that of all points? (1 is the same "
        "direction, 0 a right angle.)",
        [
            f"At the initial parameters, the mean cosine between the gradient of one example and "
            f"that of {len(Y):,} is {cosines[0]:.2f}; for 32 examples it is {cosines[1]:.2f}, and "
            f"for 256 it is {cosines[2]:.2f}.",
            f"For the price of one step with {len(Y):,} examples there are {len(Y) / 32:,.0f} with "
            "32.",
        ],
        _table(
            f"Gradients of {GRADIENTS} minibatches at the initial parameters",
            ["examples", "mean cosine with all", "times cheaper than all"],
            [
                [str(size), cosine, f"{len(Y) / size:,.0f}"]
                for size, cosine in zip(sizes, cosines, strict=True)
            ],
        ),
    )


def _softmax(evidence: Evidence) -> Card:
    z = np.array([1000, 1001, 1002], np.float32)
    with np.errstate(all="ignore"):
        naive = np.exp(z) / np.exp(z).sum()
    stable = np.exp(reference.log_softmax(z[None])[0])
    greatest = float(np.log(np.finfo(np.float32).max))
    return Card(
        "Why subtract the greatest logit?",
        "softmax([1000, 1001, 1002]) is exp of each, divided by their sum. Why does that fail, and "
        "how does subtracting 1002 mend it?",
        "What does a computer answer without the subtraction?",
        [
            f"[{', '.join(map(str, naive))}]: float32 ends at exp({greatest:.2f}), so that "
            "exp(1000) is infinite, and infinity divided by infinity is not a number.",
            f"With 1002 subtracted the exponents are -2, -1 and 0, and the result is "
            f"[{', '.join(f'{p:.4f}' for p in stable)}]. It is the same softmax: "
            "exp(1000 - 1002) = exp(1000) / exp(1002), and the common divisor cancels.",
        ],
    )


# -- the reflections -----------------------------------------------------------------------------
def _attention(evidence: Evidence) -> Card | None:
    model = evidence.model
    T, E, H, _ = model.sizes
    if T < 2 or H == 0:
        return None
    W1 = model.W1.reshape(T, E, H).astype(np.float64)
    pushes = model.C[1:].astype(np.float64) @ W1  # (T,V-1,H)
    cosines = [
        _cosine(pushes[s, v], pushes[t, v])
        for s, t in combinations(range(T), 2)
        for v in range(pushes.shape[1])
    ]
    answer = [
        f"{_signed(float(np.mean(cosines)), 2)} is the mean cosine between what a token adds to "
        "the hidden units at one place of the context and at another. Each place has weights of "
        "its own, and what is learnt at one is not known at the others; attention uses the same "
        "weights everywhere.",
        f"Each further token of context costs {E * H:,} weights here, and the window still ends "
        "somewhere; attention looks at all that came before with no weight more.",
    ]
    rows = [row for row in evidence.ngrams if row.kneser_ney is not None]
    if rows:
        best = min(rows, key=lambda row: row.kneser_ney or 0)
        answer.append(
            f"How much of the past these texts can use: counts are best on dev with "
            f"{best.block_size} tokens of context."
        )
    return Card(
        "What limits this net, that attention does not?",
        "The architecture is of 2003; today's models have attention. What does the window of "
        f"{T} tokens cost?",
        "How alike is what this net has learnt of a token at one place of the window and at "
        "another? (1 is the same, 0 nothing in common.)",
        answer,
    )


def _scaling(evidence: Evidence) -> Card | None:
    model, data = evidence.model, evidence.data
    T, E, _, V = model.sizes
    if V > MAX_VOCABULARY or len(data.dev.Y) == 0 or len(data.train.texts) < 100:
        return None
    tenth = len(data.train.Y) // 10
    rates = np.repeat([0.1, 0.01], [3 * STEPS // 4, STEPS - 3 * STEPS // 4])
    rows: list[list[Any]] = []
    for hidden in HIDDEN:
        for name, n in (("a tenth", tenth), ("all", len(data.train.Y))):
            X, Y = data.train.X[:n], data.train.Y[:n]
            net = MLP(model.vocab, T, E, hidden)
            net.train_steps(X, Y, rates)
            rows.append([f"{hidden}", name, net.loss(X, Y), net.loss(data.dev.X, data.dev.Y)])
    gains = [rows[i][3] - rows[i + 1][3] for i in (0, 2)]
    small, large = HIDDEN
    return Card(
        "What would ten times more data do?",
        "A larger net was better up to a point. With ten times more texts, would the best size "
        "change?",
        f"By how much does the loss on dev fall from a tenth of train to all of it, with {large} "
        "hidden units?",
        [
            f"By {_signed(gains[1])} nats with {large} hidden units, and by {_signed(gains[0])} "
            f"with {small}, in {STEPS:,} steps each.",
            f"From {small} to {large} hidden units the loss on dev falls by "
            f"{_signed(rows[0][3] - rows[2][3])} on a tenth, and by "
            f"{_signed(rows[1][3] - rows[3][3])} on all of train.",
        ],
        _table(
            f"Losses after {STEPS:,} steps", ["hidden units", "of train", "loss there", "dev"], rows
        ),
    )


def _novelty(evidence: Evidence) -> Card:
    model, data = evidence.model, evidence.data
    known = set(data.train.texts)
    texts = [sample.text for sample in iter_samples(model, N_SAMPLES, seed=42)]
    new = sum(text not in known for text in texts) / len(texts)
    answer = [f"{new:.1%} of {N_SAMPLES:,} samples are texts that are not in train."]
    unseen = _unseen(data)
    if unseen.any():
        loss = model.loss(data.dev.X[unseen], data.dev.Y[unseen])
        answer.append(
            f"At {unseen.mean():.1%} of the places in dev stands a context that train never "
            f"showed. The loss there is {loss:.4f}, where a uniform guess has "
            f"{np.log(model.vocab_size):.4f}: what the net knows of such a place, it has learnt "
            "from other contexts."
        )
    return Card(
        "How can it make up texts that it never saw?",
        "Training only lowers the loss on texts of train. Where do new ones come from?",
        f"What share of {N_SAMPLES:,} samples is not in train?",
        answer,
    )


def _unseen(data: Dataset) -> Bool:
    """Return for each context of dev (N,) whether it is not among those of train."""
    train = {context.tobytes() for context in data.train.X}
    return np.array([context.tobytes() not in train for context in data.dev.X], np.bool_)


# -- small parts ---------------------------------------------------------------------------------
def _table(caption: str, headers: list[str], rows: list[list[Any]]) -> dict[str, Any]:
    return {"caption": caption, "headers": headers, "rows": rows}


def _signed(number: float, digits: int = 4) -> str:
    """Return a number with the typographic minus sign."""
    return f"{number:.{digits}f}".replace("-", "\u2212")


def _shown(model: MLP, token: int) -> str:
    return f"\u201c{model.vocab.itos[token]}\u201d"


def _cosine(a: Any, b: Any) -> float:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths > 0 else 0.0


def _ranks(values: Float64) -> Float64:
    return np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(np.float64)


def _correlation(a: Float64, b: Float64) -> float:
    return float(np.corrcoef(a, b)[0, 1])
