"""Vocabulary against the three lines of Python that it stands for, and its refusals."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from makemore_cpp import _core
from makemore_cpp._core import ArgumentError, RangeError, Vocabulary

# Every code point that is a character: all but the surrogates.
CHARACTERS = st.characters(exclude_categories=["Cs"])
EVERY_CHARACTER = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000 and c != ord(".")]


@st.composite
def vocabularies_and_texts(draw: st.DrawFn) -> tuple[list[str], str, list[str]]:
    """Draw distinct characters, another one as the boundary, and texts of the characters."""
    boundary, *characters = draw(st.lists(CHARACTERS, min_size=2, max_size=40, unique=True))
    texts = draw(st.lists(st.text(st.sampled_from(characters), max_size=20), max_size=20))
    return characters, boundary, texts


@given(vocabularies_and_texts())
def test_tokens_are_the_places_of_the_characters(case: tuple[list[str], str, list[str]]) -> None:
    characters, boundary, texts = case
    stoi = {character: place for place, character in enumerate([boundary, *characters])}
    vocabulary = Vocabulary(characters, boundary=boundary)
    assert len(vocabulary) == len(stoi)
    assert (vocabulary.tokens, vocabulary.boundary) == (characters, boundary)
    for text in texts:
        tokens = vocabulary.encode(text)
        assert tokens.dtype == np.int32
        assert tokens.tolist() == [stoi[character] for character in text]
        assert vocabulary.decode(tokens) == text


@given(vocabularies_and_texts())
def test_encode_many_is_encode_of_each(case: tuple[list[str], str, list[str]]) -> None:
    characters, boundary, texts = case
    vocabulary = Vocabulary(characters, boundary)
    tokens, offsets = vocabulary.encode_many(texts)
    assert (tokens.dtype, offsets.dtype, offsets.shape) == (np.int32, np.int64, (len(texts) + 1,))
    assert (offsets[0], offsets[-1]) == (0, len(tokens))
    for text, begin, end in zip(texts, offsets[:-1], offsets[1:], strict=True):
        assert vocabulary.decode(tokens[begin:end]) == text


@given(vocabularies_and_texts(), st.text(CHARACTERS, max_size=20))
def test_other_texts_are_refused_at_the_first_unknown_character(
    case: tuple[list[str], str, list[str]], text: str
) -> None:
    characters, boundary, _ = case
    vocabulary = Vocabulary(characters, boundary)
    unknown = [place for place, character in enumerate(text) if character not in characters]
    if not unknown:
        assert vocabulary.decode(vocabulary.encode(text)) == text
        return
    with pytest.raises(ArgumentError, match=f" at position {unknown[0]} is "):
        vocabulary.encode(text)


def test_nothing_is_normalised() -> None:
    vocabulary = Vocabulary(["é", "e", "\u0301"])
    assert vocabulary.encode("e\u0301é").tolist() == [2, 3, 1]
    assert vocabulary.decode([2, 3, 1]) == "e\u0301é"


def test_equality_is_of_characters_order_and_boundary() -> None:
    assert Vocabulary(["a", "b"]) == Vocabulary("ab", ".")
    assert Vocabulary(["a", "b"]) != Vocabulary(["b", "a"])
    assert Vocabulary(["a", "b"]) != Vocabulary(["a", "b"], "#")
    assert Vocabulary(["a"]) != "a"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("abc", "'c' at position 2 is not in the vocabulary"),
        ("aé", r"'é' \(U\+00E9\) at position 1 is not"),
        ("a\u202eb", r"U\+202E at position 1 is not"),
        ("a\nb", r"U\+000A at position 1 is not"),
        ("a.b", "'.' at position 1 is the boundary.* option boundary"),
        ("a\ud800", r"lone surrogate U\+D800 at position 1"),
    ],
)
def test_a_wrong_text_is_refused_by_character_and_position(text: str, sentence: str) -> None:
    vocabulary = Vocabulary(["a", "b"])
    with pytest.raises(ArgumentError, match=sentence):
        vocabulary.encode(text)
    with pytest.raises(ArgumentError, match=r"texts\[2\].*" + sentence):
        vocabulary.encode_many(["a", "", text, "ab"])


@pytest.mark.parametrize(
    ("characters", "boundary", "sentence"),
    [
        ([], ".", "tokens is empty"),
        (["a", "b", "a"], ".", r"tokens\[2\] repeats 'a' of tokens\[0\]"),
        (["a", "."], ".", r"tokens\[1\] is the boundary '.'"),
        (["a", "bc"], ".", r"tokens\[1\] must be exactly one Unicode code point, got 'bc'"),
        (["a", ""], ".", r"tokens\[1\] must be exactly one"),
        (["\udc80"], ".", r"tokens\[0\] has the lone surrogate U\+DC80"),
        (["a"], "", "boundary must be exactly one"),
        (["a"], "..", "boundary must be exactly one"),
        (["a"], "\ud800", "boundary has the lone surrogate"),
        (EVERY_CHARACTER[: 2**20], ".", "limit of 1048576 tokens"),
    ],
)
def test_a_wrong_vocabulary_is_refused(characters: list[str], boundary: str, sentence: str) -> None:
    with pytest.raises(ArgumentError, match=sentence):
        Vocabulary(characters, boundary)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, np.uint64, ">i4"])
def test_tokens_of_any_integer_type_are_decoded(dtype: str) -> None:
    assert Vocabulary("ab").decode(np.array([0, 1, 2, 9, 9], dtype)[:3]) == ".ab"


@pytest.mark.parametrize("token", [-1, 3, 2**31, 2**32 + 1, 2**63 - 1, -(2**63)])
def test_a_token_outside_the_vocabulary_is_refused_by_place_and_value(token: int) -> None:
    tokens = np.array([1, token])
    with pytest.raises(RangeError, match=rf"token {token} at tokens\[1\] is outside .*\[0, 3\)"):
        Vocabulary("ab").decode(tokens)


def test_unsigned_tokens_do_not_wrap() -> None:
    for token in (2**63, 2**64 - 1):
        with pytest.raises(RangeError, match=r" at tokens\[1\] is outside"):
            Vocabulary("ab").decode(np.array([1, token], np.uint64))


@pytest.mark.parametrize("tokens", [[1.0], [True], ["a"], [2**64], [[1], [1, 2]], None])
def test_tokens_that_are_not_integers_are_refused(tokens: Any) -> None:
    with pytest.raises(TypeError, match="tokens must"):
        Vocabulary("ab").decode(tokens)


def test_tokens_have_one_dimension_and_may_be_none() -> None:
    for tokens in (1, [[1]]):
        with pytest.raises(ArgumentError, match="tokens has the shape"):
            Vocabulary("ab").decode(tokens)
    assert Vocabulary("ab").decode([]) == ""


def test_other_types_are_type_errors() -> None:
    vocabulary = Vocabulary("ab")
    for call in (
        lambda: vocabulary.encode(b"a"),  # type: ignore[arg-type]
        lambda: vocabulary.encode_many("ab"),
        lambda: vocabulary.encode_many(["a", None]),  # type: ignore[list-item]
        lambda: vocabulary.encode_many(1),  # type: ignore[arg-type]
        lambda: Vocabulary(None),  # type: ignore[arg-type]
        lambda: Vocabulary(["a"], None),  # type: ignore[arg-type]
        lambda: Vocabulary([1]),  # type: ignore[list-item]
    ):
        with pytest.raises(TypeError):
            call()


def test_errors_are_also_what_python_expects() -> None:
    assert issubclass(ArgumentError, (_core.Error, ValueError))
    with pytest.raises(ValueError, match="position 0"):
        Vocabulary("ab").encode("x")
    with pytest.raises(IndexError, match="token 7"):
        Vocabulary("ab").decode([7])


def test_many_threads_share_one_vocabulary() -> None:
    vocabulary = Vocabulary("abcdefghijklmnopqrstuvwxyz")
    wrong = []

    def work(text: str) -> None:
        for _ in range(200):
            if vocabulary.decode(vocabulary.encode(text)) != text:
                wrong.append(text)

    threads = [threading.Thread(target=work, args=(letter * 50,)) for letter in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
