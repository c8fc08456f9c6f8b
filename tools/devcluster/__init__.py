"""devcluster: a real Kubernetes control plane and a pod runner, on loopback."""
