"""Registration over the control stream of a tunnel connection, both sides, without I/O.

The interface is cloudflared's `RegistrationServer` (tunnelrpc.capnp). cloudflared is the RPC client: it
registers, may upload its local configuration, and unregisters when it ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from localedge.tunnel import rpc
from localedge.tunnel.capnp import MalformedMessageError, MessageFramer, StructBuilder, StructReader

_INTERFACE = 0xF71695EC7FE85497
_REGISTER, _UNREGISTER, _UPDATE_LOCAL_CONFIGURATION = 0, 1, 2
_BOOTSTRAP_QUESTION, _CALL_QUESTION = 0, 1
_ERROR, _DETAILS = 0, 1
_UUID_BYTES = 16


@dataclass(frozen=True)
class RegistrationRequest:
    """What a connector says of itself when it registers a connection."""

    account_tag: str
    tunnel_secret: bytes
    tunnel_id: bytes
    """16 bytes of a UUID."""
    index: int
    client_id: bytes
    """UUID of the connector process, 16 bytes."""
    version: str
    arch: str
    features: tuple[str, ...]
    origin_local_ip: bytes = b""
    """16 bytes; an IPv4 address is mapped."""
    previous_attempts: int = 0
    replace_existing: bool = False
    compression_quality: int = 0


@dataclass(frozen=True)
class ConnectionDetails:
    """The edge's answer to a connector that it accepts."""

    id: bytes
    """UUID of the connection, 16 bytes."""
    location: str
    remotely_managed: bool


@dataclass(frozen=True)
class ConnectionRefusal:
    """The edge's answer to a connector that it does not accept.

    A cause that contains `Unauthorized` is retried for ever; any other ends a starting cloudflared, whatever
    `should_retry` says.
    """

    cause: str
    retry_after_ns: int = 0
    should_retry: bool = False


@dataclass(frozen=True)
class Register:
    """The connector asks for a connection to be registered."""

    question: int
    request: RegistrationRequest


@dataclass(frozen=True)
class Unregister:
    """The connector is about to end and wants no more requests."""

    question: int


@dataclass(frozen=True)
class LocalConfiguration:
    """The connector of a locally managed tunnel uploads its configuration."""

    question: int
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Goodbye:
    """The connector has ended the conversation; there is nothing to answer."""

    reason: str


ControlCall = Register | Unregister | LocalConfiguration


class RegistrationServer:
    """The edge's side: bytes in, calls out; each answer is bytes to send."""

    def __init__(self) -> None:
        self._framer = MessageFramer()

    def receive(self, data: bytes) -> Iterator[ControlCall | Goodbye | bytes]:
        """Take bytes of the control stream in; yields calls, and answers that need nobody's decision.

        Raises:
            MalformedMessageError: what came is not the protocol; close the connection.

        """
        for message in self._framer.feed(data):
            match rpc.decode(message):
                case rpc.Bootstrap(question):
                    yield rpc.encode_bootstrap_return(question)
                case rpc.Call() as call:
                    yield _read_call(call)
                case rpc.Abort(reason):
                    yield Goodbye(reason)
                case rpc.Finish():
                    pass
                case rpc.Results() | rpc.Failure():
                    raise MalformedMessageError("an answer to a question that was never asked")

    @staticmethod
    def accept(call: Register, details: ConnectionDetails) -> bytes:
        """Answer a registration with the details of the connection."""

        def results(payload: StructBuilder) -> None:
            response = payload.struct(0, 0, 1).struct(0, 1, 1)
            response.unsigned(0, 2, _DETAILS)
            body = response.struct(0, 1, 2)
            body.unsigned(0, 1, int(details.remotely_managed))
            body.data(0, details.id)
            body.text(1, details.location)

        return rpc.encode_results(call.question, results)

    @staticmethod
    def refuse(call: Register, refusal: ConnectionRefusal) -> bytes:
        """Answer a registration with an error; then the TCP connection must be closed by the edge."""

        def results(payload: StructBuilder) -> None:
            response = payload.struct(0, 0, 1).struct(0, 1, 1)
            response.unsigned(0, 2, _ERROR)
            body = response.struct(0, 2, 1)
            body.signed(0, 8, refusal.retry_after_ns)
            body.unsigned(8, 1, int(refusal.should_retry))
            body.text(0, refusal.cause)

        return rpc.encode_results(call.question, results)

    @staticmethod
    def acknowledge(call: Unregister | LocalConfiguration) -> bytes:
        """Answer a call that has no result."""
        return rpc.encode_results(call.question)


class RegistrationClient:
    """The connector's side: one question at a time."""

    def __init__(self) -> None:
        self._framer = MessageFramer()

    @staticmethod
    def register(request: RegistrationRequest) -> bytes:
        """Ask for a connection to be registered."""
        call = rpc.encode_call(
            _CALL_QUESTION,
            _INTERFACE,
            _REGISTER,
            lambda payload: _write_registration(payload, request),
            promised_by=_BOOTSTRAP_QUESTION,
        )
        return rpc.encode_bootstrap(_BOOTSTRAP_QUESTION) + call

    @staticmethod
    def unregister() -> bytes:
        """Tell that the connector is about to end."""
        return rpc.encode_call(_CALL_QUESTION, _INTERFACE, _UNREGISTER, lambda payload: _empty(payload, 0))

    @staticmethod
    def update_local_configuration(config: Mapping[str, Any]) -> bytes:
        """Upload the configuration of a locally managed tunnel."""
        text = json.dumps(config, separators=(",", ":")).encode()
        return rpc.encode_call(
            _CALL_QUESTION,
            _INTERFACE,
            _UPDATE_LOCAL_CONFIGURATION,
            lambda payload: payload.struct(0, 0, 1).data(0, text),
        )

    @staticmethod
    def finish() -> bytes:
        """Tell that the answer to the last question was read."""
        return rpc.encode_finish(_CALL_QUESTION)

    @staticmethod
    def finish_bootstrap() -> bytes:
        """Tell that the bootstrap capability was received."""
        return rpc.encode_finish(_BOOTSTRAP_QUESTION)

    def receive(self, data: bytes) -> Iterator[rpc.Results]:
        """Take bytes of the control stream in; yields the answers to calls.

        Raises:
            MalformedMessageError: what came is not the protocol, or the edge threw an exception.

        """
        for message in self._framer.feed(data):
            match rpc.decode(message):
                case rpc.Results(question=question) as results:
                    if question != _BOOTSTRAP_QUESTION:
                        yield results
                case rpc.Failure(reason=reason) | rpc.Abort(reason=reason):
                    raise MalformedMessageError(f"the edge answered with an exception: {reason}")
                case rpc.Bootstrap() | rpc.Call():
                    raise MalformedMessageError("the edge called a connector")
                case rpc.Finish():
                    pass


def read_registration_answer(results: rpc.Results) -> ConnectionDetails | ConnectionRefusal:
    """Read the edge's answer to a registration.

    Raises:
        MalformedMessageError: an answer that is neither.

    """
    response = results.payload.struct(0).struct(0)
    kind, body = response.unsigned(0, 2), response.struct(0)
    if kind == _DETAILS:
        return ConnectionDetails(_uuid(body, 0, "connection"), body.text(1), body.bit(0))
    if kind == _ERROR:
        return ConnectionRefusal(body.text(0), body.signed(0, 8), body.bit(64))
    raise MalformedMessageError(f"a ConnectionResponse of kind {kind}")


def _read_call(call: rpc.Call) -> ControlCall | bytes:
    if call.interface != _INTERFACE:
        return rpc.encode_unimplemented(call.question, f"interface {call.interface:#x} is not served here")
    match call.method:
        case 0:
            return Register(call.question, _read_registration(call.params))
        case 1:
            return Unregister(call.question)
        case 2:
            return LocalConfiguration(call.question, _read_local_configuration(call.params.data(0)))
        case method:
            return rpc.encode_unimplemented(call.question, f"method {method} is not served here")


def _read_registration(params: StructReader) -> RegistrationRequest:
    auth, options = params.struct(0), params.struct(2)
    client = options.struct(0)
    return RegistrationRequest(
        account_tag=auth.text(0),
        tunnel_secret=auth.data(1),
        tunnel_id=_uuid(params, 1, "tunnel"),
        index=params.unsigned(0, 1),
        client_id=_uuid(client, 0, "connector"),
        version=client.text(2),
        arch=client.text(3),
        features=client.texts(1),
        origin_local_ip=options.data(1),
        previous_attempts=options.unsigned(2, 1),
        replace_existing=options.bit(0),
        compression_quality=options.unsigned(1, 1),
    )


def _write_registration(payload: StructBuilder, request: RegistrationRequest) -> None:
    params = payload.struct(0, 1, 3)
    params.unsigned(0, 1, request.index)
    auth = params.struct(0, 0, 2)
    auth.text(0, request.account_tag)
    auth.data(1, request.tunnel_secret)
    params.data(1, request.tunnel_id)
    options = params.struct(2, 1, 2)
    options.unsigned(0, 1, int(request.replace_existing))
    options.unsigned(1, 1, request.compression_quality)
    options.unsigned(2, 1, request.previous_attempts)
    options.data(1, request.origin_local_ip)
    client = options.struct(0, 0, 4)
    client.data(0, request.client_id)
    client.texts(1, request.features)
    client.text(2, request.version)
    client.text(3, request.arch)


def _read_local_configuration(text: bytes) -> Mapping[str, Any]:
    try:
        config = json.loads(text)
    except ValueError as error:
        raise MalformedMessageError(f"a local configuration that is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise MalformedMessageError("a local configuration that is no JSON object")
    return config


def _uuid(struct: StructReader, index: int, what: str) -> bytes:
    value = struct.data(index)
    if len(value) != _UUID_BYTES:
        raise MalformedMessageError(f"the UUID of a {what} has {len(value)} bytes instead of {_UUID_BYTES}")
    return value


def _empty(payload: StructBuilder, index: int) -> None:
    payload.struct(index, 0, 0)
