"""The namespace that kubectl would work in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from kubernetes.aio import config

from tunnelpool.kube.access import default_kubeconfig, kubeconfig_exists

_POD: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_DEFAULT: Final = "default"


def usual_namespace(kubeconfig: str = "") -> str:
    """Read the namespace of the current context, or that of the pod; `default` if none is named."""
    path = kubeconfig or os.environ.get("KUBECONFIG", "")
    if not path and os.environ.get("KUBERNETES_SERVICE_HOST") and _POD.exists():
        return _POD.read_text().strip()
    files = path or default_kubeconfig()
    if not kubeconfig_exists(files):
        return _DEFAULT
    try:
        listing: Any = config.list_kube_config_contexts
        _, current = listing(files)
    except (config.ConfigException, OSError):
        return _DEFAULT
    context = (current or {}).get("context") or {}
    return str(context.get("namespace") or _DEFAULT)
