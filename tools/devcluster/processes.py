"""Child processes that cannot outlive this one: control plane and containers alike go through launch.py."""

import asyncio
import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
LAUNCHER = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Mount:
    """The folder or file `source` of the host, seen by the process at `target`."""

    source: str
    target: str
    readonly: bool = False


@dataclass(frozen=True)
class Launch:
    """What to start.

    `root`, an empty folder, makes it run in namespaces of its own with `mounts` in place; `enter` runs it in
    those of a running process.
    """

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    root: Path | None = None
    mounts: Sequence[Mount] = ()
    enter: int | None = None

    def encode(self) -> bytes:
        """As launch.py reads it."""
        return json.dumps(
            {
                "argv": list(self.argv),
                "env": dict(self.env),
                "cwd": self.cwd,
                "parent": os.getpid(),
                "isolate": self.root is not None,
                "root": str(self.root) if self.root else None,
                "mounts": [vars(mount) for mount in self.mounts],
                "enter": self.enter,
            }
        ).encode()


class StartError(Exception):
    """The program did not start: not found, not executable, a mount refused."""


class Process:
    """A running program. `pid` is its own process id on the host, not the launcher's."""

    def __init__(
        self, launcher: asyncio.subprocess.Process, pid: int, pidfd: int | None, group: bool
    ) -> None:
        self.pid = pid
        self._launcher = launcher
        self._pidfd = pidfd
        self._group = group  # without a PID namespace, its descendants are reached by its process group

    async def wait(self) -> int:
        """Return the exit code; 128 + n if signal n ended it."""
        code = await self._launcher.wait()
        if self._group:
            _signal_group(self.pid, signal.SIGKILL)
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
        return code if code >= 0 else 128 - code

    def send(self, number: int) -> bool:
        """Signal the program. False if it has ended."""
        if self._pidfd is None:
            return False
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            return False
        if number == signal.SIGKILL and self._group:
            _signal_group(self.pid, number)
        return True

    async def stop(self, grace_s: float) -> int:
        """SIGTERM, then SIGKILL after `grace_s` seconds; the exit code."""
        self.send(signal.SIGTERM)
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(self.wait())), grace_s)
        except TimeoutError:
            self.send(signal.SIGKILL)
            return await self.wait()


async def launch(what: Launch, output: IO[bytes] | int) -> Process:
    """Start a program, both its outputs going to `output`. Raises StartError with the reason."""
    spec_fd = _specification(what)
    report_reader, report_writer = os.pipe()
    try:
        launcher = await asyncio.create_subprocess_exec(
            *_launcher(spec_fd, report_writer),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(spec_fd, report_writer),
            start_new_session=True,  # Ctrl-C is for devcluster alone, which stops its children in order
        )
    except BaseException:
        os.close(report_reader)
        raise
    finally:
        os.close(spec_fd)
        os.close(report_writer)
    try:
        lines = (await _read_to_end(report_reader)).decode().splitlines()
    except asyncio.CancelledError:
        launcher.kill()  # what it has started dies with it
        raise
    pid = next((int(line) for line in lines if line.isdigit()), None)
    problem = next((line for line in lines if not line.isdigit()), None)
    if pid is None or problem:
        await launcher.wait()
        raise StartError(problem or f"the launcher of {what.argv[0]} ended before it could start anything")
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        pidfd = None
    return Process(launcher, pid, pidfd, group=what.root is None and what.enter is None)


def start_piped(what: Launch) -> subprocess.Popen[str]:
    """Start a program from code that is not asynchronous; both its outputs are lines of `stdout`.

    It has a process group of its own. That it cannot be started shows only as exit code 128.
    """
    spec_fd = _specification(what)
    with open(os.devnull, "wb") as report:  # noqa: PTH123 - a device
        try:
            return subprocess.Popen(  # noqa: S603 - our own launcher
                _launcher(spec_fd, report.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(spec_fd, report.fileno()),
                text=True,
                start_new_session=True,
            )
        finally:
            os.close(spec_fd)


def _specification(what: Launch) -> int:
    """Put it into memory, behind a descriptor: the environment may hold secrets."""
    descriptor = os.memfd_create("launch")
    os.write(descriptor, what.encode())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _launcher(spec_fd: int, report_fd: int) -> list[str]:
    return [sys.executable, "-I", "-S", str(LAUNCHER), str(spec_fd), str(report_fd)]


async def _read_to_end(descriptor: int) -> bytes:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    try:
        return await reader.read()
    finally:
        transport.close()


def end_with_parent() -> None:
    """Ask the kernel to send this process SIGTERM when its parent ends, even by SIGKILL."""
    parent = os.getppid()
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM) < 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def _signal_group(group: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)
