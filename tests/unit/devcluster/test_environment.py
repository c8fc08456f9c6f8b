"""How a container's environment and arguments are composed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster.podrunner.environment import (
    ConfigError,
    PodFacts,
    Sources,
    arguments,
    environment,
    expand,
    references,
)

POD = {
    "metadata": {
        "name": "web-0",
        "namespace": "shop",
        "uid": "u1",
        "labels": {"app": "web", "tier": "front"},
        "annotations": {"note": "n"},
    },
    "spec": {"nodeName": "node-1", "serviceAccountName": "runner", "containers": []},
}
FACTS = PodFacts(POD, "127.5.0.2", "127.5.0.1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)", "x1y2"),
        ("$(UNSET)", "$(UNSET)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$$$(A)", "$$(A)"),
        ("$A ${A} $(A", "$A ${A} $(A"),
        ("$()", "$()"),
        ("100$", "100$"),
    ],
)
def test_references_expand_as_in_kubernetes(text: str, expected: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expected


@given(st.text(alphabet="ab()${}"))
def test_escaping_every_dollar_sign_gives_the_text_back(text: str) -> None:
    assert expand(text.replace("$", "$$"), {"a": "x", "b": "y"}) == text


@given(st.text(alphabet="ab() "), st.dictionaries(st.text(max_size=2), st.text(max_size=3)))
def test_text_without_dollar_signs_is_left_alone(text: str, variables: dict[str, str]) -> None:
    assert expand(text, variables) == text


def test_a_variable_sees_those_before_it_and_not_those_after() -> None:
    container = {
        "env": [{"name": "A", "value": "$(B)"}, {"name": "B", "value": "2"}, {"name": "C", "value": "$(B)"}]
    }
    assert environment(container, FACTS, Sources(), {}) == {"A": "$(B)", "B": "2", "C": "2"}


def test_what_the_image_gives_is_there_and_can_be_overridden() -> None:
    container = {"env": [{"name": "PATH", "value": "/mine:$(PATH)"}]}
    assert environment(container, FACTS, Sources(), {"PATH": "/bin", "HOME": "/"}) == {
        "PATH": "/mine:/bin",
        "HOME": "/",
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web-0"),
        ("metadata.namespace", "shop"),
        ("metadata.uid", "u1"),
        ("metadata.labels['app']", "web"),
        ("metadata.annotations['absent']", ""),
        ("metadata.labels", 'app="web"\ntier="front"'),
        ("spec.nodeName", "node-1"),
        ("spec.serviceAccountName", "runner"),
        ("status.podIP", "127.5.0.2"),
        ("status.hostIP", "127.5.0.1"),
    ],
)
def test_the_downward_api_tells_the_facts_of_the_pod(path: str, value: str) -> None:
    assert FACTS.field(path) == value


def test_a_field_that_is_not_emulated_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"does not emulate fieldRef spec\.priority"):
        FACTS.field("spec.priority")


SECRETS = Sources(secrets={"keys": {"a": "1"}}, config_maps={"settings": {"mode": "quick", "b": "2"}})


def test_values_come_from_secrets_and_config_maps() -> None:
    container = {
        "envFrom": [{"prefix": "S_", "configMapRef": {"name": "settings"}}],
        "env": [
            {"name": "A", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "a"}}},
            {"name": "B", "valueFrom": {"secretKeyRef": {"name": "no", "key": "a", "optional": True}}},
        ],
    }
    assert references(container) == {("configmap", "settings"), ("secret", "keys"), ("secret", "no")}
    assert environment(container, FACTS, SECRETS, {}) == {"S_mode": "quick", "S_b": "2", "A": "1"}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"secretKeyRef": {"name": "no", "key": "a"}}, 'secret "no" not found'),
        ({"secretKeyRef": {"name": "keys", "key": "z"}}, 'couldn\'t find key z in secret "keys"'),
        ({"configMapKeyRef": {"name": "no", "key": "a"}}, 'configmap "no" not found'),
        ({"resourceFieldRef": {"resource": "limits.cpu"}}, "does not emulate valueFrom resourceFieldRef"),
    ],
)
def test_a_reference_that_leads_nowhere_is_told_as_the_kubelet_tells_it(
    entry: dict[str, dict[str, str]], message: str
) -> None:
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        environment({"env": [{"name": "X", "valueFrom": entry}]}, FACTS, SECRETS, {})


def test_a_missing_source_of_all_variables_is_an_error_unless_optional() -> None:
    with pytest.raises(ConfigError, match='secret "no" not found'):
        environment({"envFrom": [{"secretRef": {"name": "no"}}]}, FACTS, Sources(), {})
    assert (
        environment({"envFrom": [{"secretRef": {"name": "no", "optional": True}}]}, FACTS, Sources(), {})
        == {}
    )


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({}, ["/entry", "default"]),
        ({"args": ["$(A)"]}, ["/entry", "1"]),
        ({"command": ["run"]}, ["run"]),
        ({"command": ["run"], "args": ["$(A)", "$$(A)"]}, ["run", "1", "$(A)"]),
    ],
)
def test_command_and_args_replace_entrypoint_and_command_as_in_kubernetes(
    container: dict[str, list[str]], expected: list[str]
) -> None:
    assert arguments(container, ["/entry"], ["default"], {"A": "1"}) == expected
