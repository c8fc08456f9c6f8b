"""`tunnelpool plan`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Final

import click

from tunnelpool.cli.terminal import (
    OptionsError,
    Pipeline,
    failing_by,
    kubeconfig_option,
    operator_namespace_option,
    output_option,
    paint,
)
from tunnelpool.settings import SettingsError

_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
_CHANGES: Final = 2


@click.command(cls=Pipeline)
@click.option(
    "--filename",
    "-f",
    multiple=True,
    metavar="FILE|DIR|-",
    help="Manifests, as if they were applied; - is standard input. May be given several times.",
)
@click.option("--namespace", "-n", default="", help="Namespace to plan, or of manifests that name none.")
@click.option("--all-namespaces", "-A", is_flag=True, help="Plan the resources of all namespaces.")
@click.option(
    "--prune",
    is_flag=True,
    help="With -f: resources that no manifest names are deleted, in the namespaces of the manifests.",
)
@click.option(
    "--no-cluster",
    is_flag=True,
    help="With -f: look at Cloudflare only, with CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID.",
)
@click.option("--owner", default="", metavar="NAME/UID", help="With --no-cluster: whose objects are ours.")
@operator_namespace_option
@kubeconfig_option
@output_option
def plan(
    filename: tuple[str, ...],
    namespace: str,
    all_namespaces: bool,
    prune: bool,
    no_cluster: bool,
    owner: str,
    operator_namespace: str,
    kubeconfig: str,
    output: str,
) -> None:
    """Print what the operator would create, change and delete. Nothing is written, to either API.

    Exit status: 0 nothing to do, 2 changes, 1 an error or a resource that would be refused.
    """
    from tunnelpool.commands.plan import PLAN_FAILURES, PlanRequest  # noqa: PLC0415 - takes a second to load
    from tunnelpool.commands.plan import plan as make_plan  # noqa: PLC0415 - likewise
    from tunnelpool.kube.context import usual_namespace  # noqa: PLC0415 - likewise
    from tunnelpool.preview.report import as_json  # noqa: PLC0415 - likewise
    from tunnelpool.preview.text import as_text  # noqa: PLC0415 - likewise

    _check_options(filename, all_namespaces=all_namespaces, prune=prune, no_cluster=no_cluster)
    request = PlanRequest(
        documents=_documents(filename) if filename else None,
        namespace=namespace or ("default" if no_cluster else usual_namespace(kubeconfig)),
        every_namespace=all_namespaces,
        prune=prune,
        use_cluster=not no_cluster,
        kubeconfig=kubeconfig,
        operator_namespace=operator_namespace,
        owner=owner,
    )
    with failing_by(*PLAN_FAILURES, SettingsError, OSError):
        preview = asyncio.run(make_plan(request, os.environ))
    if output == "json":
        click.echo(json.dumps(as_json(preview), indent=2, ensure_ascii=False))
    else:
        click.echo(as_text(preview, paint), nl=False)
    sys.exit(1 if preview.refused else _CHANGES if preview.changes else 0)


def _check_options(filename: tuple[str, ...], *, all_namespaces: bool, prune: bool, no_cluster: bool) -> None:
    needs_files = {"--prune": prune, "--no-cluster": no_cluster}
    for flag, given in needs_files.items():
        if given and not filename:
            raise OptionsError(f"{flag} needs manifests: give them by -f")
    if prune and no_cluster:
        raise OptionsError("--prune needs the cluster: without it nobody knows what is there")
    if all_namespaces and filename:
        raise OptionsError("--all-namespaces is for the resources of a cluster: leave -f out")


def _documents(names: tuple[str, ...]) -> list[tuple[str, str]]:
    found = []
    for name in names:
        if name == "-":
            found.append(("standard input", sys.stdin.read()))
            continue
        path = Path(name)
        if not path.exists():
            raise OptionsError(f"there is no file or folder '{name}'")
        files = sorted(one for one in path.rglob("*") if one.suffix in _SUFFIXES) if path.is_dir() else [path]
        if not files:
            raise OptionsError(f"folder '{name}' holds no .yaml, .yml or .json file")
        found += [(str(file), file.read_text()) for file in files]
    return found
