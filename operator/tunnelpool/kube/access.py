"""How the Kubernetes API is reached: the pod's own ServiceAccount, or a kubeconfig.

An explicit file or `KUBECONFIG` wins over the ServiceAccount, as it does for kubectl.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any, Final

from kubernetes.aio import config
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from tunnelpool.domain.errors import UnavailableError

_IN_CLUSTER: Final = "KUBERNETES_SERVICE_HOST"


async def load_configuration(kubeconfig: str = "") -> Configuration:
    """Read how to reach the API; `kubeconfig` is a path, or empty to look in the usual places.

    Raises:
        UnavailableError: there is neither a kubeconfig nor a ServiceAccount, or it cannot be read.

    """
    found = Configuration()
    path = kubeconfig or os.environ.get("KUBECONFIG", "")
    try:
        if not path and os.environ.get(_IN_CLUSTER):
            load_in_cluster: Any = config.load_incluster_config
            load_in_cluster(found)
        else:
            files = path or default_kubeconfig()
            if not kubeconfig_exists(files):
                raise UnavailableError(
                    f"no way to the Kubernetes API is configured: there is no '{files}'; --kubeconfig or "
                    "KUBECONFIG names another"
                )
            load_file: Any = config.load_kube_config
            await load_file(config_file=files, client_configuration=found, persist_config=False)
    except (config.ConfigException, OSError) as error:
        raise UnavailableError(f"no way to the Kubernetes API is configured: {error}") from error
    return found


def default_kubeconfig() -> str:
    """Name the kubeconfig that kubectl takes when none is given."""
    return str(Path.home() / ".kube" / "config")


def kubeconfig_exists(files: str) -> bool:
    """Tell whether one of the kubeconfigs is there; the client only logs that none is."""
    return any(Path(file).expanduser().exists() for file in files.split(os.pathsep))


class Access:
    """A way to the API for a second client: address, TLS settings and credentials that stay fresh."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self.server: str = configuration.host
        """Base URL."""
        self.ssl: ssl.SSLContext = RESTClientObject(configuration).ssl_context
        """Trusts the cluster's authority; holds the client certificate if that is the credential."""
        self.proxy: str | None = configuration.proxy

    async def authorization(self) -> str | None:
        """Give the Authorization header as of now: a ServiceAccount's token changes about hourly."""
        settings: dict[str, Any] = dict(await self._configuration.auth_settings())
        token: str | None = settings.get("BearerToken", {}).get("value")
        return token


async def open_access(kubeconfig: str = "") -> Access:
    """Read how to reach the API, for a client that is not ours (kopf's).

    Raises:
        UnavailableError: as `load_configuration`.

    """
    return Access(await load_configuration(kubeconfig))
