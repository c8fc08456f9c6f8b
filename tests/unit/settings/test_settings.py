"""Settings from the environment: what is read, and what is refused in words."""

from __future__ import annotations

import pytest

from tunnelpool.domain.hostname_policy import NO_POLICY
from tunnelpool.domain.ownership import Owner
from tunnelpool.engine.site import owner_of_cluster
from tunnelpool.settings import Settings, SettingsError

POLICY = '[{"namespaces": ["shop-*"], "hostnames": ["*.shop.example.com"]}]'


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    assert (
        Settings.read({"TUNNELPOOL_WORKERS": "", "TUNNELPOOL_HOSTNAME_POLICY": "", "PATH": "x"}) == Settings()
    )
    assert Settings().hostname_policy == NO_POLICY


def test_the_policy_of_hostnames_is_read_from_json() -> None:
    policy = Settings.read({"TUNNELPOOL_HOSTNAME_POLICY": POLICY}).hostname_policy
    assert policy.allows("shop-eu", "a.shop.example.com")
    assert not policy.allows("default", "a.shop.example.com")
    assert Settings.read({"TUNNELPOOL_HOSTNAME_POLICY": "[]"}).hostname_policy == NO_POLICY


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("TUNNELPOOL_WORKERS", "many", "TUNNELPOOL_WORKERS: .*integer"),
        ("TUNNELPOOL_WORKER", "8", "TUNNELPOOL_WORKER: Extra inputs are not permitted"),
        ("TUNNELPOOL_HOSTNAME_POLICY", "{", "TUNNELPOOL_HOSTNAME_POLICY: .*must be JSON"),
        ("TUNNELPOOL_HOSTNAME_POLICY", "{}", "must be a list of entries with `namespaces` and `hostnames`"),
        ("TUNNELPOOL_HOSTNAME_POLICY", "[1]", "each entry must have `namespaces` and `hostnames`"),
        ("TUNNELPOOL_HOSTNAME_POLICY", '[{"namespaces": ["a"]}]', "each entry must have"),
        (
            "TUNNELPOOL_HOSTNAME_POLICY",
            '[{"namespaces": ["a"], "hostnames": "*"}]',
            "`hostnames` must be a list of strings",
        ),
        (
            "TUNNELPOOL_HOSTNAME_POLICY",
            '[{"namespaces": ["a"], "hostnames": ["b ü.example.com"]}]',
            "hostname 'b ü.example.com': label 'b ü' must be written in letters",
        ),
    ],
)
def test_a_wrong_variable_is_refused_by_its_name(variable: str, value: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        Settings.read({variable: value})


def test_whose_place_is_taken_is_said_with_the_name() -> None:
    with pytest.raises(SettingsError, match=r"TAKE_OVER_FROM: .*CLUSTER_NAME.*it was '0123abcd'"):
        Settings.read({"TUNNELPOOL_TAKE_OVER_FROM": "0123abcd"})
    told = {"TUNNELPOOL_TAKE_OVER_FROM": "0123abcd", "TUNNELPOOL_CLUSTER_NAME": "0123abcd"}
    assert owner_of_cluster(Settings.read(told), "fedcba98-0000").covers(Owner("0123abcd", "0123abcd"))
