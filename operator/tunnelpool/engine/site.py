"""Who an installation is and how its connectors run, from its settings: the same for operator and preview."""

from __future__ import annotations

from tunnelpool.build.snapshot import ConnectorDefaults, Site
from tunnelpool.domain.ownership import Owner
from tunnelpool.settings import Settings


def owner_of_cluster(settings: Settings, cluster_uid: str) -> Owner:
    """Tell whose marks are ours; `cluster_uid` is the UID of the namespace kube-system."""
    short = cluster_uid.replace("-", "")[:8]
    return Owner(settings.cluster_name or short, short, settings.take_over_from)


def site_of(settings: Settings, owner: Owner, ca: str) -> Site:
    """Build the site; `ca` is what stands in the file that `connector_ca_file` names."""
    connector = ConnectorDefaults(
        image=settings.connector_image,
        protocol=settings.connector_protocol,
        edge=settings.connector_edge,
        ca=ca,
    )
    return Site(
        owner,
        connector,
        fast_failover=settings.fast_failover,
        mass_deletion=settings.mass_deletion,
        hostname_policy=settings.hostname_policy,
    )
