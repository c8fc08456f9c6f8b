"""A Cloudflare account in memory with the rules that an operator meets, behind `engine.ports.Cloud`.

`RemoteAccount` is the account itself and outlives an operator; `KeptCloud` is what one operator process
knows of it: listings that are read once, written through, and read again when they have reached their age.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from tunnelpool.cloudflare.configurations import Configurations
from tunnelpool.cloudflare.down_calls import DownCalls
from tunnelpool.cloudflare.inventory import identity_of
from tunnelpool.cloudflare.pool_health import with_known_health
from tunnelpool.domain.address_ranges import AddressRanges
from tunnelpool.domain.configuration import canonical_configuration
from tunnelpool.domain.errors import (
    ActiveConnectionsError,
    AlreadyExistsError,
    CredentialsError,
    HostHeaderError,
    InvalidError,
    MissingPermissionError,
    NotBoughtError,
    NotFoundError,
    OutcomeUnknownError,
    StillReferencedError,
    TooManyOriginsError,
)
from tunnelpool.domain.hostnames import zone_of
from tunnelpool.domain.json import FrozenJson, thaw
from tunnelpool.domain.remote import (
    KIND_OF,
    DnsRecord,
    LoadBalancer,
    Monitor,
    Observed,
    ObservedPool,
    ObservedTunnel,
    Origin,
    Pool,
    PoolHealth,
    RemoteKind,
    RemoteValue,
    Tunnel,
    TunnelStatus,
    Zone,
)
from tunnelpool.engine.ports import Account, Changed, Clock
from tunnelpool.plan.steps import (
    CloseConnections,
    Create,
    Delete,
    PutConfiguration,
    RemoteStep,
    RotateSecret,
    Update,
)

ACCOUNT_ID = "a" * 32
TOKEN = "a-token-that-opens-it"
ZONES = (Zone("zone-com", "example.com"), Zone("zone-org", "example.org"))
V = TypeVar("V", bound=RemoteValue)
Trip = Callable[[str, str], None]
"""Called with `read`, `before` or `after` and the name of a call; raises where the call shall fail."""
Hold = Callable[[RemoteStep], Awaitable[None]]
"""Awaited before a step takes effect: others may be let pass meanwhile."""
_AGE_S: Mapping[RemoteKind, float] = {RemoteKind.TUNNEL: 60.0, RemoteKind.POOL: 60.0}
_SETTINGS_AGE_S = 300.0


async def _go(step: RemoteStep) -> None:
    del step


def _pass(phase: str, call: str) -> None:
    del phase, call


class RemoteAccount:
    """The account: its objects by id, its rules, and a log of what was written."""

    def __init__(self, clock: Clock, *, zones: Sequence[Zone] = ZONES, api_lag_s: float = 15.0) -> None:
        self.clock = clock
        self.zones = tuple(zones)
        self.valid_tokens = {TOKEN}
        self.has_load_balancing = True
        self.ssl_mode: str | None = "strict"
        self.max_origins: int | None = None
        """How many origins a pool may have by the account's plan."""
        self.refused = 0
        """How many pools had more."""
        self.objects: dict[str, Observed[Any]] = {}
        self.configurations: dict[str, FrozenJson] = {}
        self.secrets: dict[str, int] = {}
        """How often the secret of a tunnel was replaced."""
        self.log: list[RemoteStep] = []
        self.trip: Trip = _pass
        self.hold: Hold = _go
        self.unreachable_addresses: set[str] = set()
        self.address_ranges = AddressRanges.of(["173.245.48.0/20"], ["2400:cb00::/32"])
        self.slandered: set[str] = set()
        """Ids of tunnels that listings call down, whatever is true."""
        self._api_lag_s = api_lag_s
        self._connectors: dict[str, set[str]] = {}
        self._statuses: dict[str, list[tuple[float, TunnelStatus]]] = {}
        self._verdicts: dict[tuple[str, str], bool] = {}
        self._disabled_at: dict[tuple[str, str], datetime] = {}
        self._ids = itertools.count(1)

    # -- what the world sees ----------------------------------------------------------------------

    def all(self, model: type[V]) -> list[Observed[V]]:
        """List the objects of a kind in the order of their creation."""
        return [one for one in self.objects.values() if isinstance(one.value, model)]

    def only(self, model: type[V]) -> Observed[V]:
        """Return the one object of a kind."""
        (found,) = self.all(model)
        return found

    def named(self, model: type[V], name: str) -> Observed[V]:
        """Return the object of that title."""
        (found,) = (one for one in self.all(model) if one.title == name)
        return found

    def put(self, value: RemoteValue, zone_id: str = "") -> str:
        """Let somebody else create an object; answer with its id."""
        number = next(self._ids)
        id_ = f"{KIND_OF[type(value)].replace(' ', '-')}-{number}"
        self.objects[id_] = Observed(id_, _sorted(value), zone_id, f"{number:08}")
        return id_

    def token_of(self, tunnel_id: str) -> str:
        """Make the token with which a connector of the tunnel registers."""
        times = self.secrets.get(tunnel_id, 0)
        return f"token-of-{tunnel_id}" + (f"-{times}" if times else "")

    def opened_by(self, token: str) -> str:
        """Tell the tunnel that a token opens; empty for the token of an old secret."""
        return next((one.id for one in self.all(Tunnel) if self.token_of(one.id) == token), "")

    def connect(self, tunnel_id: str, connector: str) -> bool:
        """Register a connector; False if there is no such tunnel."""
        if tunnel_id not in self.objects:
            return False
        self._connectors.setdefault(tunnel_id, set()).add(connector)
        self._note_status(tunnel_id)
        return True

    def disconnect(self, tunnel_id: str, connector: str) -> None:
        """Lose a connector."""
        self._connectors.get(tunnel_id, set()).discard(connector)
        self._note_status(tunnel_id)

    def is_connected(self, tunnel_id: str) -> bool:
        """Tell whether requests through the tunnel are answered."""
        return bool(self._connectors.get(tunnel_id))

    def probe(self) -> None:
        """Let every monitor probe once: origins of tunnels that are connected, and addresses, are up."""
        for pool in self.all(Pool):
            for origin in pool.value.origins:
                if pool.value.monitor and pool.value.enabled and origin.enabled:
                    self._verdicts[pool.id, origin.name] = self.is_up(origin)

    def is_up(self, origin: Origin) -> bool:
        """Tell whether a request to the origin is answered."""
        if origin.tunnel_id is not None:
            return self.is_connected(origin.tunnel_id)
        return origin.address not in self.unreachable_addresses

    def answering(self, hostname: str) -> list[Origin]:
        """List the origins that share the requests for a host name, as Cloudflare's data plane has it."""
        for record in self.all(DnsRecord):
            if record.value.name == hostname and not self._balancers(hostname):
                head = record.value.content.partition(".")[0]
                return [Origin("cname", record.value.content)] if self.is_connected(head) else []
        for balancer in self._balancers(hostname):
            pools = {one.id: one for one in self.all(Pool)}
            for pool_id in balancer.value.default_pools:
                usable = self._usable(pools[pool_id])
                if usable:
                    return usable
            return [one for one in pools[balancer.value.fallback_pool].value.origins if one.enabled]
        return []

    def _balancers(self, hostname: str) -> list[Observed[LoadBalancer]]:
        return [one for one in self.all(LoadBalancer) if one.value.name == hostname]

    def _usable(self, pool: Observed[Pool]) -> list[Origin]:
        if not pool.value.enabled:
            return []
        up = [
            origin
            for origin in pool.value.origins
            if origin.enabled and (not pool.value.monitor or self._verdicts.get((pool.id, origin.name)))
        ]
        minimum = pool.value.minimum_origins if pool.value.monitor else 1
        return up if len(up) >= minimum else []

    def _note_status(self, tunnel_id: str) -> None:
        status = TunnelStatus.HEALTHY if self.is_connected(tunnel_id) else TunnelStatus.DOWN
        self._statuses.setdefault(tunnel_id, []).append((self.clock.monotonic(), status))

    # -- what an operator sees --------------------------------------------------------------------

    def shown(self, kind: RemoteKind, zone_id: str) -> dict[str, Observed[Any]]:
        """Make a listing of a kind."""
        return {
            id_: self._shown(one)
            for id_, one in self.objects.items()
            if KIND_OF[type(one.value)] is kind and one.zone_id == zone_id
        }

    def _shown(self, one: Observed[Any]) -> Observed[Any]:
        if isinstance(one.value, Tunnel):
            seen_until = self.clock.monotonic() - self._api_lag_s
            seen = [status for at, status in self._statuses.get(one.id, ()) if at <= seen_until]
            status = seen[-1] if seen else TunnelStatus.INACTIVE
            return ObservedTunnel(
                one.id, one.value, status=TunnelStatus.DOWN if one.id in self.slandered else status
            )
        if isinstance(one.value, Pool):
            return ObservedPool(one.id, one.value, created_on=one.created_on, health=self._health(one))
        return one

    def _health(self, pool: Observed[Pool]) -> PoolHealth:
        origins = pool.value.origins
        return PoolHealth(
            healthy=None,
            origins={o.name: self._verdicts.get((pool.id, o.name)) for o in origins},
            disabled_at={
                o.name: self._disabled_at[pool.id, o.name]
                for o in origins
                if (pool.id, o.name) in self._disabled_at
            },
        )

    def commit(self, step: RemoteStep) -> Observed[Any] | None:
        """Do what a step says, or refuse it as Cloudflare would; answer with the object as it is now."""
        answer: Observed[Any] | None = None
        match step:
            case Create(value=value, zone_id=zone_id):
                self._check(value, zone_id, "")
                id_ = self.put(value, zone_id)
                self._followed(id_, None)
                answer = self._shown(self.objects[id_])
            case Update(id=id_, value=value, changes=changes, zone_id=zone_id):
                before = self._existing(id_)
                after = replace(before.value, **{c.field: getattr(value, c.field) for c in changes})
                self._check(after, zone_id, id_)
                self.objects[id_] = replace(before, value=_sorted(after))
                self._followed(id_, before.value)
                answer = self._shown(self.objects[id_])
            case Delete(id=id_):
                self._check_deletion(self._existing(id_))
                del self.objects[id_]
            case PutConfiguration(tunnel_id=id_, config=config):
                self._existing(id_)
                self.configurations[id_] = config
            case RotateSecret(tunnel_id=id_):
                self._existing(id_)
                self.secrets[id_] = self.secrets.get(id_, 0) + 1
            case CloseConnections(tunnel_id=id_):
                self._existing(id_)
        self.log.append(step)
        return answer

    def _existing(self, id_: str) -> Observed[Any]:
        if id_ not in self.objects:
            raise NotFoundError("it is gone", status=404)
        return self.objects[id_]

    def _check(self, value: RemoteValue, zone_id: str, id_: str) -> None:
        if isinstance(value, (Pool, Monitor)) and not self.has_load_balancing:
            raise NotBoughtError("Load Balancing is not enabled for this account: enable it", code=1002)
        if not isinstance(value, Monitor):
            for one in self.all(type(value)):
                if one.id != id_ and one.value.name == value.name and one.zone_id == zone_id:
                    raise AlreadyExistsError(f"{KIND_OF[type(value)]} '{value.name}' is there already")
        if isinstance(value, Pool):
            self._check_pool(value)
        if isinstance(value, LoadBalancer):
            if not value.default_pools:
                raise InvalidError("default_pools must not be empty", code=1002)
            for pool in value.pools:
                if pool not in self.objects:
                    raise InvalidError(f"no pool {pool}", code=1002)
        if isinstance(value, (LoadBalancer, DnsRecord)):
            zone = zone_of(value.name, self.zones)
            if zone is None or zone.id != zone_id:
                raise InvalidError(f"'{value.name}' is not a host name in this zone", code=1002)

    def _check_pool(self, pool: Pool) -> None:
        names, addresses = ({getattr(o, field) for o in pool.origins} for field in ("name", "address"))
        if not pool.origins or not len(names) == len(addresses) == len(pool.origins):
            raise InvalidError("origins must not be empty, and their names and addresses differ", code=1002)
        if self.max_origins is not None and len(pool.origins) > self.max_origins:
            error = TooManyOriginsError(f"at most {self.max_origins} origins", code=1002)
            error.limit = self.max_origins
            self.refused += 1
            raise error
        if not pool.check_regions:
            raise InvalidError("Probing from every data centre is not allowed", code=1002)
        if pool.monitor and pool.monitor not in self.objects:
            raise InvalidError(f"no monitor {pool.monitor}", code=1002)
        for origin in pool.origins:
            if origin.host and origin.host != origin.address and zone_of(origin.host, self.zones) is None:
                raise HostHeaderError(f"the Host header '{origin.host}' must be of a zone", code=1002)

    def _check_deletion(self, one: Observed[Any]) -> None:
        if isinstance(one.value, Monitor):
            referrers = [pool.title for pool in self.all(Pool) if pool.value.monitor == one.id]
        elif isinstance(one.value, Pool):
            referrers = [lb.title for lb in self.all(LoadBalancer) if one.id in lb.value.pools]
        else:
            referrers = []
        if referrers:
            raise StillReferencedError("This object is referenced by other objects.", code=1005)
        if self.is_connected(one.id):
            raise ActiveConnectionsError("This tunnel has active connections.", code=1022)

    def _followed(self, id_: str, before: RemoteValue | None) -> None:
        """Forget the verdict of an origin that was disabled, and note when that was."""
        pool = self.objects[id_].value
        if not isinstance(pool, Pool):
            return
        old = {o.name: o for o in before.origins} if isinstance(before, Pool) else {}
        for origin in pool.origins:
            place = (id_, origin.name)
            if origin.enabled:
                self._disabled_at.pop(place, None)
            elif origin.name not in old or old[origin.name].enabled:
                self._disabled_at[place] = datetime.fromtimestamp(self.clock.now(), UTC)
                self._verdicts.pop(place, None)


class KeptCloud:
    """What one operator process knows of the account: `engine.ports.Cloud`."""

    def __init__(self, remote: RemoteAccount, account: Account) -> None:
        self._remote = remote
        self._account = account
        self._kept: dict[tuple[RemoteKind, str], dict[str, Observed[Any]]] = {}
        self._read_at: dict[tuple[RemoteKind, str], float] = {}
        self._different: dict[RemoteKind, list[Observed[Any]]] = {}
        self._brought: set[str] = set()
        """Tunnels whose token came with the answer to their creation and has not been asked for."""
        self._down_calls = DownCalls(remote.clock)
        self._configurations = Configurations()
        self.listings = 0

    async def verify(self) -> None:
        """Check the token."""
        self._ask("verify")

    async def zones(self) -> Sequence[Zone]:
        """List the zones."""
        self._ask("zones")
        return self._remote.zones

    async def tunnels(self, *, fresh: bool = False, within_s: float = 0) -> Sequence[ObservedTunnel]:
        """List the tunnels."""
        found = self._list(RemoteKind.TUNNEL, "", fresh=fresh, within_s=within_s)
        return cast("Sequence[ObservedTunnel]", found)

    async def monitors(self, *, fresh: bool = False) -> Sequence[Observed[Monitor]]:
        """List the monitors."""
        return self._list(RemoteKind.MONITOR, "", fresh=fresh)

    async def pools(self, *, fresh: bool = False, within_s: float = 0) -> Sequence[ObservedPool]:
        """List the pools."""
        found = self._list(RemoteKind.POOL, "", fresh=fresh, within_s=within_s)
        return cast("Sequence[ObservedPool]", found)

    async def load_balancers(
        self, zone_id: str, *, fresh: bool = False, within_s: float = 0
    ) -> Sequence[Observed[LoadBalancer]]:
        """List the load balancers of a zone."""
        return self._list(RemoteKind.LOAD_BALANCER, zone_id, fresh=fresh, within_s=within_s)

    async def look_again(self, kind: RemoteKind, id_: str, zone_id: str = "") -> None:
        """Read one object into its listing."""
        self._ask(f"look at {kind}")
        kept = self._kept.get((kind, zone_id))
        if kept is None:
            return
        one = self._remote.shown(kind, zone_id).get(id_)
        if one is None:
            kept.pop(id_, None)
        elif isinstance(one, ObservedPool):
            bare = replace(one, health=replace(one.health, origins={}))
            kept[id_] = with_known_health(bare, cast("ObservedPool | None", kept.get(id_)))
        else:
            kept[id_] = one

    async def dns_records(self, zone_id: str, *, fresh: bool = False) -> Sequence[Observed[DnsRecord]]:
        """List the records of a zone."""
        return self._list(RemoteKind.DNS_RECORD, zone_id, fresh=fresh)

    async def ssl_mode(self, zone_id: str) -> str:
        """Read the SSL mode."""
        self._ask(f"ssl mode of {zone_id}")
        if self._remote.ssl_mode is None:
            raise MissingPermissionError("may not read it", permission="Zone Settings Read")
        return self._remote.ssl_mode

    async def token(self, tunnel_id: str) -> str:
        """Fetch a connector's token."""
        if tunnel_id in self._brought:
            self._brought.discard(tunnel_id)
        else:
            self._ask("token")
        if tunnel_id not in self._remote.objects:
            raise NotFoundError("it is gone", status=404)
        return self._remote.token_of(tunnel_id)

    def configuration(self, tunnel_id: str) -> FrozenJson:
        """Tell the configuration that was seen or put last."""
        return self._configurations.known(tunnel_id)

    async def look_at_configuration(self, tunnel_id: str) -> None:
        """Read a configuration."""
        self._ask("configuration")
        shown = self._remote.configurations.get(tunnel_id)
        self._configurations.note(tunnel_id, canonical_configuration(thaw(shown)))

    async def at_hostnames(self, zone_id: str) -> Sequence[Observed[LoadBalancer | DnsRecord]]:
        """List what answers for the host names of a zone, without keeping it."""
        self._ask(f"at hostnames of {zone_id}")
        found: list[Observed[Any]] = []
        for kind in (RemoteKind.LOAD_BALANCER, RemoteKind.DNS_RECORD):
            found.extend(self._remote.shown(kind, zone_id).values())
        return found

    async def execute(self, step: RemoteStep) -> None:
        """Carry out one step and write its answer through."""
        call = type(step).__name__
        self._ask("", reads=False)
        self._remote.trip("before", call)
        await self._remote.hold(step)
        shelf = _shelf(step)
        if isinstance(step, Create):
            identity = identity_of(step.value)
            if any(identity_of(one.value) == identity for one in self._kept.get(shelf, {}).values()):
                raise AlreadyExistsError("it is there already")
        try:
            answer = self._remote.commit(step)
            if isinstance(step, PutConfiguration):
                self._configurations.written(step.tunnel_id, thaw(step.config))
        except NotFoundError:
            self._kept.pop(shelf, None)
            if isinstance(step, (Delete, CloseConnections)):
                return
            raise
        except (AlreadyExistsError, InvalidError, StillReferencedError):
            self._kept.clear()
            raise
        try:
            self._remote.trip("after", call)
        except OutcomeUnknownError:
            self._kept.clear()  # as the real one does: whoever looks next lists again
            raise
        if isinstance(step, Create) and isinstance(answer, ObservedTunnel):
            self._brought.add(answer.id)
        if isinstance(step, RotateSecret):
            self._brought.discard(step.tunnel_id)
        kept = self._kept.get(shelf)
        if kept is None:
            return
        if isinstance(step, Delete):
            kept.pop(step.id, None)
        elif isinstance(answer, ObservedPool) and isinstance(step, Update):
            # The answer to a write has no verdicts, as with the real one.
            bare = replace(answer, health=replace(answer.health, origins={}))
            kept[answer.id] = with_known_health(bare, cast("ObservedPool | None", kept.get(answer.id)))
        elif answer is not None:
            kept[answer.id] = answer

    async def sweep(self) -> Sequence[Changed]:
        """Read again what is due."""
        for kind, zone_id in list(self._kept):
            if self._remote.clock.monotonic() - self._read_at[kind, zone_id] >= _AGE_S.get(
                kind, _SETTINGS_AGE_S
            ):
                self._list(kind, zone_id, fresh=True)
        changed = [Changed(kind, tuple(found)) for kind, found in self._different.items()]
        self._different.clear()
        return changed

    def _list(
        self, kind: RemoteKind, zone_id: str, *, fresh: bool, within_s: float = 0
    ) -> Sequence[Observed[Any]]:
        shelf, now = (kind, zone_id), self._remote.clock.monotonic()
        young = within_s > 0 and now - self._read_at.get(shelf, -within_s) < within_s
        if shelf not in self._kept or (fresh and not young):
            self._ask(f"list {kind}s")
            self.listings += 1
            found = self._remote.shown(kind, zone_id)
            if kind is RemoteKind.TUNNEL:
                told = cast("Sequence[ObservedTunnel]", tuple(found.values()))
                found = {one.id: one for one in self._down_calls.noted(self._down_calls.asked_at(), told)}
            if shelf in self._kept:
                self._note_differences(kind, self._kept[shelf], found)
            self._kept[shelf] = found
            self._read_at[shelf] = now
        return tuple(self._kept[shelf].values())

    def _note_differences(
        self, kind: RemoteKind, before: Mapping[str, Observed[Any]], after: Mapping[str, Observed[Any]]
    ) -> None:
        for id_ in before.keys() | after.keys():
            versions = [one for one in (before.get(id_), after.get(id_)) if one is not None]
            if before.get(id_) != after.get(id_):
                self._different.setdefault(kind, []).extend(versions)

    def _ask(self, call: str, *, reads: bool = True) -> None:
        if self._account.token not in self._remote.valid_tokens:
            raise CredentialsError("the API token is not valid: replace it", code=1000)
        if reads:
            self._remote.trip("read", call)


class KeptClouds:
    """`engine.ports.Clouds` of one operator process."""

    def __init__(self, remotes: Mapping[str, RemoteAccount]) -> None:
        self._remotes = remotes
        self._clouds: dict[Account, KeptCloud] = {}

    async def address_ranges(self) -> AddressRanges:
        """Read the addresses that Cloudflare's requests come from."""
        remote = next(iter(self._remotes.values()))
        remote.trip("read", "address ranges")
        return remote.address_ranges

    def account(self, account: Account) -> KeptCloud:
        """Hand out the account's view."""
        if account.id not in self._remotes:
            raise CredentialsError("no such account", code=7003)
        return self._clouds.setdefault(account, KeptCloud(self._remotes[account.id], account))


def _sorted(value: V) -> V:
    """Put the origins of a pool into the order in which the API shows them."""
    if isinstance(value, Pool):
        return replace(value, origins=tuple(sorted(value.origins, key=lambda origin: origin.name)))
    return value


def _shelf(step: RemoteStep) -> tuple[RemoteKind, str]:
    match step:
        case Create(value=value, zone_id=zone_id) | Update(value=value, zone_id=zone_id):
            return KIND_OF[type(value)], zone_id
        case Delete(kind=kind, zone_id=zone_id):
            return kind, zone_id
        case _:
            return RemoteKind.TUNNEL, ""
