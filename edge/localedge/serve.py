"""`localedge serve`: an edge in the foreground, its addresses printed when it is ready."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from localedge.api.rate_limit import CALLS
from localedge.edge import Edge, Ports, TlsContexts
from localedge.options import FIRST_ACCOUNT, EdgeOptions, FurtherAccount
from localedge.plan import PlanName
from localedge.state.store import Lags
from localedge.tunnel.ca import CertificateAuthority
from localedge.tunnel.interface import TunnelDirectory
from localedge.tunnel.terminator import TunnelTerminator
from localedge.visitor_tls import visitor_context

Ready = dict[str, Any]


def _port(name: str, what: str) -> Callable[..., Any]:
    return click.option(
        f"--{name}-port",
        type=click.IntRange(0, 65535),
        default=0,
        help=f"Port of {what}; 0 is any free one.",
    )


def _lag(name: str, default: float, what: str) -> Callable[..., Any]:
    return click.option(
        f"--lag-{name}",
        type=click.FloatRange(0, 600),
        default=default,
        show_default=True,
        help=f"Real seconds from {what}.",
    )


@click.command(short_help="Serve the REST API, tunnels, monitors and visitors.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@_port("api", "the REST API and of /_edge")
@_port("http", "the visitors' plain HTTP")
@_port("https", "the visitors' HTTPS")
@_port("tunnel", "the tunnels")
@click.option(
    "--zone",
    "zones",
    multiple=True,
    default=("example.com",),
    show_default=True,
    help="A zone; repeatable. NAME@ACCOUNT is a zone of a further account.",
)
@click.option("--account", "accounts", multiple=True, help="Name of a further account; repeatable.")
@click.option(
    "--plan", type=click.Choice([p.value for p in PlanName]), default="pro", show_default=True, help="Limits."
)
@click.option("--load-balancing/--no-load-balancing", default=True, help="Whether the add-on is bought.")
@click.option(
    "--speed",
    type=click.FloatRange(0.001, 10_000),
    default=1.0,
    show_default=True,
    help="Edge seconds in a real second.",
)
@_lag("config", 3, "an accepted write to the data plane")
@_lag("state", 15, "a tunnel connection that comes or goes to the API's answers")
@_lag("death", 5, "a connection's abrupt death to the data plane's notice")
@click.option(
    "--healthy-connections",
    type=click.IntRange(1, 100),
    default=4,
    show_default=True,
    help="From how many connections on a tunnel is healthy; below it is degraded.",
)
@click.option(
    "--origin-ca",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A further authority for the certificates of address origins.",
)
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for ca.pem, cert.pem and edge.json; a new temporary one by default.",
)
@click.option(
    "--rate-limit",
    type=click.IntRange(0, 1_000_000),
    default=CALLS,
    show_default=True,
    help="Calls that a token has in five minutes, as at Cloudflare; 0 is no limit.",
)
@click.option("--seed", type=int, help="Makes ids and choices repeat themselves.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON when ready.")
def serve(
    directory: Path | None,
    plan: str,
    zones: tuple[str, ...],
    accounts: tuple[str, ...],
    as_json: bool,
    **settings: Any,
) -> None:
    """Serve the REST API, tunnels, monitors and visitors until it is interrupted."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    own, further = _accounts(zones, accounts)
    lags = Lags(settings.pop("lag_config"), settings.pop("lag_state"), settings.pop("lag_death"))

    def announce(ready: Ready) -> None:
        click.echo(json.dumps(ready) if as_json else _for_people(ready))

    with contextlib.ExitStack() as stack:
        folder = directory or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="localedge-")))
        folder.mkdir(parents=True, exist_ok=True)
        options = EdgeOptions(
            directory=folder, plan=PlanName(plan), zones=own, accounts=further, lags=lags, **settings
        )
        asyncio.run(run(options, announce))


async def run(options: EdgeOptions, announce: Callable[[Ready], None]) -> None:
    """Run an edge until SIGINT or SIGTERM; `announce` hears its addresses when it is ready."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    authority = CertificateAuthority()
    edge = Edge(options, lambda directory: _terminator(directory, options))
    visitors = visitor_context(authority, edge.accounts.zone_names, ["localhost", options.host])
    tls = TlsContexts(authority.tunnel_context(), visitors)
    try:
        ports = await edge.start(tls)
        authority.write(options.directory / "ca.pem")
        ready = _ready(edge, ports)
        _write_private(options.directory / "edge.json", json.dumps(ready, indent=2))
        announce(ready)
        await stop.wait()
    finally:
        await edge.close()


def _accounts(
    zones: tuple[str, ...], names: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[FurtherAccount, ...]]:
    owned: dict[str, list[str]] = {FIRST_ACCOUNT: [], **{name: [] for name in names}}
    for zone in zones:
        name, _, owner = zone.partition("@")
        if (owner or FIRST_ACCOUNT) not in owned:
            raise click.BadParameter(f"{zone}: there is no --account {owner}")
        owned[owner or FIRST_ACCOUNT].append(name)
    own = tuple(owned.pop(FIRST_ACCOUNT))
    if not own:
        raise click.BadParameter("the first account needs a --zone")
    return own, tuple(FurtherAccount(name, tuple(its)) for name, its in owned.items())


def _terminator(directory: TunnelDirectory, options: EdgeOptions) -> TunnelTerminator:
    return TunnelTerminator(directory, colo=options.colo)


def _ready(edge: Edge, ports: Ports) -> Ready:
    options = edge.options
    api = f"http://{options.host}:{ports.api}"
    accounts = {tenant.account.name: tenant.ready() for tenant in edge.tenants.opened}
    first = accounts[FIRST_ACCOUNT]
    certificate = options.directory / "cert.pem"
    zone_id = next(iter(first["zones"].values()))
    _write_private(certificate, origin_certificate(zone_id, edge.account.id, edge.full_token.value))
    return {
        "api_url": f"{api}/client/v4",
        "control_url": f"{api}/_edge",
        "http_url": f"http://{options.host}:{ports.http}",
        "https_url": f"https://{options.host}:{ports.https}",
        "edge": f"{options.host}:{ports.tunnel}",
        "ca_file": str((options.directory / "ca.pem").resolve()),
        "account_id": first["id"],
        "api_token": first["api_token"],
        "read_only_token": first["read_only_token"],
        "zones": first["zones"],
        "accounts": accounts,
        "cert_pem": str(certificate.resolve()),
    }


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def origin_certificate(zone_id: str, account_id: str, token: str) -> str:
    """Make what `cloudflared login` would leave behind: the file of TUNNEL_ORIGIN_CERT."""
    parts = {"zoneID": zone_id, "accountID": account_id, "apiToken": token}
    encoded = base64.encodebytes(json.dumps(parts, separators=(",", ":")).encode()).decode()
    return f"-----BEGIN ARGO TUNNEL TOKEN-----\n{encoded}-----END ARGO TUNNEL TOKEN-----\n"


def _for_people(ready: Ready) -> str:
    lines = ["The local edge is ready. It stands in for Cloudflare on this machine."]
    lines += [f"  {name:<16} {value}" for name, value in ready.items() if isinstance(value, str)]
    lines += [f"  zone {name:<11} {key}" for name, key in ready["zones"].items()]
    for name, account in ready["accounts"].items():
        if name != FIRST_ACCOUNT:
            lines.append(f"  account {name!r}: {account['id']}, token {account['api_token']}")
            lines += [f"    zone {zone:<9} {key}" for zone, key in account["zones"].items()]
    return "\n".join(lines)
