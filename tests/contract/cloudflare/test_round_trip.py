"""Whatever is desired: written to a running edge and listed again, nothing is left to plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunnelpool.cloudflare.account import CloudAccount
from tunnelpool.domain.canonical import (
    canonical_affinity_attributes,
    canonical_notification_filter,
    canonical_rules,
)
from tunnelpool.domain.json import freeze, with_defaults
from tunnelpool.domain.remote import (
    KIND_OF,
    LOAD_SHEDDING_DEFAULTS,
    RANDOM_STEERING_DEFAULTS,
    DnsRecord,
    LoadBalancer,
    Monitor,
    Observed,
    Origin,
    Pool,
    RemoteValue,
    Tunnel,
)
from tunnelpool.plan.diff import update
from tunnelpool.plan.steps import Create, Delete

few = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
"""Each example is a dozen requests to another process."""

words = st.from_regex(r"[a-z][a-z0-9]{1,8}", fullmatch=True)
names = words.map("{}.example.com".format)
texts = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["C"]), max_size=20)
outside = st.from_regex(r"[a-z]{1,8}\.example\.net", fullmatch=True) | st.ip_addresses(
    network="192.0.2.0/24"
).map(str)
percents = st.integers(0, 100)

monitors = st.builds(
    Monitor,
    description=texts,
    type=st.sampled_from(["http", "https"]),
    method=st.sampled_from(["GET", "HEAD"]),
    path=words.map("/{}".format),
    port=st.sampled_from([0, 443, 8443]),
    interval=st.integers(61, 3600),
    timeout=st.integers(1, 10),
    retries=st.integers(0, 5),
    consecutive_up=st.integers(0, 3),
    consecutive_down=st.integers(0, 3),
    expected_codes=st.sampled_from(["200", "2xx", "200,302"]),
    expected_body=texts,
    header=st.dictionaries(
        st.sampled_from(["Host", "X-A", "X-B"]), st.lists(words, min_size=1, max_size=1)
    ).map(freeze),
    allow_insecure=st.booleans(),
)
origins = st.builds(
    Origin,
    name=words,
    address=outside,
    enabled=st.booleans(),
    weight=percents.map(lambda percent: percent / 100),
    port=st.sampled_from([0, 443, 8443]),
    host=st.just("") | names,
)
pools = st.builds(
    Pool,
    name=words,
    origins=st.lists(origins, min_size=1, max_size=4, unique_by=(lambda o: o.name, lambda o: o.address)).map(
        lambda some: tuple(sorted(some, key=lambda origin: origin.name))
    ),
    description=texts,
    enabled=st.booleans(),
    minimum_origins=st.integers(0, 3),
    check_regions=st.sets(st.sampled_from(["WNAM", "ENAM", "WEU"]), min_size=1).map(
        lambda some: tuple(sorted(some))
    ),
    load_shedding=percents.map(
        lambda percent: with_defaults({"default_percent": percent}, LOAD_SHEDDING_DEFAULTS)
    ),
    origin_steering=st.sampled_from(["random", "hash"]).map(lambda policy: freeze({"policy": policy})),
    notification_filter=st.fixed_dictionaries(
        {},
        optional={
            name: st.fixed_dictionaries({"disable": st.booleans()}, optional={"healthy": st.booleans()})
            for name in ("origin", "pool")
        },
    ).map(canonical_notification_filter),
)
located_pools = st.builds(
    lambda pool, place: replace(pool, latitude=place and place[0], longitude=place and place[1]),
    pools,
    st.none() | st.tuples(st.integers(-90, 90), st.integers(-180, 180)),
)
records = st.builds(
    DnsRecord,
    name=names,
    type=st.just("CNAME"),
    content=outside.filter(lambda address: address[0].isalpha()),
    proxied=st.booleans(),
    ttl=st.just(1),
    comment=texts.filter(lambda text: text == text.strip()),
)


async def observed(cloud: CloudAccount, value: RemoteValue, zone_id: str) -> Any:
    match value:
        case Monitor():
            return await cloud.monitors(fresh=True)
        case Pool():
            return await cloud.pools(fresh=True)
        case Tunnel():
            return await cloud.tunnels(fresh=True)
        case LoadBalancer():
            return await cloud.load_balancers(zone_id, fresh=True)
        case DnsRecord():
            return await cloud.dns_records(zone_id, fresh=True)


async def create(cloud: CloudAccount, value: RemoteValue, zone_id: str) -> Observed[Any]:
    """Create an object; what was written through is what the listing shows."""
    before = {item.id for item in await observed(cloud, value, zone_id)}
    await cloud.execute(Create(value, zone_id))
    (created,) = (item for item in await observed(cloud, value, zone_id) if item.id not in before)
    observed_: Observed[Any] = created
    return observed_


async def delete(cloud: CloudAccount, item: Observed[Any]) -> None:
    await cloud.execute(Delete(KIND_OF[type(item.value)], item.id, "", item.zone_id))


async def live_through(edge: Any, first: RemoteValue, second: RemoteValue) -> None:
    """Create the first, change it to the second, delete it; after each step nothing is left to plan."""
    zone_id = edge.zone_id if isinstance(first, LoadBalancer | DnsRecord) else ""
    async with edge.open() as cloud, edge.open() as onlooker:
        created = await create(cloud, first, zone_id)
        assert update(first, created) is None
        step = update(second, created)
        if step is not None:
            await cloud.execute(step)
        (changed,) = (i for i in await observed(onlooker, second, zone_id) if i.id == created.id)
        assert update(second, changed) is None
        assert changed in await observed(cloud, second, zone_id)
        await delete(cloud, created)
        assert created.id not in {item.id for item in await observed(onlooker, second, zone_id)}


@few
@given(first=monitors, second=monitors)
async def test_monitors(edge: Any, first: Monitor, second: Monitor) -> None:
    await live_through(edge, first, second)


@few
@given(first=located_pools, second=located_pools)
async def test_pools(edge: Any, first: Pool, second: Pool) -> None:
    await live_through(edge, first, second)


@few
@given(first=records, second=records)
async def test_dns_records(edge: Any, first: DnsRecord, second: DnsRecord) -> None:
    await live_through(edge, first, second)


@few
@given(first=words, second=words)
async def test_tunnels(edge: Any, first: str, second: str) -> None:
    await live_through(edge, Tunnel(first), Tunnel(second))


@few
@given(data=st.data())
async def test_load_balancers(edge: Any, data: st.DataObject) -> None:
    async with edge.open() as cloud:
        targets = [
            await create(
                cloud, Pool(f"target{number}", (Origin("a", "192.0.2.1"),), check_regions=("WEU",)), ""
            )
            for number in range(3)
        ]
        ids = st.sampled_from([pool.id for pool in targets])
        pools_of_rule = st.lists(ids, min_size=1, unique=True)
        overrides = st.fixed_dictionaries(
            {},
            optional={
                "default_pools": pools_of_rule,
                "fallback_pool": ids,
                "steering_policy": st.sampled_from(["off", "random"]),
                "random_steering": st.dictionaries(ids, percents).map(lambda some: {"pool_weights": some}),
                "session_affinity": st.sampled_from(["cookie", "ip_cookie"]),
                "adaptive_routing": st.booleans().map(lambda across: {"failover_across_pools": across}),
            },
        )
        answer = {"status_code": 503, "content_type": "text/plain", "message_body": "later"}
        balancers = st.builds(
            LoadBalancer,
            name=names,
            default_pools=st.lists(ids, min_size=1, unique=True).map(tuple),
            fallback_pool=ids,
            description=texts,
            enabled=st.booleans(),
            steering_policy=st.sampled_from(["off", "random"]),
            random_steering=st.dictionaries(ids, percents).map(
                lambda some: with_defaults({"pool_weights": some}, RANDOM_STEERING_DEFAULTS)
            ),
            adaptive_routing=st.booleans().map(lambda across: freeze({"failover_across_pools": across})),
            session_affinity=st.sampled_from(["none", "cookie", "ip_cookie"]),
            session_affinity_attributes=st.fixed_dictionaries(
                {},
                optional={
                    "samesite": st.sampled_from(["Lax", "Strict"]),
                    "secure": st.sampled_from(["Always", "Never"]),
                    "drain_duration": st.integers(0, 600),
                    "zero_downtime_failover": st.sampled_from(["temporary", "sticky"]),
                },
            ).map(canonical_affinity_attributes),
            # One rule is what the plan `pro` takes.
            rules=st.lists(
                st.fixed_dictionaries(
                    {"name": words, "condition": words.map('http.host == "{}.example.com"'.format)},
                    optional={
                        "priority": percents,
                        "disabled": st.booleans(),
                        "terminates": st.booleans(),
                        "fixed_response": st.just(answer),
                        "overrides": overrides,
                    },
                ),
                max_size=1,
            ).map(canonical_rules),
        )
        try:
            await live_through(edge, data.draw(balancers), data.draw(balancers))
        finally:
            for pool in targets:
                await delete(cloud, pool)


def enterprise_balancers(ids: st.SearchStrategy[str]) -> st.SearchStrategy[LoadBalancer]:
    """Draw load balancers with what plans below Enterprise do not have, and such as only answer DNS."""
    listed = st.lists(ids, min_size=1, max_size=2, unique=True)

    def places(*codes: str) -> st.SearchStrategy[Any]:
        return st.dictionaries(st.sampled_from(codes), listed).map(freeze)

    plain = {
        "name": names,
        "default_pools": listed.map(tuple),
        "fallback_pool": ids,
        "description": texts,
    }
    geo = st.builds(
        LoadBalancer,
        **plain,
        steering_policy=st.just("geo"),
        region_pools=places("WNAM", "WEU", "OC"),
        country_pools=places("GB", "NO"),
        pop_pools=places("LHR", "AMS"),
        session_affinity=st.just("header"),
        session_affinity_ttl=st.sampled_from([0, 30, 3600]),
        session_affinity_attributes=st.fixed_dictionaries(
            {"headers": st.lists(words, min_size=1, max_size=3, unique=True)},
            optional={"require_all_headers": st.booleans(), "zero_downtime_failover": st.just("temporary")},
        ).map(canonical_affinity_attributes),
    )
    rule = st.fixed_dictionaries(
        {"name": words, "condition": words.map('http.request.uri.path contains "{}"'.format)},
        optional={
            "disabled": st.booleans(),
            "overrides": st.fixed_dictionaries(
                {},
                optional={
                    "default_pools": listed,
                    "steering_policy": st.just("least_outstanding_requests"),
                    "session_affinity": st.just("cookie"),
                    "session_affinity_ttl": st.just(1800),
                },
            ),
        },
    )
    ruled = st.builds(
        LoadBalancer,
        **plain,
        steering_policy=st.sampled_from(["off", "least_outstanding_requests"]),
        rules=st.lists(rule, min_size=1, max_size=4).map(canonical_rules),
    )
    dns_only = st.builds(
        LoadBalancer,
        **plain,
        proxied=st.just(False),  # noqa: FBT003 - a strategy, not a switch
        ttl=st.sampled_from([0, 10, 86_400]),
        location_strategy=st.builds(
            lambda mode, prefer: freeze({"mode": mode, "prefer_ecs": prefer}),
            st.sampled_from(["pop", "resolver_ip"]),
            st.sampled_from(["always", "never", "proximity", "geo"]),
        ),
    )
    return geo | ruled | dns_only


@few
@given(data=st.data())
async def test_load_balancers_of_enterprise(enterprise_edge: Any, data: st.DataObject) -> None:
    async with enterprise_edge.open() as cloud:
        targets = [
            await create(cloud, Pool(f"target{n}", (Origin("a", "192.0.2.1"),), check_regions=("WEU",)), "")
            for n in range(3)
        ]
        balancers = enterprise_balancers(st.sampled_from([pool.id for pool in targets]))
        try:
            await live_through(enterprise_edge, data.draw(balancers), data.draw(balancers))
        finally:
            for pool in targets:
                await delete(cloud, pool)


@few
@given(pool=located_pools)
async def test_a_pool_takes_a_monitor_and_lets_go_of_it(edge: Any, pool: Pool) -> None:
    async with edge.open() as cloud:
        monitor = await create(cloud, Monitor("probe"), "")
        try:
            await live_through(edge, replace(pool, monitor=monitor.id), pool)
        finally:
            await delete(cloud, monitor)
