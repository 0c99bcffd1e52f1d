"""Tokens that are words: models, answers and files are the same as with characters."""

from __future__ import annotations

import copy
import gzip
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import is_one_sentence, refuse, run
from hypothesis import given, settings
from hypothesis import strategies as st

import makemore_cpp as mm
from makemore_cpp import _core, evaluation, runs
from makemore_cpp.files import tensors
from makemore_cpp.runs import checkpoint

TEXTS = ["anna", "bob", "ab", "nolan", "abel", "leo", "noel", "ban", "elle", "bo"] * 9
OTHERS = ["anne", "bobo", "lea", "abba", "len"]
LETTERS = "abelno"
SENTENCES = ["the dog sat", "the cat sat", "a dog  sat here", "the cat ran"]
WORDS = mm.Vocab.from_texts(SENTENCES, level="word", min_count=2)


def copies(states: list[Any]) -> Any:
    return lambda state: states.append(copy.deepcopy(state))


def spaced(texts: list[str]) -> list[str]:
    return [" ".join(text) for text in texts]


def model_of(kind: str, of_words: bool) -> Any:
    """Return a model of letters, or the same model of words that are letters."""
    vocab = mm.Vocab(list(LETTERS), *(("</s>", " ") if of_words else (".",)))
    texts, others = (spaced(TEXTS), spaced(OTHERS)) if of_words else (TEXTS, OTHERS)
    if kind == "MLP":
        data = mm.Dataset.split(texts, 2, vocab=vocab)
        model = mm.MLP(vocab, 2, 3, 5)
        model.train_steps(data.train.X, data.train.Y, 0.1, steps=200)
        return model
    if kind == "LanguageModel":
        return model_of("MLP", of_words).freeze()
    if kind == "NGram":
        return mm.NGram(vocab, texts, 2)
    if kind == "InterpolatedNGram":
        return mm.InterpolatedNGram(vocab, texts, 3, others)
    if kind == "KneserNey":
        return mm.KneserNey(vocab, texts, 3)
    if kind == "Mixture":
        return mm.Mixture([model_of("MLP", of_words), model_of("KneserNey", of_words)], [0.5, 0.5])
    return mm.Detector.fit(model_of("KneserNey", of_words), others * 25, 0.05)


MODELS = ["MLP", "LanguageModel", "NGram", "InterpolatedNGram", "KneserNey", "Mixture"]


@pytest.mark.parametrize("kind", MODELS)
def test_words_that_are_letters_have_the_bits_of_letters(kind: str) -> None:
    letters, words = model_of(kind, False), model_of(kind, True)
    texts = [*OTHERS, "", "bx", "xyz", "nob"]
    for oov in ("skip", "-inf"):
        assert (letters.score(texts, oov) == words.score(spaced(texts), oov)).all()
        found = words.perplexity(spaced(texts), oov=oov)
        assert found == letters.perplexity(texts, oov=oov)
    assert (letters.per_char("nob") == words.per_char("n o b")).all()
    assert (letters.next("no") == words.next("n o")).all()
    options = {"max_length": 9, "temperature": 0.9, "unfinished": "redo"}
    assert spaced(letters.sample(40, seed=3, **options)) == words.sample(40, seed=3, **options)
    begun = {**options, "prefix": "ab", "min_length": 3, "unique": True, "exclude": ["abel"]}
    found = words.sample(9, **{**begun, "prefix": "a b", "exclude": ["a b e l"]})
    assert found == spaced(letters.sample(9, **begun))
    assert [(" ".join(text), p) for text, p in letters.complete("a", 5)] == words.complete("a", 5)


def test_detectors_and_diagnoses_count_tokens() -> None:
    letters, words = model_of("Detector", False), model_of("Detector", True)
    texts = [*OTHERS, "nnnnnnn", "b", ""]
    assert (letters.p_values(texts) == words.p_values(spaced(texts))).all()
    reports = [
        mm.diagnose(model_of("MLP", of_words), mm.Dataset.split(texts, 2, vocab=vocab))
        for of_words, texts, vocab in (
            (False, TEXTS, model_of("NGram", False).vocab),
            (True, spaced(TEXTS), model_of("NGram", True).vocab),
        )
    ]
    assert reports[0].losses == reports[1].losses


@pytest.mark.parametrize("kind", [*MODELS, "Detector"])
def test_files_keep_the_vocabulary(kind: str, tmp_path: Path) -> None:
    model = model_of(kind, True)
    model.save(tmp_path / "model")
    loaded = mm.load(tmp_path / "model")
    assert loaded.to_bytes() == model.to_bytes()
    vocab = (loaded.model if kind == "Detector" else loaded).vocab
    assert (vocab.level, vocab.boundary, vocab.tokens) == ("word", "</s>", list(LETTERS))


# -- the vocabulary --------------------------------------------------------------------------------
def test_the_most_frequent_word_is_first_and_rare_ones_are_unknown() -> None:
    assert WORDS.tokens == ["<unk>", "sat", "the", "cat", "dog"]
    assert (WORDS.boundary, WORDS.unknown, WORDS.separator) == ("</s>", "<unk>", " ")
    assert WORDS.encode("the  bird\u3000sat\x1ea").tolist() == [3, 1, 2, 1]
    assert WORDS.decode([3, 1, 2, 0]) == "the <unk> sat </s>"
    assert WORDS.encode("").tolist() == WORDS.encode(" \t\n").tolist() == []
    assert "words '<unk> sat the cat dog'" in repr(WORDS)
    assert mm.Vocab(WORDS.tokens, "</s>", " ") != WORDS
    with pytest.raises(mm.ArgumentError, match="are words, not characters"):
        WORDS.characters  # noqa: B018


@pytest.mark.parametrize(
    ("options", "tokens"),
    [
        # the dog sat / the cat sat / a dog sat here / the cat ran
        ({"level": "word", "max_size": 2}, ["<unk>"]),
        ({"level": "word", "max_size": 4}, ["<unk>", "sat", "the"]),
        ({"level": "word", "max_size": 5}, ["<unk>", "sat", "the", "cat"]),  # as often as dog
        ({"level": "word", "max_size": 2**20, "min_count": 3}, ["<unk>", "sat", "the"]),
        ({"level": "word", "max_size": 3, "unknown": "dog"}, ["sat", "dog"]),
        ({"level": "word", "max_size": 4, "unknown": "sat"}, ["sat", "the", "cat"]),
        ({"max_size": 5}, ["\ufffd", " ", "a", "t"]),
    ],
)
def test_the_most_frequent_tokens_are_kept(options: dict[str, Any], tokens: list[str]) -> None:
    vocab = mm.Vocab.from_texts(SENTENCES, **options)
    assert vocab.tokens == tokens
    assert len(vocab) <= options["max_size"]
    vocab.encode_many(SENTENCES)
    for wrong in (1, 2**20 + 1):
        with pytest.raises(mm.ArgumentError, match=f"max_size is {wrong}, outside"):
            mm.Vocab.from_texts(SENTENCES, max_size=wrong)


def test_texts_in_lower_case() -> None:
    texts = ["The DOG", "ÉTÉ the ΣΑΣ", "\u0130"]
    small = [text.lower() for text in texts]
    for level in ("word", "char"):
        vocab = mm.Vocab.from_texts(texts, level=level, lower=True)
        assert vocab == mm.Vocab.from_texts(small, level=level)
        with pytest.raises(mm.ArgumentError, match="is not in the vocabulary"):
            vocab.encode("The")  # who encodes lowers
        for make in (mm.Dataset.split, mm.Dataset.stream):
            one = make(texts, block_size=2, level=level, lower=True)
            other = make(small, block_size=2, level=level)
            assert one.texts == other.texts
            assert (one.train.X == other.train.X).all()
    with pytest.raises(mm.ArgumentError, match="'b </s>' contains the boundary"):
        mm.Vocab.from_texts(["a", "B </S>"], level="word", lower=True)
    with pytest.raises(TypeError, match="lower must be True or False"):
        mm.Dataset.stream(texts, lower=1)


def test_a_character_may_stand_for_rare_ones() -> None:
    vocab = mm.Vocab.from_texts(["aab", "abc"], min_count=2)
    assert vocab.tokens == ["\ufffd", "a", "b"]
    assert vocab.encode("abcé\U0001f600\x7f").tolist() == [2, 3, 1, 1, 1, 1]
    with pytest.raises(mm.ArgumentError, match="is the boundary"):
        vocab.encode("a.")
    model = mm.NGram(vocab, ["aab", "abc"])
    assert mm.NGram.from_bytes(model.to_bytes()).vocab == vocab
    frozen = mm.MLP(vocab, 2, 3, 4).freeze()
    assert mm.LanguageModel.from_bytes(frozen.to_bytes()).vocab == vocab
    assert np.isneginf(frozen.score(["a."], "-inf")).all()
    assert frozen.score(["aé"]) == frozen.score(["ac"])
    with pytest.raises(mm.ArgumentError, match="no token for unknown ones"):
        mm.export_header(mm.MLP(vocab, 2, 3, 4), "never.h")


@given(st.text())
@settings(max_examples=500, deadline=None)
def test_words_are_those_of_pythons_split(text: str) -> None:
    if any("\ud800" <= c <= "\udfff" for c in text):
        with pytest.raises(mm.ArgumentError, match="surrogate"):
            WORDS.encode(text)
        return
    expected = [WORDS.stoi.get(word, WORDS.stoi["<unk>"]) for word in text.split()]
    assert WORDS.encode(text).tolist() == expected


def test_every_white_space_separates() -> None:
    vocab = mm.Vocab(["a", "b", "?"], "</s>", " ", "?")
    scalar_values = [*range(0xD800), *range(0xE000, 0x110000)]
    text = " ".join(f"a{chr(c)}b" for c in scalar_values)
    expected = [vocab.stoi.get(word, 3) for word in text.split()]
    assert vocab.encode(text).tolist() == expected


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((["a", ""], "</s>", " "), r"tokens\[1\] is empty"),
        ((["a", "b c"], "</s>", " "), r"tokens\[1\] contains white space"),
        ((["a", "b\u2003"], "</s>", " "), r"tokens\[1\] contains white space"),
        ((["a", "bc", "bc"], "</s>", " "), r"tokens\[2\] repeats 'bc' of tokens\[1\]"),
        ((["a", "</s>"], "</s>", " "), r"tokens\[1\] is the boundary '</s>'"),
        ((["a"], "", " "), "boundary is empty"),
        ((["a"], "b c", " "), "boundary contains white space"),
        ((["a"], "b", "-"), "separator is '-'; it must be"),
        ((["a"], "</s>", " ", "b"), "unknown is 'b', which is not among the tokens"),
        ((["a"], ".", "", "."), "unknown is '.', which is not among the tokens"),
        ((["ab"], "."), r"tokens\[0\] must be exactly one"),
        ((["a\ud800"], "</s>", " "), r"tokens\[0\] has the lone surrogate"),
    ],
)
def test_what_is_no_vocabulary(arguments: tuple[Any, ...], sentence: str) -> None:
    with pytest.raises(mm.ArgumentError, match=sentence):
        mm.Vocab(*arguments)


def test_texts_that_hold_the_boundary_or_are_long() -> None:
    with pytest.raises(mm.ArgumentError, match=r"texts\[1\] 'a </s>' contains the boundary word"):
        mm.Vocab.from_texts(["a", "a </s>"], level="word")
    assert mm.Vocab.from_texts(["a</s> b"], level="word").tokens == ["a</s>", "b"]
    with pytest.raises(mm.ArgumentError, match="the word '</s>' at position 1 is the boundary"):
        WORDS.encode("the </s>")
    long = "x" * (1 << 20)
    vocab = mm.Vocab.from_texts([long, f"{long} y"], level="word")
    assert vocab.encode(f"y {long}").tolist() == [2, 1]
    with pytest.raises(mm.ArgumentError, match=r"the word 'x+…' at position 0") as caught:
        vocab.encode(long + "x")
    assert len(str(caught.value)) < 500
    with pytest.raises(mm.ArgumentError, match="1048576 distinct words"):
        mm.Vocab.from_texts([" ".join(map(str, range(2**20)))], level="word")


def test_a_million_words(tmp_path):
    words = [str(number) for number in range(2**20 - 1)]
    vocab = mm.Vocab(words, "</s>", " ")
    assert len(vocab) == 2**20
    text = f"{words[-1]} 7 {words[-2]}"
    assert vocab.decode(vocab.encode(text)) == text
    model = mm.MLP(vocab, block_size=2, n_embd=2, n_hidden=2)
    X, Y = mm.build_dataset([text], vocab, 2)
    before = model.loss(X, Y)
    model.train_steps(X, Y, [0.5] * 5, rows="all", negatives=100)
    assert model.loss(X, Y) < before
    frozen = model.freeze()
    frozen.save(tmp_path / "m.safetensors")
    again = mm.load(tmp_path / "m.safetensors")
    assert again.score([text]).tolist() == frozen.score([text]).tolist()
    with pytest.warns(mm.LengthWarning):  # one end among a million tokens
        assert again.sample(2, seed=1, max_length=3) == frozen.sample(2, seed=1, max_length=3)
    assert again.vocab.tokens[-1] == words[-1]


FORGED = [
    ({"separator": "-"}, "separator is '-'; it must be"),
    ({"separator": ""}, "must be exactly one Unicode code point"),
    ({"unknown": "no"}, "unknown is 'no', which is not among the tokens"),
    ({"unknown": 1}, "expected|the wrong type"),
    ({"tokens": ["<unk>", "sat", "the", "cat", "c d"]}, "contains white space"),
    ({"tokens": list("<abcd"), "separator": "", "unknown": None, "boundary": "."}, "not named so"),
]


@pytest.mark.parametrize(("changes", "sentence"), FORGED)
@pytest.mark.parametrize("kind", ["LanguageModel", "NGram"])
def test_forged_vocabularies_are_refused(kind: str, changes: Any, sentence: str) -> None:
    is_net = kind == "LanguageModel"
    model = mm.MLP(WORDS, 2, 2, 3).freeze() if is_net else mm.NGram(WORDS, SENTENCES)
    text, arrays = _core.read_tensors(model.to_bytes())
    fields = json.loads(text)
    assert list(fields["tokens"]) == WORDS.tokens
    forged = _core.write_tensors(tensors.canonical({**fields, **changes}), arrays)
    with pytest.raises(mm.FormatError, match=sentence):
        type(model).from_bytes(forged)


def test_a_missing_or_moved_field_is_refused() -> None:
    text, arrays = _core.read_tensors(mm.MLP(WORDS, 2, 2, 3).to_bytes())
    for name in ("tokens", "separator", "unknown"):
        fields = json.loads(text)
        value = fields.pop(name)
        for changed in (fields, {**fields, name: value}):
            forged = _core.write_tensors(tensors.canonical(changed), arrays)
            with pytest.raises(mm.FormatError):
                mm.MLP.from_bytes(forged)


# -- streams ---------------------------------------------------------------------------------------
def test_a_stream_is_cut_by_the_position_of_its_tokens() -> None:
    data = mm.Dataset.stream(SENTENCES, (5, 4), 2, min_count=2)
    parts = [split.texts for split in (data.train, data.dev, data.test)]
    assert parts == [["the dog sat the cat"], ["sat a dog sat"], ["here the cat ran"]]
    assert data.vocab == WORDS
    X, Y = mm.build_dataset(["the dog sat the cat"], WORDS, 2)
    assert (data.train.X == X).all()
    assert (data.train.Y == Y).all()
    assert mm.Dataset.stream(["abc", "d"], (2, 2), level="char").test.texts == []
    lengths = [
        len(split.Y) - 1
        for split in (lambda d: (d.train, d.dev, d.test))(
            mm.Dataset.stream(["a b c d e", "f g h i j k"])
        )
    ]
    assert lengths == [8, 1, 2]
    for wrong in ((1,), (1, 2, 3), 7, "12"):
        with pytest.raises(TypeError, match="sizes must be two integers"):
            mm.Dataset.stream(SENTENCES, wrong)
    with pytest.raises(mm.ArgumentError, match="hold 13 tokens; train and dev need 14"):
        mm.Dataset.stream(SENTENCES, (10, 4))
    with pytest.raises(mm.ArgumentError, match=r"sizes\[0\]"):
        mm.Dataset.stream(SENTENCES, (0, 4))


def test_a_stream_with_the_ends_of_its_lines() -> None:
    data = mm.Dataset.stream(["a dog ran", "", "a"], (3, 2), 2, line_ends=True)
    parts = [split.texts for split in (data.train, data.dev, data.test)]
    assert parts == [["a dog ran"], ["<eos> <eos>"], ["a <eos>"]]
    assert data.vocab.tokens == ["<eos>", "a", "dog", "ran"]
    data = mm.Dataset.stream(["ab", "b"], (2, 1), 2, level="char", line_ends=True)
    assert [split.texts for split in (data.train, data.dev, data.test)] == [["ab"], ["\n"], ["b\n"]]
    with pytest.raises(mm.ArgumentError, match=r"not in the vocabulary"):
        mm.Dataset.stream(["ab", "b"], (2, 1), vocab=mm.Vocab(["a", "b"]), line_ends=True)


HOW = {
    "stream 20 6": {"sizes": (20, 6)},
    "stream 20 6 line ends": {"sizes": (20, 6), "line_ends": True},
    "lower stream 31 9 line ends": {"sizes": (31, 9), "lower": True, "line_ends": True},
    "lower stream 31 9": {"sizes": (31, 9), "lower": True},
    "lower 42": {"lower": True},
}


@pytest.mark.parametrize("how", HOW)
def test_a_model_remembers_how_its_texts_were_made_ready(how: str, tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("\n".join(text.title() for text in SENTENCES * 9))
    texts = mm.load_texts(tmp_path / "texts")
    make = mm.Dataset.stream if "stream" in how else mm.Dataset.split
    data = make(texts, block_size=2, level="word", **HOW[how])
    assert data.origin == (texts.name, texts.sha256, how)
    model = mm.MLP(data.vocab, 2, 2, 3)
    states: list[Any] = []
    mm.train(model, data, steps=4, on_checkpoint=copies(states), checkpoint_every=2)
    expected = [data.train.texts, data.dev.texts, data.test.texts]
    checkpoint.save(tmp_path / "kept", checkpoint.Checkpoint(states[0]))
    runs.save_model(tmp_path, model)
    for found in (
        mm.MLP.load(tmp_path),
        mm.MLP.from_bytes(model.to_bytes()),
        model,
        mm.LanguageModel.load(tmp_path),
        checkpoint.load(tmp_path / "kept").state.model,
    ):
        assert found.data.split_seed == how
        again = mm.Dataset.again(texts, 2, found.data.split_seed, found.vocab)
        assert [again.train.texts, again.dev.texts, again.test.texts] == expected
    loaded = mm.MLP.load(tmp_path)
    assert loaded.training_texts() == set(data.train.texts)
    assert evaluation.held_out_texts(loaded, texts) == [
        text for text in data.dev.texts if text not in set(data.train.texts)
    ]
    seen = evaluation.split_as_trained(loaded, evaluation.find_texts(loaded))
    assert (seen.dev.X == data.dev.X).all()
    resumed = checkpoint.find_data(checkpoint.load(tmp_path / "kept").state, tmp_path)
    assert (resumed.train.Y == data.train.Y).all()
    if "stream" in how:
        with pytest.raises(mm.ArgumentError, match="was trained on a stream"):
            evaluation.evaluate_file(loaded)
    else:
        row, _ = evaluation.evaluate_file(loaded)
        assert row.loss == pytest.approx(np.log(loaded.perplexity([t.lower() for t in texts])))


@pytest.mark.parametrize(
    "name", ["", "lower", "stream 1", "stream 1 2 3", "lower 42\n", "stream -1 2"]
)
def test_other_words_in_a_file_say_nothing(name: str) -> None:
    saved = _core.SavedModel(
        WORDS, *mm.MLP(WORDS, 2, 2, 3).parameters.values(), data=(name, "0" * 64, None)
    )
    assert mm.MLP.from_bytes(saved.to_bytes()).data == ("", "0" * 64, None)
    with pytest.raises(mm.ArgumentError, match="nobody knows"):
        mm.Dataset.again(SENTENCES, 2, name, WORDS)


# Another program computed these from the same file, with the words of more than three occurrences:
# 800,000 tokens are train and 200,000 dev.
BROWN = {3: (350, 333), 5: (347, 330)}


def test_kneser_ney_on_the_brown_corpus() -> None:
    if "MAKEMORE_BROWN" not in os.environ:
        pytest.skip("MAKEMORE_BROWN is not set")
    data = mm.Dataset.stream(
        mm.load_texts(os.environ["MAKEMORE_BROWN"]), (800_000, 200_000), 1, min_count=4
    )
    assert len(data.vocab) == 17_905 + 1  # with the boundary
    assert data.test.Y.shape == (161_192 + 1,)
    for order, expected in BROWN.items():
        model = mm.KneserNey(data.vocab, data.train.texts, order)
        found = [model.perplexity(split.texts) for split in (data.dev, data.test)]
        np.testing.assert_allclose(found, expected, rtol=0.005)


# -- files and commands ----------------------------------------------------------------------------
def test_gzipped_texts(tmp_path: Path) -> None:
    packed, plain = tmp_path / "texts.gz", tmp_path / "texts"
    plain.write_text("anna\nbo\n")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert mm.load_texts(packed) == mm.load_texts(plain) == ["anna", "bo"]
    assert mm.load_texts(packed).sha256 == mm.load_texts(plain).sha256
    whole = packed.read_bytes()
    for broken in (whole[:-9], whole[:3], whole[:12] + b"\xff" + whole[13:], whole[:-1] + b"x"):
        packed.write_bytes(broken)
        with pytest.raises(mm.FormatError, match="is no whole gzip file"):
            mm.load_texts(packed)


def test_commands(tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("\n".join(SENTENCES * 10) + "\n")
    size = ("--steps", 300, "--n-hidden", 8, "--n-embd", 4, "--samples", 4)
    train = ("train", "--data", "texts", "--level", "word", "--min-count", 20, *size)
    out, _ = run(tmp_path, *train, "--out", "r")
    assert "nats per token" in out
    at = next(i for i, line in enumerate(out.splitlines()) if "new samples" in line)
    new = int(out.splitlines()[at].split()[0])
    assert out.splitlines()[at + 1 + new] == f"{4 - new} already in the data"  # one a line
    model = mm.MLP.load(tmp_path / "r")
    assert model.vocab.unknown == "<unk>"
    config = json.loads((tmp_path / "r" / "config.json").read_text())
    assert (config["level"], config["unknown"]) == ("word", "<unk>")
    out, _ = run(tmp_path, "score", "r", "--json", text="the dog sat\nthe </s> bird\n", code=2)
    assert json.loads(out.splitlines()[0])["tokens"] == 4
    out, _ = run(tmp_path, "score", "r", "--json", "--oov", "skip", text="the </s> bird\n")
    assert json.loads(out)["tokens"] == 3
    assert json.loads(out)["log_prob"] == model.score(["the bird"])[0]
    out, _ = run(tmp_path, "sample", "r", "-n", 5, "--seed", 2)
    assert set(" ".join(out.splitlines()).split()) <= set(model.vocab.tokens)
    out, _ = run(tmp_path, "complete", "r", "the", "-k", 2)
    assert out.splitlines()[1].split(None, 3)[3].startswith("the ")
    stream = ("train", "--data", "texts", "--level", "word", "--stream", *size)
    run(tmp_path, *stream, "--sizes", 60, 30, "--lower", "--max-size", 5, "--out", "s")
    model = mm.MLP.load(tmp_path / "s")
    assert (model.data.split_seed, model.vocab_size) == ("lower stream 60 30", 5)
    out, _ = run(tmp_path, "eval", "s", "--json")
    data = mm.Dataset.stream(SENTENCES * 10, (60, 30), vocab=model.vocab)
    expected = model.loss(data.dev.X, data.dev.Y)
    assert [row["loss"] for row in json.loads(out)["losses"] if row["split"] == "dev"] == [expected]
    for wrong, sentence in (
        (("train", "--data", "texts", "--sizes", 5, 5), "--sizes belongs to --stream"),
        (("train", "--data", "texts", "--line-ends"), "--line-ends belongs to --stream"),
        ((*stream, "--split-seed", 1), "--split-seed has no use with --stream"),
        ((*stream, "--sizes", 100, 100), "hold 130 tokens; train and dev need 200"),
        (("eval", "s", "--split", "all"), "was trained on a stream"),
    ):
        assert sentence in refuse(tmp_path, *wrong)
    out, _ = run(
        tmp_path, "sweep", "grid", *stream[1:6], "--sizes", 60, 30, "--n-hidden", "2,3",
        "--block-size", "2,3", "--steps", 5, "--json",
    )  # fmt: skip
    assert len(json.loads(out)["cells"]) == 4
    out, _ = run(tmp_path, "experiment", "ngram", *stream[1:6], "--max-block-size", 2, "--json")
    assert json.loads(out)["rows"][0]["possible_contexts"] == 8  # of all words
    out, _ = run(tmp_path, "eval", "r", "--pictures", "p")
    assert (tmp_path / "p" / "embeddings.png").exists()
    _, error = run(tmp_path, "export", "r", "x.h", code=2)
    assert is_one_sentence(error)
    assert "a header holds no words" in error
