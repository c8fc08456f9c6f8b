"""What the pod runner does not emulate. A pod that asks for it waits and says so."""

from typing import Any

Json = dict[str, Any]

VOLUMES = {"secret", "configMap", "projected", "emptyDir", "downwardAPI"}
PROJECTIONS = {"secret", "configMap", "downwardAPI", "serviceAccountToken"}
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def refusals(pod: Json) -> list[str]:
    """Return the fields of a pod that are not emulated, as phrases; empty if all is well."""
    spec = pod["spec"]
    found = [f"{name} volumes" for volume in spec.get("volumes", ()) for name in _kinds(volume) - VOLUMES]
    for volume in spec.get("volumes", ()):
        for source in volume.get("projected", {}).get("sources", ()):
            found += [f"projected {name}" for name in set(source) - PROJECTIONS]
    for name in ("hostPID", "hostIPC", "ephemeralContainers", "dnsConfig"):
        if spec.get(name):
            found.append(name)
    for container in spec.get("initContainers", ()):
        if container.get("restartPolicy"):
            found.append("init containers with a restartPolicy")
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        found += [f"{probe} by grpc" for probe in PROBES if "grpc" in container.get(probe, {})]
        if container.get("lifecycle", {}).get("postStart"):
            found.append("postStart hooks")
        if any(mount.get("subPathExpr") for mount in container.get("volumeMounts", ())):
            found.append("subPathExpr")
        if container.get("volumeDevices"):
            found.append("volumeDevices")
    return sorted(set(found))


def scheduling_refusals(pod: Json) -> list[str]:
    """Hard scheduling rules that are not emulated; preferences are wishes, and are passed over."""
    affinity = pod["spec"].get("affinity", {})
    hard = "requiredDuringSchedulingIgnoredDuringExecution"
    kinds = ("nodeAffinity", "podAffinity", "podAntiAffinity")
    found = [f"required {kind}" for kind in kinds if affinity.get(kind, {}).get(hard)]
    if pod["spec"].get("schedulingGates"):
        found.append("schedulingGates")
    return found


def _kinds(volume: Json) -> set[str]:
    return set(volume) - {"name"}
