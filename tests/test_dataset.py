"""Texts, splits, vocabularies and examples."""

import gzip
import os
import pickle
import random
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import makemore_cpp as mm
from makemore_cpp.data import texts as texts_module
from makemore_cpp.data import vocab as vocab_module

NAMES = os.environ.get("MAKEMORE_NAMES")


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "texts.txt"
    path.write_bytes(data)
    return path


def loop_dataset(texts, vocab, T):
    """Build the examples as the lecture does, one at a time."""
    X, Y = [], []
    for text in texts:
        context = [0] * T
        for token in [*(vocab.stoi[c] for c in text), 0]:
            X.append(context)
            Y.append(token)
            context = [*context[1:], token]
    return np.array(X, np.int32).reshape(-1, T), np.array(Y, np.int32)


def test_windows_as_the_lecture_prints_them():
    data = mm.Dataset.split(["emma", "anna"] * 5, block_size=3)
    assert data.windows("emma") == ["... -> e", "..e -> m", ".em -> m", "emm -> a", "mma -> ."]
    assert data.windows("") == ["... -> ."]
    words = mm.Dataset.split(["a dog sat"] * 5, block_size=2, level="word")
    assert words.windows("a dog") == ["</s> </s> -> a", "</s> a -> dog", "a dog -> </s>"]
    with pytest.raises(mm.ArgumentError, match="xavi"):
        data.windows("xavi")


# -- reading ---------------------------------------------------------------------------------------
def test_bundled_names():
    texts = mm.load_texts()
    assert len(texts) == 32_469
    assert texts[:2] == ["emma", "olivia"]
    assert texts.name == "names_us2017"
    assert texts.sha256 == "91691165b471c338ee35387260590f0fdc23fcb50509b9ccfe1c879c7ac39a1e"


def test_bundled_file_is_reproducible():
    file = Path(mm.__file__).parent / "data" / "names_us2017.txt.gz"
    data = file.read_bytes()
    assert data[4:8] == bytes(4), "the header must hold no time"
    again = gzip.compress(gzip.decompress(data), 9, mtime=0)
    assert again[:9] == data[:9]  # behind them the system is named, from Python 3.13 on as unknown


def test_text_rules(tmp_path):
    text = "\ufeffanna\r\n  bob\t\n\n \r\nc\u2028d\x0be\nzoë\nlast"
    texts = mm.load_texts(write(tmp_path, text.encode()))
    assert texts == ["anna", "bob", "c\u2028d\x0be", "zoë", "last"]
    assert texts.name == str(tmp_path / "texts.txt")


def test_byte_order_mark_is_dropped_once(tmp_path):
    assert mm.load_texts(write(tmp_path, "\ufeff\ufeffa\n\ufeffb".encode())) == [
        "\ufeffa",
        "\ufeffb",
    ]


def test_any_kind_of_path(tmp_path):
    path = write(tmp_path, b"a\n")
    for kind in (path, str(path), os.fsencode(path)):
        assert mm.load_texts(kind).name == str(path)
    with pytest.raises(TypeError, match="path must be a path, not int"):
        mm.load_texts(3)


def test_relative_path_is_remembered_as_absolute(tmp_path, monkeypatch):
    write(tmp_path, b"a\n")
    monkeypatch.chdir(tmp_path)
    assert mm.load_texts("texts.txt").name == str(tmp_path / "texts.txt")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is empty"),
        (b"\n \n\r\n", "has only blank lines"),
        (b"ab\nc\xffd\n", "line 2 of .* is not UTF-8: byte 2 of the line is 0xff"),
        (b"ab\ncd\xc3", "line 2 of .* is not UTF-8: byte 3 of the line is 0xc3"),
        (b"\xed\xa0\x80", "line 1 of .* is not UTF-8: byte 1"),
        (b"a\n" + b"x" * ((1 << 20) + 1), "line 2 of .* is longer than 1048576 bytes"),
    ],
)
def test_bad_text(tmp_path, data, sentence):
    with pytest.raises(mm.FormatError, match=sentence) as caught:
        mm.load_texts(write(tmp_path, data))
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


def test_longest_line(tmp_path):
    assert mm.load_texts(write(tmp_path, b"x" * (1 << 20) + b"\ny")) == ["x" * (1 << 20), "y"]


def test_endless_line_is_refused_early():
    if not os.path.exists("/dev/zero"):
        pytest.skip("needs /dev/zero")
    with pytest.raises(mm.FormatError, match="line 1 of /dev/zero is longer"):
        mm.load_texts("/dev/zero")


def test_too_many_characters_are_refused_by_line(tmp_path, monkeypatch):
    monkeypatch.setattr(texts_module, "MAX_TOKENS", 3)
    assert len(mm.load_texts(write(tmp_path, b"ab\n\nc\n"))) == 2
    with pytest.raises(mm.FormatError, match=r"line 4 of .* distinct characters to 4; at most 3"):
        mm.load_texts(write(tmp_path, b"ab\n\nc\nd\n"))


@pytest.mark.parametrize("name", ["missing.txt", "."])
def test_unreadable_file(tmp_path, name):
    with pytest.raises(mm.FileError, match="cannot read") as caught:
        mm.load_texts(tmp_path / name)
    assert isinstance(caught.value, OSError)


def test_path_that_no_model_could_remember(tmp_path):
    path = os.fsencode(tmp_path) + b"/bad\xff.txt"
    try:
        with open(path, "wb") as stream:
            stream.write(b"a\n")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with pytest.raises(mm.FileError, match="is not UTF-8"):
        mm.load_texts(os.fsdecode(path))


def test_changed_texts_lose_their_origin(tmp_path):
    texts = mm.load_texts(write(tmp_path, b"ab\nba\nabba\n"))
    assert mm.Dataset.split(texts, seed=7).origin == (texts.name, texts.sha256, 7)
    assert mm.Dataset.split(texts[:2]).origin is None
    assert mm.Dataset.split(pickle.loads(pickle.dumps(texts))).origin is not None
    texts.reverse()
    assert mm.Dataset.split(texts).origin is None


# -- vocabulary ------------------------------------------------------------------------------------
def test_vocab():
    vocab = mm.Vocab(["a", "b"], boundary=".")
    assert len(vocab) == 3
    assert vocab.itos == [".", "a", "b"]
    assert vocab.stoi == {".": 0, "a": 1, "b": 2}
    assert vocab.encode("abba").tolist() == [1, 2, 2, 1]
    assert vocab.decode([2, 1, 0]) == "ba."
    assert vocab == mm.Vocab(["a", "b"])
    assert vocab != mm.Vocab(["b", "a"])
    assert vocab != mm.Vocab(["a", "b"], boundary="#")
    assert pickle.loads(pickle.dumps(vocab)) == vocab


def test_vocab_from_texts_sorts_code_points():
    assert mm.Vocab.from_texts(["zé", "aZ", "𝄞z"]).characters == ["Z", "a", "z", "é", "𝄞"]


def test_boundary_in_a_text_names_the_option():
    with pytest.raises(mm.ArgumentError, match=r"texts\[1\] 'b\.c' contains .*'\.'.*boundary"):
        mm.Vocab.from_texts(["a", "b.c"])
    assert mm.Vocab.from_texts(["a", "b.c"], boundary="#").characters == [".", "a", "b", "c"]


def test_too_many_characters_are_refused_by_name(monkeypatch):
    monkeypatch.setattr(vocab_module, "MAX_TOKENS", 2)
    with pytest.raises(mm.ArgumentError, match=r"3 distinct characters; at most 2.*'c'"):
        mm.Vocab.from_texts(["a", "b", "c"])


@pytest.mark.parametrize(
    "characters", [["ab"], [""], ["a", "a"], ["a", "."]], ids=["two", "none", "twice", "boundary"]
)
def test_bad_characters(characters):
    with pytest.raises(mm.ArgumentError):
        mm.Vocab(characters)


def test_a_long_text_is_shown_in_part():
    with pytest.raises(mm.ArgumentError) as caught:
        mm.Vocab.from_texts(["." + "x" * 10**6])
    assert "'." + "x" * 39 + "…'" in str(caught.value)
    assert len(str(caught.value)) < 200


def test_vocab_says_what_it_does():
    for name in ("tokens", "characters", "boundary", "encode", "encode_many", "decode"):
        assert vars(mm.Vocab)[name].__doc__
    vocab = mm.Vocab(["a", "b"])
    tokens, offsets = vocab.encode_many(["ab", "", "b"])
    assert (tokens.tolist(), offsets.tolist()) == ([1, 2, 2], [0, 2, 2, 3])
    for call in (lambda: vocab.encode(3), lambda: vocab.encode_many("ab")):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(TypeError, match="tokens must hold integers"):
        vocab.decode([1.0])
    with pytest.raises(mm.ArgumentError, match="tokens has the shape"):
        vocab.decode([[1]])
    with pytest.raises(mm.RangeError, match="token 3"):
        vocab.decode([3])


@pytest.mark.parametrize("texts", ["emma", 3, ["a", 4], [b"a"]])
def test_texts_of_a_wrong_type(texts):
    with pytest.raises(TypeError, match="texts"):
        mm.Vocab.from_texts(texts)


# -- examples --------------------------------------------------------------------------------------
def test_emma():
    vocab = mm.Vocab(list("aem"))
    X, Y = mm.build_dataset(["emma"], vocab, block_size=3)
    shown = [f"{vocab.decode(x)} -> {vocab.decode([y])}" for x, y in zip(X, Y, strict=True)]
    assert shown == ["... -> e", "..e -> m", ".em -> m", "emm -> a", "mma -> ."]


@given(texts=st.lists(st.text("abcé𝄞", max_size=6), max_size=8), T=st.integers(1, 9))
def test_build_dataset_equals_the_loop(texts, T):
    vocab = mm.Vocab(list("abcé𝄞"))
    X, Y = mm.build_dataset(texts, vocab, T)
    expected_X, expected_Y = loop_dataset(texts, vocab, T)
    np.testing.assert_array_equal(X, expected_X)
    np.testing.assert_array_equal(Y, expected_Y)
    for array in (X, Y):
        assert array.dtype == np.int32
        assert array.flags.c_contiguous
        assert array.flags.owndata or array.base is not None


def test_no_texts_have_no_examples():
    X, Y = mm.build_dataset([], mm.Vocab(["a"]), 4)
    assert X.shape == (0, 4)
    assert Y.shape == (0,)


def test_build_dataset_is_fast():
    texts = mm.load_texts()
    vocab = mm.Vocab.from_texts(texts)
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        mm.build_dataset(texts, vocab, 3)
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.05


@pytest.mark.parametrize("block_size", [0, -1, 2**40, 65_537])
def test_absurd_block_size(block_size):
    with pytest.raises(mm.ArgumentError, match=f"block_size is {block_size}"):
        mm.build_dataset(["a"], mm.Vocab(["a"]), block_size)


def test_too_much_context():
    with pytest.raises(mm.ArgumentError, match="tokens of context; at most"):
        mm.build_dataset(["a" * 50] * 1000, mm.Vocab(["a"]), 65_536)


def test_unknown_character():
    with pytest.raises(mm.ArgumentError, match=r"^texts\[1\] 'ax': .*'x' at position 1"):
        mm.build_dataset(["a", "ax"], mm.Vocab(["a"]), 2)
    with pytest.raises(mm.ArgumentError, match=r"^texts\[0\] 'a{40}…': .*'x'") as caught:
        mm.build_dataset(["a" * 10**6 + "x"], mm.Vocab(["a"]), 2)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("vocab", [3, "abc", ["a"]])
def test_vocab_of_a_wrong_type(vocab):
    for make in (mm.build_dataset, lambda texts, vocab: mm.Dataset.split(texts, vocab=vocab)):
        with pytest.raises(TypeError, match=r"vocab must be a makemore_cpp\.Vocab"):
            make(["a"], vocab)


# -- splits ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("n", "sizes"),
    [(1, (1, 0, 0)), (2, (1, 0, 1)), (3, (2, 0, 1)), (10, (8, 1, 1)), (25, (20, 2, 3))],
)
def test_split_sizes(n, sizes):
    texts = [f"a{i}" for i in range(n)]
    data = mm.Dataset.split(texts, block_size=2)
    parts = (data.train, data.dev, data.test)
    assert tuple(len(part.texts) for part in parts) == sizes
    assert sorted(data.texts) == sorted(texts)
    for part in parts:
        assert part.X.shape == (sum(len(w) + 1 for w in part.texts), 2)
        assert part.Y.shape == part.X.shape[:1]


def test_split_is_the_lecture_s():
    texts = [chr(ord("a") + i) for i in range(20)]
    shuffled = list(texts)
    random.Random(5).shuffle(shuffled)
    state = random.getstate()
    data = mm.Dataset.split(texts, seed=5)
    assert data.train.texts == shuffled[:16]
    assert data.dev.texts == shuffled[16:18]
    assert data.test.texts == shuffled[18:]
    assert texts == sorted(texts), "the caller's list must stay as it is"
    assert random.getstate() == state


@pytest.mark.parametrize(
    ("seed", "error"), [(-1, ValueError), (2**64, ValueError), (0.5, TypeError)]
)
def test_bad_split_seed(seed, error):
    with pytest.raises(error, match="seed"):
        mm.Dataset.split(["a"], seed=seed)


@pytest.mark.parametrize("place", range(0, 30, 7))
def test_unknown_character_in_a_split_has_its_place_before_the_shuffle(place):
    texts = ["a"] * 30
    texts[place] = "axa"
    with pytest.raises(mm.ArgumentError, match=rf"^texts\[{place}\] 'axa': .*'x' at position 1"):
        mm.Dataset.split(texts, vocab=mm.Vocab(["a"]))


def test_split_of_nothing():
    with pytest.raises(mm.ArgumentError, match="at least one"):
        mm.Dataset.split([])


@pytest.mark.skipif(NAMES is None, reason="needs MAKEMORE_NAMES")
def test_lecture_s_numbers():
    texts = mm.load_texts(NAMES)
    assert len(texts) == 32_033
    data = mm.Dataset.split(texts, block_size=3, seed=42)
    parts = (data.train, data.dev, data.test)
    assert [len(part.texts) for part in parts] == [25_626, 3_203, 3_204]
    assert [len(part.Y) for part in parts] == [182_625, 22_655, 22_866]
    assert len(mm.build_dataset(texts, data.vocab)[1]) == 228_146
    assert len(data.vocab) == 27
