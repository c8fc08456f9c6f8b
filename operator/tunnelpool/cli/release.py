"""`tunnelpool release`."""

from __future__ import annotations

import asyncio

import click

from tunnelpool.cli.terminal import failing_by, kubeconfig_option, operator_namespace_option


@click.command(short_help="Lift the operator's finalizers where it is gone.")
@click.option("--namespace", "-n", default="", help="Namespace whose resources are released.")
@click.option("--all", "everywhere", is_flag=True, help="Release the resources of all namespaces.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@operator_namespace_option
@kubeconfig_option
def release(namespace: str, everywhere: bool, yes: bool, operator_namespace: str, kubeconfig: str) -> None:
    """Lift the operator's finalizers, so that resources can be deleted without it.

    For an operator that is uninstalled, or an account whose credentials are lost. What is at Cloudflare stays
    there and is listed: delete it by hand.
    """
    if bool(namespace) == everywhere:
        raise click.UsageError("give either --namespace or --all")
    with failing_by():
        asyncio.run(_release("" if everywhere else namespace, operator_namespace, kubeconfig, ask=not yes))


async def _release(namespace: str, operator_namespace: str, kubeconfig: str, *, ask: bool) -> None:
    from tunnelpool.commands import release as use_case  # noqa: PLC0415 - takes a second to load
    from tunnelpool.commands.reach import reach  # noqa: PLC0415 - likewise

    async with reach(kubeconfig) as there:
        ones = await use_case.held(there, namespace)
        if not ones:
            click.echo("No resource has our finalizer: there is nothing to release.")
            return
        click.echo("The finalizer is lifted from:")
        for one in ones:
            click.echo(f"  {one.title}{'  (then it is gone: it is being deleted)' if one.deleting else ''}")
        stays = use_case.what_stays(ones)
        if stays:
            click.echo("At Cloudflare there stay, and nobody deletes them any more:")
            for thing in stays:
                click.echo(f"  {thing}")
        else:
            click.echo("Their status names nothing at Cloudflare.")
        if await use_case.running_operator(there, operator_namespace):
            click.echo(
                f"Note: an operator runs in namespace {operator_namespace}. It puts it back on what "
                "is not being deleted: stop it first."
            )
        if ask and not click.confirm("Lift them?"):
            raise click.Abort
        lifted = [one for one in ones if await use_case.lift(there, one)]
        click.echo(f"Released: {len(lifted)}.")
