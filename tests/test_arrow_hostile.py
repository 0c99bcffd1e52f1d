"""Malformed Arrow arrays: every visible fault is refused, and nothing outside a buffer is read.

The interface does not carry the sizes of the buffers, so nobody can tell that a length, or the last
offset, is too large.  All other fields are changed here at random.  Each buffer has a piece of
memory of exactly its size, so that a sanitizer sees a read outside.

``MAKEMORE_CAMPAIGN=1`` makes ten times as many.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from arrow_producers import FORMATS, Fields, GivesArray, GivesStream, Memory, texts_of
from extent import CAMPAIGN
from text_models import model_of

import makemore_cpp as mm

MUTATIONS = 100_000 if CAMPAIGN else 10_000
ABSURD = [-(2**63), -(2**62), -(2**31), 2**46, 2**60, 2**62, 2**63 - 1]
Mutation = Callable[[Fields, random.Random], None]


def some_texts(rng: random.Random) -> list[str | None]:
    """Short and long texts and nulls; one at least is long, as a view has a buffer only then."""
    texts: list[str | None] = [
        None if rng.random() < 0.1 else "anabel" * rng.randrange(4) for _ in range(rng.randrange(9))
    ]
    texts.insert(rng.randrange(len(texts) + 1), "bartholomew" * rng.randrange(2, 5))
    return texts


def some_array(rng: random.Random, formats: tuple[str, ...] = FORMATS) -> Fields:
    return texts_of(some_texts(rng), rng.choice(formats), rng.randrange(4), rng.randrange(4))


# -- mutations that no array survives --------------------------------------------------------------
def offsets_of(fields: Fields) -> list[int]:
    letter = "i" if fields.format == "u" else "q"
    memory = fields.buffers[1]
    assert memory is not None
    return [number for (number,) in struct.iter_unpack(f"<{letter}", memory)]


def with_offset(fields: Fields, place: int, value: int) -> None:
    offsets = offsets_of(fields)
    offsets[fields.offset + place] = value
    letter = "i" if fields.format == "u" else "q"
    fields.buffers[1] = struct.pack(f"<{len(offsets)}{letter}", *offsets)


def negative_offset(fields: Fields, rng: random.Random) -> None:
    width = 31 if fields.format == "u" else 63
    with_offset(fields, rng.randrange(fields.length + 1), -rng.choice([1, 7, 2 ** (width - 1)]))


def falling_offset(fields: Fields, rng: random.Random) -> None:
    """Make an offset before the last one greater than the last, by little or much."""
    most = 2**31 - 1 if fields.format == "u" else 2**63 - 1
    last = offsets_of(fields)[fields.offset + fields.length]
    value = rng.choice([last + 1, last + 100, most])
    with_offset(fields, rng.randrange(fields.length), value)


def view_at(fields: Fields, rng: random.Random) -> tuple[int, tuple[int, bytes, int, int]]:
    """Return the place and the fields of a visible long view."""
    memory = fields.buffers[1]
    assert memory is not None
    validity = fields.buffers[0]
    places = [
        i
        for i in range(fields.offset, fields.offset + fields.length)
        if struct.unpack_from("<i", memory, 16 * i)[0] > 12
        and (validity is None or validity[i // 8] >> i % 8 & 1)
    ]
    place = rng.choice(places)
    return place, struct.unpack_from("<i4sii", memory, 16 * place)


def with_view(fields: Fields, place: int, *view: Any) -> None:
    memory = bytearray(fields.buffers[1] or b"")
    struct.pack_into("<i4sii", memory, 16 * place, *view)
    fields.buffers[1] = bytes(memory)


def negative_view(fields: Fields, rng: random.Random) -> None:
    place, (_, prefix, buffer, begin) = view_at(fields, rng)
    with_view(fields, place, rng.choice([-1, -12, -(2**31)]), prefix, buffer, begin)


def view_of_no_buffer(fields: Fields, rng: random.Random) -> None:
    place, (length, prefix, _, begin) = view_at(fields, rng)
    with_view(fields, place, length, prefix, rng.choice([-1, 2, 3, 2**31 - 1, -(2**31)]), begin)


def view_before_or_behind(fields: Fields, rng: random.Random) -> None:
    place, (length, prefix, buffer, _) = view_at(fields, rng)
    size = len(fields.buffers[2 + buffer] or b"")
    begin = rng.choice([-1, -(2**31), size - length + 1, size, size + 1, 2**31 - 1])
    with_view(fields, place, length, prefix, buffer, begin)


def view_too_long(fields: Fields, rng: random.Random) -> None:
    place, (_, prefix, buffer, begin) = view_at(fields, rng)
    size = len(fields.buffers[2 + buffer] or b"")
    with_view(fields, place, rng.choice([size - begin + 1, 2**31 - 1]), prefix, buffer, begin)


def view_of_another_prefix(fields: Fields, rng: random.Random) -> None:
    place, (length, prefix, buffer, begin) = view_at(fields, rng)
    i = rng.randrange(4)
    other = prefix[:i] + bytes([prefix[i] ^ 1 << rng.randrange(7)]) + prefix[i + 1 :]
    with_view(fields, place, length, other, buffer, begin)


def sizes_too_small(fields: Fields, rng: random.Random) -> None:
    _, (length, _, buffer, begin) = view_at(fields, rng)
    sizes = [len(memory or b"") for memory in fields.buffers[2:4]]
    sizes[buffer] = rng.choice([begin + length - 1, 0, -1, -(2**63)])
    fields.buffers[4] = struct.pack("<2q", *sizes)


def no_sizes(fields: Fields, rng: random.Random) -> None:
    fields.buffers[4] = None


def no_characters(fields: Fields, rng: random.Random) -> None:
    """Remove the buffer of the characters; for a view, the one of a text that is not empty."""
    if fields.format == "vu":
        fields.buffers[2 + view_at(fields, rng)[1][2]] = None
    else:
        fields.buffers[2] = None


def no_slots(fields: Fields, rng: random.Random) -> None:
    fields.buffers[1] = None


def no_validity(fields: Fields, rng: random.Random) -> None:
    fields.buffers[0], fields.null_count = None, rng.randrange(1, fields.length + 1)


def no_buffers(fields: Fields, rng: random.Random) -> None:
    fields.has_buffers = False


def wrong_number_of_buffers(fields: Fields, rng: random.Random) -> None:
    """More buffers of a string_view than there are cannot be seen, but for absurdly many."""
    others = [] if fields.format == "vu" else [4, 5, 100]
    fields.n_buffers = rng.choice([0, 1, 2, -1, *others, *ABSURD])


def absurd_length(fields: Fields, rng: random.Random) -> None:
    fields.length = rng.choice([-1, *ABSURD])


def absurd_offset(fields: Fields, rng: random.Random) -> None:
    fields.offset = rng.choice([-1, -fields.length, *ABSURD, 2**63 - 1 - fields.length])


def absurd_null_count(fields: Fields, rng: random.Random) -> None:
    fields.null_count = rng.choice([-2, fields.length + 1, *ABSURD])


def children(fields: Fields, rng: random.Random) -> None:
    fields.n_children = rng.choice([1, -1, *ABSURD])


def children_of_the_schema(fields: Fields, rng: random.Random) -> None:
    fields.schema_children = rng.choice([1, -1, *ABSURD])


def dictionary(fields: Fields, rng: random.Random) -> None:
    fields.has_dictionary = True


def dictionary_of_the_schema(fields: Fields, rng: random.Random) -> None:
    fields.schema_has_dictionary = True


def wrong_format(fields: Fields, rng: random.Random) -> None:
    known = [None, "", "uu", "v", "vz", "z", "Z", "l", "+s", "+l", "w:3", "u ", "n", "\x1b[1m", "é"]
    fields.format = rng.choice([*known, "".join(rng.choices("abcdefg+:", k=rng.randrange(1, 900)))])


def released(fields: Fields, rng: random.Random) -> None:
    """Release the array; in a stream a released array is its end and no fault."""
    fields.is_released = True


def released_schema(fields: Fields, rng: random.Random) -> None:
    fields.is_schema_released = True


OF_OFFSETS: list[Mutation] = [negative_offset, falling_offset]
OF_VIEWS: list[Mutation] = [
    negative_view, view_of_no_buffer, view_before_or_behind, view_too_long, view_of_another_prefix,
    sizes_too_small, no_sizes,
]  # fmt: skip
OF_ALL: list[Mutation] = [
    no_characters, no_slots, no_validity, no_buffers, wrong_number_of_buffers, absurd_length,
    absurd_offset, absurd_null_count, children, dictionary,
]  # fmt: skip
OF_SCHEMAS: list[Mutation] = [
    children_of_the_schema, dictionary_of_the_schema, wrong_format, released_schema,
]  # fmt: skip
EVERY = [*OF_OFFSETS, *OF_VIEWS, *OF_ALL, *OF_SCHEMAS, released]


def readers() -> list[Callable[[Any], Any]]:
    model = model_of("tabulated")
    return [
        model.score, model.per_char, model.vocab.encode_many,
        lambda texts: model.score(texts, oov="-inf", threads=1), model_of("NGram").score,
    ]  # fmt: skip


def producers(fields: Fields, rng: random.Random, mutation: Mutation) -> Memory:
    """Return a producer of the array, alone or in a stream behind good ones."""
    if mutation is released or rng.random() < 0.5:
        return GivesArray(fields)
    if mutation in OF_SCHEMAS:
        return GivesStream([fields])
    good = [texts_of(["a", None], fields.format or "u") for _ in range(rng.randrange(3))]
    return GivesStream([*good, fields])


def mutated(rng: random.Random) -> Iterator[tuple[Mutation, Fields]]:
    while True:
        for mutation in EVERY:
            formats = ("u", "U") if mutation in OF_OFFSETS else FORMATS
            fields = some_array(rng, ("vu",) if mutation in OF_VIEWS else formats)
            mutation(fields, rng)
            yield mutation, fields


def test_every_malformed_array_is_refused() -> None:
    rng, asked = random.Random(1), readers()
    for number, (mutation, fields) in zip(range(MUTATIONS), mutated(rng), strict=False):
        producer = producers(fields, rng, mutation)
        with pytest.raises((mm.ArgumentError, TypeError)) as caught:
            asked[number % len(asked)](producer)
        sentence = str(caught.value)
        assert sentence.startswith("texts"), (mutation.__name__, sentence)
        assert sentence.isprintable()
        assert len(sentence) < 500
        assert producer.given == producer.released, mutation.__name__
        assert "utf-8" not in sentence.lower(), (mutation.__name__, sentence)


@pytest.mark.parametrize("mutation", EVERY, ids=lambda mutation: mutation.__name__)
def test_each_mutation_alone_makes_the_difference(mutation: Mutation) -> None:
    """Without the mutation the same arrays are read, so nothing else in them was refused."""
    for seed in range(20):
        formats = ("u", "U") if mutation in OF_OFFSETS else FORMATS
        fields = some_array(random.Random(seed), ("vu",) if mutation in OF_VIEWS else formats)
        for read in (model_of("tabulated").score, model_of("NGram").score):
            assert len(read(GivesArray(fields))) == fields.length


# -- bits that change anywhere ---------------------------------------------------------------------
def test_changed_bits_give_a_result_or_a_sentence() -> None:
    """The bits are those of views, characters, validity and all offsets except the last."""
    rng, asked = random.Random(2), readers()
    refused: list[str] = []
    for number in range(MUTATIONS // 2):
        fields = some_array(rng)
        places = [i for i, memory in enumerate(fields.buffers[:4]) if memory]
        place = rng.choice(places)
        memory = bytearray(fields.buffers[place] or b"")
        slot = 0 if fields.format == "vu" or place != 1 else 4 if fields.format == "u" else 8
        end = (fields.offset + fields.length) * slot if slot else len(memory)
        if end == 0:
            continue
        for _ in range(rng.randrange(1, 4)):
            memory[rng.randrange(end)] ^= 1 << rng.randrange(8)
        fields.buffers[place] = bytes(memory)
        producer = GivesArray(fields)
        try:
            asked[number % len(asked)](producer)
        except (mm.ArgumentError, TypeError) as error:
            refused.append(str(error))
        assert producer.given == producer.released
    assert all(sentence.startswith("texts") and sentence.isprintable() for sentence in refused)
    assert MUTATIONS // 8 < len(refused) < MUTATIONS // 2.1
