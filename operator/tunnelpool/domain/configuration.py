"""A tunnel's configuration in canonical form: what the server adds by itself is nobody's change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tunnelpool.domain.json import FrozenJson, freeze

_SAYS_NOTHING: Final[tuple[object, ...]] = (None, "", {}, [])


def canonical_configuration(config: Mapping[str, Any] | None) -> FrozenJson:
    """Leave out of a configuration what says the same as nothing; an absent one is empty.

    The server adds `warp-routing {enabled: false}`, and may show fields of a rule that are empty.
    """
    said = _without_empty(config or {})
    warp = said.get("warp-routing")
    if isinstance(warp, dict) and not warp.get("enabled"):
        del said["warp-routing"]
    return freeze(said)


def _without_empty(value: Any) -> Any:
    if isinstance(value, Mapping):
        inner = {name: _without_empty(one) for name, one in value.items()}
        return {name: one for name, one in inner.items() if one not in _SAYS_NOTHING}
    if isinstance(value, (list, tuple)):
        return [_without_empty(one) for one in value]
    return value
