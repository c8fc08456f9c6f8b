"""The control stream, against bytes that a real cloudflared and edges it accepted have sent."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localedge.tunnel import rpc
from localedge.tunnel.capnp import MalformedMessageError, MessageFramer
from localedge.tunnel.registration import (
    ConnectionDetails,
    ConnectionRefusal,
    Goodbye,
    LocalConfiguration,
    Register,
    RegistrationClient,
    RegistrationRequest,
    RegistrationServer,
    Unregister,
    read_registration_answer,
)

BOOTSTRAP = "000000000500000000000000010001000800000000000000000000000100010000000000000000000000000000000000"
BOOTSTRAP_RETURN = (
    "000000000b000000000000000100010003000000000000000000000002000100000000000000000000000000000000000000000000"
    "00020003000000000000000100000017000000040000000100010001000000000000000000000000000000"
)
FINISH = "00000000040000000000000001000100040000000000000000000000010000000000000001000000"
ACCEPTED = (
    "000000001100000000000000010001000300000000000000000000000200010001000000030000000000000000000000000000000000"
    "020004000000000001000000000000000000000000000100010001000000000000000000000001000200000000000000000005000000"
    "820000000900000032000000cd5f2e8c2a76425281e494813268bc80656d753031000000"
)
UNREGISTER = (
    "000000000e00000000000000010001000200000000000000000000000300030001000000010000009754e87fec9516f7000000000000"
    "000008000000010001000c00000000000200000000000000000000000000000000000000000000000000fcffffff0000000001000000"
    "070000000000000001000100"
)
EMPTY_RETURN = (
    "000000000800000000000000010001000300000000000000000000000200010001000000030000000000000000000000000000000000"
    "020000000000000000000000000000000000"
)
REGISTER = (
    "000000003f00000000000000010001000200000000000000000000000300030001000000000000009754e87fec9516f70000000000"
    "000000080000000100010018000000000002000000000000000000000000000100000000000000010001000000000000000000"
    "010000000700000000000000010000000400000001000300b9000000070000000100000000000000080000000000020021000000"
    "8200000024000000010002000500000022000000050000000201000061636300000000007373737373737373737373737373"
    "737373737373737373737373737373737373fa6071c0250346d6a46e387c4b6156bd00000000000000000400000000000400"
    "71000000820000000d00000082000000110000002e00000059000000220000005900000062000000e98cdf08e2604b9e902a25"
    "3d1c81034811000000a2000000190000008a000000210000008200000025000000a20000002d0000009a000000737570706f72"
    "745f646174616772616d5f76320000000000737570706f72745f717569635f656f6600000000000000006d616e6167656d656e"
    "745f6c6f677300616c6c6f775f72656d6f74655f636f6e666967000000000073657269616c697a65645f6865616465727300"
    "000000000044455600000000006c696e75785f616d643634000000000000000000000000000000ffff7f0000010000000001"
    "000100"
)
"""From cloudflared 2026.8.2 (a build without a version): connection 1 of a connector on 127.0.0.1."""


def request(**changes: object) -> RegistrationRequest:
    values: dict[str, object] = {
        "account_tag": "acc",
        "tunnel_secret": b"s" * 32,
        "tunnel_id": uuid.UUID("fa6071c0-2503-46d6-a46e-387c4b6156bd").bytes,
        "index": 1,
        "client_id": uuid.UUID("e98cdf08-e260-4b9e-902a-253d1c810348").bytes,
        "version": "DEV",
        "arch": "linux_amd64",
        "features": (
            "support_datagram_v2",
            "support_quic_eof",
            "management_logs",
            "allow_remote_config",
            "serialized_headers",
        ),
        "origin_local_ip": bytes(10) + b"\xff\xff\x7f\0\0\1",
    }
    return RegistrationRequest(**{**values, **changes})  # type: ignore[arg-type]  # values of mixed types


def only_call(data: bytes) -> object:
    (item,) = RegistrationServer().receive(data)
    return item


def test_the_bootstrap_of_cloudflared_is_answered_byte_for_byte() -> None:
    assert rpc.encode_bootstrap(0).hex() == BOOTSTRAP
    assert list(RegistrationServer().receive(bytes.fromhex(BOOTSTRAP))) == [bytes.fromhex(BOOTSTRAP_RETURN)]


def test_a_registration_of_cloudflared_is_read() -> None:
    assert only_call(bytes.fromhex(REGISTER)) == Register(1, request())


def test_a_registration_without_waiting_for_the_bootstrap_is_read() -> None:
    sent = RegistrationClient().register(request())
    returned, call = RegistrationServer().receive(sent)
    assert isinstance(returned, bytes)
    assert call == Register(1, request())


def test_an_acceptance_has_the_bytes_that_cloudflared_has_accepted() -> None:
    details = ConnectionDetails(
        uuid.UUID("cd5f2e8c-2a76-4252-81e4-94813268bc80").bytes, "emu01", remotely_managed=False
    )
    assert RegistrationServer.accept(Register(1, request()), details).hex() == ACCEPTED


def test_the_goodbye_of_cloudflared_is_read_and_answered_byte_for_byte() -> None:
    call = only_call(bytes.fromhex(UNREGISTER))
    assert call == Unregister(1)
    assert RegistrationServer.acknowledge(Unregister(1)).hex() == EMPTY_RETURN
    assert RegistrationClient.unregister().hex() == UNREGISTER


def test_finishes_need_no_answer() -> None:
    assert RegistrationClient.finish_bootstrap().hex() == FINISH
    assert list(RegistrationServer().receive(bytes.fromhex(FINISH))) == []


@given(
    account=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40),
    secret=st.binary(max_size=64),
    index=st.integers(0, 255),
    features=st.lists(st.sampled_from(["a", "bb", "post quantum"]), max_size=4).map(tuple),
    attempts=st.integers(0, 255),
    replace=st.booleans(),
)
def test_any_registration_arrives_as_it_was_sent(
    account: str, secret: bytes, index: int, features: tuple[str, ...], attempts: int, replace: bool
) -> None:
    sent = request(
        account_tag=account,
        tunnel_secret=secret,
        index=index,
        features=features,
        previous_attempts=attempts,
        replace_existing=replace,
    )
    _, call = RegistrationServer().receive(RegistrationClient().register(sent))
    assert call == Register(1, sent)


@given(
    st.builds(
        ConnectionDetails,
        id=st.binary(min_size=16, max_size=16),
        location=st.just("LHR"),
        remotely_managed=st.booleans(),
    )
    | st.builds(
        ConnectionRefusal,
        cause=st.sampled_from(["Unauthorized: Tunnel not found", "EDUPCONN"]),
        retry_after_ns=st.integers(-(2**63), 2**63 - 1),
        should_retry=st.booleans(),
    )
)
def test_any_answer_arrives_as_it_was_sent(answer: ConnectionDetails | ConnectionRefusal) -> None:
    call = Register(1, request())
    if isinstance(answer, ConnectionDetails):
        sent = RegistrationServer.accept(call, answer)
    else:
        sent = RegistrationServer.refuse(call, answer)
    (results,) = RegistrationClient().receive(bytes.fromhex(BOOTSTRAP_RETURN) + sent)
    assert read_registration_answer(results) == answer


def test_a_local_configuration_arrives_as_it_was_sent() -> None:
    config = {"ingress": [{"service": "http_status:404"}], "warp-routing": {}}
    call = only_call(RegistrationClient.update_local_configuration(config))
    assert call == LocalConfiguration(1, config)


@pytest.mark.parametrize("text", [b"{", b"[]", b"\xff"])
def test_a_local_configuration_that_is_no_object_is_refused(text: bytes) -> None:
    sent = rpc.encode_call(1, 0xF71695EC7FE85497, 2, lambda payload: payload.struct(0, 0, 1).data(0, text))
    with pytest.raises(MalformedMessageError, match="local configuration"):
        only_call(sent)


@pytest.mark.parametrize(("interface", "method"), [(0xF71695EC7FE85497, 3), (0xDEAD, 0)])
def test_an_unknown_call_is_answered_with_an_exception(interface: int, method: int) -> None:
    answer = only_call(rpc.encode_call(7, interface, method, lambda _: None))
    assert isinstance(answer, bytes)
    (message,) = MessageFramer().feed(answer)
    failure = rpc.decode(message)
    assert isinstance(failure, rpc.Failure)
    assert failure.question == 7
    assert "is not served here" in failure.reason


def test_a_connector_takes_an_exception_for_a_failure() -> None:
    with pytest.raises(MalformedMessageError, match="no such thing"):
        list(RegistrationClient().receive(rpc.encode_unimplemented(1, "no such thing")))


def test_the_farewell_of_cloudflared_after_its_goodbye_is_no_error() -> None:
    builder, body = rpc._message(rpc._Kind.ABORT, 1, 1)
    body.text(0, "rpc: shutdown")
    assert only_call(builder.encode()) == Goodbye("rpc: shutdown")


@pytest.mark.parametrize("field", ["tunnel_id", "client_id"])
def test_a_uuid_of_another_length_is_refused(field: str) -> None:
    with pytest.raises(MalformedMessageError, match="15 bytes instead of 16"):
        list(RegistrationServer().receive(RegistrationClient().register(request(**{field: b"x" * 15}))))


def test_an_answer_to_a_question_never_asked_is_refused() -> None:
    with pytest.raises(MalformedMessageError, match="never asked"):
        only_call(bytes.fromhex(EMPTY_RETURN))


def test_a_message_of_another_kind_is_refused() -> None:
    builder, _ = rpc._message(rpc._Kind.BOOTSTRAP, 1, 1)
    encoded = bytearray(builder.encode())
    encoded[16] = 13
    with pytest.raises(MalformedMessageError, match="kind 13"):
        only_call(bytes(encoded))


def test_a_call_to_a_connector_is_refused() -> None:
    with pytest.raises(MalformedMessageError, match="called a connector"):
        list(RegistrationClient().receive(bytes.fromhex(BOOTSTRAP)))
