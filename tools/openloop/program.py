"""The generator as a program: a line of JSON for each result, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TextIO

import click

from openloop.generator import Generator
from openloop.load import Load
from openloop.results import Record, written
from openloop.socket_holder import SocketHolder
from openloop.visitors import Door, visitors


@click.command()
@click.argument("door")
@click.argument("hostname")
@click.option(
    "--ca", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Trusted beyond others."
)
@click.option(
    "--per-second", default=50.0, show_default=True, help="Requests, each on a connection of its own."
)
@click.option("--path", default="/", show_default=True)
@click.option("--slow-every", default=0, show_default=True, help="Each n-th asks for --slow-path; 0: none.")
@click.option("--slow-path", default="/slow?s=5", show_default=True)
@click.option(
    "--visitors", "people", default=0, show_default=True, help="With cookie jars; 0: newcomers only."
)
@click.option("--timeout", "timeout_s", default=20.0, show_default=True, help="Seconds for one request.")
@click.option("--websocket", default="", help="Path of a WebSocket to hold open.")
def main(
    door: str,
    hostname: str,
    ca: Path | None,
    per_second: float,
    path: str,
    slow_every: int,
    slow_path: str,
    people: int,
    timeout_s: float,
    websocket: str,
) -> None:
    """Send steady traffic to HOSTNAME by way of DOOR (address:port), and print what becomes of it."""
    address, _, port = door.rpartition(":")
    if not port.isdigit():
        raise click.BadParameter(f"{door} is not address:port")
    try:
        load = Load(hostname, per_second, path, slow_every, slow_path, people, timeout_s, websocket)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    tls = ssl.create_default_context(cafile=str(ca) if ca else None)
    asyncio.run(send(load, Door(address, int(port), tls), sys.stdout))


def options(load: Load) -> list[str]:
    """Write a load as options of this program, but for its host name."""
    return [
        f"--per-second={load.per_second}",
        f"--path={load.path}",
        f"--slow-every={load.slow_every}",
        f"--slow-path={load.slow_path}",
        f"--visitors={load.visitors}",
        f"--timeout={load.timeout_s}",
        f"--websocket={load.websocket}",
    ]


async def send(load: Load, door: Door, output: TextIO) -> None:
    """Send until a signal, then wait for the answers that are due; the first line says that it begins."""

    def tell(record: Record) -> None:
        print(written(record), file=output, flush=True)

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        people = await stack.enter_async_context(visitors(load, door))
        tasks = [asyncio.create_task(Generator(load, people.ask, tell).run())]
        if load.websocket:
            tasks.append(asyncio.create_task(SocketHolder(load.websocket, people.socket, tell).run()))
        print(json.dumps({"ready": True}), file=output, flush=True)
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for each in ended:
        if isinstance(each, BaseException) and not isinstance(each, asyncio.CancelledError):
            raise each
