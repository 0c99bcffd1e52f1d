"""The commands `sample` and `complete`, which make texts with a model, and `similar`."""

import math
import time
from collections.abc import Iterable, Iterator
from itertools import starmap
from typing import Any, get_args

import click

from makemore_cpp._core import ArgumentError, Error
from makemore_cpp.cli import console
from makemore_cpp.cli.common import json_option, model_of
from makemore_cpp.data.origin import training_texts
from makemore_cpp.data.texts import load_texts
from makemore_cpp.models.frozen import LanguageModel
from makemore_cpp.models.neighbours import DEFAULT_NEIGHBOURS
from makemore_cpp.text import completion, sampling, scoring
from makemore_cpp.text.model import Model
from makemore_cpp.text.predictor import Exhausted
from makemore_cpp.text.sampling import DEFAULT_MAX_LENGTH, Sample, Unfinished

SAMPLES_AT_ONCE = 1024
LONGEST_WAIT = 0.1  # seconds that finished samples wait for more


SAMPLE_HELP = """\
Print samples of RUN, a run folder or model file, one a line.
"""


@click.command(context_settings={"show_default": True}, help=SAMPLE_HELP)
@click.argument("run")
@click.option("-n", "--n", default=20, help="Number of samples.")
@click.option("--start", type=int, help="Print the samples from number START on.")
@click.option("--seed", default=42, help="Sample i depends on the model, the options and i alone.")
@click.option(
    "--temperature",
    default=1.0,
    help="Below 1: favours probable tokens; 0: takes only the most probable.",
)
@click.option("--top-k", type=int, help="Draw only from the k most probable tokens.")
@click.option(
    "--top-p", default=1.0, help="Draw only from the fewest tokens that have this probability."
)
@click.option("--prefix", default="", help="Begin all samples with this text.")
@click.option("--min-length", default=1, help="Print no sample with fewer tokens.")
@click.option("--max-length", default=DEFAULT_MAX_LENGTH, help="Print no sample with more tokens.")
@click.option(
    "--unfinished",
    type=click.Choice(get_args(Unfinished)),
    help="A sample that has not ended by --max-length: draw another one, or keep it, cut.  "
    "[default: redo; with --start keep]",
)
@click.option("--unique", is_flag=True, help="Print no sample twice.")
@click.option("--exclude", metavar="train|FILE", help="Print no text of the training, or of FILE.")
@json_option
def sample(run: str, n: int, exclude: str | None, as_json: bool, **options: Any) -> None:
    """Print samples of RUN, a run folder or model file, one a line."""
    model = model_of(run)
    if options["unfinished"] is None:
        options["unfinished"] = "redo" if options["start"] is None else "keep"
    if exclude is not None:
        options["exclude"] = _training_texts(model) if exclude == "train" else load_texts(exclude)
    cut = 0
    for some in _in_lists(sampling.iter_samples(model, n, **options)):
        if as_json:
            console.print_lines(console.json_line(one._asdict()) for one in some)
        else:
            mark = console.cut_mark(is_for_people=False)
            console.print_lines(text + mark * is_cut for text, is_cut in some)
        cut += sum(is_cut for _, is_cut in some)
    if cut:
        console.note(f"{cut} of {n} samples were cut at {options['max_length']} tokens")


def _training_texts(model: Model) -> Iterable[str]:
    advice = "name their file with --exclude FILE"
    if isinstance(model, LanguageModel) and model.data is not None:
        return training_texts(model.data, model.vocab, advice)
    texts = model.training_texts()
    if texts is None:
        raise ArgumentError(f"this model does not remember its data; {advice}")
    return texts


def _in_lists(samples: Iterator[Sample]) -> Iterator[list[Sample]]:
    """Yield samples in lists: long ones where samples come fast, and none much later than found."""
    some: list[Sample] = []
    due = time.monotonic()  # the first list is due at once
    try:
        for one in samples:
            some.append(one)
            if len(some) == SAMPLES_AT_ONCE or time.monotonic() > due:
                yield some
                some = []
                due = time.monotonic() + LONGEST_WAIT
    except Error:
        yield some  # the samples before the error
        raise
    yield some


COMPLETE_HELP = """\
Print the most probable texts, of those that begin with PREFIX or of all.

Each line holds the text's log-probability in nats, its probability, its probability among the
texts that begin with PREFIX, and the text.
"""


@click.command(context_settings={"show_default": True}, help=COMPLETE_HELP)
@click.argument("run")
@click.argument("prefix", default="")
@click.option("-k", "--k", default=10, help="Number of texts.")
@click.option("--max-length", default=DEFAULT_MAX_LENGTH, help="No text is longer.")
@json_option
def complete(run: str, prefix: str, k: int, max_length: int, as_json: bool) -> None:
    """Print the most probable texts, of those that begin with PREFIX or of all."""
    model = model_of(run)
    gave_up = None
    try:
        found = completion.complete(model, prefix, k, max_length)
    except Exhausted as error:
        found, gave_up = error.found, error
    log_prob_of_prefix = -float(scoring.per_char(model, prefix)[:-1].sum())

    def line_of(text: str, log_prob: float) -> str:
        p, given_prefix = math.exp(log_prob), math.exp(min(log_prob - log_prob_of_prefix, 0.0))
        if not as_json:
            return f"{log_prob:12.6f}  {p:11.4g}  {given_prefix:12.4g}  {text}"
        numbers = {
            "log_prob": log_prob,
            "probability": p,
            "given_prefix": console.finite(given_prefix),
        }
        return console.json_line({"text": text, **numbers})

    if not as_json:
        console.print_line(f"{'log_prob':>12}  {'probability':>11}  {'given prefix':>12}  text")
    console.print_lines(starmap(line_of, found))
    if gave_up is not None:
        raise gave_up


SIMILAR_HELP = """\
Print the tokens that RUN, a run folder or model file of a net, uses most like TOKEN.

Each line holds the cosine of the angle between the two embeddings, 1 for the same direction, and
the token.
"""


@click.command(context_settings={"show_default": True}, help=SIMILAR_HELP)
@click.argument("run")
@click.argument("token")
@click.option("-k", "--k", default=DEFAULT_NEIGHBOURS, help="Number of tokens.")
@json_option
def similar(run: str, token: str, k: int, as_json: bool) -> None:
    """Print the tokens that RUN, a run folder or model file of a net, uses most like TOKEN."""
    model = model_of(run)
    if not isinstance(model, LanguageModel):
        raise ArgumentError(f"{run} holds no net but {model!r:.60}, which has no embeddings")
    found = model.nearest(token, k)
    if as_json:
        console.print_lines(
            console.json_line({"token": other, "cosine": cosine}) for other, cosine in found
        )
    else:
        console.print_lines(f"{cosine:9.6f}  {other}" for other, cosine in found)
