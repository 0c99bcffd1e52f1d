"""The commands that judge lines of text with a model: score and detect."""

import math
import sys
from collections.abc import Iterator
from itertools import count

import click
import numpy as np

from makemore_cpp import evaluation
from makemore_cpp._core import ArgumentError, FileError
from makemore_cpp.arrays import Float64
from makemore_cpp.cli import common as cli_common
from makemore_cpp.cli import console
from makemore_cpp.cli.common import json_option, model_of
from makemore_cpp.data.lines import read_lines
from makemore_cpp.data.vocab import Vocab
from makemore_cpp.models.frozen import LanguageModel
from makemore_cpp.models.loading import load
from makemore_cpp.text import scoring
from makemore_cpp.text.detector import Detector
from makemore_cpp.text.model import Model

SCORE_HELP = """\
Print the log-probability of each line of FILE, in nats, and the line.

Without FILE, or with -, standard input is read. White space around a line is ignored, and a blank
line is the empty text: for each line of the input there is one of the output.
"""


@click.command(context_settings={"show_default": True}, help=SCORE_HELP)
@click.argument("run")
@click.argument("file", default="-")
@click.option(
    "--oov",
    type=click.Choice(["error", "skip", "-inf"]),
    default="error",
    help="At an unknown character: stop, skip the character, or print -inf for the line.",
)
@click.option("--summary", is_flag=True, help="Print the means of all lines instead.")
@json_option
def score(run: str, file: str, oov: str, summary: bool, as_json: bool) -> None:
    """Print the log-probability of each line of FILE, in nats, and the line."""
    model = model_of(run)
    skip, length = scoring.skipping(model.vocab), model.vocab.length

    def count_tokens(text: str) -> int:
        return length(skip(text)) + 1  # 1 for the end

    def line_of(text: str, log_prob: float) -> str:
        if not as_json:
            return f"{log_prob:.6f}\t{text}"
        tokens = count_tokens(text)
        return console.json_line(
            {"text": text, "log_prob": console.finite(log_prob), "tokens": tokens}
        )

    lines = tokens = 0
    total = 0.0
    for texts, log_probs in _scored(model, file, oov):
        if not summary:
            console.print_lines(map(line_of, texts, log_probs.tolist()))
            continue
        lines += len(texts)
        tokens += sum(map(count_tokens, texts))
        total += float(log_probs.sum())
    if summary:
        _print_means(f"Score of {run} on {_name_of(file)}", lines, tokens, total, as_json)


def _scored(model: Model, file: str, oov: str) -> Iterator[tuple[list[str], Float64]]:
    """Yield lines and their log-probabilities; raise ArgumentError at a line that has none."""
    done = 0
    for texts in _lines_of(file):
        log_probs = scoring.score(model, texts, oov="skip" if oov == "skip" else "-inf")
        is_bad = np.isnan(log_probs)
        if oov == "error":
            is_bad |= np.isneginf(log_probs)
        if is_bad.any():
            first = int(is_bad.argmax())
            yield texts[:first], log_probs[:first]
            place = f"line {done + first + 1} of {_name_of(file)}"
            raise ArgumentError(f"{place}: {_why_bad(model.vocab, texts[first])}")
        yield texts, log_probs
        done += len(texts)


def _why_bad(vocab: Vocab, text: str) -> str:
    try:
        vocab.encode(text)
    except ArgumentError as error:
        return f"{error}; --oov skip leaves such characters out, --oov -inf goes on"
    return "the model's parameters are so large that the probability overflows"


def _print_means(title: str, lines: int, tokens: int, total: float, as_json: bool) -> None:
    """Print the means of lines whose log-probabilities have this total."""
    loss = -total / tokens if lines else None
    bits_per_char = None if loss is None else loss / math.log(2)
    with np.errstate(over="ignore"):
        perplexity = None if loss is None else float(np.exp(loss))
    if as_json:
        means = {"loss": loss, "bits_per_char": bits_per_char, "perplexity": perplexity}
        finite = {name: console.finite(value) for name, value in means.items()}
        console.print_json({"lines": lines, "tokens": tokens, **finite})
        return
    columns = ("lines", "tokens", "nats per token", "bits per char", "perplexity")
    console.print_losses(title, columns, [(f"{lines:,}", tokens, loss, bits_per_char, perplexity)])


DEFAULT_RATE = 0.01
DETECT_HELP = """\
Print the lines of FILE that are unlike the texts on which RUN was trained.

RUN is a run folder, a model file or the file of a detector.

Each line begins with its p-value: the share of good texts that are as improbable, compared fairly
for every length. Good texts are those of the dev split that do not also stand in train. FILE is
read as by `score`; a line with an unknown character is always flagged.
"""


@click.command(context_settings={"show_default": True}, help=DETECT_HELP)
@click.argument("run")
@click.argument("file", default="-")
@click.option(
    "--false-positive-rate",
    type=float,
    help=f"Share of good texts to flag.  [default: {DEFAULT_RATE}]",
)
@click.option(
    "--data", help="File whose dev split holds the good texts.  [default: the training's file]"
)
@click.option("--all", "show_all", is_flag=True, help="Print all lines, flagged or ok.")
@json_option
def detect(
    run: str,
    file: str,
    false_positive_rate: float | None,
    data: str | None,
    show_all: bool,
    as_json: bool,
) -> None:
    """Print the lines of FILE that are unlike the texts on which RUN was trained."""
    if data == "-" and file == "-":
        raise ArgumentError("standard input cannot be both FILE and --data: name one of them")
    detector = _detector(run, false_positive_rate, data)

    def line_of(number: int, text: str, p_value: float, flagged: bool) -> str:
        if as_json:
            place = {"line": number, "text": text}
            return console.json_line({**place, "p_value": p_value, "flagged": flagged})
        mark = ("flagged\t" if flagged else "ok\t") if show_all else ""
        return f"{p_value:.6f}\t{mark}{text}"

    done = 0
    for texts in _lines_of(file):
        p_values = detector.p_values(texts)
        flags = p_values <= detector.false_positive_rate
        rows = zip(count(done + 1), texts, p_values.tolist(), flags.tolist(), strict=False)
        console.print_lines(line_of(*row) for row in rows if show_all or row[3])
        done += len(texts)


def _detector(run: str, rate: float | None, data: str | None) -> Detector:
    """Return the detector of a file, or fit one to the texts of a net."""
    model = load(run)
    if isinstance(model, Detector):
        if rate is not None or data is not None:
            raise ArgumentError(
                f"{run} holds a detector, which is fitted: neither its data nor its rate changes"
            )
        return model
    if not isinstance(model, LanguageModel):
        raise ArgumentError(
            f"{run} holds no net but {model!r:.60}; save a Detector that is fitted to it"
        )
    texts = evaluation.find_texts(model, cli_common.path_of(data))
    good = evaluation.held_out_texts(model, texts)
    return Detector.fit(model, good, DEFAULT_RATE if rate is None else rate)


# -- lines of a file -------------------------------------------------------------------------------
def _lines_of(file: str) -> Iterator[list[str]]:
    """Yield the lines of a file, or of standard input, as they come."""
    is_input = file == "-"
    if is_input and sys.stdin is None:  # closed, as by `<&-`
        raise FileError("standard input is closed")
    if is_input and sys.stdin.isatty():
        console.note("reading lines from the keyboard; Ctrl-D ends them")
    try:
        with open(0 if is_input else file, "rb", closefd=not is_input) as stream:
            yield from read_lines(stream, _name_of(file))
    except OSError as error:
        raise FileError(f"cannot read {_name_of(file)}: {error.strerror}") from error


def _name_of(file: str) -> str:
    return "standard input" if file == "-" else file
