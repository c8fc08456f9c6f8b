from __future__ import annotations

from localedge.connector import origin_head
from localedge.connector.origin_request import OriginRequest
from localedge.tunnel import headers

REQUEST = [
    (":method", "GET"),
    (":authority", "a.example.com"),
    (":path", "/"),
    ("cookie", "a=1"),
    ("x-request-id", "7"),
    ("x-twice", "1"),
    ("x-twice", "2"),
    ("cookie", "b=2"),
    ("expect", "100-continue"),
    ("cf-cloudflared-proxy-connection-upgrade", "websocket"),
]


def to_origin(*, websocket: bool = False, **settings: str) -> list[tuple[str, str]]:
    return origin_head.to_origin(REQUEST, OriginRequest(**settings), "client", websocket=websocket)  # type: ignore[arg-type]  # only texts are passed here


def test_a_request_reaches_the_origin_with_its_host_tagged_and_its_cookies_together() -> None:
    assert to_origin() == [
        ("Host", "a.example.com"),
        ("X-Request-Id", "7"),
        ("X-Twice", "1"),
        ("X-Twice", "2"),
        ("Cookie", "a=1; b=2"),
        ("Cf-Warp-Tag-Id", "client"),
        ("Connection", "keep-alive"),
    ]


def test_a_host_header_of_the_rule_replaces_the_host_and_tells_the_old_one() -> None:
    fields = dict(to_origin(http_host_header="inner"))
    assert (fields["Host"], fields["X-Forwarded-Host"]) == ("inner", "a.example.com")


def test_a_websocket_asks_the_origin_to_upgrade() -> None:
    fields = dict(to_origin(websocket=True))
    assert (fields["Connection"], fields["Upgrade"], fields["Sec-Websocket-Version"]) == (
        "Upgrade",
        "websocket",
        "13",
    )


def test_an_answer_carries_the_origins_fields_apart_and_its_length_beside() -> None:
    head = dict(origin_head.to_edge(200, [("content-length", "5"), ("x", "1")]))
    assert head[":status"] == "200"
    assert head["content-length"] == "5"
    assert headers.decode_user_headers(head[headers.USER_HEADERS]) == [("content-length", "5"), ("x", "1")]
    assert head[headers.META] == '{"src":"origin"}'


def test_a_101_travels_as_200() -> None:
    assert dict(origin_head.to_edge(101, []))[":status"] == "200"


def test_an_origin_that_cannot_be_reached_is_502_by_cloudflared() -> None:
    assert origin_head.unreachable() == [(":status", "502"), (headers.META, '{"src":"cloudflared"}')]
