"""The command line."""

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from devcluster.api import ApiError
from devcluster.cluster import FolderInUseError, Options, cluster, is_alive, read_state
from devcluster.control import ControlClient, ControlError
from devcluster.controlplane.plane import ControlPlaneError
from devcluster.processes import StartError, end_with_parent
from devcluster.toolchain.build import BuildError, ensure_built
from devcluster.toolchain.recipe import ETCD, KUBERNETES, RECIPES

Json = dict[str, Any]
T = TypeVar("T")

DEFAULT_FOLDER = Path(".run/devcluster")
UP_LOG = "devcluster.log"
POLL_S = 0.1
# Control plane and containers are gone in two seconds; a hung one is killed after ten.
DOWN_TIMEOUT_S = 40.0
EXPECTED = (
    BuildError,
    ControlPlaneError,
    ControlError,
    FolderInUseError,
    StartError,
    ApiError,
    ValueError,
    TimeoutError,
)

folder_option = click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_FOLDER,
    show_default=True,
    help="The cluster's folder.",
)
namespace_option = click.option("-n", "--namespace", default="default", show_default=True)


def run_options(command: Callable[..., None]) -> Callable[..., None]:
    """Options that `run` and `up` share."""
    for option in (
        folder_option,
        click.option(
            "--crds",
            type=click.Path(path_type=Path, exists=True),
            multiple=True,
            help="Definitions to install.",
        ),
        click.option(
            "--images",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help="JSON: which command stands for which image.",
        ),
        click.option(
            "--isolation",
            type=click.Choice(["auto", "namespaces", "environment"]),
            default="auto",
            show_default=True,
            help="How containers are kept apart; auto takes namespaces where they are allowed.",
        ),
        click.option(
            "--node-grace",
            type=click.IntRange(3),
            default=10,
            show_default=True,
            help="Seconds until a node is lost.",
        ),
    ):
        command = option(command)
    return command


@click.group()
def main() -> None:
    """Run a Kubernetes cluster of local processes."""
    logging.basicConfig(level=logging.WARNING, format="devcluster: %(message)s", stream=sys.stderr)
    # The default would end this process on the spot: a build would leave its compilers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


@main.command()
@click.argument("names", nargs=-1, type=click.Choice(sorted(RECIPES)))
def build(names: tuple[str, ...]) -> None:
    """Build programs (etcd and kubernetes unless told otherwise) and print their folders."""
    for name in names or (ETCD.name, KUBERNETES.name):
        with _explained():
            click.echo(ensure_built(RECIPES[name]))


@main.command()
@run_options
@click.option("--json", "as_json", is_flag=True, help="One line of JSON when the cluster is ready.")
@click.option("--die-with-parent", is_flag=True, help="End like by SIGTERM when the parent process ends.")
def run(
    folder: Path,
    crds: tuple[Path, ...],
    images: Path | None,
    isolation: str,
    node_grace: int,
    as_json: bool,
    die_with_parent: bool,
) -> None:
    """Run a cluster until SIGINT or SIGTERM."""
    if die_with_parent:
        end_with_parent()
    with _explained():
        options = Options(
            folder.absolute(),
            ensure_built(ETCD),
            ensure_built(KUBERNETES),
            crds,
            images.absolute() if images else None,
            isolation,
            node_grace,
        )
        asyncio.run(_run(options, as_json))


async def _run(options: Options, as_json: bool) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    this = asyncio.current_task()

    def on_signal() -> None:
        if ready:
            stop.set()
        elif this:
            this.cancel()

    ready = False
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    try:
        async with cluster(options) as (facts, watching):
            ready = True
            if facts["limits"]:
                click.echo(f"devcluster: {facts['limits']}", err=True)
            click.echo(json.dumps(facts) if as_json else _for_people(facts))
            sys.stdout.flush()
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({stopping, watching}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if watching.done():
                await watching
    except asyncio.CancelledError:
        sys.exit(128 + signal.SIGTERM)


@main.command()
@run_options
def up(folder: Path, crds: tuple[Path, ...], images: Path | None, isolation: str, node_grace: int) -> None:
    """Run a cluster in the background and print how to reach it."""
    folder = folder.absolute()
    with _explained():
        for recipe in (ETCD, KUBERNETES):
            ensure_built(recipe)
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "devcluster", "run", "--json", "--dir", str(folder)]
    command += ["--isolation", isolation, "--node-grace", str(node_grace)]
    for path in crds:
        command += ["--crds", str(path.absolute())]
    if images:
        command += ["--images", str(images.absolute())]
    with (folder / UP_LOG).open("w") as log:
        process = subprocess.Popen(  # noqa: S603 - this very program
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    while process.poll() is None:
        state = read_state(folder)
        if state and state["pid"] == process.pid:
            click.echo(_for_people(state))
            return
        time.sleep(POLL_S)
    _fail((folder / UP_LOG).read_text().strip())


@main.command()
@folder_option
def down(folder: Path) -> None:
    """Stop the cluster of the folder."""
    state = read_state(folder)
    if not state or not is_alive(state):
        click.echo(f"no cluster runs in {folder}")
        return
    os.kill(state["pid"], signal.SIGTERM)
    end = time.monotonic() + DOWN_TIMEOUT_S
    while is_alive(state):
        if time.monotonic() > end:
            _fail(f"process {state['pid']} has not ended after {DOWN_TIMEOUT_S:.0f} s")
        time.sleep(POLL_S)


@main.command()
@folder_option
def status(folder: Path) -> None:
    """Print nodes and pods as JSON; exit status 1 if no cluster runs."""
    click.echo(json.dumps(_ask(folder, lambda control: control.status()), indent=2))


@main.group()
def node() -> None:
    """Lose a node, or bring it back."""


@node.command("stop")
@click.argument("name")
@folder_option
def node_stop(name: str, folder: Path) -> None:
    """Lose a node: its processes die, its heartbeats cease."""
    _ask(folder, lambda control: control.stop_node(_node_name(name)))


@node.command("start")
@click.argument("name")
@folder_option
def node_start(name: str, folder: Path) -> None:
    """Bring a lost node back."""
    _ask(folder, lambda control: control.start_node(_node_name(name)))


@main.command()
@click.argument("pod")
@namespace_option
@folder_option
@click.option("--container", help="This one only.")
@click.option("--hold", is_flag=True, help="Do not start them again until `release`.")
@click.option("--signal", "signal_name", default="KILL", show_default=True, help="Another signal, e.g. STOP.")
def kill(pod: str, namespace: str, folder: Path, container: str | None, hold: bool, signal_name: str) -> None:
    """Kill the containers of a pod, without a word to them."""
    try:
        number = signal.Signals[f"SIG{signal_name.upper().removeprefix('SIG')}"]
    except KeyError:
        _fail(f"there is no signal {signal_name}")
    reached = _ask(
        folder,
        lambda control: control.kill(pod, namespace, hold=hold, container=container, number=number),
    )
    click.echo(f"signalled {len(reached)} process{'' if len(reached) == 1 else 'es'}")


@main.command()
@click.argument("pod")
@namespace_option
@folder_option
def release(pod: str, namespace: str, folder: Path) -> None:
    """Let the containers of a held pod start again."""
    _ask(folder, lambda control: control.release(pod, namespace))


@main.command()
@click.argument("pod")
@namespace_option
@folder_option
@click.option("--container", help="This one only.")
def logs(pod: str, namespace: str, folder: Path, container: str | None) -> None:
    """Print what the containers of a pod have written, all restarts included."""
    files = sorted((folder / "logs").glob(f"{namespace}_{pod}_{container or '*'}.log"))
    if not files:
        _fail(f"there is no log of {namespace}/{pod} in {folder / 'logs'}")
    for file in files:
        click.echo(file.read_text(errors="replace"), nl=False)


def _ask(folder: Path, question: Callable[[ControlClient], Awaitable[T]]) -> T:
    state = read_state(folder)
    if not state or not is_alive(state):
        _fail(f"no cluster runs in {folder}")

    async def ask() -> T:
        return await question(ControlClient(state["block"]))

    with _explained():
        return asyncio.run(ask())


def _node_name(name: str) -> str:
    return f"node-{name}" if name.isdigit() else name


def _for_people(facts: Json) -> str:
    return "\n".join(
        (
            f"Kubernetes at {facts['server']}, nodes {', '.join(facts['nodes'])}",
            f"  export KUBECONFIG={facts['kubeconfig']}",
            f"  export PATH={facts['bin']}:$PATH",
        )
    )


def _fail(message: str) -> NoReturn:
    raise click.ClickException(message)


class _explained:  # noqa: N801 - reads as a word before the block that it guards
    """Turns what may well go wrong into a message and exit status 1; a bug keeps its trace."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, EXPECTED):
            _fail(str(error))


if __name__ == "__main__":
    main()
