from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tunnelpool.kube.field_owners import moved

_FIELDS = st.recursive(
    st.just({}),
    lambda inner: st.dictionaries(st.sampled_from(["f:a", "f:b", "f:c", 'k:{"name":"x"}', "."]), inner),
    max_leaves=12,
)


def _entry(
    operation: str, fields: dict[str, Any], manager: str = "tunnelpool", **more: str
) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "fieldsV1": fields, **more}


def _leaves(fields: dict[str, Any], at: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    return {at}.union(*(_leaves(inner, (*at, name)) for name, inner in fields.items()))


def test_what_a_post_owned_moves_to_the_apply() -> None:
    created = _entry("Update", {"f:spec": {"f:replicas": {}, "f:paused": {}}})
    applied = _entry("Apply", {"f:spec": {"f:replicas": {}}})
    assert moved([created, applied]) == [_entry("Apply", {"f:spec": {"f:replicas": {}, "f:paused": {}}})]


def test_others_and_subresources_keep_what_is_theirs() -> None:
    others = [
        _entry("Update", {"f:status": {}}, subresource="status"),
        _entry("Update", {"f:metadata": {}}, manager="kubectl-edit"),
    ]
    found = moved([_entry("Update", {"f:a": {}}), _entry("Apply", {}), *others])
    assert found is not None
    assert found[1:] == others


def test_nothing_moves_before_the_first_apply_nor_after_the_first_move() -> None:
    assert moved([_entry("Update", {"f:a": {}})]) is None
    assert moved([_entry("Apply", {"f:a": {}})]) is None
    assert moved([]) is None


@given(_FIELDS, _FIELDS)
def test_no_field_is_lost_and_none_is_made_up(created: dict[str, Any], applied: dict[str, Any]) -> None:
    found = moved([_entry("Update", created), _entry("Apply", applied)])
    assert found is not None
    assert _leaves(found[0]["fieldsV1"]) == _leaves(created) | _leaves(applied)
    assert moved(found) is None
