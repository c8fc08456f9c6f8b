"""One stage for all end-to-end tests, brought up once; a scene of its own for each test."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from demo.progress import Progress
from demo.scene import Scene
from demo.stage import Stage, stage

LAST = "test_whole_run.py"
QUICK_LAGS = {"config": 0.3, "state": 1.0, "death": 1.0}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests on one loop, in which the stage lives, and those that judge the whole run at its end."""
    ours = [item for item in items if "tests/e2e/" in item.nodeid]
    for item in ours:
        item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
    items.sort(key=lambda item: item.path.name == LAST)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def theatre(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Bring up the stage, with lags as short as tests that do not measure them need."""
    with open(os.devnull, "w") as nowhere:  # noqa: ASYNC230, PTH123 - opens at once
        async with stage(tmp_path_factory.mktemp("stage"), Progress(nowhere)) as made:
            await made.edge.set_lags(**QUICK_LAGS)
            yield made


@pytest_asyncio.fixture(loop_scope="session")
async def scene(theatre: Stage) -> AsyncIterator[Scene]:
    """Give a test its own namespace, host name and pool; the next test does not wait until they are gone."""
    entered = await Scene.enter(theatre)
    yield entered
    await entered.leave()


@pytest_asyncio.fixture(loop_scope="session")
async def real_lags(theatre: Stage) -> AsyncIterator[None]:
    """Let knowledge travel as slowly as it does by default, for tests that measure."""
    await theatre.edge.set_lags(config=3.0, state=15.0, death=5.0)
    yield
    await theatre.edge.set_lags(**QUICK_LAGS)
