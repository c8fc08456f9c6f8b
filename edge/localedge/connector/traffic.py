"""What a connector counts, and the text of its `/metrics` page, under cloudflared's names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from localedge import connector

_HELP = {
    "build_info": ("gauge", "Build and version information"),
    "cloudflared_tunnel_ha_connections": ("gauge", "Number of active ha connections"),
    "cloudflared_tunnel_total_requests": ("counter", "Amount of requests proxied through all the tunnels"),
    "cloudflared_tunnel_request_errors": ("counter", "Count of error proxying to origin"),
    "cloudflared_tunnel_response_by_code": ("counter", "Count of responses by HTTP status code"),
    "cloudflared_tunnel_concurrent_requests_per_tunnel": ("gauge", "Concurrent requests proxied"),
    "cloudflared_tunnel_server_locations": ("gauge", "Where each tunnel is connected to"),
    "cloudflared_tunnel_tunnel_register_success": ("counter", "Count of successful tunnel registrations"),
    "cloudflared_tunnel_tunnel_register_fail": ("counter", "Count of tunnel registration errors by type"),
    "cloudflared_orchestration_config_version": ("gauge", "Configuration Version"),
}


@dataclass
class Traffic:
    """Counters of one connector process."""

    ha_connections: int = 0
    requests: int = 0
    errors: int = 0
    concurrent: int = 0
    responses: Counter[int] = field(default_factory=Counter)
    locations: dict[int, str] = field(default_factory=dict)
    """Where each connection ends, by its index; only registered ones."""
    registered: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def exposition(self, *, config_version: int, version: str) -> str:
        """Write the page in the text format of Prometheus."""
        return "".join(self._lines(config_version, version))

    def _lines(self, config_version: int, version: str) -> Iterator[str]:
        yield from _family("build_info", {(("type", connector.PROGRAM), ("version", version)): 1})
        yield from _family("cloudflared_tunnel_ha_connections", {(): self.ha_connections})
        yield from _family("cloudflared_tunnel_total_requests", {(): self.requests})
        yield from _family("cloudflared_tunnel_request_errors", {(): self.errors})
        yield from _family("cloudflared_tunnel_concurrent_requests_per_tunnel", {(): self.concurrent})
        yield from _family(
            "cloudflared_tunnel_response_by_code",
            {(("status_code", str(code)),): count for code, count in sorted(self.responses.items())},
        )
        yield from _family(
            "cloudflared_tunnel_server_locations",
            {
                (("connection_id", str(index)), ("edge_location", location)): 1
                for index, location in sorted(self.locations.items())
            },
        )
        rpc = ("rpcName", "registerConnection")
        yield from _family("cloudflared_tunnel_tunnel_register_success", {(rpc,): self.registered})
        yield from _family(
            "cloudflared_tunnel_tunnel_register_fail",
            {(("error", error), rpc): count for error, count in sorted(self.refused.items())},
        )
        yield from _family("cloudflared_orchestration_config_version", {(): config_version})


def _family(name: str, samples: Mapping[tuple[tuple[str, str], ...], int]) -> Iterator[str]:
    if not samples:
        return
    kind, text = _HELP[name]
    yield f"# HELP {name} {text}\n# TYPE {name} {kind}\n"
    for labels, value in samples.items():
        inner = ",".join(f'{label}="{_escaped(content)}"' for label, content in labels)
        yield f"{name}{{{inner}}} {value}\n" if inner else f"{name} {value}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
