"""The command line."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

import click

from demo.children import ChildError
from demo.cluster import BuildFailedError, KubectlError
from demo.edge import EdgeError
from demo.images import NoConnectorError
from demo.leftovers import adopt_orphans, descendants
from demo.progress import Progress
from demo.promises import Promises
from demo.stage import HOSTNAME, Stage, StageOptions, stage
from demo.story import PER_SECOND, Story
from demo.traffic import steady_traffic
from demo.waiting import WaitedInVainError

EXPECTED: Final = (
    BuildFailedError,
    ChildError,
    EdgeError,
    KubectlError,
    NoConnectorError,
    WaitedInVainError,
)
"""What may well go wrong, with a message for people; anything else is a bug and keeps its trace."""
INTERRUPTED: Final = 130


@click.command()
@click.option("--keep", is_flag=True, help="Serve, print the addresses and stay until Ctrl-C.")
@click.option(
    "--no-fast-failover",
    is_flag=True,
    help="The control experiment: the operator leaves it to the health check, and the promises break.",
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for logs and state; by default a new one that is removed if all went well.",
)
def main(*, keep: bool, no_fast_failover: bool, folder: Path | None) -> None:
    """From `kubectl apply` to an answered request, through failover and back, on this machine."""
    adopt_orphans()
    progress = Progress()
    place = folder or Path(tempfile.mkdtemp(prefix="tunnelpool-demo-"))
    place.mkdir(parents=True, exist_ok=True)
    promises = Promises()
    settings = {"TUNNELPOOL_FAST_FAILOVER": "false"} if no_fast_failover else {}
    interrupted, problem = False, None
    try:
        problem = asyncio.run(_run(place, progress, promises, settings, keep=keep))
    except asyncio.CancelledError:
        interrupted = True
    kept = _conclude(progress, promises, problem)
    if folder is None and kept:
        shutil.rmtree(place, ignore_errors=True)
    else:
        progress.event(f"logs are in {place}")
    sys.exit(1 if not kept else INTERRUPTED if interrupted and not keep else 0)


async def _run(
    folder: Path, progress: Progress, promises: Promises, settings: dict[str, str], *, keep: bool
) -> str | None:
    """Bring up the stage and play on it; returns what went wrong, None if nothing."""
    _end_by_signal(progress)
    progress.title("Bring up a Cloudflare stand-in, a Kubernetes cluster and the operator")
    try:
        async with stage(folder, progress, StageOptions(settings=settings)) as made:
            story = Story(made, progress, promises)
            try:
                if keep:
                    await _play(made, story, progress)
                else:
                    await story.tell(to_the_end=not settings)
            except EXPECTED as error:
                progress.title("It did not come about; the operator's last words")
                progress.block(made.operator_tail())
                return str(error)
    except EXPECTED as error:
        return str(error)
    return None


def _end_by_signal(progress: Progress) -> None:
    """Have the first signal end this task in good order; a further one must not end that order."""
    this, loop = asyncio.current_task(), asyncio.get_running_loop()

    def end() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, progress.event, "already ending: programs are being stopped")
        progress.event("interrupted: everything is stopped")
        if this is not None:
            this.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)


async def _play(made: Stage, story: Story, progress: Progress) -> None:
    """Serve, say how to reach everything, and stay until interrupted."""
    async with steady_traffic(made.edge.facts, HOSTNAME, PER_SECOND) as traffic:
        await story.serve(traffic)
    facts, (host, port) = made.edge.facts, made.edge.facts.door
    progress.title("It is yours; Ctrl-C ends it")
    lines = [
        f"export KUBECONFIG={made.cluster.facts.kubeconfig} PATH={made.cluster.facts.bin}:$PATH",
        "kubectl get tun,lbp,hc,tlb",
        f"curl --cacert {facts.ca_file} --connect-to ::{host}:{port} https://{HOSTNAME}/",
        f"curl {facts.control_url}/state       # also /requests, /calls, /probes, /health, /clock, /lags",
        f"{sys.executable} -m openloop {host}:{port} {HOSTNAME} --ca {facts.ca_file}",
        f"{sys.executable} -m devcluster kill POD --hold --dir {made.folder / 'cluster'}",
    ]
    progress.block("\n".join(lines))
    await asyncio.Event().wait()


def _conclude(progress: Progress, promises: Promises, problem: str | None) -> bool:
    """Print every promise; tell whether all were kept."""
    left = descendants()
    promises.check(f"no process is left{': ' + ', '.join(left) if left else ''}", kept=not left)
    if problem is not None:
        promises.check(problem, kept=False)
    progress.title(f"Done in {progress.elapsed_s():.0f} s")
    for one in promises:
        progress.verdict(one.text, kept=one.kept)
    return promises.all_kept
