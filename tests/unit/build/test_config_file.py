"""A connector serves from its first moment: the file beside its token says what Cloudflare will say."""

from __future__ import annotations

import base64
from typing import Any

import yaml
from snapshots import SITE, tunnel

from tunnelpool.build.config_file import NAME
from tunnelpool.build.manifests import HASH_ANNOTATION, deployment, ingress, secret
from tunnelpool.domain.json import thaw


def file_of(**spec: Any) -> dict[str, Any]:
    """Read the file in the Secret of a connector, as YAML."""
    built = thaw(secret(tunnel(**spec), 0, "id-0", ""))
    document: dict[str, Any] = yaml.safe_load(base64.b64decode(built["data"][NAME]))
    return document


def test_the_file_holds_the_rules_that_are_put_at_cloudflare() -> None:
    rules = [{"hostname": "docs.example.com", "path": "^/docs", "service": "http://docs.default.svc:80"}]
    assert file_of(ingress=rules) == thaw(ingress(tunnel(ingress=rules)))


def test_durations_have_their_unit_since_a_bare_number_would_be_nanoseconds() -> None:
    settings = {
        "connectTimeout": 5,
        "tlsTimeout": 6,
        "tcpKeepAlive": 7,
        "keepAliveTimeout": 8,
        "keepAliveConnections": 9,
        "noTLSVerify": True,
    }
    written = file_of(originRequest=settings)["ingress"][0]["originRequest"]
    told = thaw(ingress(tunnel(originRequest=settings)))["ingress"][0]["originRequest"]
    durations = {"connectTimeout": "5s", "tlsTimeout": "6s", "tcpKeepAlive": "7s", "keepAliveTimeout": "8s"}
    assert written == told | {name: durations[name] for name in durations if name in told}
    assert written["connectTimeout"] == "5s"
    assert written["keepAliveConnections"] == 9


def test_the_connector_is_told_of_the_file_where_it_is_mounted() -> None:
    pod = thaw(deployment(tunnel(), 0, "id-0", SITE.connector))["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (mount,) = container["volumeMounts"]
    assert container["args"][:3] == ["tunnel", "--config", f"{mount['mountPath']}/{NAME}"]


def test_other_rules_change_the_secret_and_start_no_new_pod() -> None:
    before, after = tunnel(), tunnel(originRequest={"httpHostHeader": "inner.example.net"})

    def mark(manifest: Any) -> str:
        return str(thaw(manifest)["metadata"]["annotations"][HASH_ANNOTATION])

    assert mark(secret(before, 0, "id-0", "")) != mark(secret(after, 0, "id-0", ""))
    assert mark(deployment(before, 0, "id-0", SITE.connector)) == mark(
        deployment(after, 0, "id-0", SITE.connector)
    )
