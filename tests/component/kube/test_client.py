import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tunnelpool.domain.errors import (
    ClusterRefusedError,
    OutcomeUnknownError,
    UnavailableError,
)
from tunnelpool.kube import client as module
from tunnelpool.kube.client import KubeClient


async def _hang(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def _cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def test_a_rotated_token_is_read_again_and_the_request_sent_once_more(
    api: Any, client: KubeClient
) -> None:
    api.answers += [(401, {}), (200, {"x": 1})]
    api.write_kubeconfig("second")
    assert await client.request("POST", "/x", body={"a": None}) == {"x": 1}
    assert [asked.authorization for asked in api.asked] == ["Bearer first", "Bearer second"]
    assert api.asked[1].body == {"a": None}


async def test_a_token_that_stays_refused_is_an_error_after_one_repetition(
    api: Any, client: KubeClient
) -> None:
    api.answers += [(401, {}), (401, {})]
    with pytest.raises(UnavailableError, match="credentials"):
        await client.request("GET", "/x")
    assert len(api.asked) == 2


async def test_many_refused_at_once_read_the_configuration_once(
    api: Any, client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = asyncio.Barrier(3)
    read: list[str] = []
    load = module.load_configuration

    async def refuse_together(_: web.Request) -> web.StreamResponse:
        await gate.wait()
        return web.json_response({}, status=401)

    async def load_and_count(kubeconfig: str) -> Any:
        read.append(kubeconfig)
        return await load(kubeconfig)

    monkeypatch.setattr(module, "load_configuration", load_and_count)
    api.answers += [refuse_together] * 3
    await asyncio.gather(*(client.request("GET", f"/{number}") for number in range(3)))
    assert read == [str(api.kubeconfig)]
    assert len(api.asked) == 6


async def test_a_refusal_is_not_sent_again(api: Any, client: KubeClient) -> None:
    api.answers.append((403, {"kind": "Status", "message": "tunnels is forbidden"}))
    with pytest.raises(ClusterRefusedError, match="tunnels is forbidden"):
        await client.request("GET", "/x")
    assert len(api.asked) == 1


@pytest.mark.parametrize("lose", [_hang, _cut])
async def test_a_lost_answer_to_a_write_leaves_its_outcome_unknown_and_is_not_sent_again(
    lose: Any, api: Any, client: KubeClient
) -> None:
    api.answers.append(lose)
    with pytest.raises(OutcomeUnknownError):
        await client.request("POST", "/x", body={})
    assert len(api.asked) == 1


async def test_a_read_whose_answer_stays_lost_is_unavailability(api: Any, client: KubeClient) -> None:
    api.answers += [_cut, _cut]  # aiohttp itself sends a read once more
    with pytest.raises(UnavailableError):
        await client.request("GET", "/x")


async def test_an_answer_that_is_not_json_is_unavailability(api: Any, client: KubeClient) -> None:
    async def page(_: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>")

    api.answers.append(page)
    with pytest.raises(UnavailableError, match="not JSON"):
        await client.request("GET", "/x")


async def test_nobody_listening_means_that_a_write_has_not_happened(api: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        api.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        api.write_kubeconfig("x")
        client = await KubeClient.connect(str(api.kubeconfig))
        with pytest.raises(UnavailableError):
            await client.request("POST", "/x", body={})
        await client.close()


async def test_without_any_configuration_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UnavailableError, match=r"there is no '.*/\.kube/config'"):
        await KubeClient.connect()


async def test_the_environment_names_the_kubeconfig(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.9")
    client = await KubeClient.connect()
    await client.request("GET", "/x")
    await client.close()
    assert api.asked[0].path == "/x"
