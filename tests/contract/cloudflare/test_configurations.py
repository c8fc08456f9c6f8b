"""A configuration that was put is shown as it was, so that rounds over them find no change where none is."""

from __future__ import annotations

from typing import Any

import pytest

from tunnelpool.domain.configuration import canonical_configuration
from tunnelpool.domain.json import freeze, thaw
from tunnelpool.domain.remote import RemoteKind, Tunnel
from tunnelpool.plan.steps import Create, Delete, PutConfiguration

CONFIGS = {
    "plain": {
        "ingress": [{"hostname": "a.example.com", "service": "http://web:80"}, {"service": "http_status:404"}]
    },
    "settings": {
        "ingress": [
            {
                "hostname": "a.example.com",
                "path": "/x",
                "service": "https://web:443",
                "originRequest": {
                    "noTLSVerify": True,
                    "connectTimeout": 30,
                    "httpHostHeader": "b.example.com",
                },
            },
            {"service": "http_status:404"},
        ]
    },
}


@pytest.mark.parametrize("name", list(CONFIGS))
async def test_what_is_put_is_shown_and_a_change_of_others_is_seen(edge: Any, name: str) -> None:
    wanted = canonical_configuration(CONFIGS[name])
    async with edge.open() as cloud, edge.open() as somebody:
        await cloud.execute(Create(Tunnel(f"configured-{name}")))
        tunnel = next(one for one in await cloud.tunnels() if one.value.name == f"configured-{name}")
        assert cloud.configuration(tunnel.id) is None
        await cloud.look_at_configuration(tunnel.id)
        assert thaw(cloud.configuration(tunnel.id)) == {}, "before the first is put"
        await cloud.execute(PutConfiguration(tunnel.id, tunnel.value.name, freeze(CONFIGS[name])))
        assert cloud.configuration(tunnel.id) == wanted
        await cloud.look_at_configuration(tunnel.id)
        assert cloud.configuration(tunnel.id) == wanted, "what the server adds by itself is nobody's change"
        other = freeze({"ingress": [{"service": "http_status:418"}]})
        await somebody.execute(PutConfiguration(tunnel.id, tunnel.value.name, other))
        await cloud.look_at_configuration(tunnel.id)
        assert cloud.configuration(tunnel.id) == other
        await cloud.execute(Delete(RemoteKind.TUNNEL, tunnel.id, ""))
        await cloud.look_at_configuration(tunnel.id)
        assert cloud.configuration(tunnel.id) is None
