"""Settings that can be written in several ways are desired in the one way in which they are read back."""

from datetime import UTC, datetime
from typing import Any

from tunnelpool.build import pool as pool_builder
from tunnelpool.build.snapshot import ConnectorDefaults, PoolSnapshot, Site
from tunnelpool.crd.parsing import parse
from tunnelpool.domain.json import thaw
from tunnelpool.domain.ownership import Owner
from tunnelpool.domain.remote import Pool

SITE = Site(Owner("c", "00000000"), ConnectorDefaults("image"))


def desired(**spec: Any) -> Pool:
    raw = {"metadata": {"name": "static", "namespace": "default", "uid": "u"}, "spec": spec}
    snapshot = PoolSnapshot("static", namespace="default", lbpools=(parse("LBPool", raw),))
    built = pool_builder.build(snapshot, SITE, datetime.now(UTC)).desired
    assert built is not None
    return built


def test_an_address_is_written_the_short_way() -> None:
    pool = desired(origins=[{"name": "a", "address": "2001:db8:0:0:0:0:0:1"}])
    assert pool.origins[0].address == "2001:db8::1"


def test_a_notification_filter_that_filters_nothing_is_none() -> None:
    assert (
        desired(origins=[{"name": "a", "address": "192.0.2.1"}], notificationFilter={}).notification_filter
        is None
    )


def test_a_notification_filter_says_only_what_it_filters() -> None:
    pool = desired(
        origins=[{"name": "a", "address": "192.0.2.1"}],
        notificationFilter={"pool": {"healthy": False}, "origin": {"disable": False}},
    )
    assert thaw(pool.notification_filter) == {"pool": {"disable": False, "healthy": False}}
