import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnelpool.domain.kinds import DEPLOYMENT, KINDS, SECRET, SELECTOR, TUNNEL, WATCHED


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (SECRET.path(), "/api/v1/secrets"),
        (SECRET.path("a"), "/api/v1/namespaces/a/secrets"),
        (DEPLOYMENT.path("a", "b"), "/apis/apps/v1/namespaces/a/deployments/b"),
        (
            TUNNEL.path("a", "b", "status"),
            "/apis/tunnelpool.dev/v1alpha1/namespaces/a/tunnels/b/status",
        ),
    ],
)
def test_a_path_leads_to_what_it_names(path: str, expected: str) -> None:
    assert path == expected


@given(st.text(min_size=1))
def test_no_name_leads_out_of_its_collection(name: str) -> None:
    path = SECRET.path("a", name)
    assert path.startswith("/api/v1/namespaces/a/secrets/")
    assert path.count("/") == "/api/v1/namespaces/a/secrets/x".count("/")
    assert "?" not in path
    assert "#" not in path


def test_secrets_and_pods_of_others_are_never_watched() -> None:
    everything = {kind.name for kind in WATCHED if not kind.selector}
    assert everything == {
        *("Tunnel", "LBPool", "HealthCheck", "LoadBalancer"),
        *("Deployment", "StatefulSet", "Service"),  # what may be followed, of which little is kept
    }
    assert {kind.selector for kind in WATCHED if kind.name not in everything} == {SELECTOR}


def test_kinds_are_found_by_the_names_of_manifests() -> None:
    assert KINDS["Deployment"].api_version == "apps/v1"
    assert KINDS["Pod"].api_version == "v1"
