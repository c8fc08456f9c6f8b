"""The configuration that a connector runs, one for the process, whatever connection brought it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from localedge.connector.config_file import read_config_file
from localedge.connector.ingress import Ingress, IngressError, no_rules, parse_configuration

_log = logging.getLogger(__name__)


class Orchestrator:
    """Keeps the newest valid configuration. Versions start at -1: none was pushed, what a file says holds."""

    def __init__(self, file: Path | None = None) -> None:
        """Raise IngressError or OSError where the file cannot be used."""
        self.version = -1
        self.ingress: Ingress = read_config_file(file) if file is not None else no_rules()

    def update(self, body: bytes) -> bytes:
        """Take a push in and answer it as cloudflared does.

        A configuration that is refused leaves all as it was and is answered with an empty error: the text is
        in the log only.

        Raises:
            ValueError: the push is not JSON with a version.

        """
        document = json.loads(body)
        if not isinstance(document, dict) or not isinstance(document.get("version"), int):
            raise ValueError("a push without a version")  # noqa: TRY004 - one error for a bad push
        version, config = document["version"], document.get("config")
        error: dict[str, str] | None = None
        if version > self.version:
            try:
                self.ingress = parse_configuration(config)
            except IngressError as refusal:
                _log.error("Failed to update ingress version=%d error=%r", version, str(refusal))
                error = {}
            else:
                self.version = version
                _log.info("Updated to new configuration version=%d config=%s", version, json.dumps(config))
        answer = {"lastAppliedVersion": self.version, "err": error}
        return json.dumps(answer, separators=(",", ":")).encode()

    def document(self) -> dict[str, Any]:
        """Write what is in force as the `/config` page has it."""
        rules = [
            {
                "hostname": rule.hostname,
                "path": rule.path.pattern if rule.path else None,
                "service": str(rule.service),
                "originRequest": rule.origin_request.document(),
            }
            for rule in self.ingress.rules
        ]
        defaults = self.ingress.defaults.document()
        return {
            "version": self.version,
            "config": {"ingress": rules, "warp-routing": {}, "originRequest": defaults},
        }

    def local_document(self, flags: dict[str, str]) -> dict[str, Any]:
        """Write what a locally managed connector uploads."""
        config = self.document()["config"]
        return {"__configuration_flags": flags, "ingress": config["ingress"], "warp-routing": {}}
