"""A preview for people: one line for each write, in the order of the operator, fields below."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from tunnelpool.build.snapshot import FINALIZER
from tunnelpool.domain.ownership import read_mark
from tunnelpool.plan.fields import ABSENT, FieldChange
from tunnelpool.plan.steps import SetFinalizer
from tunnelpool.preview.names import Names
from tunnelpool.preview.report import Preview, action_in_plan, kind_in_words, name_of, side_of
from tunnelpool.preview.simulation import Pause, PlannedStep

Paint: TypeAlias = Callable[[str, str], str]
"""Called with a text and `create`, `update`, `delete`, `problem` or `faint`; answers with it, coloured."""

_SIGNS: Final = {"create": "+", "update": "~", "delete": "-", "finalizer": "~"}
_LONG: Final = 160
NOTHING: Final = "(none)"
_ORIGIN: Final = {"enabled": True, "weight": 1, "port": 0, "host": ""}
"""What goes without saying of an origin."""


def plain_paint(text: str, style: str) -> str:
    """Leave a text as it is."""
    del style
    return text


def as_text(preview: Preview, paint: Paint = plain_paint) -> str:
    """Write the whole answer."""
    return "\n".join(_lines(preview, paint)) + "\n"


def _lines(preview: Preview, paint: Paint) -> Iterator[str]:
    if preview.resources:
        yield "Resources"
        width = max(len(one.kind) for one in preview.resources)
        for one in preview.resources:
            line = f"  {_SIGNS[one.action]} {one.kind:<{width}}  {one.namespace}/{one.name}"
            yield paint(line, one.action)
            yield from _fields(one.fields, preview.names)
        yield ""
    steps = preview.outcome.steps
    if steps:
        yield "Steps of the operator, in order"
        sides = max(len(side_of(one.step)) for one in steps)
        kinds = max(len(kind_in_words(one.step)) for one in steps)
        for item in preview.outcome.items:
            yield from _item(item, preview.names, paint, sides, kinds)
        yield ""
    if preview.outcome.findings:
        yield "Not ready in the end"
        for finding in preview.outcome.findings:
            head = f"  ! {finding.kind} {finding.namespace}/{finding.name}: {finding.reason}"
            yield paint(head, "problem") if finding.stalled else head
            yield f"      {finding.message}"
        yield ""
    yield _summary(preview)
    for note in preview.notes:
        yield paint(f"Note: {note}", "faint")


def _item(item: PlannedStep | Pause, names: Names, paint: Paint, sides: int, kinds: int) -> Iterator[str]:
    if isinstance(item, Pause):
        yield paint(f"  . wait {item.seconds:.0f} s", "faint")
        return
    step = item.step
    action = action_in_plan(step)
    line = f"  {_SIGNS[action]} {side_of(step):<{sides}}  {kind_in_words(step):<{kinds}}  {name_of(step)}"
    if isinstance(step, SetFinalizer):
        line += "  (set our finalizer)" if FINALIZER in step.finalizers else "  (lift our finalizer)"
    yield paint(line, "faint" if action == "finalizer" else action)
    yield from _fields(item.fields, names)


def _fields(fields: tuple[FieldChange, ...], names: Names) -> Iterator[str]:
    rows = [row for one in fields if (row := _row(one, names)) is not None]
    width = max((len(path) for path, _ in rows), default=0)
    for path, told in rows:
        yield f"        {path:<{width}}  {told}"


def _row(field: FieldChange, names: Names) -> tuple[str, str] | None:
    path = str(names.for_people(field.path))
    before, after = (_value(path, names.for_people(value)) for value in (field.before, field.after))
    if field.before is ABSENT:
        return (path, after) if after else None
    return path, f"{before or NOTHING} -> {'(gone)' if field.after is ABSENT else after or NOTHING}"


def _value(path: str, value: Any) -> str:
    if value is ABSENT:
        return ""
    if path == "description":
        return _without_mark(str(value))
    if path.startswith("origins[") and isinstance(value, Mapping):
        itself = f"origins[{value.get('address')}]"
        said = {key: one for key, one in value.items() if one != _ORIGIN.get(key)}
        if path == itself:  # an origin that is a tunnel has its name for its address
            del said["address"]
        return ", ".join(f"{key} {_plain(one)}" for key, one in said.items())
    text = _plain(value)
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _without_mark(description: str) -> str:
    """Leave out of a description whose it is, and say what else the mark says."""
    mark = read_mark(description)
    if mark is None:
        return description
    text = description.removesuffix(str(mark)).strip()
    out = f"(out of service: {', '.join(mark.out)})" if mark.out else ""
    return " ".join(filter(None, [text, out]))


def _summary(preview: Preview) -> str:
    if not preview.changes:
        return "Nothing to do." if preview.refused else "Nothing to do: everything is as asked."
    counts = Counter(action_in_plan(one.step) for one in preview.outcome.steps)
    told = [f"{number} {word}" for action, word in _WORDS.items() if (number := counts[action])]
    if counts["finalizer"]:
        told.append(f"{counts['finalizer']} finalizer{'s' * (counts['finalizer'] > 1)} to set or lift")
    steps = ", ".join(told) if told else "nothing to do"
    resources = len(preview.resources)
    return f"Operator: {steps}." + (
        f" Resources that the manifests change: {resources}." if resources else ""
    )


_WORDS: Final = {
    "create": "to create",
    "update": "to change",
    "delete": "to delete",
}
