"""The command line: `tunnelpool run` is the operator, the rest is for people."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import signal
import sys
from typing import Any

import click

from tunnelpool.cli.generate import generate
from tunnelpool.cli.plan import plan
from tunnelpool.cli.release import release
from tunnelpool.cli.status import status
from tunnelpool.crd.manifests import render
from tunnelpool.settings import Settings, SettingsError


class Program(click.Group):
    """The commands. As a plugin of kubectl it calls itself what its user has typed."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Name the program."""
        if info_name == "kubectl-tunnelpool":
            info_name = "kubectl tunnelpool"
        return super().make_context(info_name, args, parent, **extra)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(importlib.metadata.version("tunnelpool"), prog_name="tunnelpool")
def main() -> None:
    """Cloudflare Tunnels and Cloudflare Load Balancing as Kubernetes resources."""


@main.command()
def run() -> None:
    """Run the operator. Its settings are environment variables, TUNNELPOOL_…; see docs/settings.md."""
    # The first process of a container ignores SIGTERM until it has a handler. Without one an operator that is
    # stopped while it loads would live until it is killed, and take the lease meanwhile.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from tunnelpool.app import run as run_operator  # noqa: PLC0415 - these libraries take a second to load

    try:
        settings = Settings.read(os.environ)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    sys.exit(asyncio.run(run_operator(settings)))


@main.command(short_help="Print the CustomResourceDefinitions.")
def crds() -> None:
    """Print the CustomResourceDefinitions, for `kubectl apply --server-side -f -`."""
    click.echo("---\n".join(render().values()), nl=False)


@main.command()
def version() -> None:
    """Print the version."""
    click.echo(importlib.metadata.version("tunnelpool"))


for _command in (generate, plan, status, release):
    main.add_command(_command)
