"""The command line: `localedge serve`, and `localedge connector` beside it."""

from __future__ import annotations

import importlib

import click


class _LazyGroup(click.Group):
    """Imports a subcommand when it is called: connectors start often and must start light."""

    _homes = {  # noqa: RUF012 - read only
        "serve": ("localedge.serve", "serve"),
        "connector": ("localedge.connector.cli", "connector"),
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the subcommands."""
        del ctx
        return sorted(self._homes)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a subcommand."""
        del ctx
        home = self._homes.get(cmd_name)
        if home is None:
            return None
        command: click.Command = getattr(importlib.import_module(home[0]), home[1])
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Run a stand-in for Cloudflare's side of tunnels and load balancing, on this machine."""
