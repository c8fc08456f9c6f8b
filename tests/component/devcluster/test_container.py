"""A container whose pod ends just when its program is being started."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, cast

import pytest

from devcluster.podrunner import container as module
from devcluster.podrunner.container import Container
from devcluster.podrunner.context import PodContext, Site
from devcluster.processes import Launch, Process, launch

SCRIPT = "trap 'echo sigterm; exit 0' TERM; echo up; while :; do sleep 0.05; done"


async def test_a_program_that_is_just_being_started_gets_its_sigterm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launching, go_on = asyncio.Event(), asyncio.Event()

    async def slow(plan: Launch, output: IO[bytes] | int) -> Process:
        launching.set()
        await go_on.wait()
        return await launch(plan, output)

    async def prepare(_: Container) -> Launch:
        return Launch(["sh", "-c", SCRIPT], {"PATH": "/usr/bin:/bin"})

    monkeypatch.setattr(module, "launch", slow)
    monkeypatch.setattr(Container, "_prepare", prepare)
    pod: dict[str, Any] = {"metadata": {"namespace": "default", "name": "web", "uid": "1"}, "spec": {}}
    context = PodContext(cast("Site", SimpleNamespace(logs=tmp_path)), pod, "127.0.0.1", "127.0.0.1")
    container = Container(context, {"name": "main", "image": "any"}, "Always")
    task = container.start()
    await launching.wait()
    ending = asyncio.create_task(container.terminate(10.0))
    await asyncio.sleep(0)
    go_on.set()
    await ending
    assert task.done()
    assert not task.cancelled()
    assert container.record.state["terminated"]["exitCode"] in {0, 143}, "by SIGTERM, trapped or not"
    assert (tmp_path / "default_web_main.log").read_text().split() in ([], ["up", "sigterm"], ["sigterm"])
