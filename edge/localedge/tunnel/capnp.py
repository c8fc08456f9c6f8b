"""Cap'n Proto messages: just what the control stream of a tunnel needs, with the standard library only.

Source: https://capnproto.org/encoding.html. Supported: framing, structs, lists of bytes, of pointers and of
structs, text, data, capability pointers, far pointers when reading. Messages are written as one segment in
the order in which their parts are made, which is what other implementations write for the same calls.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

MAX_SEGMENTS = 16
MAX_MESSAGE_BYTES = 1 << 20
_MAX_DEPTH = 32
_MAX_ELEMENTS = 4096
"""Structs in one list: structs without size cost a hostile sender nothing."""
_MAX_BYTES_READ = 4 * MAX_MESSAGE_BYTES
"""Bytes read from one message: a hostile one may point at one text from many places."""

_WORD = 8
_STRUCT, _LIST, _FAR, _OTHER = range(4)
_BYTES, _POINTERS, _COMPOSITE = 2, 6, 7


class MalformedMessageError(Exception):
    """The bytes are no Cap'n Proto message, or one beyond the limits of this reader."""


class MessageFramer:
    """Cuts a byte stream into messages (segment table and segments)."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[StructReader]:
        """Take bytes in and yield the root of each message that is complete.

        Raises:
            MalformedMessageError: the stream is beyond repair; do not feed it again.

        """
        self._pending += data
        while (segments := self._take()) is not None:
            yield _Message(segments).root()

    def _take(self) -> list[bytes] | None:
        if len(self._pending) < 4:  # noqa: PLR2004 - the first field: segments - 1, as u32
            return None
        count = int.from_bytes(self._pending[:4], "little") + 1
        if count > MAX_SEGMENTS:
            raise MalformedMessageError(f"{count} segments; at most {MAX_SEGMENTS} are read")
        table_bytes = _rounded_up(4 + 4 * count)
        if len(self._pending) < table_bytes:
            return None
        sizes = [words * _WORD for words in struct.unpack_from(f"<{count}I", self._pending, 4)]
        if sum(sizes) > MAX_MESSAGE_BYTES:
            raise MalformedMessageError(
                f"a message of {sum(sizes)} bytes; at most {MAX_MESSAGE_BYTES} are read"
            )
        if len(self._pending) < table_bytes + sum(sizes):
            return None
        segments, position = [], table_bytes
        for size in sizes:
            segments.append(bytes(self._pending[position : position + size]))
            position += size
        del self._pending[:position]
        return segments


class _Message:
    """The segments of one message, and how much more may be read from them."""

    def __init__(self, segments: Sequence[bytes]) -> None:
        self._segments = segments
        self._bytes_left = _MAX_BYTES_READ

    def root(self) -> StructReader:
        return self.struct(0, 0, depth=0)

    def bytes_at(self, segment: int, word: int, count: int) -> bytes:
        """Read `count` bytes from a word on."""
        if not 0 <= segment < len(self._segments):
            raise MalformedMessageError(f"a pointer into segment {segment} of {len(self._segments)}")
        start = word * _WORD
        if word < 0 or start + count > len(self._segments[segment]):
            raise MalformedMessageError("a pointer out of its segment")
        self._bytes_left -= count + _WORD
        if self._bytes_left < 0:
            raise MalformedMessageError(f"more than {_MAX_BYTES_READ} bytes read from one message")
        return self._segments[segment][start : start + count]

    def _word_at(self, segment: int, word: int) -> int:
        return int.from_bytes(self.bytes_at(segment, word, _WORD), "little")

    def _resolve(self, segment: int, word: int) -> tuple[int, int, int]:
        """Follow the pointer at a word: (pointer, segment of the target, first word of the target)."""
        pointer = self._word_at(segment, word)
        if pointer & 3 != _FAR:
            return pointer, segment, word + 1 + _signed_offset(pointer)
        pad_segment, pad_word = pointer >> 32, (pointer >> 3) & 0x1FFF_FFFF
        landing = self._word_at(pad_segment, pad_word)
        if not pointer & 4:
            if landing & 3 == _FAR:
                raise MalformedMessageError("a far pointer to a far pointer")
            return landing, pad_segment, pad_word + 1 + _signed_offset(landing)
        if landing & 7 != _FAR:
            raise MalformedMessageError("a double-far pointer without its landing pad")
        return self._word_at(pad_segment, pad_word + 1), landing >> 32, (landing >> 3) & 0x1FFF_FFFF

    def struct(self, segment: int, word: int, *, depth: int) -> StructReader:
        """Read the struct that the pointer at a word points to; a null pointer is an empty struct."""
        if depth > _MAX_DEPTH:
            raise MalformedMessageError(f"nested deeper than {_MAX_DEPTH}")
        if self._word_at(segment, word) == 0:
            return StructReader(self, segment, 0, b"", 0, depth)
        pointer, segment, target = self._resolve(segment, word)
        if pointer & 3 != _STRUCT:
            raise MalformedMessageError("a struct was expected")
        return self._struct_at(segment, target, pointer, depth)

    def _struct_at(self, segment: int, word: int, pointer: int, depth: int) -> StructReader:
        data_words, pointers = (pointer >> 32) & 0xFFFF, (pointer >> 48) & 0xFFFF
        body = self.bytes_at(segment, word, (data_words + pointers) * _WORD)
        return StructReader(self, segment, word + data_words, body[: data_words * _WORD], pointers, depth)

    def byte_list(self, segment: int, word: int) -> bytes:
        """Read a list of bytes; a null pointer is an empty list."""
        if self._word_at(segment, word) == 0:
            return b""
        pointer, segment, target = self._resolve(segment, word)
        if pointer & 3 != _LIST or (pointer >> 32) & 7 != _BYTES:
            raise MalformedMessageError("a list of bytes was expected")
        return self.bytes_at(segment, target, pointer >> 35)

    def pointer_list(self, segment: int, word: int) -> tuple[int, range]:
        """Read where the pointers of a list of pointers stand: (segment, words)."""
        if self._word_at(segment, word) == 0:
            return segment, range(0)
        pointer, segment, target = self._resolve(segment, word)
        if pointer & 3 != _LIST or (pointer >> 32) & 7 != _POINTERS:
            raise MalformedMessageError("a list of pointers was expected")
        count = pointer >> 35
        self.bytes_at(segment, target, count * _WORD)
        return segment, range(target, target + count)

    def struct_list(self, segment: int, word: int, *, depth: int) -> list[StructReader]:
        """Read a list of structs."""
        if self._word_at(segment, word) == 0:
            return []
        pointer, segment, target = self._resolve(segment, word)
        if pointer & 3 != _LIST or (pointer >> 32) & 7 != _COMPOSITE:
            raise MalformedMessageError("a list of structs was expected")
        tag, words = self._word_at(segment, target), pointer >> 35
        count, size = (tag >> 2) & 0x3FFF_FFFF, ((tag >> 32) & 0xFFFF) + (tag >> 48)
        if tag & 3 != _STRUCT or count * size > words or count > _MAX_ELEMENTS:
            raise MalformedMessageError("a list of structs with a wrong tag")
        return [self._struct_at(segment, target + 1 + i * size, tag, depth + 1) for i in range(count)]

    def capability(self, segment: int, word: int) -> int | None:
        """Read an index into the capability table; None for a null pointer."""
        pointer = self._word_at(segment, word)
        if pointer == 0:
            return None
        if pointer & 0xFFFF_FFFF != _OTHER:
            raise MalformedMessageError("a capability was expected")
        return pointer >> 32


class StructReader:
    """A struct of a message that was read. What the sender left out reads as zero, empty or null."""

    def __init__(
        self, message: _Message, segment: int, pointer_word: int, data: bytes, pointers: int, depth: int
    ) -> None:
        self._message = message
        self._segment = segment
        self._pointer_word = pointer_word
        self._data = data
        self._pointers = pointers
        self._depth = depth

    def unsigned(self, offset: int, size: int) -> int:
        """Read an unsigned integer of `size` bytes."""
        return int.from_bytes(self._data[offset : offset + size], "little")

    def signed(self, offset: int, size: int) -> int:
        """Read a signed integer of `size` bytes."""
        return int.from_bytes(self._data[offset : offset + size].ljust(size, b"\0"), "little", signed=True)

    def bit(self, index: int) -> bool:
        """Read a Bool by its bit."""
        return bool(self.unsigned(index // 8, 1) >> index % 8 & 1)

    def struct(self, index: int) -> StructReader:
        """Follow a pointer to a struct."""
        if index >= self._pointers:
            return StructReader(self._message, 0, 0, b"", 0, self._depth + 1)
        return self._message.struct(self._segment, self._pointer_word + index, depth=self._depth + 1)

    def data(self, index: int) -> bytes:
        """Follow a pointer to Data."""
        if index >= self._pointers:
            return b""
        return self._message.byte_list(self._segment, self._pointer_word + index)

    def text(self, index: int) -> str:
        """Follow a pointer to Text."""
        return _text(self.data(index))

    def texts(self, index: int) -> tuple[str, ...]:
        """Follow a pointer to List(Text)."""
        if index >= self._pointers:
            return ()
        segment, words = self._message.pointer_list(self._segment, self._pointer_word + index)
        return tuple(_text(self._message.byte_list(segment, word)) for word in words)

    def structs(self, index: int) -> list[StructReader]:
        """Follow a pointer to a list of structs."""
        if index >= self._pointers:
            return []
        return self._message.struct_list(self._segment, self._pointer_word + index, depth=self._depth)

    def capability(self, index: int) -> int | None:
        """Read a capability pointer: an index into the capability table."""
        if index >= self._pointers:
            return None
        return self._message.capability(self._segment, self._pointer_word + index)


class MessageBuilder:
    """One message to be written, as one segment."""

    def __init__(self) -> None:
        self._words = bytearray(_WORD)

    def root(self, data_words: int, pointers: int) -> StructBuilder:
        """Make the root struct."""
        return self._struct(0, data_words, pointers)

    def encode(self) -> bytes:
        """Write the message with its segment table."""
        return struct.pack("<II", 0, len(self._words) // _WORD) + self._words

    def put(self, offset: int, value: bytes) -> None:
        """Overwrite bytes that were allocated before."""
        self._words[offset : offset + len(value)] = value

    def allocate(self, count: int) -> int:
        """Append zeroed bytes, rounded up to words; answers where they start."""
        start = len(self._words)
        self._words += bytes(_rounded_up(count))
        return start

    def point(self, at: int, target: int, kind: int, high: int) -> None:
        """Write a struct or list pointer: `high` is its upper half."""
        offset = (target - at) // _WORD - 1
        self.put(at, struct.pack("<II", (offset << 2 & 0xFFFF_FFFF) | kind, high))

    def _struct(self, at: int, data_words: int, pointers: int) -> StructBuilder:
        if data_words + pointers == 0:
            self.put(at, struct.pack("<iI", -4, 0))  # a struct without size points at itself, not to null
            return StructBuilder(self, at, 0, 0)
        start = self.allocate((data_words + pointers) * _WORD)
        self.point(at, start, _STRUCT, data_words | pointers << 16)
        return StructBuilder(self, start, data_words, pointers)

    def struct_at(self, at: int, data_words: int, pointers: int) -> StructBuilder:
        """Make a struct behind the pointer at an offset."""
        return self._struct(at, data_words, pointers)


class StructBuilder:
    """A struct of a message that is being written."""

    def __init__(self, message: MessageBuilder, start: int, data_words: int, pointers: int) -> None:
        self._message = message
        self._start = start
        self._data_words = data_words
        self._pointers = pointers

    def unsigned(self, offset: int, size: int, value: int) -> None:
        """Write an unsigned integer of `size` bytes."""
        self._message.put(self._start + offset, value.to_bytes(size, "little"))

    def signed(self, offset: int, size: int, value: int) -> None:
        """Write a signed integer of `size` bytes."""
        self._message.put(self._start + offset, value.to_bytes(size, "little", signed=True))

    def struct(self, index: int, data_words: int, pointers: int) -> StructBuilder:
        """Make a struct behind a pointer."""
        return self._message.struct_at(self._slot(index), data_words, pointers)

    def data(self, index: int, value: bytes) -> None:
        """Write Data behind a pointer; empty data stays a null pointer."""
        if value:
            self._byte_list(self._slot(index), value)

    def text(self, index: int, value: str) -> None:
        """Write Text behind a pointer; an empty one stays a null pointer."""
        if value:
            self._byte_list(self._slot(index), value.encode() + b"\0")

    def texts(self, index: int, values: Sequence[str]) -> None:
        """Write a List(Text) behind a pointer; an empty one stays a null pointer."""
        if not values:
            return
        start = self._message.allocate(len(values) * _WORD)
        self._message.point(self._slot(index), start, _LIST, _POINTERS | len(values) << 3)
        for position, value in enumerate(values):
            self._byte_list(start + position * _WORD, value.encode() + b"\0")

    def structs(self, index: int, count: int, data_words: int, pointers: int) -> list[StructBuilder]:
        """Make a list of structs behind a pointer."""
        size = data_words + pointers
        tag = self._message.allocate((1 + count * size) * _WORD)
        self._message.point(self._slot(index), tag, _LIST, _COMPOSITE | (count * size) << 3)
        self._message.put(tag, struct.pack("<II", count << 2, data_words | pointers << 16))
        first = tag + _WORD
        return [
            StructBuilder(self._message, first + i * size * _WORD, data_words, pointers) for i in range(count)
        ]

    def capability(self, index: int, table_index: int) -> None:
        """Write a capability pointer."""
        self._message.put(self._slot(index), struct.pack("<II", _OTHER, table_index))

    def _slot(self, index: int) -> int:
        if index >= self._pointers:
            raise IndexError(f"pointer {index} of a struct with {self._pointers}")
        return self._start + (self._data_words + index) * _WORD

    def _byte_list(self, at: int, value: bytes) -> None:
        start = self._message.allocate(len(value))
        self._message.point(at, start, _LIST, _BYTES | len(value) << 3)
        self._message.put(start, value)


def _rounded_up(count: int) -> int:
    return (count + _WORD - 1) // _WORD * _WORD


def _signed_offset(pointer: int) -> int:
    offset = (pointer >> 2) & 0x3FFF_FFFF
    return offset - (1 << 30) if offset >= 1 << 29 else offset


def _text(value: bytes) -> str:
    if not value:
        return ""
    if value[-1:] != b"\0":
        raise MalformedMessageError("a text without its final NUL")
    try:
        return value[:-1].decode()
    except UnicodeDecodeError as error:
        raise MalformedMessageError(f"a text that is not UTF-8: {error}") from error
