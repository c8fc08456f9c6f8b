"""The messages of Cap'n Proto RPC that the control stream of a tunnel uses.

Source: capnproto's rpc.capnp. cloudflared sends bootstrap, call and finish; the edge answers with return.
The only capability is the bootstrap itself, so nobody need look at the target of a call, and there is no
table from which a finish or a release could drop anything.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from localedge.tunnel.capnp import MalformedMessageError, MessageBuilder, StructBuilder, StructReader


class _Kind(enum.IntEnum):
    """Discriminants of `Message`."""

    ABORT = 1
    CALL = 2
    RETURN = 3
    FINISH = 4
    RELEASE = 6
    BOOTSTRAP = 8


_RETURN_RESULTS, _RETURN_EXCEPTION = 0, 1
_TARGET_IMPORTED, _TARGET_PROMISED = 0, 1
_CAP_SENDER_HOSTED = 1
_UNIMPLEMENTED = 3
_NO_FINISH_NEEDED = 0b11
"""Of a return: `releaseParamCaps` (default true, so its bit means false) and `noFinishNeeded`."""
_KEEP_RESULT_CAPS = 0b1
"""Of a finish: `releaseResultCaps` (default true, so its bit means false)."""


@dataclass(frozen=True)
class Bootstrap:
    """The peer asks for the bootstrap capability."""

    question: int


@dataclass(frozen=True)
class Call:
    """The peer calls a method."""

    question: int
    interface: int
    method: int
    params: StructReader


@dataclass(frozen=True)
class Results:
    """A question was answered; `payload` points to the results with its first pointer."""

    question: int
    payload: StructReader


@dataclass(frozen=True)
class Failure:
    """A question was answered with an exception."""

    question: int
    reason: str


@dataclass(frozen=True)
class Abort:
    """The peer gives the connection up."""

    reason: str


@dataclass(frozen=True)
class Finish:
    """The peer is done with an answer, or releases a capability."""


Incoming = Bootstrap | Call | Results | Failure | Abort | Finish


def decode(message: StructReader) -> Incoming:
    """Read an RPC message.

    Raises:
        MalformedMessageError: one of a kind that the control stream does not use.

    """
    kind, body = message.unsigned(0, 2), message.struct(0)
    match kind:
        case _Kind.BOOTSTRAP:
            return Bootstrap(body.unsigned(0, 4))
        case _Kind.CALL:
            params = body.struct(1).struct(0)
            return Call(body.unsigned(0, 4), body.unsigned(8, 8), body.unsigned(4, 2), params)
        case _Kind.RETURN:
            return _decode_return(body)
        case _Kind.ABORT:
            return Abort(body.text(0))
        case _Kind.FINISH | _Kind.RELEASE:
            return Finish()
        case _:
            raise MalformedMessageError(f"an RPC message of kind {kind}")


def _decode_return(body: StructReader) -> Results | Failure:
    question, outcome = body.unsigned(0, 4), body.unsigned(6, 2)
    if outcome == _RETURN_RESULTS:
        return Results(question, body.struct(0))
    if outcome == _RETURN_EXCEPTION:
        return Failure(question, body.struct(0).text(0))
    raise MalformedMessageError(f"an RPC return of kind {outcome}")


def encode_bootstrap(question: int) -> bytes:
    """Ask for the bootstrap capability."""
    message, body = _message(_Kind.BOOTSTRAP, 1, 1)
    body.unsigned(0, 4, question)
    return message.encode()


def encode_bootstrap_return(question: int) -> bytes:
    """Hand out the bootstrap capability as export 0."""
    message, body = _message(_Kind.RETURN, 2, 1)
    body.unsigned(0, 4, question)
    payload = body.struct(0, 0, 2)
    payload.capability(0, 0)
    (descriptor,) = payload.structs(1, 1, 1, 1)
    descriptor.unsigned(0, 2, _CAP_SENDER_HOSTED)
    return message.encode()


def encode_call(
    question: int,
    interface: int,
    method: int,
    params: Callable[[StructBuilder], None],
    *,
    promised_by: int | None = None,
) -> bytes:
    """Call a method of the bootstrap capability.

    `params` fills in the payload, whose first pointer is the parameter struct. With `promised_by` the call
    goes to the promised answer of that question, else to import 0.
    """
    message, body = _message(_Kind.CALL, 3, 3)
    body.unsigned(0, 4, question)
    body.unsigned(4, 2, method)
    body.unsigned(8, 8, interface)
    target = body.struct(0, 1, 1)
    if promised_by is None:
        target.unsigned(4, 2, _TARGET_IMPORTED)
    else:
        target.unsigned(4, 2, _TARGET_PROMISED)
        target.struct(0, 1, 1).unsigned(0, 4, promised_by)
    payload = body.struct(1, 0, 2)
    params(payload)
    payload.structs(1, 0, 1, 1)
    return message.encode()


def encode_results(question: int, results: Callable[[StructBuilder], None] | None = None) -> bytes:
    """Answer a call; `results` fills in the payload, whose first pointer is the result struct."""
    message, body = _message(_Kind.RETURN, 2, 1)
    body.unsigned(0, 4, question)
    body.unsigned(4, 1, _NO_FINISH_NEEDED)
    payload = body.struct(0, 0, 2)
    if results is not None:
        results(payload)
    return message.encode()


def encode_unimplemented(question: int, reason: str) -> bytes:
    """Answer a call of a method that does not exist."""
    message, body = _message(_Kind.RETURN, 2, 1)
    body.unsigned(0, 4, question)
    body.unsigned(4, 1, _NO_FINISH_NEEDED)
    body.unsigned(6, 2, _RETURN_EXCEPTION)
    exception = body.struct(0, 1, 1)
    exception.unsigned(4, 2, _UNIMPLEMENTED)
    exception.text(0, reason)
    return message.encode()


def encode_finish(question: int) -> bytes:
    """Tell that an answer is no longer needed, the capabilities in it excepted."""
    message, body = _message(_Kind.FINISH, 1, 0)
    body.unsigned(0, 4, question)
    body.unsigned(4, 1, _KEEP_RESULT_CAPS)
    return message.encode()


def _message(kind: _Kind, data_words: int, pointers: int) -> tuple[MessageBuilder, StructBuilder]:
    message = MessageBuilder()
    root = message.root(1, 1)
    root.unsigned(0, 2, kind)
    return message, root.struct(0, data_words, pointers)
