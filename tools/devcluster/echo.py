"""A small web application for tests: image `devcluster/echo`.

    GET /healthz          200
    GET /slow?s=N         answers after N seconds
    GET /ws               a WebSocket that sends back what it gets
    anything else         JSON: pod, host, method, path, query

Environment: PORT (8080), POD_IP (address to listen on; all if not set), POD_NAME (else HOSTNAME),
DRAIN_S (5): seconds for open requests after SIGTERM.
"""

import asyncio
import os

from aiohttp import WSMsgType, web


def application(pod: str) -> web.Application:
    """Return the application, answering as `pod`."""

    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(float(request.query.get("s", "1")))
        return describe(request)

    async def socket(request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse()
        await response.prepare(request)
        async for message in response:
            if message.type is WSMsgType.TEXT:
                await response.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await response.send_bytes(message.data)
        return response

    async def echo(request: web.Request) -> web.Response:
        await request.read()
        return describe(request)

    def describe(request: web.Request) -> web.Response:
        return web.json_response(
            {
                "pod": pod,
                "host": request.host,
                "method": request.method,
                "path": request.path,
                "query": dict(request.query),
            }
        )

    app = web.Application()
    app.router.add_get("/healthz", healthy)
    app.router.add_get("/slow", slow)
    app.router.add_get("/ws", socket)
    app.router.add_route("*", "/{path:.*}", echo)
    return app


def main() -> None:
    """Serve until SIGTERM."""
    pod = os.environ.get("POD_NAME") or os.environ.get("HOSTNAME", "unknown")
    web.run_app(
        application(pod),
        host=os.environ.get("POD_IP") or None,
        port=int(os.environ.get("PORT", "8080")),
        shutdown_timeout=float(os.environ.get("DRAIN_S", "5")),
        access_log=None,
    )


if __name__ == "__main__":
    main()
