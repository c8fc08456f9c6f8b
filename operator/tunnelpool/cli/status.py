"""`tunnelpool status`."""

from __future__ import annotations

import asyncio
import json
import sys

import click

from tunnelpool.cli.terminal import failing_by, kubeconfig_option, output_option, paint


@click.command(short_help="Print host names, their pools and origins.")
@click.option("--namespace", "-n", default="", help="Namespace to show. Default: the one of kubectl.")
@click.option("--all-namespaces", "-A", is_flag=True, help="Show all namespaces.")
@click.option("--watch", "-w", is_flag=True, help="Show it again whenever it has changed, until Ctrl-C.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="With --watch: how often to look.",
)
@kubeconfig_option
@output_option
def status(
    namespace: str,
    all_namespaces: bool,
    watch: bool,
    interval: float,
    kubeconfig: str,
    output: str,
) -> None:
    """Print each host name with its pools in the order of failover, and their origins.

    It is read from the status of the resources: no right but to list them is needed.
    """
    from tunnelpool.kube.context import usual_namespace  # noqa: PLC0415 - takes a second to load

    place = "" if all_namespaces else namespace or usual_namespace(kubeconfig)
    with failing_by():
        try:
            asyncio.run(_show(place, kubeconfig, output, interval if watch else None))
        except KeyboardInterrupt:
            sys.exit(0)


async def _show(namespace: str, kubeconfig: str, output: str, every_s: float | None) -> None:
    from tunnelpool.commands import status as use_case  # noqa: PLC0415 - takes a second to load
    from tunnelpool.commands.reach import reach  # noqa: PLC0415 - likewise
    from tunnelpool.overview.text import as_json, as_text  # noqa: PLC0415 - likewise

    async with reach(kubeconfig) as there:
        if every_s is None:
            seen = await use_case.look(there, namespace)
            told = json.dumps(as_json(seen), indent=2, ensure_ascii=False) + "\n"
            click.echo(told if output == "json" else as_text(seen, paint), nl=False)
            return
        async for seen in use_case.watch(there, namespace, every_s):
            if output == "json":
                click.echo(json.dumps(as_json(seen), ensure_ascii=False))
            else:
                click.clear()  # does nothing unless a person looks
                click.echo(as_text(seen, paint))
            sys.stdout.flush()
