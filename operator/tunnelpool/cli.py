"""The command line: `tunnelpool run` is the operator, the rest is for people."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import sys

import click

from tunnelpool.crd.manifests import render
from tunnelpool.generate import InvalidInputError, tunnel_manifest
from tunnelpool.settings import Settings, SettingsError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(importlib.metadata.version("tunnelpool"), prog_name="tunnelpool")
def main() -> None:
    """Cloudflare Tunnels and Cloudflare Load Balancing as Kubernetes resources."""


@main.command()
def run() -> None:
    """Run the operator. Its settings are environment variables, TUNNELPOOL_…; see docs/settings.md."""
    from tunnelpool.app import run as run_operator  # noqa: PLC0415 - these libraries take a second to load

    try:
        settings = Settings.read(os.environ)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    sys.exit(asyncio.run(run_operator(settings)))


@main.command()
def crds() -> None:
    """Print the CustomResourceDefinitions, for `kubectl apply --server-side -f -`."""
    click.echo("---\n".join(render().values()), nl=False)


@main.command()
def version() -> None:
    """Print the version."""
    click.echo(importlib.metadata.version("tunnelpool"))


@main.group()
def generate() -> None:
    """Print manifests to start from."""


@generate.command("tunnel")
@click.option("--hostname", required=True, help="Public host name, in a zone of the account.")
@click.option("--url", required=True, help="The service behind it: http://web:8080.")
@click.option("--lb-pool", help="Load balancer pool to join. Without it the host name gets a CNAME.")
@click.option("--name", help="Name of the Tunnel. Default: the first label of the host name.")
@click.option("--replicas", type=click.IntRange(0, 20), help="How many connectors. Default: 2.")
@click.option("--namespace", "-n", help="Namespace of the Tunnel. Default: the one of kubectl.")
def generate_tunnel(
    hostname: str,
    url: str,
    lb_pool: str | None,
    name: str | None,
    replicas: int | None,
    namespace: str | None,
) -> None:
    """Print a Tunnel. Pool and load balancer appear by themselves.

    The flags are those of `cloudflared tunnel --hostname … --url … --lb-pool …`.
    """
    try:
        text = tunnel_manifest(
            hostname=hostname, url=url, pool=lb_pool, name=name, replicas=replicas, namespace=namespace
        )
    except InvalidInputError as error:
        raise click.UsageError(str(error)) from None
    click.echo(text, nl=False)


if __name__ == "__main__":
    main()
