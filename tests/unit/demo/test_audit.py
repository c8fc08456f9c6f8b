"""What a user did, read from the lines of an audit log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from demo.audit import AuditLog, Use, entries

US = "system:serviceaccount:tunnelpool-system:tunnelpool"


def line(
    verb: str, *, user: str = US, stage: str = "ResponseComplete", decision: str = "allow", **target: Any
) -> str:
    event: dict[str, Any] = {
        "user": {"username": user},
        "stage": stage,
        "verb": verb,
        "objectRef": {"resource": "tunnels", "apiGroup": "tunnelpool.dev", "name": "web", **target},
        "annotations": {"authorization.k8s.io/decision": decision},
    }
    return json.dumps(event)


def test_a_subresource_is_a_resource_of_its_own() -> None:
    (entry,) = entries([line("patch", subresource="status")], US)
    assert entry.use == Use("tunnelpool.dev", "tunnels/status", "patch")
    assert str(entry.use) == "patch tunnels/status.tunnelpool.dev"
    assert entry.use.writes


def test_what_others_did_is_left_out() -> None:
    assert list(entries([line("delete", user="devcluster-admin")], US)) == []


def test_what_rbac_did_not_grant_is_told_from_what_it_did() -> None:
    granted, forbidden = entries([line("get"), line("get", decision="forbid")], US)
    assert not granted.forbidden
    assert forbidden.forbidden


def test_a_request_counts_once_when_it_is_over() -> None:
    assert len(list(entries([line("get", stage="ResponseStarted"), line("get")], US))) == 1


def test_a_watch_counts_while_it_runs() -> None:
    (entry,) = entries([line("watch", stage="ResponseStarted")], US)
    assert entry.use.verb == "watch"
    assert not entry.use.writes


def test_a_log_is_read_from_a_place_on_and_without_its_unfinished_line(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_text(line("get") + "\n")
    log = AuditLog(path)
    since = log.position()
    with path.open("a") as file:
        file.write(line("create") + "\n" + line("delete")[:20])
    assert [entry.use.verb for entry in log.entries(US, since)] == ["create"]
    assert log.position() > since
