"""The verdicts of kstatus that the demo and the end-to-end tests wait for."""

from __future__ import annotations

from typing import Any

import pytest

from demo.kstatus import Verdict, explain, seen, verdict


def resource(*, observed: int = 2, deleting: bool = False, **conditions: str) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": "web", "namespace": "default", "generation": 2}
    if deleting:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    found = [
        {"type": kind, "status": status, "reason": "Why", "message": "so it is"}
        for kind, status in conditions.items()
    ]
    return {
        "kind": "Tunnel",
        "metadata": meta,
        "status": {"observedGeneration": observed, "conditions": found},
    }


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (resource(Ready="True"), Verdict.CURRENT),
        (resource(), Verdict.CURRENT),
        (resource(Ready="Unknown"), Verdict.IN_PROGRESS),
        (resource(Ready="False"), Verdict.IN_PROGRESS),
        (resource(Ready="True", observed=1), Verdict.IN_PROGRESS),
        (resource(Ready="False", Reconciling="True"), Verdict.IN_PROGRESS),
        (resource(Ready="False", Stalled="True"), Verdict.FAILED),
        (resource(Ready="True", deleting=True), Verdict.TERMINATING),
    ],
)
def test_a_resource_is_judged_as_kstatus_judges_it(raw: dict[str, Any], expected: Verdict) -> None:
    assert verdict(raw) is expected


def test_a_resource_without_a_ready_condition_has_not_been_seen_yet() -> None:
    assert not seen(resource())
    assert seen(resource(Ready="Unknown"))


def test_an_explanation_names_the_resource_its_verdict_and_why() -> None:
    said = explain(resource(Ready="False", Stalled="True"))
    assert said == "Tunnel default/web is Failed (Why: so it is)"
