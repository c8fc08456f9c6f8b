"""What may happen to a WebSocket under load, and what is a fault."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from demo.endurance import Endurance
from demo.open_loop import OpenLoop
from demo.pod_diary import Life, PodDiary
from demo.scene import Scene
from openloop.load import Load
from openloop.results import Answer, SocketEvent, written

KEPT_S = 45.0
LATER = 1e12
"""After every start, so that what is told of it counts."""


class _Diary(PodDiary):
    def __init__(self, *lives: Life) -> None:
        self._lives = {life.uid: life for life in lives}
        self.happenings = []

    def connectors(self, life: Life) -> set[str]:
        return {f"connector-of-{life.name}"}


def endurance(folder: Path, sockets: list[SocketEvent], *lives: Life) -> Endurance:
    """Put together a run whose only WebSocket was served by pod `a`."""
    entries: list[dict[str, Any]] = [
        {
            "seq": 1,
            "host": "h",
            "path": "/ws?visit=socket-1",
            "connector": "connector-of-a",
            "session": None,
            "status": 101,
        },
        {
            "seq": 2,
            "host": "other",
            "path": "/ws?visit=socket-1",
            "connector": "x",
            "session": None,
            "status": 101,
        },
    ]

    failed = {"status": 502, "outcome": "cloudflared", "error": None, "origin": "o", "session": None}
    entries.append({"seq": 3, "host": "h", "path": "/?visit=7", "connector": "connector-of-a", **failed})

    async def requests(since: int) -> list[dict[str, Any]]:
        return entries[since:]

    log = folder / "load.log"
    log.write_text("".join(f"{written(each)}\n" for each in sockets))
    edge = SimpleNamespace(requests=requests)
    scene = cast("Scene", SimpleNamespace(hostname="h", stage=SimpleNamespace(edge=edge)))
    return Endurance(scene, OpenLoop(Load("h", 50), log), _Diary(*lives))


def at(seconds: float, kind: Any, number: int = 1) -> SocketEvent:
    return SocketEvent(LATER + seconds, kind, number, "")


@pytest.mark.parametrize("ended_after_s", [42.5, 45.0, 47.0])
async def test_it_may_end_with_its_connector_once_that_has_had_its_grace(
    tmp_path: Path, ended_after_s: float
) -> None:
    life = Life("1", "a", deleted_at=LATER)
    told = [at(-9, "opened"), at(ended_after_s, "ended"), at(ended_after_s + 0.5, "opened", 2)]
    assert await endurance(tmp_path, told, life).socket_faults(KEPT_S) == []


@pytest.mark.parametrize(
    ("life", "told", "fault"),
    [
        (Life("1", "a", deleted_at=LATER), [at(20, "ended")], "20.0 s after the end of a began"),
        (Life("1", "a"), [at(20, "ended")], "though a stays"),
        (Life("1", "b"), [at(20, "ended")], "at connector connector-of-a"),
        (Life("1", "a"), [at(1, "refused")], "1 refused"),
        (Life("1", "a"), [at(1, "silent")], "1 silent"),
        (
            Life("1", "a", deleted_at=LATER),
            [at(45, "ended"), at(53, "opened", 2)],
            "2 opened only 8.0 s after",
        ),
    ],
)
async def test_all_else_is_a_fault(tmp_path: Path, life: Life, told: list[SocketEvent], fault: str) -> None:
    (found,) = await endurance(tmp_path, told, life).socket_faults(KEPT_S)
    assert fault in found


async def test_before_everything_was_steady_neither_refusals_nor_failures_count(tmp_path: Path) -> None:
    run = endurance(tmp_path, [SocketEvent(0.0, "refused", 1)], Life("1", "a"))
    with (tmp_path / "load.log").open("a") as log:
        for sent_at in (0.0, LATER):
            log.write(f"{written(Answer(1, '/', sent_at, sent_at, sent_at, 530, '', ''))}\n")
        log.write('{"answer":{"number":3,')  # being written
    assert await run.socket_faults(KEPT_S) == []
    assert run.lost == 1


async def test_of_a_failed_request_the_report_has_the_edges_own_word(tmp_path: Path) -> None:
    run = endurance(tmp_path, [], Life("1", "a"))
    (tmp_path / "load.log").write_text(f"{written(Answer(7, '/', LATER, LATER, LATER, 502, '', ''))}\n")
    await run.silent([])
    assert "status 502, after 0.00 s; the edge: cloudflared, error None, origin o, pod a" in run.report()


async def test_who_has_answered_nobody_is_named(tmp_path: Path) -> None:
    lives = [Life("1", "a"), Life("2", "b")]
    assert await endurance(tmp_path, [], *lives).silent(lives) == ["b"]
