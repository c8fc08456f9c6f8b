"""Deployments, Services, volumes and identities on a real API server."""

import json

import pytest

from devcluster.manifests import deployment, echo_application, script_container, script_pod
from devcluster.testing import KubectlError, Namespace, eventually

pytestmark = pytest.mark.integration

TIMEOUT = "--timeout=30s"


def succeeds(space: Namespace, pod: str) -> str:
    """Wait for the end of a pod; what it wrote."""
    eventually(lambda: space.get("pod", pod)["status"].get("phase") in {"Succeeded", "Failed"})
    log = space.log(pod)
    assert space.get("pod", pod)["status"]["phase"] == "Succeeded", log
    return log


def test_a_deployment_rolls_out_over_both_nodes_and_its_service_answers_by_name(space: Namespace) -> None:
    space.apply(*echo_application("web", 2))
    space.kubectl("rollout", "status", "deployment/web", TIMEOUT)
    pods = space.pods("app=web")
    assert {pod["spec"]["nodeName"] for pod in pods} == {"node-1", "node-2"}
    assert all(pod["status"]["podIP"].startswith("127.") for pod in pods)

    names = ["web", f"web.{space.name}", f"web.{space.name}.svc", f"web.{space.name}.svc.cluster.local"]
    script = "; ".join(f"curl -sS http://{name}:8080/{name} && echo" for name in names)
    space.apply(script_pod("client", script, spec={"restartPolicy": "Never"}))

    answers = [json.loads(line) for line in succeeds(space, "client").splitlines()]
    assert [answer["path"] for answer in answers] == [f"/{name}" for name in names]
    assert [answer["host"] for answer in answers] == [f"{name}:8080" for name in names]
    assert {answer["pod"] for answer in answers} == {pod["metadata"]["name"] for pod in pods}


def test_a_container_sees_secrets_config_and_facts_where_the_spec_puts_them(space: Namespace) -> None:
    space.kubectl("create", "secret", "generic", "keys", "--from-literal=token=s3cret")
    space.kubectl("create", "configmap", "settings", "--from-literal=mode=quick", "--from-literal=b=2")
    script = (
        "cat /etc/tunnelpool/keys/token; echo; cat /settings/only; echo; cat /all/name /all/mode; echo; "
        'echo "$TOKEN $MODE $b $GREETING"; echo "$0 $1"; touch /etc/tunnelpool/keys/x || echo readonly; '
        "echo kept > /scratch/f && cat /scratch/f; test -w /etc/tunnelpool && ls /etc/tunnelpool"
    )
    pod = script_pod("reader", script, spec={"restartPolicy": "Never"})
    pod["spec"]["volumes"] = [
        {"name": "keys", "secret": {"secretName": "keys"}},
        {"name": "settings", "configMap": {"name": "settings", "items": [{"key": "mode", "path": "only"}]}},
        {"name": "scratch", "emptyDir": {}},
        {
            "name": "all",
            "projected": {
                "sources": [
                    {"configMap": {"name": "settings"}},
                    {
                        "downwardAPI": {
                            "items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]
                        }
                    },
                ]
            },
        },
    ]
    container = pod["spec"]["containers"][0]
    container["args"] += ["$(GREETING)", "$$(GREETING) $(UNSET)"]
    container["volumeMounts"] = [
        {"name": "keys", "mountPath": "/etc/tunnelpool/keys"},
        {"name": "settings", "mountPath": "/settings"},
        {"name": "scratch", "mountPath": "/scratch"},
        {"name": "all", "mountPath": "/all"},
    ]
    container["envFrom"] = [{"configMapRef": {"name": "settings"}}]
    container["env"] = [
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}},
        {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "mode"}}},
        {"name": "GREETING", "value": "hello $(MODE)"},
    ]
    space.apply(pod)

    assert succeeds(space, "reader").splitlines() == [
        "s3cret",
        "quick",
        "readerquick",
        "s3cret quick 2 hello quick",
        "hello quick $(GREETING) $(UNSET)",
        "touch: cannot touch '/etc/tunnelpool/keys/x': Read-only file system",
        "readonly",
        "kept",
        "keys",
    ]


def test_a_pod_waits_and_says_so_while_its_secret_is_missing(space: Namespace) -> None:
    pod = script_pod("late", "echo $TOKEN; sleep 100")
    reference = {"secretKeyRef": {"name": "later", "key": "token"}}
    pod["spec"]["containers"][0]["env"] = [{"name": "TOKEN", "valueFrom": reference}]
    space.apply(pod)

    def waiting() -> dict[str, str]:
        (status,) = space.get("pod", "late")["status"].get("containerStatuses", [{}])
        found: dict[str, str] = status.get("state", {}).get("waiting", {})
        return found

    eventually(lambda: waiting().get("reason") == "CreateContainerConfigError")
    assert waiting()["message"] == 'secret "later" not found'
    space.kubectl("create", "secret", "generic", "later", "--from-literal=token=now")
    space.wait("pod/late")
    eventually(lambda: space.log("late") == "now\n")


def test_a_service_account_may_do_what_its_role_allows_and_nothing_else(space: Namespace) -> None:
    space.kubectl("create", "serviceaccount", "reader")
    space.kubectl("create", "role", "reader", "--verb=list", "--resource=configmaps")
    space.kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={space.name}:reader")
    kubectl = f"{space.cluster.facts['bin']}/kubectl"  # without a kubeconfig it takes the in-cluster way
    script = f"{kubectl} get configmaps -o name; {kubectl} get secrets || true; {kubectl} auth whoami"
    space.apply(script_pod("caller", script, spec={"serviceAccountName": "reader", "restartPolicy": "Never"}))
    log = succeeds(space, "caller")
    assert "configmap/kube-root-ca.crt" in log
    assert 'secrets is forbidden: User "system:serviceaccount' in log
    assert f"system:serviceaccount:{space.name}:reader" in log


def test_init_containers_run_one_after_the_other_before_the_others(space: Namespace) -> None:
    pod = script_pod("ordered", "cat /scratch/steps", spec={"restartPolicy": "Never"})
    mount = [{"name": "scratch", "mountPath": "/scratch"}]
    pod["spec"]["volumes"] = [{"name": "scratch", "emptyDir": {}}]
    pod["spec"]["containers"][0]["volumeMounts"] = mount
    pod["spec"]["initContainers"] = [
        {**script_container(f"echo {step} >> /scratch/steps"), "name": step, "volumeMounts": mount}
        for step in ("first", "second")
    ]
    space.apply(pod)
    assert succeeds(space, "ordered") == "first\nsecond\n"
    conditions = {
        each["type"]: each["status"] for each in space.get("pod", "ordered")["status"]["conditions"]
    }
    assert conditions["Initialized"] == "True"


def test_a_job_completes(space: Namespace) -> None:
    space.kubectl("create", "job", "once", "--image=devcluster/shell", "--", "/bin/sh", "-c", "echo done")
    space.kubectl("wait", "job/once", "--for=condition=Complete", TIMEOUT)


def test_a_namespace_with_the_restricted_standard_refuses_a_pod_that_breaks_it(space: Namespace) -> None:
    space.kubectl("label", "namespace", space.name, "pod-security.kubernetes.io/enforce=restricted")
    with pytest.raises(KubectlError, match=r'violates PodSecurity "restricted:latest": allowPrivilegeEsc'):
        space.apply(script_pod("bad", "sleep 100"))
    security = {
        "allowPrivilegeEscalation": False,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    space.apply(script_pod("good", "sleep 100", securityContext=security))
    space.wait("pod/good")


def test_an_unknown_image_is_not_pulled_and_the_status_says_so(space: Namespace) -> None:
    space.apply(script_pod("stranger", "true", image="example.com/unknown:1"))

    def reason() -> str | None:
        (status,) = space.get("pod", "stranger")["status"].get("containerStatuses", [{}])
        found: str | None = status.get("state", {}).get("waiting", {}).get("reason")
        return found

    eventually(lambda: reason() == "ErrImagePull")
    eventually(lambda: reason() == "ImagePullBackOff")
    assert space.get("pod", "stranger")["status"]["phase"] == "Pending"


def test_what_is_not_emulated_is_refused_by_name(space: Namespace) -> None:
    pod = script_pod("host", "true")
    pod["spec"]["volumes"] = [{"name": "h", "hostPath": {"path": "/"}}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "x", "labelSelector": {}}]}
    picky = script_pod("picky", "true", spec={"affinity": {"podAntiAffinity": required}})
    space.apply(pod, picky)

    def message() -> str:
        (status,) = space.get("pod", "host")["status"].get("containerStatuses", [{}])
        return str(status.get("state", {}).get("waiting", {}).get("message"))

    eventually(lambda: message() == "devcluster does not emulate hostPath volumes")
    eventually(lambda: "does not emulate required podAntiAffinity" in json.dumps(space.get("pod", "picky")))


def test_an_eviction_replaces_the_pod_and_a_cordoned_node_gets_none(space: Namespace) -> None:
    spec = {"containers": [script_container("sleep 1000")], "terminationGracePeriodSeconds": 2}
    space.apply(deployment("sleeper", 2, spec))
    space.kubectl("rollout", "status", "deployment/sleeper", TIMEOUT)
    before = {pod["metadata"]["uid"] for pod in space.pods("app=sleeper")}
    try:
        space.kubectl("drain", "node-2", "--pod-selector=app=sleeper", "--delete-emptydir-data", TIMEOUT)
        space.kubectl("rollout", "status", "deployment/sleeper", TIMEOUT)
        eventually(lambda: len(space.pods("app=sleeper")) == 2)
        after = space.pods("app=sleeper")
        assert {pod["spec"]["nodeName"] for pod in after} == {"node-1"}
        assert len(before & {pod["metadata"]["uid"] for pod in after}) == 1
    finally:
        space.kubectl("uncordon", "node-2")
