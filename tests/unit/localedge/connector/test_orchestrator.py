from __future__ import annotations

import json
from typing import Any

import pytest

from localedge.connector.orchestrator import Orchestrator

GOOD = {"ingress": [{"hostname": "a", "service": "http://o"}, {"service": "http_status:404"}]}
BAD = {"ingress": [{"hostname": "a", "service": "http://o"}]}


def push(orchestrator: Orchestrator, version: int, config: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(
        orchestrator.update(json.dumps({"version": version, "config": config}).encode())
    )
    return answer


def test_the_first_version_may_be_0() -> None:
    assert push(Orchestrator(), 0, GOOD) == {"lastAppliedVersion": 0, "err": None}


@pytest.mark.parametrize("version", [4, 5])
def test_a_version_that_is_not_newer_changes_nothing(version: int) -> None:
    orchestrator = Orchestrator()
    push(orchestrator, 5, GOOD)
    assert push(orchestrator, version, {"ingress": []}) == {"lastAppliedVersion": 5, "err": None}
    assert str(orchestrator.ingress.rules[0].service) == "http://o"


def test_a_bad_configuration_is_answered_with_an_empty_error_and_leaves_all_as_it_was() -> None:
    orchestrator = Orchestrator()
    push(orchestrator, 1, GOOD)
    assert push(orchestrator, 2, BAD) == {"lastAppliedVersion": 1, "err": {}}
    assert len(orchestrator.ingress.rules) == 2


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"version": "1"}'])
def test_a_push_that_is_not_json_with_a_version_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Orchestrator().update(body)


def test_what_is_in_force_is_shown() -> None:
    orchestrator = Orchestrator()
    assert orchestrator.document()["version"] == -1
    push(orchestrator, 7, {**GOOD, "originRequest": {"connectTimeout": 5}})
    assert orchestrator.document() == {
        "version": 7,
        "config": {
            "ingress": [
                {
                    "hostname": "a",
                    "path": None,
                    "service": "http://o",
                    "originRequest": {"connectTimeout": 5},
                },
                {
                    "hostname": "",
                    "path": None,
                    "service": "http_status:404",
                    "originRequest": {"connectTimeout": 5},
                },
            ],
            "warp-routing": {},
            "originRequest": {"connectTimeout": 5},
        },
    }


def test_a_locally_managed_connector_uploads_its_rules_and_flags() -> None:
    document = Orchestrator().local_document({"protocol": "http2"})
    assert document["__configuration_flags"] == {"protocol": "http2"}
    assert document["ingress"][0]["service"] == "http_status:503"
