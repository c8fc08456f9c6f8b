"""Processes in namespaces of their own, which end with whoever started them."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from devcluster.podrunner.isolation import EnvironmentOnly, Namespaces, choose_isolation
from devcluster.processes import Launch, Mount, StartError, launch
from devcluster.testing import eventually

PATH = {"PATH": os.defpath}
SLEEP_S = str(10**6 + os.getpid())  # tells our own sleeping processes from those of other runs


@pytest.fixture
async def isolated(tmp_path: Path) -> Path:
    """Make the empty folder that a root directory is laid on; skip where user namespaces are not allowed."""
    if not isinstance(await choose_isolation(tmp_path / "probe"), Namespaces):
        pytest.skip("user namespaces are not allowed here")
    root = tmp_path / "root"
    root.mkdir()
    return root


async def output_of(what: Launch, folder: Path) -> tuple[int, str]:
    with (folder / "output").open("w+b") as file:
        code = await (await launch(what, file)).wait()
        file.seek(0)
        return code, file.read().decode()


def shell(script: str, root: Path | None = None, *mounts: Mount) -> Launch:
    return Launch(["sh", "-c", script], PATH, root=root, mounts=mounts)


@pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("kill -9 $$", 137), ("true", 0)])
async def test_the_exit_code_is_the_programs_own(
    isolated: Path, tmp_path: Path, script: str, code: int
) -> None:
    assert (await output_of(shell(script), tmp_path))[0] == code
    # A program that is process 1 is not killed by its own signals, as in a real container.
    if "kill" not in script:
        assert (await output_of(shell(script, isolated), tmp_path))[0] == code


@pytest.mark.parametrize("argv", [["no-such-program"], ["/etc/hostname-or-so"], ["/"]])
async def test_a_program_that_cannot_start_is_an_error_with_its_name(isolated: Path, argv: list[str]) -> None:
    for root in (None, isolated):
        with pytest.raises(StartError, match=argv[0]):
            await launch(Launch(argv, PATH, root=root), asyncio.subprocess.DEVNULL)


async def test_mounts_stand_at_paths_that_the_host_does_not_have(isolated: Path, tmp_path: Path) -> None:
    volume, work, hosts = tmp_path / "volume", tmp_path / "work", tmp_path / "hosts"
    volume.mkdir()
    work.mkdir()
    (volume / "key").write_text("value")
    hosts.write_text("127.9.9.9 web.shop.svc\n")
    script = (
        "cat /etc/nowhere/key /var/run/secrets/nowhere/deep/key; echo; cat /etc/hosts; "
        "touch /etc/nowhere/y 2>/dev/null || echo readonly; echo z > /etc/nowhere/inner/z; "
        "test -e /etc/passwd && test -d /proc/1 && test -r /usr && cat /proc/1/comm; ls -d /nowhere"
    )
    mounts = (
        Mount(str(hosts), "/etc/hosts"),
        Mount(str(work), "/etc/nowhere/inner"),
        Mount(str(volume), "/etc/nowhere", readonly=True),
        Mount(str(volume), "/var/run/secrets/nowhere/deep", readonly=True),
        Mount(str(work), "/nowhere"),
    )
    code, output = await output_of(shell(script, isolated, *mounts), tmp_path)
    assert output.splitlines() == ["valuevalue", "127.9.9.9 web.shop.svc", "readonly", "sh", "/nowhere"]
    assert code == 0
    assert (work / "z").read_text() == "z\n"
    for place in (Path("/etc/nowhere"), Path("/nowhere"), isolated / "etc"):  # nothing shows outside
        assert not await asyncio.to_thread(place.exists)


async def test_a_file_rewritten_in_place_changes_under_its_mount(isolated: Path, tmp_path: Path) -> None:
    hosts, gate = tmp_path / "hosts", tmp_path / "gate"
    hosts.write_text("old\n")
    os.mkfifo(gate)
    with (tmp_path / "output").open("w+b") as file:
        mount = Mount(str(hosts), "/etc/hosts")
        process = await launch(shell(f"cat /etc/hosts; cat {gate}; cat /etc/hosts", isolated, mount), file)
        eventually(lambda: (tmp_path / "output").read_text() == "old\n")
        hosts.write_text("new\n")
        gate.write_text("")
        assert await process.wait() == 0
    assert (tmp_path / "output").read_text() == "old\nnew\n"


async def test_a_second_program_joins_the_namespaces_of_the_first(isolated: Path, tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    mount = Mount(str(tmp_path / "volume"), "/nowhere")
    first = await launch(shell("exec sleep 1000", isolated, mount), asyncio.subprocess.DEVNULL)
    joined = Launch(["sh", "-c", "ls -d /nowhere; cat /proc/1/cmdline"], PATH, enter=first.pid)
    assert await output_of(joined, tmp_path) == (0, "/nowhere\nsleep\0001000\0")
    first.send(signal.SIGKILL)
    assert await first.wait() == 137
    assert not first.send(signal.SIGKILL)


@pytest.mark.parametrize("isolate", [True, False])
async def test_descendants_end_with_their_program_even_in_sessions_of_their_own(
    isolated: Path, *, isolate: bool
) -> None:
    sleep = f"sleep {SLEEP_S}"
    script = f"{sleep} & {f'setsid {sleep} &' if isolate else ''} exec {sleep}"
    process = await launch(shell(script, isolated if isolate else None), asyncio.subprocess.DEVNULL)
    eventually(lambda: len(running(sleep)) == (3 if isolate else 2))
    process.send(signal.SIGKILL)
    await process.wait()
    eventually(lambda: running(sleep) == [])


@pytest.mark.parametrize("isolate", [True, False])
def test_a_program_ends_when_its_starter_is_killed(isolated: Path, tmp_path: Path, *, isolate: bool) -> None:
    program = f"""
import asyncio, os, signal
from pathlib import Path
from devcluster.processes import Launch, launch
async def main():
    root = Path({str(isolated)!r}) if {isolate} else None
    await launch(Launch(["sleep", "{SLEEP_S}"], {PATH!r}, root=root), 2)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    run = subprocess.run([sys.executable, "-c", program], check=False, cwd=tmp_path)  # noqa: S603 - ours
    assert run.returncode == -signal.SIGKILL
    eventually(lambda: running(f"sleep {SLEEP_S}") == [])


def running(command: str) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if entry.read_bytes().replace(b"\0", b" ").decode().strip() == command:
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


async def test_without_namespaces_paths_are_rewritten_and_variables_tell_the_rest(
    tmp_path: Path,
) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "token").write_text("value")
    mounts = [
        Mount(str(tmp_path / "volume"), "/etc/nowhere"),
        Mount(str(tmp_path / "volume"), "/var/run/secrets/kubernetes.io/serviceaccount"),
        Mount(str(tmp_path / "hosts"), "/etc/hosts"),
    ]
    variables = {**PATH, "TOKEN_FILE": "/etc/nowhere/token"}
    script = 'cat "$TOKEN_FILE" /etc/nowhere/token $DEVCLUSTER_ROOT/etc/nowhere/token; echo; '
    script += 'echo "$DEVCLUSTER_HOSTS $KUBECONFIG"'
    what = EnvironmentOnly().plan(tmp_path, Launch(["sh", "-c", script], variables, mounts=mounts))
    code, output = await output_of(what, tmp_path)
    assert code == 0
    assert output.splitlines() == ["valuevaluevalue", f"{tmp_path}/hosts {tmp_path}/kubeconfig"]


async def test_the_isolation_can_be_chosen(tmp_path: Path) -> None:
    assert isinstance(await choose_isolation(tmp_path, "environment"), EnvironmentOnly)
    chosen = await choose_isolation(tmp_path)
    assert chosen.name == "namespaces" or chosen.limits.startswith("without user namespaces")
