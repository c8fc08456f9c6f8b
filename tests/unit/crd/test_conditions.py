from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tunnelpool.crd.conditions import Condition, drop_condition, find, set_condition

Verdict: TypeAlias = Literal["Current", "InProgress", "Failed", "Terminating"]
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STATUSES = st.sampled_from(["True", "False", "Unknown"])
REASONS = st.sampled_from(["Applied", "NoOrigins", "TokenInvalid"])


def kstatus(manifest: dict[str, Any]) -> Verdict:
    """Judge a custom resource as cli-utils' `pkg/kstatus/status/generic.go` does."""
    metadata, status = manifest.get("metadata", {}), manifest.get("status", {})
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    if status.get("observedGeneration", metadata.get("generation")) != metadata.get("generation"):
        return "InProgress"
    conditions = {one["type"]: one["status"] for one in status.get("conditions", [])}
    if conditions.get("Reconciling") == "True":
        return "InProgress"
    if conditions.get("Stalled") == "True":
        return "Failed"
    return "Current" if conditions.get("Ready", "True") == "True" else "InProgress"


@dataclass(frozen=True)
class Write:
    """One call of `set_condition`."""

    type: str
    status: Any
    reason: str


WRITES = st.lists(
    st.builds(Write, type=st.sampled_from(["Ready", "Stalled", "Connected"]), status=STATUSES, reason=REASONS)
)


def _after(writes: list[Write]) -> tuple[Condition, ...]:
    conditions: tuple[Condition, ...] = ()
    for second, write in enumerate(writes):
        conditions = set_condition(
            conditions,
            write.type,
            write.status,
            write.reason,
            generation=second,
            now=START + timedelta(seconds=second),
        )
    return conditions


@given(WRITES)
def test_the_transition_time_is_when_the_status_last_flipped(writes: list[Write]) -> None:
    for condition in _after(writes):
        own = [(second, write) for second, write in enumerate(writes) if write.type == condition.type]
        flipped = own[0][0]
        for (_, before), (second, after) in itertools.pairwise(own):
            if before.status != after.status:
                flipped = second
        assert condition.last_transition_time == START + timedelta(seconds=flipped)
        assert condition.observed_generation == own[-1][0]
        assert condition.reason == own[-1][1].reason


@given(WRITES)
def test_each_type_stands_once_in_the_order_of_its_first_write(writes: list[Write]) -> None:
    assert [one.type for one in _after(writes)] == list(dict.fromkeys(write.type for write in writes))


def test_setting_what_already_holds_changes_nothing() -> None:
    first = set_condition((), "Ready", "True", "Applied", "all is well", generation=3, now=START)
    later = START + timedelta(hours=1)
    assert set_condition(first, "Ready", "True", "Applied", "all is well", generation=3, now=later) == first


def test_a_condition_survives_the_wire() -> None:
    (condition,) = set_condition(
        (), "Ready", "False", "NoOrigins", generation=3, now=START.replace(microsecond=9)
    )
    wire = condition.model_dump(mode="json", by_alias=True)
    assert wire["lastTransitionTime"] == "2026-01-02T03:04:05Z"
    assert Condition.model_validate(wire) == condition


def test_dropping_leaves_the_others_as_they_are() -> None:
    both = set_condition((), "Ready", "False", "TokenInvalid", generation=1, now=START)
    both = set_condition(both, "Stalled", "True", "TokenInvalid", generation=1, now=START)
    left = drop_condition(both, "Stalled")
    assert find(left, "Stalled") is None
    assert find(left, "Ready") == both[0]


@pytest.mark.parametrize("reason", ["", "no spaces", "lower", "With-Dash"])
def test_a_reason_is_one_camel_case_word(reason: str) -> None:
    with pytest.raises(ValidationError):
        set_condition((), "Ready", "True", reason, generation=1, now=START)


@pytest.mark.parametrize(
    ("conditions", "observed", "expected"),
    [
        ({}, None, "Current"),  # the race that a first patch with Ready=Unknown avoids
        ({"Ready": "Unknown"}, 2, "InProgress"),
        ({"Ready": "False", "Reconciling": "True"}, 2, "InProgress"),
        ({"Ready": "False", "Stalled": "True"}, 2, "Failed"),
        ({"Ready": "True"}, 2, "Current"),
        ({"Ready": "True"}, 1, "InProgress"),
    ],
)
def test_kstatus_reads_our_conditions_as_they_are_meant(
    conditions: dict[str, Any], observed: int | None, expected: Verdict
) -> None:
    built: tuple[Condition, ...] = ()
    for name, verdict in conditions.items():
        built = set_condition(built, name, verdict, "Because", generation=2, now=START)
    status: dict[str, Any] = {"conditions": [one.model_dump(mode="json", by_alias=True) for one in built]}
    if observed is not None:
        status["observedGeneration"] = observed
    manifest = {"metadata": {"generation": 2}, "status": status}
    assert kstatus(manifest) == expected
    assert kstatus({**manifest, "metadata": {"deletionTimestamp": "2026-01-02T03:04:05Z"}}) == "Terminating"
