"""Whatever the plan allows: what is in the pool stays, and of the rest comes in what fits, in its order."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from snapshots import existing, member, slot, snapshot

from tunnelpool.build.room import fitting
from tunnelpool.build.tunnel_origins import Placed, Placing
from tunnelpool.domain.reasons import Reason
from tunnelpool.domain.remote import Origin

NAMES = [f"o{number}" for number in range(6)]
few = settings(max_examples=60, deadline=None)


@few
@given(st.sets(st.sampled_from(NAMES), max_size=4), st.sets(st.sampled_from(NAMES)), st.integers(0, 7))
def test_what_is_there_stays_and_what_fits_comes_in(there: set[str], new: set[str], room: int) -> None:
    origins = {name: Origin(name, f"192.0.2.{number}") for number, name in enumerate(NAMES)}
    wanted = [name for name in NAMES if name in there | new]
    pool = existing(member(slot(0)))
    value = replace(pool.value, origins=tuple(origins[name] for name in sorted(there)))
    shot = snapshot(observed=replace(pool, value=value) if there else None, room=room)
    found = fitting(Placing(tuple(Placed(origins[name]) for name in wanted)), shot)
    names = [one.origin.name for one in found.placed]
    assert there <= set(names)
    assert len(names) == min(len(wanted), max(room, len(there)))
    newcomers = [name for name in wanted if name not in there]
    assert [name for name in names if name not in there] == newcomers[: len(names) - len(there)]
    assert (found.held is not None) == (len(names) < len(wanted))
    if found.held is not None:
        assert found.held.reason is Reason.PLAN_LIMIT
        assert found.held.message.startswith(f"{len(wanted) - len(names)} of {len(wanted)} origins")


def test_without_a_limit_that_was_met_everything_fits() -> None:
    placing = Placing(tuple(Placed(Origin(name, name)) for name in NAMES))
    assert fitting(placing, snapshot()) == placing
