"""The parts of the story that need no stage."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest

from demo.decoys import Decoys, ours
from demo.outage import Outage, origin_disabled
from demo.progress import Progress
from demo.promises import Promises
from demo.story import FALLBACK_ADDRESS, QUICKSTART


def call(**changes: Any) -> dict[str, Any]:
    origins = [{"name": "tunnelpool_c_u_default_web_0", "enabled": False}]
    usual = {"method": "PATCH", "path": "/accounts/a/load_balancers/pools/p", "status": 200}
    return {**usual, "body": {"origins": origins}, **changes}


def outage(last_failure_s: float | None) -> Outage:
    return Outage(
        100.0, 8.0, 11.0, 220, 0 if last_failure_s is None else 38, 0.1, last_failure_s, 3.4, "PATCH"
    )


def state(**collections: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {
        name: [] for name in ("tunnels", "monitors", "pools", "load_balancers", "dns_records")
    }
    return {**empty, **collections}


def test_the_write_that_took_an_origin_out_is_found() -> None:
    other = call(body={"origins": [{"name": "tunnelpool_c_u_default_web_1", "enabled": False}]})
    assert origin_disabled([call(body=None), other, call()], "_web_0") == call()


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "PUT"},
        {"status": 400},
        {"path": "/accounts/a/cfd_tunnel/t"},
        {"body": {"origins": [{"name": "x_web_0", "enabled": True}]}},
    ],
)
def test_a_call_that_did_not_take_it_out_is_not_taken_for_the_one(changes: dict[str, Any]) -> None:
    assert origin_disabled([call(**changes)], "_web_0") is None


def test_an_outage_is_bounded_if_the_last_failure_comes_in_time_or_there_is_none() -> None:
    assert outage(8.0).bounded
    assert outage(None).bounded
    assert not outage(8.1).bounded


def test_an_outage_says_how_many_failed_and_until_when() -> None:
    assert str(outage(6.25)) == "38 of 220 requests failed, the last 6.2 s after the kill"
    assert str(outage(None)) == "0 of 220 requests failed"


def test_what_carries_a_mark_is_ours_and_what_is_deleted_is_not_there() -> None:
    found = ours(
        state(
            pools=[
                {"id": "1", "name": "mine", "description": "[tunnelpool/v1 cluster=c uid=01234567]"},
                {"id": "2", "name": "theirs", "description": ""},
            ],
            tunnels=[
                {"id": "3", "name": "tunnelpool_c_u_default_web_0", "deleted_at": None},
                {"id": "4", "name": "tunnelpool_c_u_default_web_1", "deleted_at": "2026-01-01T00:00:00Z"},
            ],
        )
    )
    assert found == ["tunnels tunnelpool_c_u_default_web_0", "pools mine"]


def test_a_decoy_that_is_changed_or_gone_is_harmed_and_what_is_new_is_not() -> None:
    decoys = Decoys({"1": '{"id": "1", "name": "a"}', "2": '{"id": "2"}'})
    changed = state(pools=[{"id": "1", "name": "b"}, {"id": "9"}])
    assert [one.partition(":")[0] for one in decoys.harmed(changed)] == ["1", "2"]
    assert not decoys.harmed(state(pools=[{"id": "1", "name": "a"}], tunnels=[{"id": "2"}]))


def test_the_quickstart_has_the_one_address_that_the_demo_replaces() -> None:
    assert len(FALLBACK_ADDRESS.findall(QUICKSTART.read_text())) == 1


def test_all_promises_are_kept_only_if_there_were_some_and_none_was_broken() -> None:
    promises = Promises()
    assert not promises.all_kept
    promises.check("one", kept=True)
    assert promises.all_kept
    promises.check("another", kept=False)
    assert not promises.all_kept
    assert [one.text for one in promises] == ["one", "another"]


def test_without_a_terminal_there_are_no_colours_but_seconds_and_marks() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    progress.title("A part")
    progress.event("now")
    progress.block("said\nby a program\n")
    progress.verdict("kept", kept=True)
    progress.verdict("broken", kept=False)
    said = stream.getvalue()
    assert "\033" not in said
    assert re.search(r"^ +0\.0 s  now$", said, re.MULTILINE)
    assert "  ✓ kept\n  ✗ broken\n" in said
