from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localedge.connector.ingress import (
    HttpService,
    IngressError,
    StatusService,
    no_rules,
    parse_configuration,
    split_port,
)

CATCH_ALL = {"service": "http_status:404"}


def service_for(rules: list[dict[str, Any]], authority: str, path: str = "/") -> str:
    return str(parse_configuration({"ingress": rules}).find(authority, path).service)


@pytest.mark.parametrize(
    ("hostname", "authority", "matches"),
    [
        ("a.example.com", "a.example.com", True),
        ("a.example.com", "a.example.com:8443", True),
        ("a.example.com", "b.example.com", False),
        ("a.example.com", "A.example.com", False),
        ("*.w.x", "j.w.x", True),
        ("*.w.x", "j.k.w.x", True),
        ("*.w.x", "w.x", False),
        ("", "anything", True),
        ("*", "anything", True),
        ("bücher.example.com", "xn--bcher-kva.example.com", True),
    ],
)
def test_hostnames_match_as_cloudflared_matches_them(hostname: str, authority: str, matches: bool) -> None:
    rules = [{"hostname": hostname, "path": ".", "service": "http://origin"}, CATCH_ALL]
    assert (service_for(rules, authority) == "http://origin") is matches


@pytest.mark.parametrize(
    ("path", "requested", "matches"),
    [
        ("/api", "/v1/api/x", True),
        ("^/api", "/v1/api", False),
        (r"\.png$", "/a.png?x=.gif", True),
        (r"\?", "/a?b", False),
        ("a b", "/a%20b", True),
    ],
)
def test_a_path_is_searched_for_in_the_decoded_path_without_its_query(
    path: str, requested: str, matches: bool
) -> None:
    rules = [{"hostname": "a", "path": path, "service": "http://origin"}, CATCH_ALL]
    assert (service_for(rules, "a", requested) == "http://origin") is matches


def test_the_first_rule_that_matches_wins() -> None:
    rules = [
        {"hostname": "*.x", "service": "http://wide"},
        {"hostname": "a.x", "service": "http://narrow"},
        CATCH_ALL,
    ]
    assert service_for(rules, "a.x") == "http://wide"


@given(st.text(max_size=30), st.text(max_size=30))
def test_every_request_finds_a_rule(authority: str, path: str) -> None:
    ingress = parse_configuration({"ingress": [{"hostname": "a", "service": "http://origin"}, CATCH_ALL]})
    assert ingress.find(authority, path) in ingress.rules


def test_without_rules_everything_is_answered_503() -> None:
    assert no_rules().find("a", "/").service == StatusService(503, default=True)
    assert str(parse_configuration({"ingress": []}).find("a", "/").service) == "http_status:503"


def test_a_service_is_a_scheme_and_a_host() -> None:
    rules = parse_configuration({"ingress": [{"service": "https://web.default.svc:8443"}]}).rules
    assert rules[0].service == HttpService("https", "web.default.svc:8443", "https://web.default.svc:8443")


@pytest.mark.parametrize(("url", "scheme"), [("ws://o", "http"), ("wss://o", "https"), ("http://o", "http")])
def test_websocket_schemes_are_http_schemes(url: str, scheme: str) -> None:
    service = parse_configuration({"ingress": [{"service": url}]}).rules[0].service
    assert isinstance(service, HttpService)
    assert service.scheme == scheme


def test_settings_of_a_rule_win_over_those_of_all() -> None:
    ingress = parse_configuration(
        {
            "originRequest": {"connectTimeout": 5, "noTLSVerify": True},
            "ingress": [{"service": "http://o", "originRequest": {"connectTimeout": 2}}],
        }
    )
    settings = ingress.rules[0].origin_request
    assert (settings.connect_timeout_s, settings.no_tls_verify) == (2.0, True)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ([], "no JSON object"),
        ({"ingress": {}}, None),
        ({"ingress": "x"}, "no list"),
        ({"ingress": ["x"]}, "rule 1 is no JSON object"),
        ({"ingress": [{"hostname": 1, "service": "http://o"}]}, "hostname is no text"),
        ({"ingress": [{"hostname": "a", "service": "http://o"}]}, "last ingress rule must match all"),
        ({"ingress": [{"service": "http://o"}, CATCH_ALL]}, "never be triggered"),
        ({"ingress": [{"hostname": "a:80", "service": "http://o"}, CATCH_ALL]}, "contain a port"),
        ({"ingress": [{"hostname": "a.*", "service": "http://o"}, CATCH_ALL]}, "at most one wildcard"),
        ({"ingress": [{"hostname": "a", "path": "(", "service": "http://o"}, CATCH_ALL]}, "invalid regex"),
        ({"ingress": [{"service": "http_status:99"}]}, "invalid HTTP status code"),
        ({"ingress": [{"service": "http_status:x"}]}, "invalid HTTP status code"),
        ({"ingress": [{"service": "web:8080"}]}, "invalid address"),
        ({"ingress": [{"service": "http://o/path"}]}, "different path"),
        ({"ingress": [{"service": "http://o:x"}]}, "Port"),
        ({"ingress": [{"service": "tcp://o:22"}]}, "http, https and WebSocket only"),
        ({"ingress": [{"service": "unix:/run/x"}]}, "has no such service"),
        ({"ingress": [{"service": "hello_world"}]}, "has no such service"),
        ({"ingress": [{"service": "http://o", "originRequest": {"http2Origin": True}}]}, "http2Origin"),
        ({"ingress": [{"service": "http://o", "originRequest": []}]}, "originRequest is no JSON object"),
    ],
)
def test_what_is_invalid_or_not_supported_is_refused(config: Any, why: str | None) -> None:
    if why is None:
        assert parse_configuration(config).rules == no_rules().rules
        return
    with pytest.raises(IngressError, match=why):
        parse_configuration(config)


@pytest.mark.parametrize(
    ("authority", "host"),
    [("a:80", "a"), ("a", "a"), ("a:b", "a:b"), ("[::1]:80", "::1"), ("::1", "::1")],
)
def test_a_port_is_taken_off(authority: str, host: str) -> None:
    assert split_port(authority) == host
