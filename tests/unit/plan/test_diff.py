"""Which fields a change writes."""

from __future__ import annotations

from dataclasses import replace

from tunnelpool.domain.ownership import Mark, Owner, marked
from tunnelpool.domain.remote import Observed, Origin, Pool
from tunnelpool.plan.diff import update

MARK = Mark(Owner("a", "0123abcd"), "pool/web")
POOL = Pool("web", (Origin("one", "192.0.2.1"),), marked("", MARK))


def fields(desired: Pool, there: Pool) -> set[str]:
    """Name the fields of the PATCH."""
    step = update(desired, Observed("1", there))
    return {change.field for change in step.changes} if step else set()


def test_of_an_exclusive_pool_only_what_differs_is_written() -> None:
    moved = replace(POOL, origins=(Origin("one", "192.0.2.2"),))
    assert fields(moved, POOL) == {"origins"}
    assert fields(replace(POOL, minimum_origins=2), POOL) == {"minimum_origins"}


def test_entries_of_a_shared_pool_and_their_marks_are_written_together() -> None:
    shared = replace(POOL, description=str(replace(MARK, shared=True)))
    moved = replace(shared, origins=(Origin("one", "192.0.2.2"),))
    assert fields(moved, shared) == {"origins", "description"}
    assert fields(replace(shared, description=str(replace(MARK, shared=True, out=("x",)))), shared) == {
        "origins",
        "description",
    }
    assert fields(replace(shared, minimum_origins=2), shared) == {"minimum_origins"}
