"""However a cluster ends, nothing of it is left; clusters side by side do not meet."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from devcluster.manifests import script_pod
from devcluster.testing import KubectlError, RunningCluster, eventually, new_namespace, running_cluster

pytestmark = pytest.mark.integration


def processes_of(folder: Path) -> list[str]:
    """Command lines of all processes that have `folder` in them, or hold a file open there."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            files = [str(descriptor.readlink()) for descriptor in (entry / "fd").iterdir()]
        except OSError:
            continue
        if command and (str(folder) in command or any(file.startswith(f"{folder}/") for file in files)):
            found.append(command)
    return found


def mounts_of(folder: Path) -> list[str]:
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(folder) in line]


def test_a_stopped_cluster_leaves_neither_process_nor_mount_nor_secret(
    cluster: RunningCluster, tmp_path: Path
) -> None:
    folder = tmp_path / "short"
    with running_cluster(folder) as other:
        assert other.facts["server"].split(":")[1] != cluster.facts["server"].split(":")[1]
        with new_namespace(other) as space:
            space.apply(script_pod("stubborn", "trap '' TERM; setsid sleep 1000 & wait"))
            space.wait("pod/stubborn")
            with pytest.raises(KubectlError, match="NotFound"):
                cluster.kubectl("get", "namespace", space.name)
        assert any("stubborn" in line or "sleep 1000" in line for line in processes_of(folder))
    assert processes_of(folder) == []
    assert mounts_of(folder) == []
    left = {path.name for path in folder.iterdir()}
    assert not left & {"pki", "etcd", "pods", "kubeconfig", "cluster.json"}
    assert "audit.log" in left


def test_a_killed_cluster_takes_all_its_processes_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "killed"

    def run_and_kill() -> None:
        with running_cluster(folder) as other:
            other.kubectl("apply", "-f", "-", manifest=script_pod("orphan", "setsid sleep 1000 & wait"))
            other.kubectl("wait", "pod/orphan", "--for=condition=Ready", "--timeout=30s")
            other.process.kill()

    with pytest.raises(RuntimeError, match="devcluster ended with -9"):
        run_and_kill()
    eventually(lambda: processes_of(folder) == [], timeout_s=5)


def test_up_status_and_down_run_a_cluster_in_the_background(tmp_path: Path) -> None:
    def devcluster(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "devcluster", *arguments, "--dir", str(tmp_path / "up")]
        return subprocess.run(  # noqa: S603 - our own program
            command, capture_output=True, text=True, check=False
        )

    try:
        assert "export KUBECONFIG=" in devcluster("up").stdout
        status = json.loads(devcluster("status").stdout)
        assert status["nodes"]["node-1"] == {"running": True, "pods": []}
        assert devcluster("node", "stop", "1").returncode == 0
        assert json.loads(devcluster("status").stdout)["nodes"]["node-1"]["running"] is False
        again = devcluster("up")
        assert again.returncode == 1
        assert "runs in" in again.stderr
        missing = devcluster("kill", "nobody")
        assert missing.stderr == "Error: there is no default/nobody\n"
    finally:
        devcluster("down")
    assert devcluster("status").returncode == 1
    assert processes_of(tmp_path / "up") == []


def test_sigint_ends_a_cluster_that_is_still_starting(tmp_path: Path) -> None:
    folder = tmp_path / "early"
    command = [sys.executable, "-m", "devcluster", "run", "--json", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603 - our own program
        eventually((folder / "logs" / "kube-apiserver.log").exists)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert output == b""
    assert process.returncode == 143
    assert processes_of(folder) == []
