"""Manifests of a connector: a Deployment and a Secret for each origin, one PodDisruptionBudget.

Why a Deployment of one: a rollout and a drain start the next connector of the *same* tunnel before the
last one ends; a StatefulSet stops first. Two connectors of one tunnel at a time are harmless and are
Cloudflare's own cure for restarts (cloudflared #353).
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any, Final

from tunnelpool.build import config_file
from tunnelpool.build.companion import Companion, affinity, connectors
from tunnelpool.build.snapshot import ConnectorDefaults, Raw
from tunnelpool.crd.v1alpha1 import Tunnel, TunnelSpec
from tunnelpool.crd.v1alpha1.ingress import IngressRule
from tunnelpool.domain.json import FrozenObject, freeze, thaw
from tunnelpool.domain.kinds import MANAGED_BY, MANAGER

TUNNEL_LABEL: Final = "tunnelpool.dev/tunnel"
SLOT_LABEL: Final = "tunnelpool.dev/slot"
HASH_ANNOTATION: Final = "tunnelpool.dev/applied"
TUNNEL_ID_ANNOTATION: Final = "tunnelpool.dev/tunnel-id"
ROTATE_ANNOTATION: Final = "tunnelpool.dev/rotate"
"""On a Tunnel, set by its user: any new value asks for new secrets."""
ROTATED_ANNOTATION: Final = "tunnelpool.dev/rotated"
"""On the Secret and the pods of an origin: the value for which its secret was last replaced."""
CONFIG_ANNOTATION: Final = "tunnelpool.dev/configuration"

_METRICS_PORT: Final = 20241
_FILES: Final = "/etc/tunnelpool"
_ROTATION_LENGTH: Final = 253
_GRACE_S: Final = 30
"""cloudflared's own grace period: how long open requests may last after it has unregistered."""


def child_name(tunnel: str, slot: int) -> str:
    """Name of an origin's Deployment and Secret."""
    return f"{tunnel}-connector-{slot}"


def labels(tunnel: str, slot: int | None = None) -> dict[str, str]:
    """Labels by which pods of a Tunnel, or of one of its origins, are found."""
    found = {
        "app.kubernetes.io/name": "cloudflared",
        "app.kubernetes.io/instance": tunnel,
        MANAGED_BY: MANAGER,
        TUNNEL_LABEL: tunnel,
    }
    return found if slot is None else {**found, SLOT_LABEL: str(slot)}


def shared(tunnel: Tunnel) -> bool:
    """Tell whether all replicas are connectors of one tunnel: a CNAME can point to one only."""
    return tunnel.spec.registration == "Shared" or not any(tunnel.spec.hosts.values())


def wanted_slots(tunnel: Tunnel, followed: Companion | None = None) -> int:
    """Count the tunnels, and so the origins, that a Tunnel asks for."""
    wanted = connectors(tunnel, followed)
    return min(wanted, 1) if shared(tunnel) else wanted


def fingerprint(value: Any) -> str:
    """Hash JSON shortly, independent of the order of names."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _owned(tunnel: Tunnel, manifest: dict[str, Any]) -> FrozenObject:
    meta = manifest["metadata"]
    meta["namespace"] = tunnel.metadata.namespace
    meta["ownerReferences"] = [
        {
            "apiVersion": "tunnelpool.dev/v1alpha1",
            "kind": "Tunnel",
            "name": tunnel.metadata.name,
            "uid": tunnel.metadata.uid,
            "controller": True,
        }
    ]
    meta.setdefault("annotations", {})[HASH_ANNOTATION] = fingerprint(manifest)
    frozen = freeze(manifest)
    if not isinstance(frozen, FrozenObject):  # a manifest is an object; this is for the type checker
        raise TypeError(manifest)
    return frozen


def ingress(tunnel: Tunnel) -> FrozenObject:
    """Build the tunnel's configuration: further rules, the Tunnel's own, all else refused with 404.

    The first rule that matches is taken, so the Tunnel's own comes after the paths of its hostname. The
    last rule must match everything (Cloudflare's error 1056).
    """
    rules = [_rule(tunnel, rule, rule.path) for rule in tunnel.spec.ingress]
    rules.append(_rule(tunnel, tunnel.spec))
    config = freeze({"ingress": [*rules, {"service": "http_status:404"}]})
    if not isinstance(config, FrozenObject):  # as above
        raise TypeError(config)
    return config


def _rule(tunnel: Tunnel, told: TunnelSpec | IngressRule, path: str | None = None) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "hostname": told.hostname,
        "service": told.service_url(tunnel.metadata.namespace),
    }
    if path is not None:
        rule["path"] = path
    settings = told.origin_request.wire() if told.origin_request is not None else {}
    if settings:
        rule["originRequest"] = settings
    return rule


def rotation_asked(tunnel: Tunnel) -> str:
    """Read the rotation that a Tunnel asks for; empty if it asks for none."""
    return tunnel.metadata.annotations.get(ROTATE_ANNOTATION, "")[:_ROTATION_LENGTH]


def _rotated(value: str) -> dict[str, str]:
    return {ROTATED_ANNOTATION: value} if value else {}


def secret(tunnel: Tunnel, slot: int, tunnel_id: str, ca: str, rotated: str = "") -> FrozenObject:
    """Build the Secret of one origin, without its token, which never passes through a plan."""
    configuration = ingress(tunnel)
    manifest: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": child_name(tunnel.metadata.name, slot),
            "labels": labels(tunnel.metadata.name, slot),
            "annotations": {
                TUNNEL_ID_ANNOTATION: tunnel_id,
                CONFIG_ANNOTATION: fingerprint(thaw(configuration)),
                **_rotated(rotated),
            },
        },
        "type": "Opaque",
        "data": {config_file.NAME: _encoded(config_file.config_file(configuration))},
    }
    if ca:
        manifest["data"]["ca.pem"] = _encoded(ca)
    return _owned(tunnel, manifest)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def disruption_budget(tunnel: Tunnel) -> FrozenObject:
    """Build the budget that lets evictions take one connector of a Tunnel at a time."""
    return _owned(
        tunnel,
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {
                "name": f"{tunnel.metadata.name}-connectors",
                "labels": labels(tunnel.metadata.name),
            },
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels(tunnel.metadata.name)}},
        },
    )


def deployment(
    tunnel: Tunnel,
    slot: int,
    tunnel_id: str,
    defaults: ConnectorDefaults,
    rotated: str = "",
    *,
    followed: Companion | None = None,
    there: Raw | None = None,
) -> FrozenObject:
    """Build the Deployment of one origin; another `rotated` makes it start new pods before old ones end.

    `there` is the present one: it tells which nodes are preferred while the workload is not there.
    """
    own = labels(tunnel.metadata.name, slot)
    pod = tunnel.spec.pod_template
    near = affinity(followed, there)
    extra_labels = dict(pod.labels) if pod is not None and pod.labels else {}
    annotations = dict(pod.annotations) if pod is not None and pod.annotations else {}
    return _owned(
        tunnel,
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": child_name(tunnel.metadata.name, slot), "labels": own},
            "spec": {
                "replicas": connectors(tunnel, followed) if shared(tunnel) else 1,
                "revisionHistoryLimit": 2,
                "selector": {"matchLabels": own},
                "strategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
                },
                "template": {
                    "metadata": {
                        "labels": {**extra_labels, **own},
                        "annotations": {**annotations, TUNNEL_ID_ANNOTATION: tunnel_id, **_rotated(rotated)},
                    },
                    "spec": _pod_spec(tunnel, slot, defaults) | ({"affinity": near} if near else {}),
                },
            },
        },
    )


def _pod_spec(tunnel: Tunnel, slot: int, defaults: ConnectorDefaults) -> dict[str, Any]:
    pod = tunnel.spec.pod_template
    drain_s = tunnel.spec.drain_seconds
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # preStop, then cloudflared's own grace, then a margin: SIGKILL must never be what ends it.
        "terminationGracePeriodSeconds": drain_s + _GRACE_S + 15,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "tolerations": [
            {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}
            for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
        ],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": labels(tunnel.metadata.name)},
            }
            for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
        ],
        "containers": [_container(tunnel, defaults)],
        "volumes": [
            {
                "name": "credentials",
                "secret": {"secretName": child_name(tunnel.metadata.name, slot), "defaultMode": 0o440},
            }
        ],
    }
    if pod is not None:
        if pod.node_selector:
            spec["nodeSelector"] = dict(pod.node_selector)
        if pod.priority_class_name:
            spec["priorityClassName"] = pod.priority_class_name
        spec["tolerations"] += [toleration.wire() for toleration in pod.tolerations]
    return spec


def _container(tunnel: Tunnel, defaults: ConnectorDefaults) -> dict[str, Any]:
    pod = tunnel.spec.pod_template
    environment = {
        "NO_AUTOUPDATE": "true",
        "TUNNEL_TOKEN_FILE": f"{_FILES}/token",
        # The pod's own address, so that connectors which share one loopback (the development cluster) do
        # not collide; in brackets, which Go takes around IPv4 as well, so that IPv6 works.
        "TUNNEL_METRICS": f"[$(POD_IP)]:{_METRICS_PORT}",
        "TUNNEL_GRACE_PERIOD": f"{_GRACE_S}s",
        "TUNNEL_TRANSPORT_PROTOCOL": tunnel.spec.protocol or defaults.protocol,
    }
    if defaults.edge:
        # One value more than connections: a single address makes cloudflared spin when it is refused.
        environment["TUNNEL_EDGE"] = ",".join([defaults.edge] * (tunnel.spec.connections + 1))
        environment["TUNNEL_NO_PRECHECKS"] = "true"
    if defaults.ca:
        environment["TUNNEL_CACERT"] = f"{_FILES}/ca.pem"
    container: dict[str, Any] = {
        "name": "cloudflared",
        "image": (pod.image if pod is not None else None) or defaults.image,
        "args": [
            *("tunnel", "--config", f"{_FILES}/{config_file.NAME}"),
            *("--ha-connections", str(tunnel.spec.connections), "run"),
        ],
        "env": [
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            *({"name": name, "value": value} for name, value in environment.items()),
        ],
        "ports": [{"name": "metrics", "containerPort": _METRICS_PORT, "protocol": "TCP"}],
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": _METRICS_PORT},
            "periodSeconds": 2,
            "failureThreshold": 2,
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "credentials", "mountPath": _FILES, "readOnly": True}],
    }
    if tunnel.spec.drain_seconds:
        # An eviction stops a pod without a replacement: this covers the time until that one serves.
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": tunnel.spec.drain_seconds}}}
    if pod is not None and pod.resources is not None:
        container["resources"] = pod.resources.wire()
    return container
