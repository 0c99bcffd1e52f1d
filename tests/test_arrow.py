"""Texts read and given by the Arrow C data interface: the values, the memory, and the errors."""

from __future__ import annotations

import gc
import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import arrow_producers as arrow
import numpy as np
import pytest
from arrow_producers import FORMATS, Answers, Failure, GivesArray, GivesStream, in_chunks, texts_of
from command_line import environment
from extent import SANITIZED
from text_models import KINDS, model_of, small_data

import makemore_cpp as mm
from makemore_cpp import _core
from makemore_cpp.text import scoring

pytestmark = pytest.mark.filterwarnings("ignore::makemore_cpp.LengthWarning")

TEXTS = ["anna", "", "z", "maria", "bartholomewandmary", "annabellachristina", "q" * 13, "a" * 300]
WITH_NULLS = ["anna", None, "z", None, "bartholomewandmary", "", None]
MANY = [*small_data().dev.texts, *TEXTS] * 2
FOREIGN = ["É", "an.na", "日本語の名前です", "😀" * 5, "anna\0"]
# Ways to cut texts into arrays.
CUTS: dict[str, Callable[[list[Any], str], Any]] = {
    "one array": lambda texts, format: GivesArray(texts_of(texts, format)),
    "a slice": lambda texts, format: GivesArray(texts_of(texts, format, before=13, behind=5)),
    "one chunk": lambda texts, format: in_chunks(texts, [], format),
    "chunks": lambda texts, format: in_chunks(texts, [3, 0, 0, 50, 1, 100], format),
    "single texts": lambda texts, format: in_chunks(texts, [1] * len(texts), format),
}


def every_release(producer: arrow.Memory) -> bool:
    """Whether every struct that was given was released exactly once."""
    return producer.given == producer.released


@pytest.fixture(params=FORMATS)
def format(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# -- in: the same bits as of str -------------------------------------------------------------------
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cut", CUTS)
def test_scores_are_those_of_str(kind: str, cut: str, format: str) -> None:
    model, producer = model_of(kind), CUTS[cut](MANY, format)
    assert mm.text.score(model, producer).tobytes() == mm.text.score(model, MANY).tobytes()
    assert every_release(producer)
    assert producer.most_arrays_at_once <= 1, "a chunk is given back before the next is taken"


@pytest.mark.parametrize("kind", ["frozen", "tabulated", "KneserNey"])
@pytest.mark.parametrize("oov", ["skip", "-inf"])
def test_foreign_characters(kind: str, oov: Any, format: str) -> None:
    model, texts = model_of(kind), [*TEXTS, *FOREIGN, *TEXTS] * 50
    expected = mm.text.score(model, texts, oov=oov)
    for cut in CUTS.values():
        producer = cut(texts, format)
        for threads in (1, 2, 7):
            found = mm.text.score(model, producer, oov=oov, threads=threads)
            assert found.tobytes() == expected.tobytes()
    lengths = scoring.score_and_length(model, producer, oov=oov)[1]
    assert lengths.tolist() == scoring.score_and_length(model, texts, oov=oov)[1].tolist()
    known = set(model.vocab.characters)
    counted = ["".join(c for c in text if c in known) for text in texts] if oov == "skip" else texts
    assert lengths.tolist() == [len(text) for text in counted]


@pytest.mark.parametrize("kind", ["frozen", "tabulated", "KneserNey"])
def test_foreign_characters_are_refused_by_their_place(kind: str, format: str) -> None:
    texts = [*["anna"] * 70_000, "an.na", "É"]
    for producer in (GivesArray(texts_of(texts, format)), in_chunks(texts, [7, 69_000], format)):
        with pytest.raises(mm.ArgumentError, match=r"^texts\[70000\].*'\.' at position 2"):
            mm.text.score(model_of(kind), producer)
        assert every_release(producer)


def test_the_first_of_many_bad_texts_is_named() -> None:
    """The first is named although other threads come to a later one sooner."""
    model = model_of("tabulated")
    for first in (5, 9_000, 19_000):
        texts = [*["annabella"] * first, *["É"] * (20_000 - first)]
        with pytest.raises(mm.ArgumentError, match=rf"^texts\[{first}\]: the character 'É'"):
            model.score(GivesArray(texts_of(texts)), threads=7)


@pytest.mark.parametrize("level", ["char", "word"])
def test_words_and_unknown_tokens(level: Any, format: str) -> None:
    texts = ["the cat sat", "", "  the   dog\tsat ", "no such words", "日本 the"]
    vocab = mm.Vocab.from_texts(["the cat sat"], boundary="|", level=level, unknown="?")
    model = mm.MLP(vocab, block_size=2, n_embd=2, n_hidden=5).freeze()
    producer = CUTS["chunks"](texts * 9, format)
    assert model.score(producer).tobytes() == model.score(texts * 9).tobytes()
    assert model.perplexity(producer) == model.perplexity(texts * 9)


@pytest.mark.parametrize("kind", ["frozen", "tabulated", "NGram", "one's own"])
def test_a_null_has_no_score(kind: str, format: str) -> None:
    model = model_of(kind)
    texts = [text for text in WITH_NULLS if text is not None]
    is_null = np.array([text is None for text in WITH_NULLS])
    for cut in CUTS.values():
        producer = cut(list(WITH_NULLS), format)
        scores, lengths = scoring.score_and_length(model, producer)
        assert np.isnan(scores).tolist() == is_null.tolist()
        assert scores[~is_null].tobytes() == mm.text.score(model, texts).tobytes()
        assert lengths.tolist() == [-1 if t is None else len(t) for t in WITH_NULLS]
        assert mm.text.score(model, producer).tobytes() == scores.tobytes()
    assert mm.text.bits_per_char(model, producer) == mm.text.bits_per_char(model, texts)
    assert mm.text.perplexity(model, producer) == mm.text.perplexity(model, texts)
    lying = texts_of([None, "b"], format)
    lying.null_count = -1  # not counted yet
    assert np.isnan(mm.text.score(model, GivesArray(lying))).tolist() == [True, False]
    uncounted = texts_of(["a", "b"], format)
    uncounted.null_count = -1  # and no bits: there is none
    assert not np.isnan(mm.text.score(model, GivesArray(uncounted))).any()


def test_no_texts_at_all(format: str) -> None:
    for model in map(model_of, ("frozen", "KneserNey")):
        empty = texts_of([], format)
        empty.buffers = [None] * len(empty.buffers)
        for producer in (GivesArray(texts_of([], format)), GivesStream([]), GivesArray(empty),
                         in_chunks([], [0, 0], format)):  # fmt: skip
            assert mm.text.score(model, producer).tolist() == []
            assert every_release(producer)
            with pytest.raises(mm.ArgumentError, match="texts is empty"):
                mm.text.perplexity(model, producer)


@pytest.mark.parametrize("kind", ["frozen", "tabulated", "KneserNey", "one's own"])
def test_surprisals_of_many_texts(kind: str, format: str) -> None:
    model = model_of(kind)
    for cut in CUTS.values():
        producer = cut(MANY[-300:], format)
        surprisals, begins = mm.text.per_char(model, producer)
        assert every_release(producer)
        assert begins.tolist() == np.cumsum([0, *(len(t) + 1 for t in MANY[-300:])]).tolist()
    alone = [mm.text.per_char(model, text) for text in MANY[-300:]]
    assert surprisals.tobytes() == np.concatenate(alone).tobytes()
    for texts, sentence in ((["a", None], r"texts\[1\] (is null|must be a str)"),
                            (["a", "b", "É"], r"texts\[2\]")):  # fmt: skip
        with pytest.raises((mm.ArgumentError, TypeError), match=sentence):
            mm.text.per_char(model, GivesArray(texts_of(texts, format)))


def test_detectors() -> None:
    data = small_data()
    for model in (model_of("tabulated"), model_of("KneserNey")):
        detector = mm.Detector.fit(model, GivesArray(texts_of(data.dev.texts)), 0.05)
        texts = [*data.test.texts, "xqzt", "", "É", "anna"]
        producer = in_chunks(texts, [10, 20], "vu")
        for ask in (detector.scores, detector.p_values, detector.flags):
            assert ask(producer).tobytes() == ask(texts).tobytes()
        nulls = GivesArray(texts_of(["anna", None, "xqzt"]))
        for ask in (detector.scores, detector.p_values):
            found = ask(nulls)
            assert np.isnan(found).tolist() == [False, True, False]
            assert found[[0, 2]].tobytes() == ask(["anna", "xqzt"]).tobytes()
        assert detector.flags(nulls).tolist() == detector.flags(["anna", "anna", "xqzt"]).tolist()
        bad = GivesArray(texts_of(["xqzt", "zzzz"]))
        assert detector.report(producer, bad) == detector.report(texts, ["xqzt", "zzzz"])


def test_a_probability_that_is_no_number_is_no_null() -> None:
    data = small_data()
    model = mm.MLP(data.vocab, n_hidden=2)
    detector = mm.Detector.fit(model, data.dev.texts, 0.05)
    model.W2[:], model.b1[:] = 3e38, 100
    with pytest.raises(mm.ArgumentError, match=r"gives texts\[1\] a probability that is no number"):
        detector.scores(GivesArray(texts_of([None, "anna"])))


def test_wherever_texts_are_taken(format: str) -> None:
    texts = small_data().train.texts[:300]
    column = in_chunks(texts, [100, 1], format)
    vocab = mm.Vocab.from_texts(texts)
    assert mm.Vocab.from_texts(column) == vocab
    assert [a.tolist() for a in vocab.encode_many(column)] == [
        a.tolist() for a in vocab.encode_many(texts)
    ]
    assert mm.build_dataset(column, vocab)[0].tolist() == mm.build_dataset(texts, vocab)[0].tolist()
    cut, expected = mm.Dataset.split(column, seed=3), mm.Dataset.split(texts, seed=3)
    assert cut.texts == expected.texts
    assert cut.train.X.tobytes() == expected.train.X.tobytes()
    assert mm.KneserNey(vocab, column, 3).loss(cut.dev.X[:, 1:], cut.dev.Y) == mm.KneserNey(
        vocab, texts, 3
    ).loss(cut.dev.X[:, 1:], cut.dev.Y)
    model = model_of("frozen")
    assert model.sample(50, exclude=column) == model.sample(50, exclude=texts)
    assert every_release(column)
    nulls = GivesArray(texts_of(["a", None], format))
    with pytest.raises(TypeError, match=r"texts\[1\] must be a str, not NoneType"):
        mm.Dataset.split(nulls)
    with pytest.raises(TypeError, match=r"texts\[1\] must be a str, not NoneType"):
        vocab.encode_many(nulls)
    assert every_release(nulls)


# -- memory ----------------------------------------------------------------------------------------
PEAK = """
import resource, sys
sys.path[:0] = {paths!r}
import makemore_cpp as mm
import arrow_producers as arrow

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10

model = mm.MLP(mm.Vocab(list("abcdefghijklmnopqrstuvwxyz")), n_hidden=5)
model.b2[0] = 2
model = model.freeze()
stream = arrow.GivesStream([arrow.texts_of(["abcdefgh"] * 50_000)] * {chunks})
model.score(arrow.GivesStream(stream.chunks[:4]))
model.sample(200_000, as_arrow=True)
before = peak()
scores = model.score(stream)
scored = peak() - before
column = model.sample({samples}, as_arrow=True)
schema, array = column.__arrow_c_array__()
print(scored / scores.nbytes, (peak() - before - scored) / (8 * len(column)))
"""


@pytest.mark.skipif(SANITIZED, reason="a sanitizer needs memory of its own")
@pytest.mark.skipif(sys.platform != "linux", reason="others count in other units")
def test_nothing_but_the_result_grows_with_the_number_of_texts() -> None:
    """The results are six million scores, 48 MB, and columns of four million samples, about 50."""
    code = PEAK.format(paths=[p for p in sys.path if p], chunks=120, samples=4_000_000)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300,
                         env=environment())  # fmt: skip
    assert run.returncode == 0, run.stderr
    scored, sampled = map(float, run.stdout.split())
    assert scored < 1.1, "the scores alone would be 1"
    assert sampled < 2, "offsets of 8 bytes, and texts of about 4 to 5"


def test_a_stream_is_read_as_it_is_scored() -> None:
    """An error stops the reading."""
    chunks = [texts_of(["anna"] * 1000), texts_of(["É"]), *[texts_of(["anna"])] * 1000]
    stream, asked = GivesStream(chunks), []
    stream.on_next = asked.append
    with pytest.raises(mm.ArgumentError, match=r"texts\[1000\]"):
        model_of("frozen").score(stream)
    assert asked == [0, 1]
    assert every_release(stream)


def test_ctrl_c_ends_it() -> None:
    """Python's handlers are run now and then, and what they raise comes through."""
    slow = mm.MLP(small_data().vocab, block_size=8, n_hidden=4000).freeze()
    column = model_of("frozen").sample(500_000, as_arrow=True)
    for ask in (slow.score, slow.per_char):
        before = signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        started = time.monotonic()
        try:
            with pytest.raises(KeyboardInterrupt):
                ask(column)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        seconds = time.monotonic() - started
        assert seconds < (30 if SANITIZED else 2), "all of it would take longer"
    column.append(["released"])


def test_it_lets_other_threads_run() -> None:
    """A producer may need Python's lock: a callback of ctypes takes it."""
    stream = in_chunks(MANY, [10])
    inside: list[float] = []
    stream.on_next = lambda number: inside.append(model_of("frozen").score(["anna"])[0])
    assert len(model_of("tabulated").score(stream)) == len(MANY)
    assert len(inside) == 3


# -- errors: one sentence, and all is released -----------------------------------------------------
def ways_to_read(model: Any) -> list[Callable[[Any], Any]]:
    return [
        model.score,
        model.per_char,
        mm.Dataset.split,
        model_of("KneserNey").score,
    ]


WAYS = range(4)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("at", [-1, 0, 1, 2])
@pytest.mark.parametrize(
    "reason", [b"the disk is gone", None, b"", b"\xff\n\x1b[31m" + b"x" * 5000]
)
def test_a_stream_that_fails(way: int, at: int, reason: bytes | None) -> None:
    read = ways_to_read(model_of("frozen"))[way]
    chunks = [texts_of(["anna"]), texts_of(["bob"]), texts_of(["eve"])]
    stream = GivesStream(chunks, Failure(at, 5, reason))
    with pytest.raises(mm.ArgumentError, match="texts comes from an Arrow stream that f") as caught:
        read(stream)
    sentence = str(caught.value)
    assert sentence.isprintable()
    assert len(sentence) < 500
    assert "error 5" in sentence
    assert ("the disk is gone" in sentence) == (reason == b"the disk is gone")
    assert every_release(stream)


class UnspeakableError(Exception):
    """An exception whose text cannot be made, because __str__ raises another one."""

    def __str__(self) -> str:
        raise ZeroDivisionError


def raising(error: BaseException) -> Callable[[], Any]:
    def method() -> Any:
        raise error

    return method


@pytest.mark.parametrize("way", WAYS)
def test_what_gives_no_array(way: int) -> None:
    read = ways_to_read(model_of("frozen"))[way]
    good, good_stream = GivesArray(texts_of(["anna"])), in_chunks(["anna"], [])
    new, new_stream = good.__arrow_c_array__, good_stream.__arrow_c_stream__
    for answers in (
        Answers(array=lambda: None),
        Answers(array=lambda: new()[:1]),
        Answers(array=lambda: list(new())),
        Answers(array=lambda: new()[::-1]),
        Answers(array=lambda: (new()[0], new_stream())),
        Answers(array=lambda: (new()[0], 5)),
        Answers(array=5),
        Answers(array=raising(ValueError("the disk\nis gone"))),
        Answers(array=raising(ValueError("a\ud800"))),
        Answers(array=raising(UnspeakableError())),
        Answers(stream=lambda: new()[0]),
        Answers(stream=lambda: (new_stream(),)),
        Answers(stream=lambda: None),
        Answers(stream=raising(OSError("the disk is gone"))),
    ):
        with pytest.raises(TypeError, match=r"^texts cannot be read as Arrow: ") as caught:
            read(answers)
        assert "\n" not in str(caught.value)
    for error in (KeyboardInterrupt, MemoryError):
        with pytest.raises(error):
            read(Answers(stream=raising(error())))


@pytest.mark.parametrize("way", WAYS)
def test_capsules_that_were_taken_already(way: int) -> None:
    read = ways_to_read(model_of("frozen"))[way]
    array = GivesArray(texts_of(["anna", "bob", "eve"]))
    stream = in_chunks(["anna", "bob", "eve"], [])
    taken, taken_stream = array.__arrow_c_array__(), stream.__arrow_c_stream__()
    for answers in (Answers(array=lambda: taken), Answers(stream=lambda: taken_stream)):
        read(answers)
        with pytest.raises(mm.ArgumentError, match="that is released already"):
            read(answers)
    assert every_release(array)
    assert every_release(stream)


def test_a_library_that_is_missing_leaves_the_ordinary_way() -> None:
    """A column of pandas without pyarrow has the method, and texts that Python can ask for."""

    class Column(list[str]):
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            raise ImportError("pyarrow is not installed")

    for kind in ("frozen", "KneserNey"):
        model = model_of(kind)
        assert (
            mm.text.score(model, Column(TEXTS)).tobytes() == mm.text.score(model, TEXTS).tobytes()
        )
    assert mm.Dataset.split(Column(TEXTS)).texts == mm.Dataset.split(TEXTS).texts


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"format": "l"}, "texts holds Arrow values of the format 'l'; they must be strings"),
        ({"format": "z"}, "format 'z'; they must be strings: utf8, large_utf8 or string_view"),
        ({"format": "+s"}, "texts is a table of Arrow columns; give one of them"),
        ({"format": "u\n\x1b" + "x" * 9000}, r"format 'u\\u\{000A\}"),
        ({"schema_has_dictionary": True}, "texts holds Arrow values of a dictionary"),
    ],
)
def test_other_types(fields: dict[str, Any], sentence: str) -> None:
    for as_stream in (False, True):
        wrong = texts_of(["anna"])
        for name, value in fields.items():
            setattr(wrong, name, value)
        producer: Any = GivesStream([wrong]) if as_stream else GivesArray(wrong)
        for read in ways_to_read(model_of("frozen")):
            with pytest.raises(TypeError, match=sentence) as caught:
                read(producer)
            assert str(caught.value).isprintable()
            assert len(str(caught.value)) < 500
        assert every_release(producer)


def test_a_reader_is_for_one_caller_at_a_time() -> None:
    stream = in_chunks(["a", "b", "c"], [1, 1])
    read = _core.arrow_reader(stream, "texts")
    assert read is not None
    seen: list[str] = []

    def ask_again(number: int) -> None:
        with pytest.raises(mm.ArgumentError, match="texts is being read by another call"):
            read()
        seen.append("refused")

    stream.on_next = ask_again
    assert list(iter(read, [])) == [["a"], ["b"], ["c"]]
    assert seen == ["refused"] * 4
    assert read() == []


def test_text_that_is_not_utf8(format: str) -> None:
    for bad in (b"\xff", b"an\xc3", b"\xed\xa0\x80", b"\xc0\x80long enough for a view"):
        fields = texts_of(["anna", bad.decode("latin-1")], format)
        if format == "vu":
            fields.buffers[1:] = arrow.view_buffers([b"anna", bad], format)
        else:
            fields.buffers[1:] = arrow.offset_buffers([b"anna", bad], format)
        for read in [
            *ways_to_read(model_of("frozen")),
            lambda p: model_of("frozen").score(p, "skip"),
        ]:
            producer = GivesArray(fields)
            with pytest.raises(mm.ArgumentError, match=r"texts\[1\].*is not valid UTF-8"):
                read(producer)
            assert every_release(producer)


# -- out -------------------------------------------------------------------------------------------
OPTIONS: list[dict[str, Any]] = [
    {},
    {"unique": True},
    {"exclude": ["anna"], "min_length": 3},
    {"unfinished": "redo", "max_length": 5},
    {"prefix": "jo", "temperature": 0.7, "start": 1000},
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_column_of_samples(kind: str, options: dict[str, Any]) -> None:
    model = model_of(kind)
    texts = mm.text.sample(model, 1500, **options)
    column = mm.text.sample(model, 1500, as_arrow=True, **options)
    assert column.tolist() == texts
    assert len(column) == len(texts)
    again, log_probs = mm.text.sample(model, 1500, as_arrow=True, log_probs=True, **options)
    assert again.tolist() == texts
    assert log_probs.tobytes() == mm.text.score(model, texts).tobytes()
    assert mm.text.score(model, column).tobytes() == log_probs.tobytes()


def test_columns_of_other_alphabets() -> None:
    characters = ["a", "é", "日", "😀", "\0"]
    model = mm.MLP(mm.Vocab(characters), n_hidden=4).freeze()
    column = model.sample(3000, as_arrow=True, max_length=9)
    texts = model.sample(3000, max_length=9)
    assert column.tolist() == texts
    assert set("".join(texts)) == set(characters)
    words = mm.MLP(mm.Vocab(["the", "cat", "日本"], "|", " "), n_hidden=4).freeze()
    texts = words.sample(300, max_length=9)
    assert words.sample(300, max_length=9, as_arrow=True).tolist() == texts
    assert any("日本 the" in text for text in texts)


def test_what_was_found_before_giving_up() -> None:
    only_a = mm.NGram(mm.Vocab(["a"]), ["a"] * 99, order=2)
    with pytest.raises(mm.Exhausted) as caught:
        only_a.sample(50, unique=True, as_arrow=True)
    with pytest.raises(mm.Exhausted) as expected:
        only_a.sample(50, unique=True)
    assert caught.value.found == expected.value.found


def test_a_column_that_was_given_away_does_not_change() -> None:
    column = _core.TextColumn()
    column.append(["a", "é"])
    column.append(column)
    assert column.tolist() == ["a", "é"] * 2
    wrongs = [(["b", 5], TypeError), (["b", "\ud800"], mm.ArgumentError), ("b", TypeError)]
    for wrong, error in [*wrongs, (5, TypeError)]:
        with pytest.raises(error, match="texts"):
            column.append(wrong)
    assert column.tolist() == ["a", "é"] * 2
    capsules = column.__arrow_c_array__()
    with pytest.raises(mm.ArgumentError, match="was given away as Arrow"):
        column.append(["c"])
    del capsules  # nobody has taken them
    gc.collect()
    column.append(["c"])
    assert column.tolist() == [*["a", "é"] * 2, "c"]


def test_what_is_given_away_outlives_the_column() -> None:
    texts = model_of("frozen").sample(1000)
    answers = Answers(array=model_of("frozen").sample(1000, as_arrow=True).__arrow_c_array__)
    gc.collect()
    given = answers.array()
    answers.array = None
    gc.collect()
    assert mm.Vocab.from_texts(Answers(array=lambda: given)) == mm.Vocab.from_texts(texts)


# -- shards ----------------------------------------------------------------------------------------
def test_scores_may_be_split_anywhere() -> None:
    model = model_of("tabulated")
    detector = mm.Detector.fit(model, small_data().dev.texts, 0.05)
    scores, flags = model.score(MANY), detector.flags(MANY)
    for cuts in ([0, len(MANY)], [0, 1, 2, 170, len(MANY)], range(0, len(MANY) + 1, 6)):
        parts = [texts_of(MANY[a:b]) for a, b in itertools.pairwise([*cuts, len(MANY)])]
        found = np.concatenate([model.score(GivesArray(part)) for part in parts])
        assert found.tobytes() == scores.tobytes()
        found = np.concatenate([detector.flags(GivesArray(part)) for part in parts])
        assert found.tobytes() == flags.tobytes()
