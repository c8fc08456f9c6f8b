"""Kubeconfig files: the way in for kubectl, the controller manager and the tests."""

from pathlib import Path
from typing import Any

import yaml


def kubeconfig(
    server: str, ca: Path, credentials: dict[str, Any], name: str = "devcluster"
) -> dict[str, Any]:
    """Return a kubeconfig with one context; `credentials` is the `user` of it, e.g. `{"tokenFile": …}`."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority": str(ca)}}],
        "users": [{"name": name, "user": credentials}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}}],
    }


def write_kubeconfig(path: Path, content: dict[str, Any]) -> Path:
    """Write `content`, readable by its owner only."""
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path
