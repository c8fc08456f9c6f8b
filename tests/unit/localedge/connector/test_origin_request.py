from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from localedge.connector.origin_request import _FIELDS, OriginRequest, parse_origin_request

DEFAULTS = OriginRequest()


def test_every_setting_has_its_name_in_cloudflared() -> None:
    assert {attribute for attribute, _ in _FIELDS.values()} == {f.name for f in dataclasses.fields(DEFAULTS)}


def test_the_connect_timeout_of_cloudflared_is_30_seconds_whatever_the_api_says() -> None:
    assert DEFAULTS.connect_timeout_s == 30


def test_what_differs_from_the_defaults_is_shown_in_whole_seconds() -> None:
    settings = parse_origin_request(
        {"connectTimeout": 5, "noTLSVerify": True, "keepAliveTimeout": 90}, DEFAULTS
    )
    assert settings.document() == {"connectTimeout": 5, "noTLSVerify": True}


def test_what_is_shown_can_be_read_again() -> None:
    settings = OriginRequest(
        connect_timeout_s=1, http_host_header="h", match_sni_to_host=True, keep_alive_connections=3
    )
    assert parse_origin_request(settings.document(), DEFAULTS) == settings


def test_unknown_fields_are_ignored_as_cloudflared_does() -> None:
    assert parse_origin_request({"fromTheFuture": 1, "access": {"required": False}}, DEFAULTS) == DEFAULTS


@pytest.mark.parametrize(
    "document",
    [
        {"connectTimeout": "5s"},
        {"connectTimeout": True},
        {"noTLSVerify": 1},
        {"keepAliveConnections": 1.5},
        {"httpHostHeader": 1},
        {"disableChunkedEncoding": True},
        {"bastionMode": True},
        {"proxyType": "socks"},
        {"ipRules": [{"prefix": "10.0.0.0/8"}]},
        {"access": {"required": True, "teamName": "x"}},
    ],
)
def test_a_value_of_another_type_or_a_setting_that_is_not_supported_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match="originRequest"):
        parse_origin_request(document, DEFAULTS)


@pytest.mark.parametrize("document", [{"http2Origin": False, "proxyType": "", "ipRules": []}, {}, None])
def test_settings_that_are_off_are_no_reason_to_refuse(document: Any) -> None:
    assert parse_origin_request(document, DEFAULTS) == DEFAULTS
