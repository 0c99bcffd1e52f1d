"""The commands sample, score, complete and detect."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import command, environment, is_one_sentence, on_terminal, refuse, run, started

import makemore_cpp as mm
from makemore_cpp import evaluation
from makemore_cpp.cli import console
from makemore_cpp.evaluation import losses
from makemore_cpp.text.detector import Detector

MIB = 1 << 20


@pytest.fixture(scope="module")
def model():
    data = mm.Dataset.split(mm.load_texts())
    net = mm.MLP(data.vocab, n_embd=4, n_hidden=20)
    net.train_steps(data.train.X, data.train.Y, np.full(3000, 0.1))
    net.data = data.origin
    return net


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    """Return a folder with the model files "m" and "n"; only "m" says where its data are."""
    place = tmp_path_factory.mktemp("models")
    model.save(place / "m")
    stranger = mm.MLP.load(place / "m")
    stranger.data = None
    stranger.save(place / "n")
    return place


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="others tell it in another way")
# The usage that a parent is told includes the time before the child became this program, when it
# was a copy of the parent.
AND_ITS_PEAK = """
import sys
from makemore_cpp.cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code
with open("/proc/self/status") as status:
    sys.stderr.write(next(line for line in status if line.startswith("VmHWM:")))
"""


def peak_memory(folder: Path, *arguments: object) -> int:
    """Return the bytes of memory that a command used at most."""
    done = subprocess.run(
        [sys.executable, "-c", AND_ITS_PEAK, *map(str, arguments)], cwd=folder, env=environment(),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    name, kilobytes, unit = done.stderr.split()
    assert (name, unit) == ("VmHWM:", "kB")
    return int(kilobytes) * 1024


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """Send SIGINT; the command must end at once and say so."""
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert time.monotonic() - begin < 1.0  # usually 0.05; others may be busy
    assert process.stderr.read().strip() == b"makemore_cpp: interrupted"


# -- sample ----------------------------------------------------------------------------------------
def test_sample_prints_what_the_library_draws(folder, model):
    options = {
        "seed": 5, "temperature": 1.2, "top_k": 9, "top_p": 0.9, "prefix": "an", "min_length": 4,
        "max_length": 7,
    }  # fmt: skip
    arguments = [part for k, v in options.items() for part in ("--" + k.replace("_", "-"), v)]
    expected = list(mm.text.iter_samples(model, 3000, unique=True, exclude="train", **options))
    arguments += ["-n", 3000, "--unique", "--exclude", "train", "--unfinished", "keep"]
    out, error = run(folder, "sample", "m", *arguments)
    assert out.splitlines() == [text for text, _ in expected]
    cut = sum(cut for _, cut in expected)
    assert 0 < cut < 3000
    assert error == f"makemore_cpp: {cut} of 3000 samples were cut at 7 tokens\n"
    out, _ = run(folder, "sample", "m", *arguments, "--json")
    assert [json.loads(line) for line in out.splitlines()] == [one._asdict() for one in expected]
    whole = list(mm.text.iter_samples(model, 3000, unfinished="redo", **options))
    out, error = run(folder, "sample", "m", *arguments[: 2 * len(options)], "-n", 3000)
    assert out.splitlines() == [text for text, _ in whole]
    assert error == ""


def test_sample_prints_a_share_of_the_whole(folder):
    whole, _ = run(folder, "sample", "m", "-n", 60, "--unfinished", "keep", "--max-length", 9)
    share, _ = run(folder, "sample", "m", "-n", 20, "--start", 31, "--max-length", 9)
    assert share.splitlines() == whole.splitlines()[31:51]
    assert "start and unique exclude" in refuse(folder, "sample", "m", "--start", 3, "--unique")
    again = refuse(folder, "sample", "m", "--start", 3, "--unfinished", "redo")
    assert "start and unfinished" in again


def test_sample_excludes_the_texts_of_a_file(folder):
    first, _ = run(folder, "sample", "m")
    (folder / "known").write_text(first)
    more, _ = run(folder, "sample", "m", "--exclude", "known")
    assert len(more.splitlines()) == 20
    assert not set(more.splitlines()) & set(first.splitlines())
    assert "does not remember its data" in refuse(folder, "sample", "n", "--exclude", "train")
    assert "cannot read nowhere" in refuse(folder, "sample", "m", "--exclude", "nowhere")


def test_a_search_that_gives_up_prints_what_it_found(folder):
    out, error = run(folder, "sample", "m", "--temperature", 0, "--unique", "-n", 3, code=2)
    assert len(out.splitlines()) == 1
    assert "found 1 of 3 samples" in error
    assert is_one_sentence(error)


@pytest.mark.parametrize(
    ("option", "value"), [("-n", -1), ("--top-p", 0), ("--temperature", "nan"), ("--top-k", 0)]
)
def test_sample_refuses_absurd_options(folder, option, value):
    name = option if option.startswith("--") else f"-{option}"
    assert refuse(folder, "sample", "m", option, value).startswith(f"makemore_cpp: {name} ")


# -- score -----------------------------------------------------------------------------------------
def test_score_is_that_of_the_library(folder, model):
    texts = mm.load_texts()
    (folder / "texts").write_text("\n".join(texts))
    out, error = run(folder, "score", "m", "texts")
    assert error == ""
    pairs = [line.split("\t") for line in out.splitlines()]
    assert [text for _, text in pairs] == list(texts)
    expected = mm.text.score(model, texts)
    np.testing.assert_allclose([float(number) for number, _ in pairs], expected, atol=5.01e-7)

    out, _ = run(folder, "score", "m", text="anna\nbob")
    lines = [json.loads(line) for line in run(folder, "score", "m", "-", "--json",
                                              text="anna\nbob")[0].splitlines()]  # fmt: skip
    assert [(line["text"], line["tokens"]) for line in lines] == [("anna", 5), ("bob", 4)]
    assert [f"{line['log_prob']:.6f}\t{line['text']}" for line in lines] == out.splitlines()


def test_eval_of_parts_names_the_text_and_agrees(folder, model, monkeypatch):
    """The scores of so many texts are kept together."""
    texts = mm.load_texts()[:100]
    (folder / "texts").write_text("\n".join(texts))
    expected = mm.text.scoring.mean_surprisal(model, texts)
    for together in (1, 7, 50, 100, 101):
        monkeypatch.setattr(losses, "TEXTS_AT_ONCE", together)
        row, _ = losses.evaluate_file(model, folder / "texts")
        assert (row.texts, row.loss) == (100, pytest.approx(expected, rel=1e-12))
    (folder / "texts").write_text("\n".join([*texts, "a€"]))
    monkeypatch.setattr(losses, "TEXTS_AT_ONCE", 30)
    with pytest.raises(mm.ArgumentError, match=r"^texts\[100\] 'a€': the character '€'"):
        losses.evaluate_file(model, folder / "texts")


def test_score_summary_agrees_with_eval(folder, model):
    texts = mm.load_texts()
    (folder / "texts").write_text("\n".join(texts))
    means = json.loads(run(folder, "score", "m", "texts", "--summary", "--json")[0])
    assert means["lines"] == len(texts)
    assert means["tokens"] == sum(map(len, texts)) + len(texts)
    row = json.loads(run(folder, "eval", "m", "--split", "all", "--json")[0])["losses"][0]
    assert means["loss"] == pytest.approx(row["loss"], rel=1e-6)
    assert means["bits_per_char"] == pytest.approx(mm.text.bits_per_char(model, texts))
    assert means["perplexity"] == pytest.approx(mm.text.perplexity(model, texts))
    shown = run(folder, "score", "m", "texts", "--summary")[0]
    for value in (f"{len(texts):,}", f"{means['loss']:.4f}", f"{means['perplexity']:.4f}"):
        assert value in shown


def test_every_line_has_a_score(folder, model):
    text = "\ufeff anna\t\r\n\n  \nzoe\n\n"
    out, _ = run(folder, "score", "m", text=text)
    expected = zip(mm.text.score(model, ["anna", "", "", "zoe", ""]), ["anna", "", "", "zoe", ""],
                   strict=True)  # fmt: skip
    assert out == "".join(f"{score:.6f}\t{text}\n" for score, text in expected)
    assert run(folder, "score", "m", text="") == ("", "")
    means = json.loads(run(folder, "score", "m", "--summary", "--json", text="")[0])
    assert means == {"lines": 0, "tokens": 0, "loss": None, "bits_per_char": None,
                     "perplexity": None}  # fmt: skip
    assert "n/a" in run(folder, "score", "m", "--summary", text="")[0]


def test_unknown_characters(folder, model):
    text = "anna\nbo!b\x00\nzoe\n"
    anna, bob, zoe = mm.text.score(model, ["anna", "bob", "zoe"])
    out, error = run(folder, "score", "m", text=text, code=2)
    assert out == f"{anna:.6f}\tanna\n", "what comes before the error"
    assert "line 2 of standard input: the character '!' at position 2 is not" in error
    assert is_one_sentence(error)
    # It is far from the first line that was read.
    (folder / "long").write_text("anna\n" * 200_000 + "ann.a\n")
    assert "line 200001 of long: the character '.'" in refuse(
        folder, "score", "m", "long", "--summary"
    )
    out, _ = run(folder, "score", "m", "--oov", "skip", text=text)
    assert out == f"{anna:.6f}\tanna\n{bob:.6f}\tbo!b\x00\n{zoe:.6f}\tzoe\n"
    out, _ = run(folder, "score", "m", "--oov", "-inf", text=text)
    assert out == f"{anna:.6f}\tanna\n-inf\tbo!b\x00\n{zoe:.6f}\tzoe\n"
    lines = run(folder, "score", "m", "--oov", "-inf", "--json", text=text)[0].splitlines()
    assert json.loads(lines[1])["log_prob"] is None
    means = [json.loads(run(folder, "score", "m", "--oov", oov, "--summary", "--json",
                            text=text)[0]) for oov in ("skip", "-inf")]  # fmt: skip
    assert means[0]["loss"] == pytest.approx(-(anna + bob + zoe) / (5 + 4 + 4))
    assert means[1]["loss"] is None
    assert "'no'" in refuse(folder, "score", "m", "--oov", "no")


def test_a_model_that_overflows_has_no_score(folder):
    huge = mm.MLP.load(folder / "m")
    huge.W2[:] = 3e38
    huge.save(folder / "huge")
    error = refuse(folder, "score", "huge", text="anna\n")
    assert "line 1 of standard input: the model's parameters are so large" in error


@pytest.mark.parametrize("subcommand", ["score", "detect"])
def test_lines_that_are_no_text(folder, subcommand):
    everything = ["--all"] if subcommand == "detect" else []
    for bad, sentence in (
        (b"zo\xeb\n", "line 3 of standard input is not UTF-8: byte 3 of the line is 0xeb"),
        (b"x" * (MIB + 1), f"line 3 of standard input is longer than {MIB} bytes"),
    ):
        text = b"anna\nbob\n" + bad
        out, error = run(folder, subcommand, "m", *everything, text=text, code=2)
        assert [line.split("\t")[-1] for line in out.splitlines()] == ["anna", "bob"]
        assert error == f"makemore_cpp: {sentence}\n"
    assert "line 1 of /dev/zero is longer" in refuse(folder, subcommand, "m", "/dev/zero")
    assert "cannot read nowhere: No such file" in refuse(folder, subcommand, "m", "nowhere")
    assert "cannot read .: Is a directory" in refuse(folder, subcommand, "m", ".")


# -- complete --------------------------------------------------------------------------------------
def test_complete(folder, model):
    found = mm.text.complete(model, "ann", 4)
    out, error = run(folder, "complete", "m", "ann", "-k", 4)
    assert error == ""
    header, *lines = out.splitlines()
    assert header.split() == ["log_prob", "probability", "given", "prefix", "text"]
    assert [line.split()[-1] for line in lines] == [text for text, _ in found]
    begins_so = math.exp(-mm.text.per_char(model, "ann")[:-1].sum())
    for line, (text, log_prob) in zip(lines, found, strict=True):
        numbers = [float(number) for number in line.split()[:3]]
        p = math.exp(log_prob)
        assert numbers == pytest.approx([log_prob, p, p / begins_so], rel=1e-3), text

    out, _ = run(folder, "complete", "m", "--json", "-k", 300, "--max-length", 2)
    lines = [json.loads(line) for line in out.splitlines()]
    assert [(line["text"], line["log_prob"]) for line in lines] == mm.text.complete(
        model, k=300, max_length=2
    )
    assert all(line["probability"] == line["given_prefix"] for line in lines)
    # No text may be longer than this, yet the model knows that names go on.
    assert sum(line["probability"] for line in lines) < 0.5

    assert "prefix 'a!': the character '!'" in refuse(folder, "complete", "m", "a!")
    assert "k = 0" in refuse(folder, "complete", "m", "-k", 0)


def test_a_search_for_completions_that_gives_up(folder, tmp_path):
    net = mm.MLP(mm.Vocab(["a", "b", "c"]), block_size=1, n_embd=1, n_hidden=1)
    for array in net.parameters.values():
        array[:] = 0
    net.b2[0] = -30  # every text of one length is as probable as the others, and none ends
    net.save(tmp_path / "flat")
    out, error = run(tmp_path, "complete", "flat", "-k", 5, "--json", code=2)
    assert is_one_sentence(error)
    assert "found " in error
    assert all(json.loads(line)["text"] for line in out.splitlines())


# -- detect ----------------------------------------------------------------------------------------
def test_detect(folder, model):
    names = mm.load_texts()
    data = mm.Dataset.split(names)
    good = [name for name in data.dev.texts if name not in set(data.train.texts)]
    assert evaluation.held_out_texts(model, names) == good
    detector = Detector.fit(model, good, 0.02)
    texts = [*data.test.texts, "xqzvk", "", "bo!b"]
    p_values = detector.p_values(texts).tolist()
    expected = [
        {"line": i, "text": text, "p_value": p, "flagged": p <= 0.02}
        for i, (text, p) in enumerate(zip(texts, p_values, strict=True), 1)
    ]
    flagged = [line for line in expected if line["flagged"]]
    assert 20 < len(flagged) < 150
    assert [line["text"] for line in flagged[-3:]] == ["xqzvk", "", "bo!b"]

    arguments = ["detect", "m", "--false-positive-rate", 0.02]
    text = "\n".join(texts) + "\n"
    out, error = run(folder, *arguments, text=text)
    assert error == ""
    assert out.splitlines() == [f"{line['p_value']:.6f}\t{line['text']}" for line in flagged]
    out, _ = run(folder, *arguments, "--all", text=text)
    assert out.splitlines() == [
        f"{line['p_value']:.6f}\t{'flagged' if line['flagged'] else 'ok'}\t{line['text']}"
        for line in expected
    ]
    out, _ = run(folder, *arguments, "--json", text=text)
    assert [json.loads(line) for line in out.splitlines()] == flagged
    out, _ = run(folder, *arguments, "--json", "--all", text=text)
    assert [json.loads(line) for line in out.splitlines()] == expected
    (folder / "long").write_text("anna\n" * 200_000 + "xqzvk\n")
    assert json.loads(run(folder, *arguments, "long", "--json")[0])["line"] == 200_001


def test_detect_needs_good_texts(folder):
    assert "does not remember its data" in refuse(folder, "detect", "n")
    (folder / "texts").write_text("\n".join(mm.load_texts()))
    assert run(folder, "detect", "n", "--data", "texts", text="qqqqq\nanna\n")[0].endswith(
        "\tqqqqq\n"
    )
    (folder / "few").write_text("anna\nbob\nzoe\n")
    assert "at least 99 texts" in refuse(folder, "detect", "m", "--data", "few")
    for rate in (0, 1, "nan"):
        error = refuse(folder, "detect", "m", "--false-positive-rate", rate)
        assert "--false-positive-rate" in error


# -- pipes, disks, interrupts, terminals -----------------------------------------------------------
COMMANDS = [
    ("sample", "m", "-n", 100_000),
    ("score", "m", "many"),
    ("detect", "m", "many", "--all"),
    ("complete", "m", "-k", 20_000),
]


@pytest.fixture(scope="module")
def many(folder):
    """Write a file of half a million lines; return a number of them."""
    texts = mm.load_texts()
    (folder / "many").write_text("\n".join(texts[i % len(texts)] for i in range(500_000)))
    (folder / "one").write_text("anna\n")
    return 500_000


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda a: a[0])
def test_closed_pipe_is_quiet(folder, many, arguments):
    with started(folder, *arguments) as process:
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 1


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda a: a[0])
def test_full_disk(folder, many, arguments):
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    with (
        open("/dev/full", "wb") as full,
        started(folder, *arguments, stdin=None, stdout=full) as process,
    ):
        error = process.stderr.read()
        assert error == b"makemore_cpp: standard output: No space left on device\n"
        assert process.wait(timeout=60) == 2


@pytest.mark.parametrize("subcommand", ["score", "detect"])
def test_lines_are_answered_as_they_come(folder, subcommand):
    with started(folder, subcommand, "m", *["--all"] * (subcommand == "detect")) as process:
        for text in (b"anna", b"bob"):
            process.stdin.write(text + b"\n")
            process.stdin.flush()
            assert process.stdout.readline().endswith(text + b"\n")
        interrupt(process)


def test_an_interrupt_ends_a_long_answer(folder):
    endless = ("sample", "m", "-n", 10**12)
    with started(folder, *endless) as process:
        process.stdout.readline()
        time.sleep(0.2)  # until the pipe is full: the command waits for us to read on
        interrupt(process)
    with started(folder, *endless, stdout=subprocess.DEVNULL) as process:
        time.sleep(1.0)
        interrupt(process)


def test_a_sample_does_not_wait_for_rare_others(folder):
    rare = ("--unique", "--exclude", "train", "--max-length", 2)  # of 703 texts in all
    with started(folder, "sample", "m", "-n", 1000, *rare) as process:
        process.stdout.readline()
        time.sleep(0.1)
        assert process.poll() is None, "the first comes long before the last"
        assert 500 < len(process.stdout.read().splitlines()) < 703
        assert process.wait(timeout=60) == 2


@pytest.mark.parametrize(
    "arguments", [("score", "m"), ("score", "m", "--json"), ("detect", "m")], ids=" ".join
)
@LINUX
def test_memory_does_not_grow_with_the_lines(folder, many, arguments):
    few = peak_memory(folder, *arguments, "one")
    assert peak_memory(folder, *arguments, "many") - few < 32 * MIB


@LINUX
def test_memory_does_not_grow_with_the_texts(folder):
    (folder / "texts").write_text("a\n" * 1_200_000)
    (folder / "one").write_text("anna\n")
    evaluate = ("eval", "m", "--split", "all", "--data")
    few = peak_memory(folder, *evaluate, "one")
    assert peak_memory(folder, *evaluate, "texts") - few < 16 * MIB


@LINUX
def test_memory_does_not_grow_with_the_samples(folder):
    few = peak_memory(folder, "sample", "m", "-n", 1)
    assert peak_memory(folder, "sample", "m", "-n", 500_000) - few < 32 * MIB


def test_an_encoding_that_cannot_show_a_line_shows_those_before(folder):
    text = "anna\nzoë\nbob\n"
    out, error = run(folder, "score", "m", "--oov", "-inf", text=text, code=2,
                     PYTHONIOENCODING="ascii")  # fmt: skip
    assert out.endswith("\tanna\n")
    assert out.count("\n") == 1
    assert "'\\xeb'" in error
    assert is_one_sentence(error)


@pytest.mark.parametrize("stream", ["<&-", ">&-"])
def test_closed_streams(folder, stream):
    arguments = " ".join(command("score", "m"))
    result = subprocess.run(
        ["sh", "-c", f"{arguments} {stream}"],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    assert result.returncode == 2
    assert is_one_sentence(result.stderr.decode())
    assert b"is closed" in result.stderr


def test_a_terminal_is_not_commanded(folder):
    evil = "a\x1b[31m\u202eb\tc"
    (folder / "evil").write_text(evil + "\n")
    seen = on_terminal(folder, "score", "m", "evil", "--oov", "-inf", text=b"")
    assert seen.splitlines() == ["-inf\ta\\x1b[31m\\u202eb\tc"]
    assert run(folder, "score", "m", "evil", "--oov", "-inf")[0] == f"-inf\t{evil}\n"
    assert console.printable("zoë\u3000\U0001f600 ") == "zoë\u3000\U0001f600 "


def test_a_terminal_is_told_what_is_awaited(folder):
    seen = on_terminal(folder, "score", "m", text=b"anna\n\x04")
    assert "makemore_cpp: reading lines from the keyboard; Ctrl-D ends them" in seen
    assert seen.rstrip().endswith("\tanna")


def test_help(folder):
    for subcommand in ("sample", "score", "complete", "detect"):
        assert subcommand in run(folder)[0]
        out, _ = run(folder, subcommand, "--help")
        assert "--json" in out
        assert "RUN" in out
    for subcommand in ("sample", "score", "complete", "detect"):
        assert "cannot read 'nowhere'" in refuse(folder, subcommand, "nowhere")
