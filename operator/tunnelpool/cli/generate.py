"""`tunnelpool generate`."""

from __future__ import annotations

import click

from tunnelpool.generate import InvalidInputError, tunnel_manifest


@click.group()
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
