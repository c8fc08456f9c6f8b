"""The store: the newest version of each object wins, however late and in whatever order they come."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tunnelpool.engine.store import Store


def pod(version: int, uid: str = "u", name: str = "a", **labels: str) -> dict[str, Any]:
    """Write a version of an object."""
    meta = {"namespace": "default", "name": name, "uid": uid, "resourceVersion": str(version)}
    return {"kind": "Pod", "metadata": {**meta, "labels": labels}}


def version(store: Store, name: str = "a") -> str | None:
    """Read the version that is in the store."""
    there = store.get("Pod", "default", name)
    return there["metadata"]["resourceVersion"] if there else None


@given(st.permutations([pod(n) for n in (1, 9, 10, 11, 100)]))
def test_the_newest_version_stays_in_whatever_order_they_come(versions: list[dict[str, Any]]) -> None:
    store = Store()
    for one in versions:
        store.put("Pod", one)
    assert version(store) == "100"


def test_a_late_version_of_what_is_gone_does_not_bring_it_back() -> None:
    store = Store()
    store.put("Pod", pod(1))
    store.remove("Pod", "default", "a", "u")
    store.put("Pod", pod(2))
    assert version(store) is None


def test_a_successor_of_that_name_comes_in_and_the_end_of_its_predecessor_does_not_touch_it() -> None:
    store = Store()
    store.put("Pod", pod(5))
    store.put("Pod", pod(6, uid="next"))
    store.remove("Pod", "default", "a", "u")
    assert version(store) == "6"


def test_managed_fields_are_not_kept_and_what_was_put_in_is_not_changed() -> None:
    store, one = Store(), pod(1)
    one["metadata"]["managedFields"] = [{"manager": "somebody"}]
    store.put("Pod", one)
    there = store.get("Pod", "default", "a")
    assert there is not None
    assert "managedFields" not in there["metadata"]
    assert "managedFields" in one["metadata"]


def test_an_index_follows_every_change_and_is_filled_when_it_is_added() -> None:
    store = Store()
    store.put("Pod", pod(1, app="x"))
    store.add_index("by-app", "Pod", lambda raw: tuple(raw["metadata"]["labels"].values()))
    store.put("Pod", pod(1, uid="v", name="b", app="x"))
    assert [one["metadata"]["name"] for one in store.by("by-app", "x")] == ["a", "b"]
    store.put("Pod", pod(2, app="y"))
    assert [one["metadata"]["name"] for one in store.by("by-app", "x")] == ["b"]
    store.remove("Pod", "default", "a", "u")
    assert store.by("by-app", "y") == ()
    assert store.by("by-app", "never") == ()


def test_a_listener_hears_what_was_and_what_is_after_the_store_has_it() -> None:
    store, heard = Store(), []

    def listen(kind: str, before: Any, after: Any) -> None:
        heard.append((kind, before and before["metadata"]["resourceVersion"], version(store)))
        assert (after is None) == (version(store) is None)

    store.add_listener(listen)
    store.put("Pod", pod(1))
    store.put("Pod", pod(1))
    store.put("Pod", pod(2, phase="Running"))
    store.remove("Pod", "default", "a", "u")
    store.remove("Pod", "default", "a", "u")
    assert heard == [("Pod", None, "1"), ("Pod", "1", "2"), ("Pod", "2", None)]


def test_kinds_are_synced_one_by_one() -> None:
    store = Store()
    store.mark_synced("Pod")
    assert store.synced(frozenset({"Pod"}))
    assert not store.synced(frozenset({"Pod", "Tunnel"}))


def test_nobody_hears_of_a_version_in_which_nothing_is_new_that_is_kept() -> None:
    store, heard = Store(), []
    store.put("Pod", pod(1))
    store.add_listener(lambda *change: heard.append(change))
    store.put("Pod", {**pod(2), "status": {"hostIP": "192.0.2.1"}})
    assert not heard
    assert version(store) == "2"


def test_whoever_writes_a_status_does_not_hear_of_it_but_of_what_came_with_it() -> None:
    def tunnel(version: int, weight: int, ready: str) -> dict[str, Any]:
        meta = {"namespace": "default", "name": "a", "uid": "u", "resourceVersion": str(version)}
        return {"metadata": meta, "spec": {"weight": weight}, "status": {"ready": ready}}

    store, heard = Store(), []
    store.put("Tunnel", tunnel(1, 1, "no"))
    store.add_listener(lambda *change: heard.append(change[2]["spec"]["weight"]))
    store.put("Tunnel", tunnel(2, 1, "yes"), own_status=True)
    assert not heard
    store.put("Tunnel", tunnel(3, 2, "no"), own_status=True)
    assert heard == [2]
    store.put("Tunnel", tunnel(4, 2, "by hand"))
    assert heard == [2, 2]
