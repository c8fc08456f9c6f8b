from collections.abc import AsyncIterator

import aiohttp
import pytest

from tunnelpool.ops.health import HealthServer


class _Site:
    def __init__(self) -> None:
        self.worker: str | None = None
        self.store: str | None = "Tunnel is not listed yet"
        self.url = ""

    async def get(self, path: str) -> tuple[int, str, str]:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as answer:
            return answer.status, await answer.text(), answer.headers["Content-Type"]


@pytest.fixture
async def site() -> AsyncIterator[_Site]:
    site = _Site()
    server = HealthServer(
        live={"workers": lambda: site.worker},
        ready={"store": lambda: site.store},
        metrics=lambda: b"tunnelpool_x 1.0\n",
    )
    host, port = await server.start("127.0.0.1", 0)
    site.url = f"http://{host}:{port}"
    yield site
    await server.stop()


async def test_it_is_alive_before_it_is_ready_and_says_what_is_missing(site: _Site) -> None:
    assert (await site.get("/livez"))[:2] == (200, "workers: ok\nok\n")
    assert (await site.get("/readyz"))[:2] == (503, "store: Tunnel is not listed yet\nfailed\n")
    site.store = None
    assert (await site.get("/readyz"))[0] == 200


async def test_a_dead_worker_fails_liveness(site: _Site) -> None:
    site.worker = "worker 3 has ended"
    status, text, _ = await site.get("/livez")
    assert status == 503
    assert "worker 3 has ended" in text


async def test_metrics_come_in_the_text_format(site: _Site) -> None:
    status, text, content_type = await site.get("/metrics")
    assert status == 200
    assert text == "tunnelpool_x 1.0\n"
    assert content_type.startswith("text/plain; version=")


async def test_an_address_that_is_taken_is_an_error_at_the_start(site: _Site) -> None:
    second = HealthServer(live={}, ready={}, metrics=bytes)
    with pytest.raises(OSError, match="address already in use"):
        await second.start("127.0.0.1", int(site.url.rsplit(":", 1)[1]))
