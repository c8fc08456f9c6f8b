"""CEL rules declared beside the fields that they guard, for the API server and for Python alike.

A `Rule` is CEL only: the API server enforces it at admission. A `Check` is one that can be judged from
the value alone, so Python enforces it too, with the same words, when a manifest is read from a file.
Wording follows the Kubernetes API conventions: "must …", literals in single quotes, other fields in
back-quotes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

VALIDATIONS: Final = "x-kubernetes-validations"
_ROUNDING: Final = 0.0001
"""What binary fractions may be off by: a hundredth of a step is told from it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL expression over `self` (and `oldSelf`) and what to say where it is false."""

    rule: str
    message: str
    field_path: str = ""
    """JSON path below the place of the rule that the error shall point at, such as `.port`."""

    def manifest(self) -> dict[str, str]:
        """Write the rule as it stands in a CustomResourceDefinition."""
        path = {"fieldPath": self.field_path} if self.field_path else {}
        return {"rule": self.rule, "message": self.message, **path}

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Add the rule to the schema of the annotated type."""
        found: dict[str, Any] = handler(schema)
        return {**found, VALIDATIONS: [*found.get(VALIDATIONS, ()), self.manifest()]}


@dataclass(frozen=True, slots=True)
class Check(Rule):
    """A rule over one value that Python judges as well, by `accepts`."""

    accepts: Callable[[Any], bool] = bool

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Refuse what `accepts` refuses, after the type itself has been read."""

        def judge(value: Any) -> Any:
            if not self.accepts(value):
                raise PydanticCustomError("rule", "{message}", {"message": self.message})
            return value

        return core_schema.no_info_after_validator_function(judge, handler(source))


def matching(pattern: str, message: str) -> Check:
    """Check that a string matches a pattern as a whole; the pattern is RE2's syntax, without anchors.

    A CEL rule rather than `pattern`, because the API server answers a failed `pattern` with the bare
    expression, which tells nobody what to do.
    """
    compiled = re.compile(pattern)
    return Check(
        f"self.matches(r'^(?:{pattern})$')",
        message,
        accepts=lambda text: compiled.fullmatch(text) is not None,
    )


def in_steps_of(step: float) -> Check:
    """Check that a number is a multiple of a step such as 0.01.

    Not `multipleOf`: the API server takes the step as an integer, that is 0, where the value is one.
    """
    per_unit = round(1 / step)
    scaled = f"self * {per_unit}.0"
    nearest = f"double(int({scaled} + 0.5))"
    return Check(
        f"{scaled} - {nearest} < {_ROUNDING} && {nearest} - {scaled} < {_ROUNDING}",
        f"must be a multiple of {step}",
        accepts=lambda number: abs(number * per_unit - round(number * per_unit)) < _ROUNDING,
    )


def keys_matching(pattern: str, message: str) -> Check:
    """Check that every key of a map matches a pattern as a whole."""
    compiled = re.compile(pattern)
    return Check(
        f"self.all(key, key.matches(r'^(?:{pattern})$'))",
        message,
        accepts=lambda mapping: all(compiled.fullmatch(key) for key in mapping),
    )
