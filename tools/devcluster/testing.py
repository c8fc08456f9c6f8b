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
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    def bin(self) -> Path:
        """Folder with kubectl."""
        return Path(self.facts["bin"])

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


@dataclass(frozen=True)
class Namespace:
    """A namespace of a cluster, and the words that tests use."""

    cluster: RunningCluster
    name: str

    def kubectl(self, *arguments: str, manifest: Json | str | None = None) -> str:
        """Run kubectl in this namespace."""
        return self.cluster.kubectl("-n", self.name, *arguments, manifest=manifest)

    def apply(self, *manifests: Json) -> None:
        """Apply objects."""
        self.kubectl(
            "apply", "-f", "-", manifest={"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        )

    def get(self, *arguments: str) -> Json:
        """Return `kubectl get … -o json`."""
        answer: Json = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return answer

    def pods(self, selector: str) -> list[Json]:
        """Return the pods that a label selector names, those that are ending left out."""
        items: list[Json] = self.get("pods", "-l", selector)["items"]
        return [item for item in items if "deletionTimestamp" not in item["metadata"]]

    def wait(self, what: str, condition: str = "Ready", timeout_s: int = 30) -> None:
        """Wait for a condition of an object, e.g. `pod/a`. Raises KubectlError."""
        self.kubectl("wait", what, f"--for=condition={condition}", f"--timeout={timeout_s}s")

    def log(self, pod: str) -> str:
        """Return what a pod has written."""
        return self.cluster.log(pod, self.name)


@contextmanager
def new_namespace(cluster: RunningCluster, prefix: str = "test") -> Iterator[Namespace]:
    """Make a namespace of its own for a test, with its default ServiceAccount; delete it in the end."""
    name = f"{prefix}-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    namespace = Namespace(cluster, name)
    eventually(lambda: "default" in namespace.kubectl("get", "serviceaccounts", "-o", "name"))
    try:
        yield namespace
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


def eventually(condition: Callable[[], bool], timeout_s: float = 30.0, period_s: float = 0.05) -> None:
    """Return as soon as `condition` holds. Raises TimeoutError."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"it did not happen within {timeout_s:g} s")
        time.sleep(period_s)


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
