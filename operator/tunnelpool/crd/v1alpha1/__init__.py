"""Version `v1alpha1` of the four kinds."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tunnelpool.crd.base import Resource
from tunnelpool.crd.v1alpha1.healthcheck import HealthCheck, HealthCheckSpec, HealthCheckStatus
from tunnelpool.crd.v1alpha1.lbpool import LBPool, LBPoolSpec, LBPoolStatus
from tunnelpool.crd.v1alpha1.loadbalancer import LoadBalancer, LoadBalancerSpec, LoadBalancerStatus
from tunnelpool.crd.v1alpha1.tunnel import Tunnel, TunnelSpec, TunnelStatus

__all__ = [
    "KINDS",
    "HealthCheck",
    "HealthCheckSpec",
    "HealthCheckStatus",
    "LBPool",
    "LBPoolSpec",
    "LBPoolStatus",
    "LoadBalancer",
    "LoadBalancerSpec",
    "LoadBalancerStatus",
    "Tunnel",
    "TunnelSpec",
    "TunnelStatus",
]

KINDS: Final[Mapping[str, type[Resource]]] = MappingProxyType(
    {model.NAMES.kind: model for model in (Tunnel, LBPool, HealthCheck, LoadBalancer)}
)
"""The kinds by name, in the order in which a reader meets them."""
