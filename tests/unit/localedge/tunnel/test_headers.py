from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localedge.tunnel import headers

names = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=20).filter(
    lambda name: not name.startswith(("cf-int-", "cf-cloudflared-", "cf-proxy-"))
)
values = st.text(st.characters(max_codepoint=255), max_size=40)


@given(st.lists(st.tuples(names, values), max_size=8))
def test_an_origins_fields_come_through_in_order_and_repeated(fields: list[tuple[str, str]]) -> None:
    assert headers.decode_user_headers(headers.encode_user_headers(fields)) == fields


def test_fields_are_written_as_cloudflared_writes_them() -> None:
    assert headers.encode_user_headers([("X-A", "b"), ("Set-Cookie", "a=1")]) == "WC1B:Yg;U2V0LUNvb2tpZQ:YT0x"


def test_names_come_out_in_lower_case() -> None:
    assert headers.decode_user_headers("WC1B:Yg;;") == [("x-a", "b")]


@pytest.mark.parametrize("name", [":status", "cf-int-x", "cf-cloudflared-response-meta", "cf-proxy-x"])
def test_an_origin_cannot_forge_internal_fields(name: str) -> None:
    assert headers.encode_user_headers([(name, "x")]) == ""


@pytest.mark.parametrize("text", ["WC1B", "WC1B:Yg:Yg", "WC1B:!", "W:Yg"])
def test_fields_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(headers.MalformedHeadersError):
        headers.decode_user_headers(text)


def test_the_meta_field_tells_who_answered() -> None:
    assert headers.encode_meta("origin") == '{"src":"origin"}'
    assert headers.decode_meta('{"src":"cloudflared","flow_rate_limited":true}') == "cloudflared"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"src":1}', "null"])
def test_a_meta_field_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(headers.MalformedHeadersError):
        headers.decode_meta(text)


def test_hop_by_hop_fields_and_those_that_connection_names_stay_behind() -> None:
    fields = [
        ("connection", "keep-alive, X-Secret"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "x"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("x-secret", "1"),
        ("host", "other.example.com"),
        ("x-kept", "1"),
        ("accept-encoding", "gzip"),
    ]
    assert headers.request_fields(fields, websocket=False) == [("x-kept", "1"), ("accept-encoding", "gzip")]


def test_a_visitor_cannot_steer_the_connector() -> None:
    fields = [
        ("cf-cloudflared-proxy-src", "10.0.0.1:22"),
        ("cf-cloudflared-proxy-connection-upgrade", "update-configuration"),
        ("accept-encoding", "br"),
    ]
    assert headers.request_fields(fields, websocket=False) == [("accept-encoding", "br")]


def test_an_accept_encoding_is_always_sent_so_that_go_does_not_gunzip() -> None:
    assert headers.request_fields([], websocket=False) == [("accept-encoding", "identity")]


@pytest.mark.parametrize(("te", "passes"), [("trailers", True), ("Trailers ", True), ("gzip", False)])
def test_of_te_only_trailers_passes(te: str, passes: bool) -> None:
    assert (("te", "trailers") in headers.request_fields([("te", te)], websocket=False)) is passes


def test_a_websocket_is_announced_and_keeps_its_key() -> None:
    fields = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-key", "k"),
        ("accept-encoding", "x"),
    ]
    assert headers.request_fields(fields, websocket=True) == [
        ("sec-websocket-key", "k"),
        ("accept-encoding", "x"),
        ("cf-cloudflared-proxy-connection-upgrade", "websocket"),
    ]


def test_the_fields_of_an_upgrade_stay_with_an_upgraded_websocket_only() -> None:
    fields = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-accept", "a"),
        ("keep-alive", "x"),
        ("x", "1"),
    ]
    assert headers.response_fields(fields, websocket=True) == [*fields[:3], ("x", "1")]
    assert headers.response_fields(fields, websocket=False) == [("sec-websocket-accept", "a"), ("x", "1")]
