"""An account: what is read is kept, what is written is written through, nothing is created twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from written_objects import MONITOR, POOL, VALUES

from tunnelpool.domain.errors import (
    ActiveConnectionsError,
    AlreadyExistsError,
    ApiError,
    CredentialsError,
    InvalidError,
    NotFoundError,
    OutcomeUnknownError,
    StillReferencedError,
    UnavailableError,
)
from tunnelpool.domain.json import freeze
from tunnelpool.domain.remote import (
    Origin,
    RemoteKind,
    RemoteValue,
    Tunnel,
)
from tunnelpool.engine.ports import Account
from tunnelpool.plan.diff import changes, update
from tunnelpool.plan.steps import (
    Change,
    CloseConnections,
    Create,
    Delete,
    PutConfiguration,
    RotateSecret,
    Update,
)

TUNNEL_ANSWER = {"status": "inactive", "config_src": "cloudflare", "deleted_at": None}


@pytest.mark.parametrize("value", VALUES)
async def test_own_writes_are_in_the_listing_without_another_request(tools: Any, value: RemoteValue) -> None:
    assert await tools.listed(value) == []
    await tools.cloud.execute(tools.create(value))
    (observed,) = await tools.listed(value)
    assert changes(value, observed.value) == ()
    assert observed.zone_id == tools.create(value).zone_id
    assert len(tools.cloudflare.calls) == 2


async def test_a_change_is_one_patch_of_what_changed(tools: Any) -> None:
    await tools.cloud.execute(Create(POOL))
    (observed,) = await tools.cloud.pools()
    step = update(replace(POOL, minimum_origins=2), observed)
    await tools.cloud.execute(step)
    assert tools.cloudflare.calls[-1] == ("PATCH", f"{tools.pools}/{observed.id}")
    assert tools.cloudflare.bodies[-1] == {"minimum_origins": 2}
    (observed,) = await tools.cloud.pools()
    assert observed.value.minimum_origins == 2


async def test_what_others_have_set_in_origins_survives_a_change(tools: Any) -> None:
    tools.cloudflare.put(
        tools.pools, name="web", origins=[{"name": "v", "address": "10.0.0.1", "virtual_network_id": "net"}]
    )
    (observed,) = await tools.cloud.pools()
    more = (*observed.value.origins, Origin("w", "w.example.com"))
    await tools.cloud.execute(update(replace(observed.value, origins=more), observed))
    assert tools.cloudflare.bodies[-1]["origins"][0]["virtual_network_id"] == "net"


async def test_a_pools_health_survives_a_change_that_does_not_concern_it(tools: Any) -> None:
    stored = tools.cloudflare.put(
        tools.pools,
        name="web",
        healthy=True,
        origins=[{"name": "a", "address": "a.example.com", "healthy": True}],
    )
    (observed,) = await tools.cloud.pools()
    stored["healthy"] = None
    stored["origins"][0]["healthy"] = None
    await tools.cloud.execute(update(replace(observed.value, description="new"), observed))
    (observed,) = await tools.cloud.pools()
    assert observed.health.healthy is True
    assert observed.health.origins == {"a": True}


async def test_a_deletion_takes_it_out_and_what_is_gone_is_deleted(tools: Any) -> None:
    await tools.cloud.execute(Create(POOL))
    (observed,) = await tools.cloud.pools()
    step = Delete(RemoteKind.POOL, observed.id, "web")
    await tools.cloud.execute(step)
    assert await tools.cloud.pools() == ()
    await tools.cloud.execute(step)
    assert tools.cloudflare.count("DELETE") == 2


async def test_closing_connections_of_a_tunnel_that_is_gone_is_done(tools: Any) -> None:
    await tools.cloud.execute(CloseConnections("1", "web"))
    assert tools.cloudflare.calls == [("DELETE", f"{tools.tunnels}/1/connections")]


async def test_a_configuration_is_put_whole(tools: Any) -> None:
    tools.cloudflare.fail("PUT", "/configurations", tools.envelope({"version": 1}))
    config = {"ingress": [{"service": "http_status:404"}]}
    await tools.cloud.execute(PutConfiguration("1", "web", freeze(config)))
    assert tools.cloudflare.calls == [("PUT", f"{tools.tunnels}/1/configurations")]
    assert tools.cloudflare.bodies == [{"config": config}]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((404, 1001), NotFoundError),
        ((409, 1003), AlreadyExistsError),
        ((412, 1005), StillReferencedError),
        ((400, 1002), InvalidError),
        ((500, 0), OutcomeUnknownError),
    ],
)
async def test_an_answer_that_shows_the_listing_to_be_out_of_date_has_it_read_again(
    tools: Any, answer: tuple[int, int], error: type[ApiError]
) -> None:
    await tools.cloud.pools()
    tools.cloudflare.put(tools.pools, name="theirs", origins=[])
    tools.cloudflare.fail("PATCH", "", tools.refusal(*answer))
    with pytest.raises(error):
        await tools.cloud.execute(Update("1", POOL, (Change("minimum_origins", 3, 1),)))
    assert len(await tools.cloud.pools()) == 1


async def test_a_reference_has_the_referrers_listing_read_again(tools: Any) -> None:
    await tools.cloud.load_balancers(tools.zone_id)
    tools.cloudflare.put(tools.balancers, name="www.example.com", default_pools=["1"], fallback_pool="1")
    tools.cloudflare.fail("DELETE", "/1", tools.refusal(412, 1005))
    with pytest.raises(StillReferencedError):
        await tools.cloud.execute(Delete(RemoteKind.POOL, "1", "web"))
    (balancer,) = await tools.cloud.load_balancers(tools.zone_id)
    assert balancer.value.pools == {"1"}


async def test_a_tunnel_with_connections_is_waited_for(tools: Any) -> None:
    tools.cloudflare.fail("DELETE", "/1", tools.refusal(400, 1022))
    with pytest.raises(ActiveConnectionsError):
        await tools.cloud.execute(Delete(RemoteKind.TUNNEL, "1", "web"))


async def test_a_tunnels_token_is_fetched_and_kept_nowhere(tools: Any) -> None:
    tools.cloudflare.fail("GET", "/token", *[tools.envelope("connector-secret")] * 2)
    assert await tools.cloud.token("1") == await tools.cloud.token("1") == "connector-secret"
    tools.cloudflare.fail("GET", "/token", tools.envelope(None))
    with pytest.raises(UnavailableError):
        await tools.cloud.token("1")


async def test_a_created_tunnels_token_is_known_once_and_not_after_a_rotation(tools: Any) -> None:
    for name in ("a", "b"):
        created = {**TUNNEL_ANSWER, "id": name, "name": name, "token": f"token of {name}"}
        tools.cloudflare.fail("POST", "/cfd_tunnel", tools.envelope(created))
        await tools.cloud.execute(Create(Tunnel(name)))
    written = len(tools.cloudflare.calls)
    assert await tools.cloud.token("a") == "token of a"
    assert len(tools.cloudflare.calls) == written
    tools.cloudflare.fail("GET", "/token", *[tools.envelope("fetched")] * 2)
    assert await tools.cloud.token("a") == "fetched", "it is handed out once"
    tools.cloudflare.fail("PATCH", "/cfd_tunnel/b", tools.envelope({**TUNNEL_ANSWER, "id": "b", "name": "b"}))
    await tools.cloud.execute(RotateSecret("b", "b"))
    assert await tools.cloud.token("b") == "fetched"


async def test_a_users_token_is_verified_in_one_request(tools: Any) -> None:
    tools.cloudflare.fail("GET", "/user/tokens/verify", tools.envelope({"status": "active"}))
    await tools.cloud.verify()
    assert len(tools.cloudflare.calls) == 1


async def test_an_accounts_token_is_verified_in_its_place_and_at_once_the_next_time(tools: Any) -> None:
    tools.cloudflare.fail("GET", "/user/tokens/verify", tools.refusal(401, 1000))
    of_account = f"/accounts/{tools.account_id}/tokens/verify"
    tools.cloudflare.fail("GET", of_account, *[tools.envelope({"status": "active"})] * 2)
    await tools.cloud.verify()
    await tools.cloud.verify()
    assert [path for _, path in tools.cloudflare.calls] == ["/user/tokens/verify", of_account, of_account]


@pytest.mark.parametrize("status", ["disabled", "expired"])
async def test_a_token_that_is_not_active_is_refused_with_its_status(tools: Any, status: str) -> None:
    tools.cloudflare.fail("GET", "/user/tokens/verify", tools.envelope({"status": status}))
    with pytest.raises(CredentialsError, match=status):
        await tools.cloud.verify()


async def test_a_token_that_is_nobodys_is_refused(tools: Any) -> None:
    tools.cloudflare.fail("GET", "/user/tokens/verify", tools.refusal(401, 1000, "Invalid API Token"))
    tools.cloudflare.fail("GET", "/tokens/verify", tools.refusal(403, 10000))
    with pytest.raises(CredentialsError, match="Invalid API Token"):
        await tools.cloud.verify()


async def test_a_new_token_sees_the_same_listings(tools: Any) -> None:
    await tools.cloud.execute(Create(POOL))
    await tools.cloud.pools()
    calls = len(tools.cloudflare.calls)
    renewed = tools.accounts.account(Account(tools.account_id, "renewed"))
    assert renewed is not tools.cloud
    assert len(await renewed.pools()) == 1
    assert len(tools.cloudflare.calls) == calls


async def test_an_object_that_is_not_understood_spoils_its_listing(tools: Any) -> None:
    tools.cloudflare.put(tools.pools, name="web", origins="none")
    with pytest.raises(UnavailableError, match="not understood"):
        await tools.cloud.pools()


async def test_a_change_of_nothing_is_not_sent(tools: Any) -> None:
    probe = replace(MONITOR, type="tcp", method="connection_established", path="")
    await tools.cloud.execute(Update("1", probe, (Change("path", "/", ""),)))
    assert tools.cloudflare.calls == []


async def test_a_fresh_look_at_one_object_is_one_get_and_stands_in_the_listing(tools: Any) -> None:
    await tools.cloud.execute(Create(POOL))
    (observed,) = await tools.cloud.pools()
    tools.cloudflare.collections[tools.pools][observed.id]["minimum_origins"] = 7
    await tools.cloud.look_again(RemoteKind.POOL, observed.id)
    assert tools.cloudflare.calls[-1] == ("GET", f"{tools.pools}/{observed.id}")
    asked = len(tools.cloudflare.calls)
    (seen,) = await tools.cloud.pools()
    assert seen.value.minimum_origins == 7
    assert len(tools.cloudflare.calls) == asked


async def test_what_a_fresh_look_does_not_find_is_in_no_listing(tools: Any) -> None:
    await tools.cloud.execute(Create(POOL))
    (observed,) = await tools.cloud.pools()
    del tools.cloudflare.collections[tools.pools][observed.id]
    await tools.cloud.look_again(RemoteKind.POOL, observed.id)
    assert await tools.cloud.pools() == ()
