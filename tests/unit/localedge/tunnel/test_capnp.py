from __future__ import annotations

import functools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localedge.tunnel.capnp import (
    MAX_MESSAGE_BYTES,
    MAX_SEGMENTS,
    MalformedMessageError,
    MessageBuilder,
    MessageFramer,
    StructBuilder,
    StructReader,
)

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


def read_one(encoded: bytes) -> StructReader:
    (root,) = MessageFramer().feed(encoded)
    return root


def message(*words: int) -> bytes:
    return struct.pack("<II", 0, len(words)) + b"".join(word.to_bytes(8, "little") for word in words)


@given(
    number=st.integers(0, 2**64 - 1),
    negative=st.integers(-(2**63), 2**63 - 1),
    data=st.binary(max_size=100),
    text=texts,
    listed=st.lists(texts, max_size=5),
    table=st.integers(0, 2**32 - 1),
)
def test_what_is_written_is_read_back(
    number: int, negative: int, data: bytes, text: str, listed: list[str], table: int
) -> None:
    builder = MessageBuilder()
    root = builder.root(3, 5)
    root.unsigned(0, 8, number)
    root.signed(8, 8, negative)
    root.unsigned(16, 1, 0b100)
    root.data(0, data)
    root.text(1, text)
    root.texts(2, listed)
    root.capability(3, table)
    for i, item in enumerate(root.structs(4, 3, 1, 1)):
        item.unsigned(0, 2, i)
        item.text(0, f"item {i}")
    read = read_one(builder.encode())
    assert read.unsigned(0, 8) == number
    assert read.signed(8, 8) == negative
    assert (read.bit(128), read.bit(129), read.bit(130)) == (False, False, True)
    assert read.data(0) == data
    assert read.text(1) == text
    assert read.texts(2) == tuple(listed)
    assert read.capability(3) == table
    assert [(item.unsigned(0, 2), item.text(0)) for item in read.structs(4)] == [
        (0, "item 0"),
        (1, "item 1"),
        (2, "item 2"),
    ]


@given(st.lists(texts, min_size=1, max_size=4), st.integers(1, 9))
def test_messages_are_cut_out_of_a_stream_that_arrives_in_any_pieces(values: list[str], step: int) -> None:
    stream = b""
    for value in values:
        builder = MessageBuilder()
        builder.root(0, 1).text(0, value)
        stream += builder.encode()
    framer, read = MessageFramer(), []
    for start in range(0, len(stream), step):
        read += [root.text(0) for root in framer.feed(stream[start : start + step])]
    assert read == values


def test_fields_that_an_older_sender_does_not_know_read_as_empty() -> None:
    builder = MessageBuilder()
    builder.root(0, 0)
    root = read_one(builder.encode())
    assert (root.unsigned(0, 8), root.signed(8, 4), root.bit(3)) == (0, 0, False)
    assert (root.data(0), root.text(0), root.texts(0), root.structs(0)) == (b"", "", (), [])
    assert root.capability(0) is None
    assert root.struct(5).struct(1).text(0) == ""


def test_null_pointers_read_as_empty() -> None:
    builder = MessageBuilder()
    builder.root(0, 6)
    root = read_one(builder.encode())
    assert (root.data(0), root.text(1), root.texts(2), root.structs(3)) == (b"", "", (), [])
    assert root.capability(4) is None
    assert root.struct(5).unsigned(0, 8) == 0


def test_a_far_pointer_is_followed_into_its_segment() -> None:
    pad = 1 << 32 | 0  # a struct of one data word, right behind the pad
    encoded = struct.pack("<IIII", 1, 1, 2, 0) + b"".join(
        word.to_bytes(8, "little") for word in (1 << 32 | 2, pad, 4711)
    )
    assert read_one(encoded).unsigned(0, 8) == 4711


def test_a_double_far_pointer_is_followed_through_its_landing_pad() -> None:
    far, tag = 2 << 32 | 2, 1 << 32
    words = (1 << 32 | 4 | 2, far, tag, 4711)
    encoded = struct.pack("<IIII", 2, 1, 2, 1) + b"".join(word.to_bytes(8, "little") for word in words)
    assert read_one(encoded).unsigned(0, 8) == 4711


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_read_or_refused_but_never_crash(junk: bytes) -> None:
    framer = MessageFramer()
    try:
        for root in framer.feed(junk):
            walk(root, 4)
    except MalformedMessageError:
        pass


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=24))
def test_arbitrary_pointers_are_followed_or_refused_but_never_crash(words: list[int]) -> None:
    framer = MessageFramer()
    try:
        for root in framer.feed(message(*words)):
            walk(root, 4)
    except MalformedMessageError:
        pass


def walk(reader: StructReader, depth: int) -> None:
    for index in range(3):
        for read in (reader.data, reader.text, reader.texts, reader.structs, reader.capability):
            try:
                read(index)
            except MalformedMessageError:
                continue
        if depth:
            try:
                child = reader.struct(index)
            except MalformedMessageError:
                continue
            walk(child, depth - 1)


def test_more_segments_than_the_limit_are_refused() -> None:
    with pytest.raises(MalformedMessageError, match="17 segments; at most 16"):
        list(MessageFramer().feed(struct.pack("<I", MAX_SEGMENTS)))


def test_a_message_above_the_limit_is_refused_before_it_has_arrived() -> None:
    with pytest.raises(MalformedMessageError, match="at most 1048576"):
        list(MessageFramer().feed(struct.pack("<II", 0, MAX_MESSAGE_BYTES // 8 + 1)))


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((5 << 2 | 1 << 32,), "out of its segment"),
        ((2 | 7 << 32,), "segment 7 of 1"),
        ((1 | (1 << 3 | 2) << 32, 0), "a struct was expected"),
    ],
)
def test_a_pointer_to_nowhere_is_refused(words: tuple[int, ...], why: str) -> None:
    with pytest.raises(MalformedMessageError, match=why):
        list(MessageFramer().feed(message(*words)))


def test_a_message_that_points_at_itself_is_refused() -> None:
    itself = -1 << 2 & 0xFFFF_FFFF | 1 << 48
    (root,) = MessageFramer().feed(message(itself))
    with pytest.raises(MalformedMessageError, match=r"nested deeper"):
        functools.reduce(lambda reader, _: reader.struct(0), range(100), root)


def test_one_text_cannot_be_read_from_many_places_without_end() -> None:
    text_words = (1 << 16) // 8
    count = 100
    pointers = [
        (count - 1 - i) << 2 | 1 | (2 | (1 << 16) << 3) << 32 for i in range(count)
    ]  # all at the same text
    listed = 1 | (6 | count << 3) << 32
    root = 1 << 48
    encoded = message(root, listed, *pointers, *([0] * text_words))
    (read,) = MessageFramer().feed(encoded)
    with pytest.raises(MalformedMessageError, match="bytes read from one message"):
        read.texts(0)


def test_a_list_of_structs_without_size_cannot_be_long() -> None:
    listed = 1 | 7 << 32
    tag = 1 << 29 << 2
    (read,) = MessageFramer().feed(message(1 << 48, listed, tag))
    with pytest.raises(MalformedMessageError, match="wrong tag"):
        read.structs(0)


@pytest.mark.parametrize("content", [b"abc", b"\xff\xfe\0"])
def test_a_text_without_its_end_or_that_is_no_utf8_is_refused(content: bytes) -> None:
    builder = MessageBuilder()
    builder.root(0, 1).data(0, content)
    with pytest.raises(MalformedMessageError, match="text"):
        read_one(builder.encode()).text(0)


def test_a_pointer_that_the_struct_does_not_have_cannot_be_written() -> None:
    root: StructBuilder = MessageBuilder().root(1, 1)
    with pytest.raises(IndexError, match="pointer 1 of a struct with 1"):
        root.text(1, "x")
