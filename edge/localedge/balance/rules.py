"""Rules of a load balancer as they are applied to a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localedge.balance.wirefilter import Condition, Subject, parse
from localedge.state.records import Document


@dataclass(frozen=True, slots=True)
class FixedResponse:
    """What the edge itself answers."""

    status: int
    body: str
    content_type: str
    location: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that is not disabled."""

    name: str
    condition: Condition
    terminates: bool
    overrides: Mapping[str, Any]
    fixed: FixedResponse | None


@dataclass(frozen=True, slots=True)
class Applied:
    """Which rules a request meets, by their place, and the answer that one of them has ready."""

    matched: tuple[int, ...] = ()
    fixed: FixedResponse | None = None


def rules_from(document: Document) -> tuple[Rule, ...]:
    """Build the rules of a load balancer, the lowest priority first."""
    ordered = sorted(document["rules"], key=lambda rule: int(rule["priority"]))
    return tuple(_rule(rule) for rule in ordered if not rule["disabled"])


def applied(rules: tuple[Rule, ...], subject: Subject) -> Applied:
    """Apply rules in turn until one of those that match ends it."""
    matched = []
    for index, rule in enumerate(rules):
        if not rule.condition(subject):
            continue
        matched.append(index)
        if rule.fixed is not None or rule.terminates:
            return Applied(tuple(matched), rule.fixed)
    return Applied(tuple(matched))


def _rule(document: Mapping[str, Any]) -> Rule:
    fixed = document.get("fixed_response")
    return Rule(
        name=document["name"],
        condition=parse(document["condition"]),
        terminates=document["terminates"],
        overrides=document["overrides"],
        fixed=fixed
        and FixedResponse(
            fixed["status_code"], fixed["message_body"], fixed["content_type"], fixed["location"]
        ),
    )
