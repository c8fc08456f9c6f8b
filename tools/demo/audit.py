"""What a user did to the Kubernetes API, as the audit log has it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

DECISION = "authorization.k8s.io/decision"
READING = frozenset({"get", "list", "watch"})


@dataclass(frozen=True, slots=True, order=True)
class Use:
    """A verb that was used on a resource, e.g. `patch` on `tunnelpool.dev` `tunnels/status`."""

    group: str
    resource: str
    verb: str

    @property
    def writes(self) -> bool:
        """Tell whether it changes anything."""
        return self.verb not in READING

    def __str__(self) -> str:
        """Write it as a person would."""
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One request. `forbidden`: RBAC did not grant it, as against an admission that refused it."""

    use: Use
    namespace: str
    name: str
    forbidden: bool


def entries(lines: Iterable[str], user: str) -> Iterator[Entry]:
    """Read the requests of one user; of a request with several stages the last one counts."""
    for line in lines:
        event = json.loads(line)
        # A watch that still runs has no last stage: its start tells all.
        over = event["stage"] in {"ResponseComplete", "Panic"} or event["verb"] == "watch"
        if event["user"]["username"] != user or not over:
            continue
        target = event.get("objectRef")
        if target is None:
            continue
        sub = target.get("subresource")
        yield Entry(
            Use(
                target.get("apiGroup", ""),
                f"{target['resource']}/{sub}" if sub else target["resource"],
                event["verb"],
            ),
            target.get("namespace", ""),
            target.get("name", ""),
            (event.get("annotations") or {}).get(DECISION) == "forbid",
        )


class AuditLog:
    """The file, read from a place on."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def position(self) -> int:
        """Return the place after the last complete line."""
        return self._path.read_bytes().rfind(b"\n") + 1

    def entries(self, user: str, since: int = 0) -> list[Entry]:
        """List the requests of a user after a place."""
        with self._path.open("rb") as file:
            file.seek(since)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1].decode()
        return list(entries(whole.splitlines(), user))
