"""Reading resources: defaults, what is ignored, what is refused and in which words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tunnelpool.crd.base import Model
from tunnelpool.crd.manifests import crd_manifests
from tunnelpool.crd.parsing import InvalidResourceError, parse
from tunnelpool.crd.v1alpha1 import KINDS, HealthCheckSpec, LoadBalancerSpec, TunnelSpec

ROOT = Path(__file__).parents[3]
RULES = yaml.safe_load((ROOT / "tests/integration/crd/rules.yaml").read_text())
SCHEMAS = {
    manifest["spec"]["names"]["kind"]: manifest["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for manifest in crd_manifests()
}


def _models(model: type[Model] = Model) -> Iterator[type[Model]]:
    for child in model.__subclasses__():
        yield child
        yield from _models(child)


# Rules over several fields, over lists of objects and over changes are the API server's alone.
SERVER_ONLY = {rule.message for model in _models() for rule in model.RULES} | {
    "must have a different address for each origin",
    "must have a different Service for each origin",
    "must have a different `name` for each rule",
    "must have a different `priority` for each rule, or none at all",
}
CASES = [(kind, case) for kind in KINDS for case in RULES[kind] if not case.get("update")]


def _raw(kind: str, overlay: dict[str, Any]) -> dict[str, Any]:
    spec = {name: value for name, value in {**RULES["base"][kind], **overlay}.items() if value is not None}
    return {"metadata": {"name": "web", "namespace": "shop"}, "spec": spec}


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_here_are_the_defaults_of_the_definition(kind: str) -> None:
    model = KINDS[kind].model_fields["spec"].annotation
    assert model is not None
    schema = SCHEMAS[kind]["properties"]["spec"]
    spec = parse(kind, _raw(kind, {})).spec.wire()
    given_here = {
        name: spec[name] for name in spec if name not in RULES["base"][kind] and spec[name] not in ("", [])
    }
    assert given_here == {
        name: node["default"] for name, node in schema["properties"].items() if "default" in node
    }


@pytest.mark.parametrize("kind", KINDS)
def test_every_accepted_object_reads_and_writes_back_the_same(kind: str) -> None:
    for case in RULES[kind]:
        first = parse(kind, _raw(kind, case["accept"]))
        assert parse(kind, first.wire()) == first


@pytest.mark.parametrize(("kind", "case"), CASES, ids=[f"{kind}:{case['at']}" for kind, case in CASES])
def test_python_refuses_a_bad_value_in_the_words_of_the_api_server(kind: str, case: dict[str, Any]) -> None:
    raw = _raw(kind, case["reject"])
    if case["says"] in SERVER_ONLY:
        parse(kind, raw)
        return
    with pytest.raises(InvalidResourceError) as caught:
        parse(kind, raw)
    assert case["says"] in str(caught.value)


def test_the_error_names_the_object_and_every_bad_field() -> None:
    with pytest.raises(InvalidResourceError) as caught:
        parse("Tunnel", _raw("Tunnel", {"hostname": "UPPER.example.com", "replicas": 21}))
    assert str(caught.value) == (
        "Tunnel shop/web: spec.hostname: must be a full host name in lower case, without wildcard and "
        "without dot at its end, such as 'app.example.com'; spec.replicas: Input should be less than or "
        "equal to 20"
    )


@pytest.mark.parametrize(
    "raw", [{}, {"metadata": None}, {"metadata": {}}, {"spec": 1}, {"metadata": {"name": 1}}]
)
def test_whatever_is_handed_in_the_error_is_ours(raw: dict[str, Any]) -> None:
    with pytest.raises(InvalidResourceError):
        parse("Tunnel", raw)


def test_an_unknown_kind_is_refused_with_the_kinds_there_are() -> None:
    with pytest.raises(InvalidResourceError, match="Tunnel, LBPool, HealthCheck, LoadBalancer, not 'Tunel'"):
        parse("Tunel", {})


def test_unknown_fields_belong_to_a_newer_version_and_are_ignored() -> None:
    raw = _raw("Tunnel", {"soon": 1})
    raw["metadata"]["managedFields"] = [{}]
    assert "soon" not in parse("Tunnel", raw).wire()["spec"]


def test_names_of_python_are_not_names_of_the_wire() -> None:
    assert parse("Tunnel", _raw("Tunnel", {"drain_seconds": 3})).spec.drain_seconds == 15


def test_a_resource_cannot_be_changed() -> None:
    tunnel = parse("Tunnel", _raw("Tunnel", {}))
    with pytest.raises(ValidationError):
        tunnel.spec.replicas = 3  # type: ignore[misc]  # what the test is about


def test_metadata_keeps_what_the_operator_needs() -> None:
    raw = _raw("Tunnel", {})
    raw["metadata"] |= {
        "uid": "u1",
        "generation": 4,
        "creationTimestamp": "2026-01-02T03:04:05Z",
        "deletionTimestamp": "2026-01-02T04:00:00Z",
        "finalizers": ["tunnelpool.dev/remote"],
        "labels": {"a": "b"},
    }
    tunnel = parse("Tunnel", raw)
    assert tunnel.deleting
    assert str(tunnel) == "Tunnel shop/web"
    assert (tunnel.kind, tunnel.api_version) == ("Tunnel", "tunnelpool.dev/v1alpha1")
    assert tunnel.metadata.finalizers == ("tunnelpool.dev/remote",)
    assert tunnel.metadata.wire()["creationTimestamp"] == "2026-01-02T03:04:05Z"


@given(st.integers(0, 100))
def test_every_hundredth_is_a_weight(hundredths: int) -> None:
    assert TunnelSpec(hostname="a.b", service="http://x", weight=hundredths / 100).weight == hundredths / 100


@given(st.floats(0, 1).filter(lambda number: abs(number * 100 - round(number * 100)) > 0.001))
def test_nothing_between_hundredths_is_a_weight(number: float) -> None:
    with pytest.raises(ValidationError, match=r"must be a multiple of 0\.01"):
        TunnelSpec(hostname="a.b", service="http://x", weight=number)


def test_a_service_reference_becomes_a_url_of_the_tunnels_own_namespace() -> None:
    by_name = parse(
        "Tunnel",
        _raw("Tunnel", {"service": None, "serviceRef": {"name": "web", "port": 443, "scheme": "https"}}),
    )
    assert by_name.spec.service_url("shop") == "https://web.shop.svc:443"
    assert parse("Tunnel", _raw("Tunnel", {})).spec.service_url("shop") == "http://web.default.svc:8080"
    neither = parse("Tunnel", _raw("Tunnel", {"service": None}))
    with pytest.raises(ValueError, match="exactly one of"):
        neither.spec.service_url("shop")


def test_a_pool_is_called_as_its_object_unless_it_is_named() -> None:
    assert parse("LBPool", _raw("LBPool", {})).pool_name == "web"
    assert parse("LBPool", _raw("LBPool", {"name": "Other_1"})).pool_name == "Other_1"


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (HealthCheckSpec(), ("GET", "/", "200")),
        (
            HealthCheckSpec(type="http", method="HEAD", path="/up", expected_codes="2xx"),
            ("HEAD", "/up", "2xx"),
        ),
        (HealthCheckSpec(type="tcp", port=5432), ("connection_established", "", "")),
        (HealthCheckSpec(type="icmp_ping"), ("", "", "")),
    ],
)
def test_a_health_check_has_the_defaults_of_its_type(
    check: HealthCheckSpec, expected: tuple[str, str, str]
) -> None:
    assert (check.effective_method, check.effective_path, check.effective_codes) == expected


@pytest.mark.parametrize(
    ("overlay", "policy"),
    [
        ({}, "off"),
        ({"country_pools": {"GB": ("web",)}}, "geo"),
        ({"steering_policy": "random"}, "random"),
    ],
)
def test_a_load_balancer_steers_by_place_only_if_places_are_given(
    overlay: dict[str, Any], policy: str
) -> None:
    assert LoadBalancerSpec(hostname="a.b", pools=("web",), **overlay).effective_steering_policy == policy
