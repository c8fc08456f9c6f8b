"""The command lines of the control plane. Pure: paths and ports in, arguments out."""

from dataclasses import dataclass
from pathlib import Path

SERVICE_RANGE = "10.96.0.0/16"
KUBERNETES_SERVICE_ADDRESS = "10.96.0.1"

CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "deployment-controller",
    "disruption-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "node-lifecycle-controller",
    "pod-garbage-collector-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "statefulset-controller",
    "taint-eviction-controller",
)

# Metadata of every request that a controller could make; what the cluster does to itself is left out.
AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  nonResourceURLs: ["/healthz*", "/livez*", "/readyz*", "/version", "/openapi/*", "/api*", "/apis*"]
- level: None
  userGroups: ["system:nodes"]
  resources: [{group: coordination.k8s.io, resources: [leases]}]
- level: Metadata
"""


@dataclass(frozen=True)
class Endpoints:
    """Where the control plane listens: one address, four ports."""

    address: str
    etcd: int
    etcd_peer: int
    apiserver: int
    controller_manager: int

    @property
    def server(self) -> str:
        """The URL of the Kubernetes API."""
        return f"https://{self.address}:{self.apiserver}"

    @property
    def etcd_url(self) -> str:
        """The URL of etcd."""
        return f"http://{self.address}:{self.etcd}"


@dataclass(frozen=True)
class Files:
    """What the control plane reads and writes, beneath the cluster's folder."""

    folder: Path

    @property
    def pki(self) -> Path:
        """Certificates and keys."""
        return self.folder / "pki"

    @property
    def ca(self) -> Path:
        """The certificate that verifies the API server."""
        return self.pki / "ca.crt"

    @property
    def kubeconfig(self) -> Path:
        """Cluster administrator's kubeconfig."""
        return self.folder / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        """One JSON event a line."""
        return self.folder / "audit.log"

    @property
    def audit_policy(self) -> Path:
        """What the audit log holds."""
        return self.folder / "audit-policy.yaml"

    @property
    def etcd_data(self) -> Path:
        """Removed when the cluster stops."""
        return self.folder / "etcd"

    def log(self, program: str) -> Path:
        """Return the output of a program of the control plane."""
        return self.folder / "logs" / f"{program}.log"


def etcd_arguments(endpoints: Endpoints, files: Files) -> list[str]:
    """Give etcd its flags. No fsync: the data is of one run."""
    peer = f"http://{endpoints.address}:{endpoints.etcd_peer}"
    return [
        f"--data-dir={files.etcd_data}",
        f"--listen-client-urls={endpoints.etcd_url}",
        f"--advertise-client-urls={endpoints.etcd_url}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync=true",
        "--log-level=warn",
    ]


def apiserver_arguments(endpoints: Endpoints, files: Files) -> list[str]:
    """Give kube-apiserver its flags: RBAC, auditing, all default admission plugins (Pod Security is one)."""
    return [
        f"--etcd-servers={endpoints.etcd_url}",
        f"--bind-address={endpoints.address}",
        f"--advertise-address={endpoints.address}",
        f"--secure-port={endpoints.apiserver}",
        f"--tls-cert-file={files.pki / 'apiserver.crt'}",
        f"--tls-private-key-file={files.pki / 'apiserver.key'}",
        f"--client-ca-file={files.pki / 'client-ca.crt'}",
        f"--cert-dir={files.pki}",
        f"--service-account-issuer={endpoints.server}",
        f"--service-account-key-file={files.pki / 'sa.pub'}",
        f"--service-account-signing-key-file={files.pki / 'sa.key'}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--endpoint-reconciler-type=none",  # it would publish a loopback address, which validation refuses
        "--authorization-mode=RBAC",
        "--allow-privileged=true",
        f"--audit-policy-file={files.audit_policy}",
        f"--audit-log-path={files.audit_log}",
        "--enable-priority-and-fairness=false",
        "--max-requests-inflight=0",
        "--max-mutating-requests-inflight=0",
        "--profiling=false",
    ]


def controller_manager_arguments(endpoints: Endpoints, files: Files, node_grace_s: int) -> list[str]:
    """Give it its flags. `node_grace_s`: seconds without a heartbeat until a node is lost."""
    kubeconfig = files.pki / "controller-manager.kubeconfig"
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--bind-address={endpoints.address}",
        f"--secure-port={endpoints.controller_manager}",
        f"--cert-dir={files.pki}",
        "--authorization-always-allow-paths=/healthz,/readyz,/livez,/metrics",
        f"--root-ca-file={files.ca}",
        f"--service-account-private-key-file={files.pki / 'sa.key'}",
        "--use-service-account-credentials",
        "--leader-elect=false",
        "--kube-api-qps=1000",
        "--kube-api-burst=2000",
        f"--controllers={','.join(CONTROLLERS)}",
        f"--node-monitor-grace-period={node_grace_s}s",
        "--node-monitor-period=1s",
        "--profiling=false",
    ]
