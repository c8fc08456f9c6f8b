"""A cluster for tests: `running_cluster` in a fixture of session scope, namespaces to keep tests apart.

@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    with running_cluster(tmp_path_factory.mktemp("cluster"), crds=[CRDS]) as running:
        yield running
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devcluster.control import ControlClient

Json = dict[str, Any]

STOP_TIMEOUT_S = 40.0


@dataclass(frozen=True)
class RunningCluster:
    """A cluster in a child process. `facts` is the line that `devcluster run --json` prints."""

    facts: Json
    process: subprocess.Popen[str]

    @property
    def folder(self) -> Path:
        """The cluster's folder: audit.log, logs/."""
        return Path(self.facts["dir"])

    @property
    def kubeconfig(self) -> Path:
        """Cluster administrator."""
        return Path(self.facts["kubeconfig"])

    @property
    def control(self) -> ControlClient:
        """Kills pods, holds them back, loses nodes."""
        return ControlClient(self.facts["block"])

    def kubectl(self, *arguments: str, manifest: Json | str | None = None) -> str:
        """Run kubectl, `manifest` (JSON or YAML) on its standard input. Raises KubectlError."""
        command = [f"{self.facts['bin']}/kubectl", "--kubeconfig", str(self.kubeconfig), *arguments]
        text = manifest if isinstance(manifest, str) or manifest is None else json.dumps(manifest)
        # A HOME of its own: kubectl caches what the API offers, and addresses come round again.
        environment = {"PATH": os.defpath, "HOME": str(self.folder / "kubectl")}
        done = subprocess.run(  # noqa: S603 - our own kubectl
            command, input=text, capture_output=True, text=True, check=False, env=environment
        )
        if done.returncode:
            raise KubectlError(done.stderr.strip() or done.stdout.strip())
        return done.stdout

    def get(self, *arguments: str) -> Json:
        """`kubectl get … -o json`."""
        answer: Json = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return answer

    def apply(self, manifest: Json | str, *arguments: str) -> None:
        """`kubectl apply -f -`."""
        self.kubectl("apply", "-f", "-", *arguments, manifest=manifest)

    def log(self, pod: str, namespace: str = "default") -> str:
        """Return what the containers of a pod have written so far, all restarts included."""
        files = sorted((self.folder / "logs").glob(f"{namespace}_{pod}_*.log"))
        return "".join(file.read_text(errors="replace") for file in files)

    def audit(self) -> list[Json]:
        """Return the audit events so far, oldest first."""
        lines = (self.folder / "audit.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.endswith("}")]


class KubectlError(Exception):
    """kubectl ended with an error; the message is what it said."""


@contextmanager
def running_cluster(
    folder: Path,
    *,
    crds: Sequence[Path] = (),
    images: Mapping[str, Json] | None = None,
    node_grace_s: int = 10,
    isolation: str = "auto",
) -> Iterator[RunningCluster]:
    """Run a cluster in `folder` for as long as the block lasts; it ends with this process whatever happens.

    `images`: repository -> `{"entrypoint": [...], …}` as in an image table. Raises RuntimeError if it
    does not become ready, or does not end in order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "devcluster", "run", "--json", "--die-with-parent", "--dir", str(folder)]
    command += ["--node-grace", str(node_grace_s), "--isolation", isolation]
    for path in crds:
        command += ["--crds", str(path)]
    if images is not None:
        table = folder / "images.json"
        table.write_text(json.dumps(images))
        command += ["--images", str(table)]
    # Not a session of its own, so that Ctrl-C reaches it; its progress lines go to our standard error.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - this very program
    with process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise RuntimeError(f"devcluster ended with {process.wait()} before it was ready")
            yield RunningCluster(json.loads(line), process)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            code = process.wait(STOP_TIMEOUT_S)
    if code:
        raise RuntimeError(f"devcluster ended with {code}")
