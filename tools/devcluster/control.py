"""The way to tell a running cluster something: HTTP over the abstract socket that claims its block."""

import signal
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import aiohttp
from aiohttp import web

from devcluster.api import ApiError
from devcluster.loopback import LoopbackBlock, control_name, peer_uid
from devcluster.podrunner.runner import PodRunner

Json = dict[str, Any]


class ControlError(RuntimeError):
    """The cluster refused; the message says why."""


class ControlServer:
    """Serves one cluster's control socket to processes of `uid`, the user whose cluster it is."""

    def __init__(
        self, runner: PodRunner, block: LoopbackBlock, uid: int, describe: Callable[[], Json]
    ) -> None:
        self._runner = runner
        self._block = block
        self._uid = uid
        self._describe = describe
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/status", self._status)
        app.router.add_post("/node/{name}/{verb:start|stop}", self._node)
        app.router.add_post("/pods/{namespace}/{name}/kill", self._kill)
        app.router.add_post("/pods/{namespace}/{name}/release", self._release)
        self._server = web.AppRunner(app, access_log=None)

    async def start(self) -> None:
        """Begin to serve."""
        await self._server.setup()
        await web.SockSite(self._server, self._block.claim).start()

    async def stop(self) -> None:
        """Serve no more; the socket stays claimed until the block is closed."""
        await self._server.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        # An abstract socket has no file mode: ask the kernel who is there.
        transport = request.transport
        if transport is None or peer_uid(transport.get_extra_info("socket")) not in {0, self._uid}:
            return _refuse(HTTPStatus.FORBIDDEN, "this cluster belongs to another user")
        try:
            answer: web.StreamResponse = await handler(request)
        except KeyError as error:
            return _refuse(HTTPStatus.NOT_FOUND, f"there is no {error.args[0]}")
        except ApiError as error:
            return _refuse(HTTPStatus.BAD_GATEWAY, str(error))
        return answer

    async def _status(self, _: web.Request) -> web.Response:
        return web.json_response(self._describe())

    async def _node(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if request.match_info["verb"] == "stop":
            await self._runner.stop_node(name)
        else:
            await self._runner.start_node(name)
        return web.json_response({"node": name, "running": self._runner.nodes[name].running})

    async def _kill(self, request: web.Request) -> web.Response:
        place = (request.match_info["namespace"], request.match_info["name"])
        pod = self._runner.find(*place)
        if request.query.get("hold"):
            await self._runner.hold(*place)
        number = int(request.query.get("signal", signal.SIGKILL))
        return web.json_response({"signalled": pod.signal(number, request.query.get("container"))})

    async def _release(self, request: web.Request) -> web.Response:
        await self._runner.release(request.match_info["namespace"], request.match_info["name"])
        return web.json_response({})


class ControlClient:
    """The other end. `block` is the N of the cluster's 127.N.0.0/16."""

    def __init__(self, block: int) -> None:
        self._name = control_name(block)

    async def status(self) -> Json:
        """Nodes, pods and their processes. Raises ControlError, also if the cluster does not run."""
        return await self._request("GET", "/status")

    async def stop_node(self, name: str) -> None:
        """Lose a node."""
        await self._request("POST", f"/node/{name}/stop")

    async def start_node(self, name: str) -> None:
        """Bring a node back."""
        await self._request("POST", f"/node/{name}/start")

    async def kill(
        self,
        pod: str,
        namespace: str = "default",
        *,
        hold: bool = False,
        container: str | None = None,
        number: int = signal.SIGKILL,
    ) -> list[int]:
        """Signal a pod's programs, by default SIGKILL; with `hold` none is started again until released.

        The process ids that it reached: none if nothing runs.
        """
        query = {"signal": str(int(number)), **({"hold": "1"} if hold else {})}
        if container:
            query["container"] = container
        answer = await self._request("POST", f"/pods/{namespace}/{pod}/kill", query)
        return list(answer["signalled"])

    async def release(self, pod: str, namespace: str = "default") -> None:
        """End a hold."""
        await self._request("POST", f"/pods/{namespace}/{pod}/release")

    async def _request(self, method: str, path: str, query: dict[str, str] | None = None) -> Json:
        connector = aiohttp.UnixConnector(self._name)
        try:
            async with (
                aiohttp.ClientSession("http://devcluster", connector=connector) as session,
                session.request(method, path, params=query) as response,
            ):
                answer: Json = await response.json()
        except aiohttp.ClientConnectionError as error:
            raise ControlError("the cluster does not run") from error
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise ControlError(answer["error"])
        return answer


def _refuse(status: HTTPStatus, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
