"""Whatever a builder says, of a shared object the planner lets through what is ours alone (law 1)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tunnelpool.build.intent import Intent
from tunnelpool.build.sharing import join_pool, leave_pool
from tunnelpool.domain.ownership import Mark, Owner, TunnelName, marked, read_marks
from tunnelpool.domain.remote import Observed, Origin, Pool
from tunnelpool.plan.remote import plan, takes_away
from tunnelpool.plan.steps import Create, Delete, Update

A, B, C = Owner("a", "0000000a"), Owner("b", "0000000b"), Owner("c", "0000000c")


def wish(owner: Owner) -> Pool:
    """Write the pool as one cluster would have it."""
    name = str(TunnelName(owner, "default", "web", 0))
    origin = Origin(name, f"{owner.uid}.cfargotunnel.com")
    return Pool("web", (origin,), str(Mark(owner, "pool/web", shared=True)))


BOTH = join_pool(wish(B), wish(A), B)


def test_a_guest_may_change_its_own_and_the_step_says_that_others_write_as_well() -> None:
    (out,) = (replace(one, enabled=False) for one in wish(B).origins)
    desired = join_pool(replace(wish(B), origins=(out,)), BOTH, B)
    (step,) = plan(Intent(desired), Observed("1", BOTH), B)
    assert isinstance(step, Update)
    assert step.shared
    assert not takes_away(step, B)


@pytest.mark.parametrize("owner", [B, C])
@pytest.mark.parametrize(
    "wrong",
    [
        replace(BOTH, minimum_origins=3),
        replace(BOTH, origins=()),
        replace(BOTH, origins=tuple(replace(one, weight=0) for one in BOTH.origins)),
        replace(BOTH, description=str(Mark(B, "pool/web", shared=True))),
        replace(BOTH, description=marked("text", *read_marks(BOTH.description))),
        wish(B),
    ],
)
def test_what_is_the_owners_no_guest_may_change(wrong: Pool, owner: Owner) -> None:
    assert plan(Intent(wrong), Observed("1", BOTH), owner) == ()


@pytest.mark.parametrize("owner", [A, B, C])
def test_nobody_deletes_what_others_are_in(owner: Owner) -> None:
    assert plan(Intent(), Observed("1", BOTH), owner) == ()


def test_the_last_one_deletes_and_whoever_stays_may_write_everything() -> None:
    left = leave_pool(BOTH, A)
    assert left is not None
    (step,) = plan(Intent(), Observed("1", left), B)
    assert isinstance(step, Delete)
    assert step.shared
    (step,) = plan(Intent(replace(wish(B), minimum_origins=3)), Observed("1", left), B)
    assert isinstance(step, Update)
    (step,) = plan(Intent(leave_pool(BOTH, B)), Observed("1", BOTH), B)
    assert takes_away(step, B)


def test_what_is_made_for_all_is_looked_after_as_well() -> None:
    assert plan(Intent(wish(A)), None, A) == (Create(wish(A), shared=True),)
    alone = replace(wish(A), description=str(Mark(A, "pool/web")))
    assert plan(Intent(alone), None, A) == (Create(alone),)
