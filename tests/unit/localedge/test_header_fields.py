"""Header fields between visitor and origin."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from localedge.dataplane.header_fields import is_websocket, toward_origin, toward_visitor

NAMES = st.sampled_from(
    ["Connection", "Keep-Alive", "TE", "Transfer-Encoding", "Upgrade", "Host", "X-A", "CF-Ray", "Cookie",
     "cf-cloudflared-proxy-src", "CF-Connecting-IP", "Accept-Encoding", "X-Forwarded-For", "Expect"]
)  # fmt: skip
FIELDS = st.lists(st.tuples(NAMES, st.sampled_from(["x-a", "close", "gzip", "1"])), max_size=8)


@given(FIELDS)
def test_no_visitor_speaks_for_cloudflare_or_hop_by_hop(fields: list[tuple[str, str]]) -> None:
    sent = toward_origin(fields, client_ip="192.0.2.1", country="XX", scheme="https", ray="r-LHR")
    names = [name for name, _ in sent]
    assert not {"connection", "te", "transfer-encoding", "upgrade", "host", "expect"} & set(names)
    assert [value for name, value in sent if name == "cf-ray"] == ["r-LHR"]
    assert [value for name, value in sent if name == "cf-connecting-ip"] == ["192.0.2.1"]
    assert not any(name.startswith("cf-cloudflared") for name in names)
    assert "accept-encoding" in names
    assert all(name == name.lower() for name in names)


def test_what_connection_names_is_dropped_and_the_rest_kept_in_order() -> None:
    fields = [("Connection", "X-Hop, close"), ("X-Hop", "1"), ("X-A", "2"), ("X-A", "3")]
    sent = toward_origin(fields, client_ip="192.0.2.1", country="XX", scheme="http", ray="r")
    assert sent[:2] == [("x-a", "2"), ("x-a", "3")]
    assert "x-hop" not in dict(sent)


def test_the_visitors_address_is_appended_to_those_before_it() -> None:
    sent = dict(
        toward_origin([("X-Forwarded-For", "a")], client_ip="b", country="XX", scheme="https", ray="r")
    )
    assert sent["x-forwarded-for"] == "a, b"
    assert sent["cf-visitor"] == '{"scheme":"https"}'


def test_the_answer_is_cloudflares() -> None:
    told = toward_visitor([("Server", "origin"), ("Set-Cookie", "a"), ("Set-Cookie", "b")], ray="r")
    assert told == [("set-cookie", "a"), ("set-cookie", "b"), ("server", "cloudflare"), ("cf-ray", "r")]


def test_a_websocket_is_known_by_its_upgrade() -> None:
    assert is_websocket([("Upgrade", "WebSocket")])
    assert not is_websocket([("Upgrade", "h2c")])
