"""The command line of the stand-in connector: cloudflared's, as far as pods use it."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from localedge.connector.credentials import Credentials, parse_token
from localedge.connector.duration import parse_duration
from localedge.connector.ingress import IngressError
from localedge.connector.process import ConnectorProcess, Settings, stand_in_version
from localedge.connector.supervisor import Address

_MAX_GRACE_S = 180.0
_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
    "panic": logging.CRITICAL,
}
_SHORT_NAMES = {10: "DBG", 20: "INF", 30: "WRN", 40: "ERR", 50: "FTL"}


class _Addresses(click.ParamType[Address]):
    """`host:port`; in the environment several, with commas between."""

    name = "host:port"
    envvar_list_splitter = ","

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """Read one address."""
        if isinstance(value, tuple):
            return value
        host, colon, port = str(value).strip().rpartition(":")
        if not colon or not host or not port.isdecimal():
            self.fail(f"{value!r} is not host:port", param, ctx)
        return host.strip("[]"), int(port)


class _Duration(click.ParamType[float]):
    """A duration as Go writes it, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a duration."""
        if isinstance(value, float):
            return value
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@dataclass(frozen=True)
class _TunnelOptions:
    """The flags before `run`."""

    edge: tuple[Address, ...]
    ca_file: Path | None
    ha_connections: int
    retries: int
    grace_s: float
    metrics: Address | None
    config: Path | None


class _ZerologFormatter(logging.Formatter):
    """Lines as cloudflared writes them: time, level in three letters, message."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line, and a traceback if there is one."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        line = f"{stamp} {_SHORT_NAMES.get(record.levelno, record.levelname)} {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


@click.group(short_help="Stand in for cloudflared, with its flags.")
@click.version_option(
    stand_in_version(),
    prog_name="localedge connector",
    message="%(prog)s: %(version)s, a stand-in for cloudflared",
)
def connector() -> None:
    """Stand in for cloudflared, with its flags, as far as pods use them."""


@connector.group()
@click.option(
    "--config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Its ingress holds until the edge has sent one.",
)
@click.option("--no-autoupdate", is_flag=True, envvar="NO_AUTOUPDATE", help="Nothing is ever updated.")
@click.option("--no-prechecks", is_flag=True, envvar="TUNNEL_NO_PRECHECKS", help="Nothing is checked before.")
@click.option("--protocol", "-p", default="auto", envvar="TUNNEL_TRANSPORT_PROTOCOL", help="Must be http2.")
@click.option("--edge", multiple=True, type=_Addresses(), envvar="TUNNEL_EDGE", help="Edge; one slot each.")
@click.option("--ha-connections", default=4, type=click.IntRange(1), help="Connections, at most one a slot.")
@click.option("--retries", default=5, type=click.IntRange(0), envvar="TUNNEL_RETRIES", help="Doublings.")
@click.option(
    "--cacert", type=click.Path(path_type=Path, exists=True, dir_okay=False), envvar="TUNNEL_CACERT"
)
@click.option("--metrics", type=_Addresses(), envvar="TUNNEL_METRICS", help="Where /ready and others are.")
@click.option("--grace-period", default="30s", type=_Duration(), envvar="TUNNEL_GRACE_PERIOD")
@click.option("--loglevel", default="info", type=click.Choice(sorted(_LEVELS)), envvar="TUNNEL_LOGLEVEL")
@click.pass_context
def tunnel(
    ctx: click.Context,
    *,
    config: Path | None,
    no_autoupdate: bool,  # noqa: ARG001 - there is nothing to update
    no_prechecks: bool,  # noqa: ARG001 - there are no checks
    protocol: str,
    edge: tuple[Address, ...],
    ha_connections: int,
    retries: int,
    cacert: Path | None,
    metrics: Address | None,
    grace_period: float,
    loglevel: str,
) -> None:
    """Choose how to reach the edge."""
    if protocol != "http2":
        raise click.UsageError(
            f"the stand-in speaks http2 only, not {protocol}: set --protocol or TUNNEL_TRANSPORT_PROTOCOL"
        )
    if not edge:
        raise click.UsageError("the stand-in does not look for an edge: give --edge or TUNNEL_EDGE")
    if grace_period > _MAX_GRACE_S:
        raise click.UsageError(f"grace-period must be equal or less than {_MAX_GRACE_S:.0f} s")
    _set_up_logging(_LEVELS[loglevel])
    ctx.obj = _TunnelOptions(edge, cacert, ha_connections, retries, grace_period, metrics, config)


@tunnel.command()
@click.option("--token", envvar="TUNNEL_TOKEN", help="The tunnel's token; wins over the file.")
@click.option(
    "--token-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), envvar="TUNNEL_TOKEN_FILE"
)
@click.pass_obj
def run(options: _TunnelOptions, token: str | None, token_file: Path | None) -> None:
    """Run the tunnel of a token."""
    settings = Settings(
        credentials=_credentials(token, token_file),
        edge=options.edge,
        ca_file=options.ca_file,
        ha_connections=options.ha_connections,
        retries=options.retries,
        grace_s=options.grace_s,
        metrics=options.metrics,
        config_file=options.config,
    )
    sys.exit(asyncio.run(_run(settings)))


async def _run(settings: Settings) -> int:
    try:
        process = ConnectorProcess(settings)
    except IngressError as error:
        raise click.UsageError(f"{settings.config_file}: {error}") from error
    return await process.run()


def _credentials(token: str | None, token_file: Path | None) -> Credentials:
    if token is None and token_file is not None:
        token = token_file.read_text().strip()
    if not token:
        raise click.UsageError("a token is needed: --token, --token-file or their variables")
    try:
        return parse_token(token.strip())
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _set_up_logging(level: int) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_ZerologFormatter())
    logging.basicConfig(level=level, handlers=[handler])
    # The frames of hpack and h2 at debug level would bury everything else.
    for noisy in ("hpack", "asyncio"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))
