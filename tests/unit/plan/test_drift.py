"""What a resource that only reports drift lets through: traffic, the mark, the Host of its Tunnels."""

from __future__ import annotations

from dataclasses import replace

from snapshots import OWNER, origin_name

from tunnelpool.domain.json import freeze
from tunnelpool.domain.ownership import Mark
from tunnelpool.domain.remote import Monitor, Observed, Origin, Pool, RemoteValue
from tunnelpool.plan.diff import changes
from tunnelpool.plan.drift import hold_back
from tunnelpool.plan.steps import Update

OUR = Origin(origin_name(0), "tunnel-0.cfargotunnel.com")
POOL = Pool("my-pool", (OUR,), str(Mark(OWNER, "pool/my-pool")), check_regions=("WNAM",))
MONITOR = Monitor(str(Mark(OWNER, "monitor/default/web")), header=freeze({"Host": ["a.example.com"]}))


def held(desired: RemoteValue, there: RemoteValue) -> tuple[set[str], set[str]]:
    """Tell which fields are written, and which are only named."""
    step = Update("1", desired, changes(desired, there))
    left, drifted = hold_back(step, Observed("1", there), OWNER)
    return {change.field for change in left.changes} if left else set(), set(drifted)


def test_a_setting_is_named_and_an_origin_of_a_tunnel_written() -> None:
    there = replace(POOL, minimum_origins=7, origins=(replace(OUR, enabled=False),))
    assert held(POOL, there) == ({"origins"}, {"minimum_origins"})


def test_a_pool_is_switched_by_the_operator_only_where_its_mark_says_so() -> None:
    assert held(POOL, replace(POOL, enabled=False)) == (set(), {"enabled"})
    out = str(Mark(OWNER, "pool/my-pool", (OUR.name,)))
    assert held(POOL, replace(POOL, enabled=False, description=out)) == ({"enabled", "description"}, set())


def test_of_a_description_the_mark_is_written_and_the_text_named() -> None:
    out = Mark(OWNER, "pool/my-pool", (OUR.name,))
    assert held(POOL, replace(POOL, description=f"by hand {out}")) == ({"description"}, {"description"})


def test_the_host_of_the_tunnels_is_written_and_other_headers_are_named() -> None:
    there = replace(MONITOR, header=freeze({"Host": ["b.example.com"]}))
    assert held(MONITOR, there) == ({"header"}, set())
    assert held(replace(MONITOR, header=freeze({})), there) == ({"header"}, set())
    assert held(MONITOR, replace(MONITOR, header=freeze({"Host": ["a.example.com"], "X": ["1"]}))) == (
        set(),
        {"header"},
    )
