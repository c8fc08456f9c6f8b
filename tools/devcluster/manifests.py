"""Small manifests for tests: a pod that runs a script, the echo application behind its Service."""

from typing import Any

Json = dict[str, Any]

SHELL_IMAGE = "devcluster/shell:1"
ECHO_IMAGE = "devcluster/echo:1"
GRACE_S = 2


def script_container(script: str, **more: Any) -> Json:
    """Return a container that runs a shell script; `more` are further fields of the container."""
    return {"name": "main", "image": SHELL_IMAGE, "args": [script], **more}


def script_pod(
    name: str, script: str, *, labels: Json | None = None, spec: Json | None = None, **more: Any
) -> Json:
    """Return a pod of one `script_container`; `spec` holds further fields of the pod's spec."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {
            "containers": [script_container(script, **more)],
            "terminationGracePeriodSeconds": GRACE_S,
            **(spec or {}),
        },
    }


def deployment(name: str, replicas: int, pod_spec: Json) -> Json:
    """Return a Deployment whose pods carry the label `app: name`."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod_spec},
        },
    }


def service(name: str, port: int, target_port: int | str) -> Json:
    """Return a Service for the pods of `deployment(name, …)`."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": port, "targetPort": target_port}]},
    }


def echo_application(name: str, replicas: int, **pod_spec: Any) -> list[Json]:
    """Return a Deployment of `devcluster.echo` and its Service on port 8080."""
    fields = {"POD_IP": "status.podIP", "POD_NAME": "metadata.name"}
    echo = {
        "name": "echo",
        "image": ECHO_IMAGE,
        "env": [
            {"name": key, "valueFrom": {"fieldRef": {"fieldPath": path}}} for key, path in fields.items()
        ],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1},
    }
    spec = {"containers": [echo], "terminationGracePeriodSeconds": GRACE_S, **pod_spec}
    return [service(name, 8080, "http"), deployment(name, replicas, spec)]
