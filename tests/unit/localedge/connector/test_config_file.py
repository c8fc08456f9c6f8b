"""A connector with a file serves by it until the edge has sent a configuration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from localedge.connector.ingress import IngressError
from localedge.connector.orchestrator import Orchestrator

RULES = {
    "ingress": [
        {"hostname": "a.example.com", "service": "http://a:80", "originRequest": {"connectTimeout": "1m30s"}},
        {"service": "http_status:404"},
    ]
}


def write(folder: Path, text: str) -> Path:
    file = folder / "config.yaml"
    file.write_text(text)
    return file


def test_before_the_first_push_the_file_holds_and_after_it_the_push(tmp_path: Path) -> None:
    orchestrator = Orchestrator(write(tmp_path, json.dumps(RULES)))
    rule = orchestrator.ingress.find("a.example.com", "/")
    assert str(rule.service) == "http://a:80"
    assert rule.origin_request.connect_timeout_s == 90
    assert orchestrator.version == -1
    orchestrator.update(json.dumps({"version": 0, "config": {"ingress": [{"service": "http://b"}]}}).encode())
    assert str(orchestrator.ingress.find("a.example.com", "/").service) == "http://b"


def test_without_a_file_everything_is_answered_with_503() -> None:
    assert str(Orchestrator().ingress.find("a.example.com", "/").service) == "http_status:503"


@pytest.mark.parametrize("text", ["{", "- 1", '{"ingress": [{"hostname": "a.example.com", "service": "x"}]}'])
def test_a_file_that_cannot_be_used_is_told_at_once(tmp_path: Path, text: str) -> None:
    with pytest.raises(IngressError):
        Orchestrator(write(tmp_path, text))
