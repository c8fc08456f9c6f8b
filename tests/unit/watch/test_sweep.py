from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import pytest

from tunnelpool.domain.errors import UnavailableError
from tunnelpool.domain.kinds import SECRET, Kind
from tunnelpool.engine.store import Store
from tunnelpool.watch.ports import Lister
from tunnelpool.watch.sweep import sweep


def _secret(name: str, uid: str, version: int = 1, namespace: str = "a") -> dict[str, Any]:
    meta = {"name": name, "namespace": namespace, "uid": uid, "resourceVersion": str(version)}
    return {"kind": "Secret", "metadata": {**meta, "managedFields": [{"manager": "x"}]}}


def _lister(
    pages: Sequence[Sequence[Mapping[str, Any]]], meanwhile: Callable[[], None] = lambda: None
) -> Lister:
    async def pages_of(_kind: Kind, _namespace: str = "", /) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        for page in pages:
            meanwhile()
            yield page

    return pages_of


async def test_what_a_fresh_listing_lacks_goes_out() -> None:
    store = Store()
    for raw in (_secret("x", "1"), _secret("y", "2")):
        store.put("Secret", raw)
    assert await sweep(SECRET, [], _lister([[_secret("x", "1")], [_secret("z", "3")]]), store) == 1
    assert [raw["metadata"]["name"] for raw in store.all("Secret")] == ["x", "z"]


async def test_what_is_made_during_the_listing_stays() -> None:
    store = Store()
    lister = _lister([[]], lambda: store.put("Secret", _secret("new", "9")))
    assert await sweep(SECRET, [], lister, store) == 0
    assert store.get("Secret", "a", "new") is not None


async def test_what_is_deleted_during_the_listing_does_not_come_back_with_it() -> None:
    store = Store()
    store.put("Secret", _secret("x", "1"))
    lister = _lister([[_secret("x", "1")]], lambda: store.remove("Secret", "a", "x", "1"))
    await sweep(SECRET, [], lister, store)
    assert store.get("Secret", "a", "x") is None


async def test_a_name_that_was_taken_anew_keeps_the_new_object() -> None:
    store = Store()
    store.put("Secret", _secret("x", "1", 5))
    await sweep(SECRET, [], _lister([[_secret("x", "2", 7)]]), store)
    found = store.get("Secret", "a", "x")
    assert found is not None
    assert found["metadata"]["uid"] == "2"


async def test_a_listing_that_breaks_off_removes_nothing() -> None:
    store = Store()
    store.put("Secret", _secret("x", "1"))

    def fail() -> None:
        raise UnavailableError("no")

    with pytest.raises(UnavailableError):
        await sweep(SECRET, [], _lister([[]], fail), store)
    assert store.get("Secret", "a", "x") is not None


async def test_each_namespace_is_listed_and_managed_fields_are_left_out() -> None:
    asked: list[str] = []
    put: list[Mapping[str, Any]] = []

    async def lister(_kind: Kind, namespace: str = "", /) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        asked.append(namespace)
        yield [_secret("x", namespace, namespace=namespace)]

    class _Sink(Store):
        def put(self, kind: str, raw: Mapping[str, Any]) -> None:
            del kind
            put.append(raw)

    await sweep(SECRET, ["a", "b"], lister, _Sink())
    assert asked == ["a", "b"]
    assert all("managedFields" not in raw["metadata"] for raw in put)
    assert len(put) == 2


async def test_a_listing_is_the_truth_when_versions_have_gone_back() -> None:
    store = Store()
    for raw in (_secret("x", "1", 900), _secret("gone", "2", 901), _secret("late", "3", 902)):
        store.put("Secret", raw)
    store.remove("Secret", "a", "gone", "2")
    restored = [_secret("x", "1", 500), _secret("gone", "2", 400)]
    await sweep(SECRET, [], _lister([restored]), store)
    versions = {raw["metadata"]["name"]: raw["metadata"]["resourceVersion"] for raw in store.all("Secret")}
    assert versions == {"x": "500", "gone": "400"}
    store.put("Secret", _secret("x", "1", 501))
    assert (store.get("Secret", "a", "x") or {})["metadata"]["resourceVersion"] == "501"
    store.put("Secret", _secret("x", "1", 500))
    assert (store.get("Secret", "a", "x") or {})["metadata"]["resourceVersion"] == "501", "order counts again"


async def test_a_write_of_our_own_during_the_listing_is_no_restore() -> None:
    store = Store()
    store.put("Secret", _secret("x", "1", 5))
    lister = _lister([[_secret("x", "1", 5)]], lambda: store.put("Secret", _secret("x", "1", 9)))
    await sweep(SECRET, [], lister, store)
    assert (store.get("Secret", "a", "x") or {})["metadata"]["resourceVersion"] == "9"
