"""An HTTP/2 connection on asyncio, in either role: the edge is the client on connections that it accepted.

`h2` keeps the protocol; this module moves bytes, credits windows when bytes are consumed, queues streams
above the peer's MAX_CONCURRENT_STREAMS and notices a silent peer.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from localedge.tunnel.http2_stream import NO_ERROR, Http2Stream, StreamBrokenError
from localedge.tunnel.interface import Headers

if TYPE_CHECKING:
    from hyperframe.frame import Frame, HeadersFrame

_log = logging.getLogger(__name__)

_SPEC_WINDOW = 65535
_HEADER_LIST_BYTES = 1 << 20
_BODILESS = frozenset({b"204", b"304"})


@dataclass(frozen=True)
class Http2Tuning:
    """Sizes in bytes, times in seconds."""

    stream_window: int = 16 << 20
    """What one stream may have in flight towards us."""
    connection_window: int = 64 << 20
    max_frame: int = 1 << 20
    max_streams: int = 250
    """Streams that the peer may have open (server role)."""
    ping_interval: float | None = 5.0
    """A silent peer is pinged this often; None: never."""
    ping_timeout: float = 10.0
    """A peer silent for this long after the interval is dead."""


class EndpointOwner(Protocol):
    """Who is told what happens on a connection. The calls come from the event loop, synchronously."""

    def opened(self, endpoint: Http2Endpoint) -> None:
        """Hear that the TLS connection stands."""

    def stream_opened(self, stream: Http2Stream) -> None:
        """Hear of a request (server role)."""

    def stream_closed(self, stream: Http2Stream) -> None:
        """Hear that a stream has ended in both directions, in order or not."""

    def lost(self, reason: str) -> None:
        """Hear that the connection is gone; its streams are broken already."""


class Http2Endpoint(asyncio.Protocol):
    """One HTTP/2 connection."""

    def __init__(self, owner: EndpointOwner, *, client_side: bool, tuning: Http2Tuning) -> None:
        self._owner = owner
        self._tuning = tuning
        self._loop = asyncio.get_running_loop()
        # Fields are picked with care before they come here; what is odd about their values is for the peer to
        # refuse with an answer, not for h2 with an exception.
        config = h2.config.H2Configuration(
            client_side=client_side, header_encoding=None, validate_outbound_headers=False
        )
        self._h2 = _Connection(config, tuning)
        self._transport: asyncio.Transport | None = None
        self._streams: dict[int, Http2Stream] = {}
        self._opened_here: set[int] = set()
        self._slot_waiters: deque[asyncio.Future[None]] = deque()
        self._writable = asyncio.Event()
        self._writable.set()
        self._lost = asyncio.Event()
        self._closing = False
        self._lost_reason = "the peer closed the connection"
        self._last_received = self._loop.time()
        self._ping_timer: asyncio.TimerHandle | None = None

    @property
    def peer_ip(self) -> str:
        """Address of the peer, empty before the connection stands."""
        address = self._transport.get_extra_info("peername") if self._transport else None
        return str(address[0]) if address else ""

    @property
    def local_ip(self) -> str:
        """Own address on the connection, empty before it stands."""
        address = self._transport.get_extra_info("sockname") if self._transport else None
        return str(address[0]) if address else ""

    @property
    def is_open(self) -> bool:
        """Whether streams can be opened."""
        return self._transport is not None and not self._closing and not self._lost.is_set()

    @property
    def open_streams(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    @property
    def load(self) -> int:
        """How many streams are open or wait to be opened."""
        return len(self._streams) + len(self._slot_waiters)

    async def open_stream(self, fields: Headers, *, end: bool = False) -> Http2Stream:
        """Open a stream with a request's header fields, when the peer's limit lets it.

        Raises:
            StreamBrokenError: the connection is closing or gone; nothing was sent.

        """
        while self.is_open and len(self._opened_here) >= self._h2.remote_settings.max_concurrent_streams:
            waiter = self._loop.create_future()
            self._slot_waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                self._wake_slot_waiters(1 if waiter.done() and not waiter.cancelled() else 0)
                raise
        if not self.is_open:
            raise StreamBrokenError(self._lost_reason)
        stream = Http2Stream(self, self._h2.get_next_available_stream_id())
        self._streams[stream.id] = stream
        self._opened_here.add(stream.id)
        try:
            stream.send_headers(fields, end=end)
        except BaseException:
            stream.on_broken("its header fields could not be sent")
            raise
        return stream

    def close(self) -> None:
        """Send what is pending and close the TCP connection; open streams break."""
        if self._transport is None or self._closing:
            return
        self._close_transport("this side closed the connection")

    def abort(self, reason: str) -> None:
        """Close the TCP connection at once."""
        self._closing = True
        self._lost_reason = reason
        if self._transport is not None:
            self._transport.abort()

    async def wait_lost(self) -> None:
        """Wait until the connection is gone."""
        await self._lost.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start HTTP/2 on a connection that stands."""
        self._transport = cast("asyncio.Transport", transport)
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(self._tuning.connection_window - _SPEC_WINDOW)
        self._flush()
        self._schedule_ping()
        self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes in and tell streams what they mean."""
        self._last_received = self._loop.time()
        try:
            for event in self._h2.receive_data(data):
                self._dispatch(event)
        except h2.exceptions.ProtocolError as error:
            self._fail(f"the peer broke HTTP/2: {error}")
            return
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Break what is open and tell the owner."""
        if self._ping_timer is not None:
            self._ping_timer.cancel()
        if exc is not None and not self._closing:
            self._lost_reason = f"the connection broke: {exc}"
        self._lost.set()
        self._writable.set()
        self._break_streams()
        self._owner.lost(self._lost_reason)

    def pause_writing(self) -> None:
        """Hear that the transport's buffer is full."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Hear that the transport takes more."""
        self._writable.set()

    def send_window(self, stream_id: int) -> int:
        """Tell how many bytes of DATA the peer takes now on a stream, in one frame."""
        return min(self._h2.local_flow_control_window(stream_id), self._h2.max_outbound_frame_size)

    def send_data(self, stream_id: int, data: bytes | memoryview, *, end: bool) -> None:
        """Send one DATA frame."""
        self._h2.send_data(stream_id, data, end_stream=end)
        self._flush()

    def send_headers(self, stream_id: int, fields: Headers, *, end: bool) -> None:
        """Send HEADERS."""
        self._h2.send_headers(stream_id, _octets(fields), end_stream=end)
        self._flush()

    def send_reset(self, stream_id: int, code: int) -> None:
        """Send RST_STREAM."""
        if self.is_open:
            self._h2.reset_stream(stream_id, code)
            self._flush()

    def acknowledge(self, stream_id: int, count: int) -> None:
        """Give flow-control credit back for bytes that were consumed."""
        if count and self.is_open:
            self._h2.acknowledge_received_data(count, stream_id)
            self._flush()

    async def drained(self) -> None:
        """Wait until the transport takes more."""
        if not self._writable.is_set():
            await self._writable.wait()

    def closed(self, stream_id: int) -> None:
        """Hear that a stream has ended in both directions."""
        stream = self._streams.pop(stream_id)
        if stream_id in self._opened_here:
            self._opened_here.discard(stream_id)
            self._wake_slot_waiters(1)
        self._owner.stream_closed(stream)

    def _dispatch(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.DataReceived(stream_id=stream_id, data=data, flow_controlled_length=length):
                if (stream := self._streams.get(stream_id)) is not None:
                    stream.on_data(data, length)
                else:
                    self._h2.acknowledge_received_data(length, stream_id)
            case h2.events.RequestReceived(stream_id=stream_id, headers=headers):
                stream = self._streams[stream_id] = Http2Stream(self, stream_id, _text(headers))
                self._owner.stream_opened(stream)
            case h2.events.ResponseReceived(stream_id=stream_id, headers=headers):
                if (stream := self._streams.get(stream_id)) is not None:
                    stream.on_answer(_text(headers))
            case h2.events.TrailersReceived(stream_id=stream_id, headers=headers):
                if (stream := self._streams.get(stream_id)) is not None:
                    stream.on_trailers(_text(headers))
            case h2.events.StreamEnded(stream_id=stream_id):
                if (stream := self._streams.get(stream_id)) is not None:
                    stream.on_end()
            case h2.events.StreamReset(stream_id=stream_id, error_code=code):
                if (stream := self._streams.get(stream_id)) is not None:
                    stream.on_broken(f"reset by the peer ({_error_name(code)})")
            case h2.events.WindowUpdated(stream_id=stream_id):
                self._wake_writers(stream_id)
            case h2.events.RemoteSettingsChanged():
                self._wake_writers(0)
                self._wake_slot_waiters(len(self._slot_waiters))
            case h2.events.ConnectionTerminated(error_code=code):
                self._fail(f"the peer sent GOAWAY ({_error_name(code)})")
            case _:
                pass

    def _wake_writers(self, stream_id: int | None) -> None:
        streams = list(self._streams.values()) if not stream_id else [self._streams.get(stream_id)]
        for stream in streams:
            if stream is not None:
                stream.on_window()

    def _wake_slot_waiters(self, count: int) -> None:
        while count > 0 and self._slot_waiters:
            waiter = self._slot_waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                count -= 1

    def _fail(self, reason: str) -> None:
        _log.debug("closing a connection of %s: %s", self.peer_ip, reason)
        self._flush()
        self._close_transport(reason)

    def _close_transport(self, reason: str) -> None:
        self._closing = True
        self._lost_reason = reason
        self._break_streams()
        if self._transport is not None:
            self._transport.close()

    def _break_streams(self) -> None:
        for stream in list(self._streams.values()):
            stream.on_broken(self._lost_reason)
        self._wake_slot_waiters(len(self._slot_waiters))

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _schedule_ping(self) -> None:
        if self._tuning.ping_interval is not None:
            self._ping_timer = self._loop.call_later(self._tuning.ping_interval, self._ping)

    def _ping(self) -> None:
        interval = self._tuning.ping_interval or 0.0
        silent = self._loop.time() - self._last_received
        if silent > interval + self._tuning.ping_timeout:
            self.abort(f"the peer was silent for {silent:.1f} s")
            return
        if silent >= interval and self.is_open:
            self._h2.ping(b"\0" * 8)
            self._flush()
        self._schedule_ping()


class _Connection(h2.connection.H2Connection):
    """h2's connection with our settings from its first byte on, and with one rule of HTTP that it lacks."""

    def __init__(self, config: h2.config.H2Configuration, tuning: Http2Tuning) -> None:
        super().__init__(config)
        # Settings that are changed later hold from the peer's acknowledgement on, and h2 refuses a large
        # frame that comes in one read with that. So they are there before the connection begins.
        self.local_settings = h2.settings.Settings(
            client=config.client_side,
            initial_values={
                h2.settings.SettingCodes.ENABLE_PUSH: 0,
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: tuning.stream_window,
                h2.settings.SettingCodes.MAX_FRAME_SIZE: tuning.max_frame,
                h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: tuning.max_streams,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: _HEADER_LIST_BYTES,
            },
        )
        self.max_inbound_frame_size = tuning.max_frame
        self.decoder.max_header_list_size = _HEADER_LIST_BYTES

    def _receive_headers_frame(self, frame: HeadersFrame) -> tuple[list[Frame], list[h2.events.Event]]:
        """Take an answer 304 with the length of the body that it does not have (RFC 9110 §8.6).

        h2 would take the empty DATA frame that ends such an answer for an error, and end the connection.
        """
        frames, events = super()._receive_headers_frame(frame)
        for event in events:
            if (
                isinstance(event, h2.events.ResponseReceived)
                and dict(event.headers).get(b":status") in _BODILESS
            ):
                self.streams[frame.stream_id]._expected_content_length = None  # noqa: SLF001 - no public switch
        return frames, events


def _text(headers: list[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def _octets(fields: Headers) -> list[tuple[bytes, bytes]]:
    return [(_encoded(name), _encoded(value)) for name, value in fields]


def _encoded(text: str) -> bytes:
    """Encode a character as the octet that it stands for; text that stands for no octets goes as UTF-8."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()


def _error_name(code: int | None) -> str:
    try:
        return h2.errors.ErrorCodes(code or NO_ERROR).name
    except ValueError:
        return f"code {code}"
