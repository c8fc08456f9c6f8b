"""Rules of a load balancer: a condition, and what changes or is answered where it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from localedge.balance.wirefilter import UnsupportedError, parse
from localedge.documents.fields import (
    ABSENT,
    Field,
    Reader,
    array,
    boolean,
    integer,
    nested,
    read_object,
    text,
)
from localedge.documents.refusal import InvalidError, NotEmulatedError, NotUniqueError
from localedge.plan import Plan

_FIXED_RESPONSE: Final = {
    "message_body": Field(text(1024), ""),
    "status_code": Field(integer(200, 599), 200),
    "content_type": Field(text(32), ""),
    "location": Field(text(2048), ""),
}


def rules_reader(plan: Plan, overridable: Mapping[str, Reader]) -> Reader:
    """Make the reader of `rules`; `overridable` are the fields of a load balancer that a rule may change."""
    fields = {
        "name": Field(text(200), required=True),
        "condition": Field(_condition, ""),
        "priority": Field(integer(0, 1_000_000_000)),
        "disabled": Field(boolean, default=False),
        "terminates": Field(boolean, default=False),
        "fixed_response": Field(nested(_FIXED_RESPONSE)),
        "overrides": Field(nested({name: Field(read, ABSENT) for name, read in overridable.items()}), dict),
    }
    read_all = array(lambda where, value: read_object(where, value, fields))

    def read(where: str, value: Any) -> list[Any]:
        rules: list[dict[str, Any]] = read_all(where, value)
        if len(rules) > plan.rules:
            raise InvalidError(f"the number of rules must be in range [0, {plan.rules}]")
        _set_priorities(rules)
        for rule in rules:
            # An answer of the edge ends it: nothing can follow.
            rule["terminates"] = rule["terminates"] or "fixed_response" in rule
        return rules

    return read


def _set_priorities(rules: list[dict[str, Any]]) -> None:
    if not any("priority" in rule for rule in rules):
        for index, rule in enumerate(rules):
            rule["priority"] = index
    priorities = [rule.setdefault("priority", 0) for rule in rules]
    if len(set(priorities)) < len(priorities):
        raise NotUniqueError


def _condition(where: str, value: Any) -> str:
    condition: str = text(4096)(where, value)
    try:
        parse(condition)
    except UnsupportedError as error:
        raise NotEmulatedError(f"{where}: {error}") from error
    return condition
