"""Steps for a Tunnel: finalizer first and last, one origin after the other, removal through the pool."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snapshots import SITE, deleting, existing, member, origin_name, pool_of, raw, slot, snapshot, tunnel

from tunnelpool.build.manifests import deployment, disruption_budget, secret
from tunnelpool.build.snapshot import FINALIZER, Slot, TunnelSnapshot
from tunnelpool.crd.parsing import parse
from tunnelpool.domain.json import thaw
from tunnelpool.domain.remote import ObservedTunnel, RemoteKind
from tunnelpool.domain.remote import Tunnel as RemoteTunnel
from tunnelpool.plan.diff import covers
from tunnelpool.plan.finalizer import add_finalizer, remove_finalizer
from tunnelpool.plan.render import describe
from tunnelpool.plan.steps import (
    ApplyObject,
    CloseConnections,
    Create,
    CreateObject,
    Delete,
    DeleteObject,
    PutConfiguration,
    SetFinalizer,
    Step,
    WriteConnectorSecret,
)
from tunnelpool.plan.tunnel import plan

SPEC = {"hostname": "my.example.com", "service": "http://web.default.svc:8080", "pool": "my-pool"}


def shown(manifest: Any) -> dict[str, Any]:
    """Show an object as the API server has it after a manifest."""
    there: dict[str, Any] = thaw(manifest)
    there["metadata"] |= {"uid": f"uid-of-{there['metadata']['name']}", "resourceVersion": "3"}
    if there["kind"] == "Deployment":
        there["spec"]["progressDeadlineSeconds"] = 600
        there["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = "IfNotPresent"
    return there


def complete(index: int = 0, **fields: Any) -> Slot:
    """Build an origin that is as it should be."""
    there = {
        "deployment": shown(deployment(tunnel(), index, f"tunnel-web-{index}", SITE.connector)),
        "secret": shown(secret(tunnel(), index, f"tunnel-web-{index}", "")),
    }
    return replace(slot(index), **{**there, **fields})


def shot(
    *slots: Slot, finalizers: tuple[str, ...] = (FINALIZER,), gone: bool = False, **fields: Any
) -> TunnelSnapshot:
    """Build the snapshot of a Tunnel."""
    there = raw("Tunnel", "web", SPEC, finalizers=list(finalizers))
    there = deleting(there) if gone else there
    given = {"disruption_budget": shown(disruption_budget(tunnel())), **fields}
    return TunnelSnapshot("default", "web", parse("Tunnel", there), there, slots, **given)


def kinds(steps: tuple[Step, ...]) -> list[str]:
    """Name the steps."""
    return [type(step).__name__ for step in steps]


def test_the_finalizer_comes_alone_and_first() -> None:
    (step,) = plan(shot(Slot(0, leaving=False), finalizers=("other/one",)), SITE)
    assert isinstance(step, SetFinalizer)
    assert (step.resource_version, step.finalizers) == ("7", ("other/one", FINALIZER))


def test_a_new_origin_begins_with_its_remote_tunnel_whose_id_the_rest_needs() -> None:
    (step,) = plan(shot(Slot(0, leaving=False)), SITE)
    assert step == Create(RemoteTunnel(origin_name(0)))


def test_then_its_configuration_secret_and_deployment_follow_in_this_order() -> None:
    steps = plan(shot(slot(0, pods=0)), SITE)
    assert kinds(steps) == ["PutConfiguration", "WriteConnectorSecret", "CreateObject"]
    assert isinstance(steps[1], WriteConnectorSecret)
    assert not steps[1].exists


def test_an_origin_in_order_needs_nothing() -> None:
    assert plan(shot(complete(0), complete(1)), SITE) == ()


def test_a_missing_budget_is_made_and_an_edited_one_applied() -> None:
    assert kinds(plan(shot(complete(), disruption_budget=None), SITE)) == ["CreateObject"]
    edited = shown(disruption_budget(tunnel()))
    edited["spec"]["maxUnavailable"] = 3
    assert kinds(plan(shot(complete(), disruption_budget=edited), SITE)) == ["ApplyObject"]


def test_what_somebody_edits_in_a_deployment_is_applied_again() -> None:
    edited = complete()
    assert edited.deployment is not None
    edited.deployment["spec"]["replicas"] = 0
    (step,) = plan(shot(edited), SITE)
    assert isinstance(step, ApplyObject)


def test_a_changed_service_puts_the_configuration_and_notes_it_in_the_secret() -> None:
    there = raw("Tunnel", "web", {**SPEC, "service": "http://next:80"}, finalizers=[FINALIZER])
    changed = replace(shot(complete()), tunnel=parse("Tunnel", there), raw=there)
    assert kinds(plan(changed, SITE)) == ["PutConfiguration", "WriteConnectorSecret"]


def test_a_tunnel_made_anew_gets_everything_again() -> None:
    other = ObservedTunnel("another-id", RemoteTunnel(origin_name(0)))
    steps = plan(shot(complete(remote=other)), SITE)
    assert kinds(steps) == ["PutConfiguration", "WriteConnectorSecret", "ApplyObject"]
    assert isinstance(steps[0], PutConfiguration)
    assert steps[0].tunnel_id == "another-id"


def test_a_duplicate_of_a_tunnel_goes() -> None:
    spare = ObservedTunnel("spare", RemoteTunnel(origin_name(0)))
    (step,) = plan(shot(complete(duplicates=(spare,))), SITE)
    assert step == Delete(RemoteKind.TUNNEL, "spare", origin_name(0))


def test_nothing_of_an_origin_is_touched_while_a_pool_holds_it() -> None:
    leaving = complete(1, leaving=True)
    pool = existing(member(slot(0), slot(1)))
    assert plan(shot(complete(0), leaving, pools=(pool,)), SITE) == ()


def test_a_removed_origin_loses_its_deployment_then_once_no_pod_runs_its_tunnel() -> None:
    leaving = complete(1, leaving=True)
    assert kinds(plan(shot(complete(0), leaving), SITE)) == ["DeleteObject", "DeleteObject"]
    ending = replace(leaving, deployment=None, secret=None, pods=1)
    assert plan(shot(complete(0), ending), SITE) == ()
    steps = plan(shot(complete(0), replace(ending, pods=0)), SITE)
    assert steps == (
        CloseConnections("tunnel-web-1", origin_name(1)),
        Delete(RemoteKind.TUNNEL, "tunnel-web-1", origin_name(1)),
    )


def test_what_is_being_deleted_is_not_deleted_again() -> None:
    there = complete(1, leaving=True)
    gone = [deleting(dict(one)) for one in (there.deployment, there.secret) if one is not None]
    assert plan(shot(complete(0), replace(there, deployment=gone[0], secret=gone[1])), SITE) == ()


def test_the_finalizer_goes_alone_and_last() -> None:
    assert not plan(shot(complete(leaving=True), gone=True, pools=(existing(member(slot())),)), SITE)
    assert not plan(shot(gone=True, derived_left=("pool 'my-pool'",)), SITE)
    (step,) = plan(shot(gone=True, finalizers=("other/one", FINALIZER)), SITE)
    assert isinstance(step, SetFinalizer)
    assert step.finalizers == ("other/one",)


def test_remains_of_a_tunnel_that_is_gone_are_removed() -> None:
    remains = TunnelSnapshot("default", "web", None, None, (slot(0, leaving=True, pods=0),))
    assert kinds(plan(remains, SITE)) == ["CloseConnections", "Delete"]


def test_children_that_were_orphaned_on_purpose_keep_running() -> None:
    left = complete(0, leaving=True, remote=None)
    remains = TunnelSnapshot("default", "web", None, None, (left,))
    assert kinds(plan(remains, SITE)) == ["DeleteObject", "DeleteObject"]
    orphans = []
    for child in (left.deployment, left.secret):
        assert child is not None
        meta = {name: value for name, value in child["metadata"].items() if name != "ownerReferences"}
        orphans.append({**child, "metadata": meta})
    orphaned = replace(left, deployment=orphans[0], secret=orphans[1])
    assert plan(TunnelSnapshot("default", "web", None, None, (orphaned,)), SITE) == ()


@given(
    states=st.lists(st.sampled_from(("new", "half", "whole", "leaving", "ending")), max_size=5),
    gone=st.booleans(),
)
def test_no_plan_touches_one_object_twice_or_holds_a_secret(states: list[str], *, gone: bool) -> None:
    made = {
        "new": lambda index: Slot(index, leaving=gone),
        "half": lambda index: replace(slot(index), leaving=gone),
        "whole": lambda index: complete(index, leaving=gone),
        "leaving": lambda index: complete(index, leaving=True),
        "ending": lambda index: slot(index, leaving=True, pods=0),
    }
    steps = plan(shot(*(made[state](index) for index, state in enumerate(states)), gone=gone), SITE)
    touched = []
    for step in steps:
        match step:
            case DeleteObject(ref=ref) | SetFinalizer(ref=ref):
                touched.append((ref.kind, ref.name))
            case CreateObject() | ApplyObject() | WriteConnectorSecret():
                manifest = thaw(step.manifest)
                touched.append((manifest["kind"], manifest["metadata"]["name"]))
                assert "token" not in manifest.get("data", {})
            case Create(value=RemoteTunnel(name=name)) | Delete(name=name):
                touched.append(("tunnel", name))
            case _:
                pass
        assert describe(step)
    assert len(touched) == len({*touched})


def test_finalizers_of_others_are_kept_in_their_order() -> None:
    there = raw("Tunnel", "web", SPEC, finalizers=["a/1", FINALIZER, "b/2"])
    assert add_finalizer("Tunnel", there, FINALIZER) is None
    step = remove_finalizer("Tunnel", there, FINALIZER)
    assert step is not None
    assert step.finalizers == ("a/1", "b/2")
    assert remove_finalizer("Tunnel", raw("Tunnel", "web", SPEC), FINALIZER) is None


documents = st.recursive(
    st.integers() | st.text(max_size=3) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(documents)
def test_an_object_covers_itself(document: Any) -> None:
    assert covers(document, document)


@given(st.dictionaries(st.text(max_size=3), documents, max_size=3), st.text(min_size=4), documents)
def test_what_a_server_adds_does_not_count_and_what_it_lacks_does(
    document: dict[str, Any], name: str, added: Any
) -> None:
    assert covers({**document, name: added}, document)
    assert not covers(document, {**document, name: added})


@pytest.mark.parametrize(
    ("there", "wish", "covered"),
    [
        ([1, 2], [1], False),
        ("ab", ["a", "b"], False),
        ({"a": None}, {"a": 1}, False),
        (None, {"a": 1}, False),
        ({"limits": {"cpu": "1"}}, {"limits": {"cpu": "1000m"}}, True),
        ({"limits": {}}, {"limits": {"cpu": "1"}}, True),
        ({"spec": 1}, {"spec": {}}, False),
    ],
)
def test_lists_are_whole_and_quantities_are_the_servers(there: Any, wish: Any, *, covered: bool) -> None:
    assert covers(there, wish) is covered


def test_descriptions_name_objects_in_words() -> None:
    pool = pool_of(snapshot(member(slot())))
    assert describe(Create(pool)) == "create pool 'my-pool'"
    assert describe(Delete(RemoteKind.TUNNEL, "id", "name")) == "delete tunnel 'name'"
    made = secret(tunnel(), 0, "id", "")
    assert (
        describe(WriteConnectorSecret(made, "id", exists=False)) == "write Secret 'default/web-connector-0'"
    )
