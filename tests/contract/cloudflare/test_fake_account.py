"""The account in memory on which the engine is tested refuses and answers as the edge behind our client does.

Each test runs over both: `RemoteAccount` in virtual time, and `CloudAccount` over HTTP against a local edge
whose monitors probe and whose connectors are functions. So what the engine's tests rely on is what the
client brings from Cloudflare's rules.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from localedge.clock import Clock
from localedge.options import EdgeOptions
from localedge.state.store import Lags
from localedge.testing import FakeAnswer, FakeEdge, edge_with_fake_tunnels
from localedge.tunnel.interface import TunnelRequest
from tunnelpool.cloudflare.account import CloudAccount, CloudAccounts
from tunnelpool.cloudflare.settings import CloudflareSettings
from tunnelpool.cloudflare.transport import Transport
from tunnelpool.domain.errors import (
    ActiveConnectionsError,
    AlreadyExistsError,
    ApiError,
    CredentialsError,
    InvalidError,
    MissingPermissionError,
    NotFoundError,
    StillReferencedError,
)
from tunnelpool.domain.json import freeze
from tunnelpool.domain.remote import (
    TUNNEL_DOMAIN,
    DnsRecord,
    LoadBalancer,
    Monitor,
    Observed,
    ObservedPool,
    Origin,
    Pool,
    RemoteKind,
    RemoteValue,
    Tunnel,
    TunnelStatus,
)
from tunnelpool.engine.ports import Account, Cloud
from tunnelpool.plan.diff import update
from tunnelpool.plan.steps import (
    Change,
    CloseConnections,
    Create,
    Delete,
    PutConfiguration,
    RotateSecret,
    Update,
)

sys.path.insert(0, str(Path(__file__).parents[2] / "component" / "engine"))

from remote_account import ACCOUNT_ID, TOKEN, KeptClouds, RemoteAccount

HOST = "my.example.com"
STATE_LAG_S = 15.0
REGIONS = ("WNAM",)
POOL = Pool("web", (Origin("a", "192.0.2.1"),), check_regions=REGIONS)
GONE = {RemoteKind.POOL: "0" * 32, RemoteKind.TUNNEL: "00000000-0000-4000-8000-000000000000"}


class Stage(Protocol):
    """An account, and what goes on around it."""

    zone_id: str

    def cloud(self, token: str | None = None) -> Cloud:
        """Open the account anew: another process, which knows nothing."""

    def connect(self, tunnel_id: str) -> Callable[[], None]:
        """Connect a connector whose application answers 200; call what is returned to end it."""

    def pass_(self, seconds: float) -> None:
        """Let time go by."""

    async def probe(self) -> None:
        """Let every monitor probe once more."""

    async def answering(self, hostname: str) -> set[str]:
        """Tell the tunnels that answer the requests of visitors; empty if nobody does."""


class SteppedClock:
    """Time for the fake."""

    at = 0.0

    def monotonic(self) -> float:
        """Tell the time."""
        return self.at

    def now(self) -> float:
        """Tell the time of day."""
        return 1e9 + self.at


class OverTheFake:
    """The account in memory."""

    zone_id = "zone-com"

    def __init__(self) -> None:
        self._clock = SteppedClock()
        self.remote = RemoteAccount(self._clock, api_lag_s=STATE_LAG_S)

    def cloud(self, token: str | None = None) -> Cloud:
        """Open it."""
        return KeptClouds({ACCOUNT_ID: self.remote}).account(Account(ACCOUNT_ID, token or TOKEN))

    def connect(self, tunnel_id: str) -> Callable[[], None]:
        """Connect."""
        assert self.remote.connect(tunnel_id, "connector")
        return lambda: self.remote.disconnect(tunnel_id, "connector")

    def pass_(self, seconds: float) -> None:
        """Step the clock."""
        self._clock.at += seconds

    async def probe(self) -> None:
        """Probe."""
        self.pass_(60)
        self.remote.probe()

    async def answering(self, hostname: str) -> set[str]:
        """Ask."""
        return {origin.tunnel_id or "" for origin in self.remote.answering(hostname)}


class EdgeTime:
    """The edge's time, for the client's ages."""

    def __init__(self, clock: Clock) -> None:
        self.monotonic = clock.real
        self.now = clock.epoch


class OverTheEdge:
    """Our client over HTTP to an edge."""

    def __init__(self, fake: FakeEdge, clock: Clock, http: httpx.AsyncBaseTransport) -> None:
        self._fake = fake
        self._clock = clock
        self._http = http
        self._visitors = f"http://127.0.0.1:{fake.ports.http}/"
        self.zone_id = fake.zone_id

    def cloud(self, token: str | None = None) -> Cloud:
        """Open it with a client of its own."""
        settings = CloudflareSettings(
            api_url=self._fake.api, requests_per_s=1e4, burst=10_000, doubt_interval_s=0
        )
        accounts = CloudAccounts(Transport(settings, EdgeTime(self._clock), http=self._http))
        opened: CloudAccount = accounts.account(
            Account(self._fake.edge.account.id, token or self._fake.edge.full_token.value)
        )
        return opened

    def connect(self, tunnel_id: str) -> Callable[[], None]:
        """Connect."""

        async def answer(_request: TunnelRequest) -> FakeAnswer:
            return FakeAnswer(body=tunnel_id.encode())

        client = self._fake.tunnels.connect(tunnel_id, answer)
        return lambda: self._fake.tunnels.leave(tunnel_id, client, graceful=True)

    def pass_(self, seconds: float) -> None:
        """Step the clock."""
        self._clock.step(seconds)

    async def probe(self) -> None:
        """Let an interval go by, and wait until what is due was probed."""
        self._clock.step(60)
        await asyncio.sleep(0.1)  # probes answer at once, but have no event that tells of the last one

    async def answering(self, hostname: str) -> set[str]:
        """Send as many requests as show every origin that is chosen by chance."""
        async with httpx.AsyncClient() as visitor:
            answers = [await visitor.get(self._visitors, headers={"Host": hostname}) for _ in range(24)]
        return {answer.text for answer in answers if answer.status_code == httpx.codes.OK}


@asynccontextmanager
async def over_the_fake() -> AsyncIterator[Stage]:
    """Set the fake up."""
    yield OverTheFake()


@asynccontextmanager
async def over_the_edge() -> AsyncIterator[Stage]:
    """Set the edge up: probes come when a test says so."""
    clock = Clock(frozen=True)
    options = EdgeOptions(Path(), lags=Lags(0, STATE_LAG_S, 0), seed=1)
    async with (
        edge_with_fake_tunnels(options, clock=clock) as fake,
        httpx.AsyncHTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)) as http,
    ):
        yield OverTheEdge(fake, clock, http)


@pytest.fixture(params=[over_the_fake, over_the_edge], ids=["fake", "edge"])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """Run a test over both."""
    async with request.param() as made:
        yield made


async def listed(cloud: Cloud, value: RemoteValue, zone_id: str = "") -> dict[str, Observed[Any]]:
    """Read the objects of a value's kind again, by title."""
    match value:
        case Monitor():
            found: Any = await cloud.monitors(fresh=True)
        case Pool():
            found = await cloud.pools(fresh=True)
        case Tunnel():
            found = await cloud.tunnels(fresh=True)
        case LoadBalancer():
            found = await cloud.load_balancers(zone_id, fresh=True)
        case DnsRecord():
            found = await cloud.dns_records(zone_id, fresh=True)
    return {one.title: one for one in found}


async def made(cloud: Cloud, value: RemoteValue, zone_id: str = "") -> Observed[Any]:
    """Create an object."""
    await cloud.execute(Create(value, zone_id))
    title = value.description if isinstance(value, Monitor) else value.name
    return (await listed(cloud, value, zone_id))[title]


async def changed(cloud: Cloud, found: Observed[Any], **fields: Any) -> ObservedPool:
    """Change fields of a pool in one write; answer with what was written through."""
    step = update(replace(found.value, **fields), found)
    assert step is not None
    await cloud.execute(step)
    (pool,) = [one for one in await cloud.pools() if one.id == found.id]
    return pool


def through(tunnel: Observed[Any], name: str = "", **fields: Any) -> Origin:
    """Name a tunnel as an origin."""
    return Origin(name or tunnel.value.name, f"{tunnel.id}.{TUNNEL_DOMAIN}", host=HOST, **fields)


async def monitored(cloud: Cloud, *names: str) -> tuple[Observed[Any], list[Observed[Any]]]:
    """Make tunnels of these names and a pool of them with a monitor."""
    monitor = await made(cloud, Monitor("probe"))
    tunnels = [await made(cloud, Tunnel(name)) for name in names]
    origins = tuple(through(one) for one in tunnels)
    return await made(cloud, replace(POOL, origins=origins, monitor=monitor.id)), tunnels


async def test_own_writes_show_at_once_and_those_of_others_when_it_is_read_again(stage: Stage) -> None:
    ours, theirs = stage.cloud(), stage.cloud()
    assert await theirs.pools() == ()
    assert await ours.pools() == ()
    await ours.execute(Create(POOL))
    (pool,) = await ours.pools()
    assert pool.value == POOL
    assert await theirs.pools() == ()
    assert [one.value for one in await theirs.pools(fresh=True)] == [POOL]
    await ours.execute(Delete(RemoteKind.POOL, pool.id, POOL.name))
    assert await ours.pools() == ()


async def test_a_sweep_tells_old_and_new_of_what_is_different_once_a_listing_has_its_age(
    stage: Stage,
) -> None:
    ours, theirs = stage.cloud(), stage.cloud()
    pool = await made(ours, POOL)
    await changed(theirs, (await listed(theirs, POOL))["web"], minimum_origins=0)
    stage.pass_(50)
    assert not [one for one in await ours.sweep() if one.kind is RemoteKind.POOL]
    stage.pass_(20)
    (seen,) = [one for one in await ours.sweep() if one.kind is RemoteKind.POOL]
    assert [one.value.minimum_origins for one in seen.objects] == [1, 0]
    assert {one.id for one in seen.objects} == {pool.id}
    assert not [one for one in await ours.sweep() if one.kind is RemoteKind.POOL]


@pytest.mark.parametrize("value", [POOL, Tunnel("web")], ids=["pool 1003", "tunnel 1013"])
async def test_a_name_is_taken_for_whoever_comes_second(stage: Stage, value: RemoteValue) -> None:
    await stage.cloud().execute(Create(value))
    late = stage.cloud()
    with pytest.raises(AlreadyExistsError):
        await late.execute(Create(value))
    assert len(await listed(late, value)) == 1


async def test_a_host_name_has_one_load_balancer_and_one_address_record_and_may_have_both(
    stage: Stage,
) -> None:
    cloud = stage.cloud()
    pool = await made(cloud, POOL)
    values = LoadBalancer(HOST, (pool.id,), pool.id), DnsRecord(HOST, "CNAME", f"x.{TUNNEL_DOMAIN}")
    for value in values:
        await cloud.execute(Create(value, stage.zone_id))
        with pytest.raises(AlreadyExistsError):
            await stage.cloud().execute(Create(value, stage.zone_id))


async def test_monitors_may_share_a_description_but_one_process_makes_it_once(stage: Stage) -> None:
    ours = stage.cloud()
    await made(ours, Monitor("same"))
    with pytest.raises(AlreadyExistsError):
        await ours.execute(Create(Monitor("same")))
    theirs = stage.cloud()
    await theirs.execute(Create(Monitor("same")))
    assert len(await theirs.monitors(fresh=True)) == 2


@pytest.mark.parametrize(
    "pool",
    [
        replace(POOL, origins=()),
        replace(POOL, origins=(Origin("a", "192.0.2.1"), Origin("b", "192.0.2.1"))),
        replace(POOL, origins=(Origin("a", "192.0.2.1"), Origin("a", "192.0.2.2"))),
        replace(POOL, origins=(Origin("a", "192.0.2.1", host="www.elsewhere.net"),)),
        replace(POOL, check_regions=()),
        replace(POOL, monitor="0" * 32),
    ],
    ids=["no origin", "one address twice", "one name twice", "foreign Host", "no region", "no such monitor"],
)
async def test_a_pool_that_breaks_a_rule_is_1002_and_nothing_is_written(stage: Stage, pool: Pool) -> None:
    cloud = stage.cloud()
    with pytest.raises(InvalidError) as refused:
        await cloud.execute(Create(pool))
    assert refused.value.code == 1002
    found = await made(cloud, POOL)
    step = update(pool, found)
    assert step is not None
    with pytest.raises(InvalidError) as refused:
        await cloud.execute(step)
    assert refused.value.code == 1002
    assert (await listed(cloud, POOL))["web"].value == POOL


async def test_a_load_balancer_needs_pools_that_exist_and_a_name_in_its_zone(stage: Stage) -> None:
    cloud = stage.cloud()
    pool = (await made(cloud, POOL)).id
    for wrong in (
        LoadBalancer(HOST, (), pool),
        LoadBalancer(HOST, (pool,), "0" * 32),
        LoadBalancer("my.elsewhere.net", (pool,), pool),
    ):
        with pytest.raises(InvalidError) as refused:
            await cloud.execute(Create(wrong, stage.zone_id))
        assert refused.value.code == 1002
    assert not await cloud.load_balancers(stage.zone_id, fresh=True)


async def test_what_is_referenced_is_1005_until_the_referrer_is_gone(stage: Stage) -> None:
    cloud = stage.cloud()
    monitor = await made(cloud, Monitor("probe"))
    first = await made(cloud, replace(POOL, monitor=monitor.id))
    last = await made(cloud, replace(POOL, name="last"))
    balancer = await made(cloud, LoadBalancer(HOST, (first.id,), last.id), stage.zone_id)
    held = [
        Delete(RemoteKind.MONITOR, monitor.id, ""),
        Delete(RemoteKind.POOL, first.id, ""),
        Delete(RemoteKind.POOL, last.id, ""),
    ]
    for step in held:
        with pytest.raises(StillReferencedError) as refused:
            await cloud.execute(step)
        assert refused.value.code == 1005
    await cloud.execute(Delete(RemoteKind.LOAD_BALANCER, balancer.id, "", stage.zone_id))
    for step in reversed(held):
        await cloud.execute(step)
    assert not await listed(cloud, POOL)
    assert not await listed(cloud, Monitor(""))


async def test_a_connected_tunnel_is_1022_until_its_connector_is_gone(stage: Stage) -> None:
    cloud = stage.cloud()
    tunnel = await made(cloud, Tunnel("web"))
    end = stage.connect(tunnel.id)
    with pytest.raises(ActiveConnectionsError) as refused:
        await cloud.execute(Delete(RemoteKind.TUNNEL, tunnel.id, "web"))
    assert refused.value.code == 1022
    end()
    await cloud.execute(Delete(RemoteKind.TUNNEL, tunnel.id, "web"))
    assert not await listed(cloud, Tunnel(""))
    assert (await made(cloud, Tunnel("web"))).id != tunnel.id


async def test_the_status_of_a_tunnel_is_that_of_some_seconds_ago(stage: Stage) -> None:
    cloud = stage.cloud()
    tunnel = await made(cloud, Tunnel("web"))

    async def status() -> TunnelStatus:
        (found,) = await cloud.tunnels(fresh=True)
        return found.status

    assert await status() is TunnelStatus.INACTIVE
    end = stage.connect(tunnel.id)
    assert await status() is TunnelStatus.INACTIVE
    stage.pass_(STATE_LAG_S)
    assert await status() is TunnelStatus.HEALTHY
    end()
    assert await status() is TunnelStatus.HEALTHY
    stage.pass_(STATE_LAG_S)
    assert await status() is TunnelStatus.DOWN


async def test_what_is_gone_cannot_be_changed_but_deleted(stage: Stage) -> None:
    cloud = stage.cloud()
    tunnel, pool = GONE[RemoteKind.TUNNEL], GONE[RemoteKind.POOL]
    rules = freeze({"ingress": [{"service": "http_status:404"}]})
    for step in (
        Update(pool, POOL, (Change("description", "", "x"),)),
        PutConfiguration(tunnel, "web", rules),
        RotateSecret(tunnel, "web"),
    ):
        with pytest.raises(NotFoundError):
            await cloud.execute(step)
    with pytest.raises(NotFoundError):
        await cloud.token(tunnel)
    await cloud.execute(CloseConnections(tunnel, "web"))
    for kind, id_ in GONE.items():
        await cloud.execute(Delete(kind, id_, ""))


async def test_whoever_changes_what_another_has_deleted_sees_that_it_is_gone(stage: Stage) -> None:
    ours, theirs = stage.cloud(), stage.cloud()
    pool = await made(ours, POOL)
    stage.pass_(10)  # for some seconds a process does not believe that its own creation is not there
    await theirs.execute(Delete(RemoteKind.POOL, pool.id, ""))
    assert await ours.pools()
    with pytest.raises(NotFoundError):
        await changed(ours, pool, minimum_origins=0)
    assert await ours.pools() == ()


async def test_a_change_leaves_alone_what_another_has_changed_elsewhere(stage: Stage) -> None:
    ours, theirs = stage.cloud(), stage.cloud()
    pool = await made(ours, POOL)
    await changed(theirs, (await listed(theirs, POOL))["web"], description="theirs")
    await changed(ours, pool, minimum_origins=0)
    found = (await listed(ours, POOL))["web"].value
    assert (found.description, found.minimum_origins) == ("theirs", 0)


async def test_a_pool_cannot_be_renamed_to_a_name_that_is_taken(stage: Stage) -> None:
    cloud = stage.cloud()
    pool = await made(cloud, POOL)
    await made(cloud, replace(POOL, name="other"))
    with pytest.raises(AlreadyExistsError):
        await changed(cloud, pool, name="other")


async def test_origins_come_back_sorted_by_name(stage: Stage) -> None:
    cloud = stage.cloud()
    origins = (Origin("b", "192.0.2.1"), Origin("a", "192.0.2.2"))
    pool = await made(cloud, replace(POOL, origins=origins))
    assert [origin.name for origin in pool.value.origins] == ["a", "b"]
    after = await changed(cloud, pool, origins=(*origins, Origin("0", "192.0.2.3")))
    assert [origin.name for origin in after.value.origins] == ["0", "a", "b"]


async def test_the_time_at_which_an_origin_was_disabled_is_told_and_stays(stage: Stage) -> None:
    cloud = stage.cloud()
    a, b = Origin("a", "192.0.2.1"), Origin("b", "192.0.2.2")
    pool: Observed[Any] = await made(cloud, replace(POOL, origins=(a, b)))
    out = await changed(cloud, pool, origins=(replace(a, enabled=False), b))
    assert set(out.health.disabled_at) == {"a"}
    stage.pass_(30)
    later = await changed(cloud, out, minimum_origins=0)
    assert later.health.disabled_at == out.health.disabled_at
    both = await changed(cloud, later, origins=(replace(a, enabled=False), replace(b, enabled=False)))
    assert both.health.disabled_at["a"] == out.health.disabled_at["a"]
    assert (both.health.disabled_at["b"] - both.health.disabled_at["a"]).total_seconds() >= 30
    (seen,) = await stage.cloud().pools()
    assert seen.health.disabled_at == both.health.disabled_at
    back = await changed(cloud, both, origins=(a, replace(b, enabled=False)))
    assert set(back.health.disabled_at) == {"b"}


async def test_a_verdict_comes_with_a_probe_is_forgotten_when_disabled_and_comes_anew(stage: Stage) -> None:
    cloud = stage.cloud()
    pool, (one, two) = await monitored(cloud, "one", "two")

    async def verdicts() -> dict[str, bool | None]:
        (found,) = await cloud.pools(fresh=True)
        return {origin.name: found.health.origins.get(origin.name) for origin in found.value.origins}

    assert await verdicts() == {"one": None, "two": None}
    stage.connect(one.id)
    await stage.probe()
    assert await verdicts() == {"one": True, "two": False}
    end = stage.connect(two.id)
    await stage.probe()
    assert await verdicts() == {"one": True, "two": True}
    out = await changed(cloud, pool, origins=(through(one, enabled=False), through(two)))
    assert out.health.origins.get("one") is None
    assert out.health.origins["two"] is True
    end()
    await stage.probe()
    assert await verdicts() == {"one": None, "two": False}
    back = await changed(cloud, out, origins=(through(one), through(two)))
    assert back.health.origins.get("one") is None
    await stage.probe()
    assert await verdicts() == {"one": True, "two": False}


async def test_a_token_belongs_to_a_tunnel_and_changes_with_its_secret(stage: Stage) -> None:
    cloud = stage.cloud()
    one, two = await made(cloud, Tunnel("one")), await made(cloud, Tunnel("two"))
    before = await cloud.token(one.id)
    assert before not in {"", await cloud.token(two.id)}
    assert await cloud.token(one.id) == before
    await cloud.execute(RotateSecret(one.id, "one"))
    assert await cloud.token(one.id) != before
    assert set(await listed(cloud, Tunnel(""))) == {"one", "two"}


async def test_a_token_that_opens_nothing_is_no_credential(stage: Stage) -> None:
    wrong = stage.cloud("0" * 40)
    with pytest.raises(CredentialsError):
        await wrong.verify()
    for call in (wrong.pools, wrong.zones):
        with pytest.raises((CredentialsError, MissingPermissionError)):
            await call()
    with pytest.raises(ApiError):
        await wrong.execute(Create(POOL))
    assert await stage.cloud().pools() == ()


async def test_zones_and_their_ssl_mode_are_read(stage: Stage) -> None:
    cloud = stage.cloud()
    assert {zone.id: zone.name for zone in await cloud.zones()}[stage.zone_id] == "example.com"
    assert await cloud.ssl_mode(stage.zone_id) in {"off", "flexible", "full", "strict"}


async def test_visitors_get_the_first_usable_pool_then_the_fallback_whatever_its_health(
    stage: Stage,
) -> None:
    cloud = stage.cloud()
    pool, (one, two) = await monitored(cloud, "one", "two")
    last = await made(cloud, Tunnel("last"))
    fallback = await made(cloud, replace(POOL, name="last", origins=(through(last),)))
    for tunnel in (two, last):
        stage.connect(tunnel.id)
    end = stage.connect(one.id)
    balancer = LoadBalancer(HOST, (pool.id,), fallback.id)
    await cloud.execute(Create(balancer, stage.zone_id))
    assert await stage.answering(HOST) == {last.id}, "a monitored origin without verdict counts as down"
    await stage.probe()
    assert await stage.answering(HOST) == {one.id, two.id}
    out = await changed(cloud, pool, origins=(through(one, enabled=False), through(two)))
    assert await stage.answering(HOST) == {two.id}
    back: Observed[Any] = await changed(cloud, out, origins=(through(one), through(two)), minimum_origins=2)
    await stage.probe()
    assert await stage.answering(HOST) == {one.id, two.id}
    end()
    await stage.probe()
    assert await stage.answering(HOST) == {last.id}
    await changed(cloud, back, minimum_origins=1)
    assert await stage.answering(HOST) == {two.id}


async def test_visitors_of_a_cname_get_its_tunnel_until_there_is_a_load_balancer(stage: Stage) -> None:
    cloud = stage.cloud()
    one, two = await made(cloud, Tunnel("one")), await made(cloud, Tunnel("two"))
    for tunnel in (one, two):
        stage.connect(tunnel.id)
    assert await stage.answering(HOST) == set()
    await cloud.execute(Create(DnsRecord(HOST, "CNAME", f"{one.id}.{TUNNEL_DOMAIN}"), stage.zone_id))
    assert await stage.answering(HOST) == {one.id}
    pool = await made(cloud, replace(POOL, origins=(through(two),)))
    balancer = await made(cloud, LoadBalancer(HOST, (pool.id,), pool.id), stage.zone_id)
    assert await stage.answering(HOST) == {two.id}
    await cloud.execute(Delete(RemoteKind.LOAD_BALANCER, balancer.id, "", stage.zone_id))
    assert await stage.answering(HOST) == {one.id}


async def test_one_object_can_be_read_again_alone(stage: Stage) -> None:
    ours, theirs = stage.cloud(), stage.cloud()
    pool = await made(ours, POOL)
    stage.pass_(10)
    await changed(theirs, (await listed(theirs, POOL))["web"], minimum_origins=0)
    await ours.look_again(RemoteKind.POOL, pool.id)
    assert [one.value.minimum_origins for one in await ours.pools()] == [0]
    await theirs.execute(Delete(RemoteKind.POOL, pool.id, ""))
    await ours.look_again(RemoteKind.POOL, pool.id)
    assert await ours.pools() == ()


async def test_a_configuration_is_known_once_it_was_given_or_looked_at(stage: Stage) -> None:
    ours, theirs = stage.cloud(), stage.cloud()
    tunnel = await made(ours, Tunnel("web"))
    assert ours.configuration(tunnel.id) is None
    for status in (404, 503):
        given = freeze({"ingress": [{"service": f"http_status:{status}"}]})
        await theirs.execute(PutConfiguration(tunnel.id, "web", given))
        assert ours.configuration(tunnel.id) != theirs.configuration(tunnel.id)
        await ours.look_at_configuration(tunnel.id)
        assert ours.configuration(tunnel.id) == theirs.configuration(tunnel.id)


async def test_whatever_answers_for_host_names_of_a_zone_is_listed_together(stage: Stage) -> None:
    cloud = stage.cloud()
    pool = await made(cloud, POOL)
    await cloud.execute(Create(LoadBalancer(HOST, (pool.id,), pool.id), stage.zone_id))
    await cloud.execute(Create(DnsRecord("x.example.com", "CNAME", f"x.{TUNNEL_DOMAIN}"), stage.zone_id))
    for one in (cloud, stage.cloud()):
        found = await one.at_hostnames(stage.zone_id)
        assert {item.title for item in found} == {HOST, "x.example.com"}


async def test_it_is_told_since_which_listing_a_tunnel_is_called_down(stage: Stage) -> None:
    cloud = stage.cloud()
    tunnel = await made(cloud, Tunnel("web"))
    end = stage.connect(tunnel.id)
    stage.pass_(STATE_LAG_S)

    async def seconds_down() -> float | None:
        (found,) = await cloud.tunnels(fresh=True)
        told = found.called_down
        return None if told is None else round(told.latest - told.since)

    assert await seconds_down() is None
    end()
    stage.pass_(STATE_LAG_S)
    assert await seconds_down() == 0
    stage.pass_(12)
    assert await seconds_down() == 12
    stage.connect(tunnel.id)
    stage.pass_(STATE_LAG_S)
    assert await seconds_down() is None


async def test_a_listing_that_is_young_enough_is_not_asked_for_again(stage: Stage) -> None:
    ours, theirs = stage.cloud(), stage.cloud()
    assert await ours.pools(fresh=True) == ()
    await theirs.execute(Create(POOL))
    assert await ours.pools(fresh=True, within_s=5) == ()
    stage.pass_(6)
    assert len(await ours.pools(fresh=True, within_s=5)) == 1
