"""JSON in, JSON out: what all calls of the control API have in common."""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from localedge.documents.refusal import InvalidError, NotEmulatedError

BASE = "/_edge"

Answer = Callable[[web.Request, Any], Any]
"""Takes the request and its body; returns, or awaits, what is told."""


def answering(answer: Answer) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Serve JSON; what is refused is a 400 with the reason."""

    async def serve(request: web.Request) -> web.StreamResponse:
        try:
            body = json.loads(await request.read()) if request.body_exists else {}
            told = answer(request, body)
            return web.json_response(await told if inspect.isawaitable(told) else told)
        except (InvalidError, NotEmulatedError, ValueError) as error:
            return web.json_response({"error": str(error)}, status=400)

    return serve
