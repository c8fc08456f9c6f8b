"""The counting edge, a program: the local edge without connectors.

A thousand tunnels would want a thousand connectors, each a process. Here a connector is a function in the
edge's own process, and starts when the stand-in for nodes says so at `connect_url`. Everything else is the
local edge as it is: its API over HTTP, its monitors, its lags and its journal of calls, which is what counts.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

from aiohttp import web

from localedge.edge import Edge
from localedge.options import EdgeOptions
from localedge.plan import PlanName
from localedge.state.store import Lags
from localedge.testing import FakeAnswer, FakeEdge, edge_with_fake_tunnels
from localedge.tunnel.ca import CertificateAuthority
from localedge.tunnel.interface import TunnelRequest

NO_LAGS = Lags(config=0.0, state=0.0, death=0.0)


async def answer(_request: TunnelRequest) -> FakeAnswer:
    """Answer as a healthy application."""
    return FakeAnswer()


async def serve(folder: Path) -> None:
    """Run until SIGTERM; the ready line is that of `localedge serve --json`, as far as it is needed."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    authority = CertificateAuthority()
    authority.write(folder / "ca.pem")
    options = EdgeOptions(folder, plan=PlanName.ENTERPRISE, rate_limit=0, lags=NO_LAGS, seed=1)
    async with edge_with_fake_tunnels(options) as fake:
        connectors = Connectors(fake)
        port = await connectors.start()
        print(json.dumps(_ready(fake.edge, fake.api, fake.ports.tunnel, port, folder)), flush=True)
        await stop.wait()
        await connectors.close()


class Connectors:
    """Starts connectors: `POST /NAMESPACE/TUNNEL/SLOT`, as a pod's labels name them."""

    def __init__(self, fake: FakeEdge) -> None:
        self._fake = fake
        self._by_end: dict[str, str] = {}
        app = web.Application()
        app.router.add_post("/{namespace}/{tunnel}/{slot}", self._connect)
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self) -> int:
        """Listen on a free port of the loopback address."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _connect(self, request: web.Request) -> web.Response:
        where = request.match_info
        end = f"_{where['namespace']}_{where['tunnel']}_{where['slot']}"
        tunnels = self._fake.edge.store.state.tunnels
        if end not in self._by_end:
            self._by_end = {"_" + one.name.split("_", 3)[-1]: one.id for one in tunnels.values()}
        self._fake.tunnels.connect(self._by_end[end], answer)
        return web.Response()


def _ready(edge: Edge, api: str, tunnel_port: int, connect_port: int, folder: Path) -> dict[str, object]:
    return {
        "api_url": api,
        "control_url": api.removesuffix("/client/v4") + "/_edge",
        "http_url": "",
        "https_url": "",
        "connect_url": f"http://127.0.0.1:{connect_port}",
        "edge": f"127.0.0.1:{tunnel_port}",
        "ca_file": str(folder / "ca.pem"),
        "account_id": edge.account.id,
        "api_token": edge.full_token.value,
        "zones": {zone["name"]: key for key, zone in edge.store.state.zones.items()},
    }


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
