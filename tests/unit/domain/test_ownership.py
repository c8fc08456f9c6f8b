"""Marks and names say whose an object is, and nothing else is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tunnelpool.domain.ownership import (
    CLUSTER_NAME,
    Mark,
    Owner,
    TunnelName,
    marked,
    read_mark,
    read_tunnel_name,
)

clusters = st.from_regex(CLUSTER_NAME.pattern.removeprefix("^").removesuffix("$"), fullmatch=True)
owners = st.builds(Owner, clusters, st.text("0123456789abcdef", min_size=8, max_size=8))
labels = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
names = st.lists(labels, min_size=1, max_size=3).map(".".join)
origins = st.from_regex(r"[-_.a-zA-Z0-9]{1,30}", fullmatch=True)
aggregates = st.just("") | st.builds("{}/{}".format, st.sampled_from(("pool", "host")), names)
marks = st.builds(Mark, owners, aggregates, st.lists(origins, max_size=4).map(tuple))
texts = st.text(max_size=60)


@given(texts, marks)
@example("[tunnelpool/v1 cluster=x uid=00000000]", Mark(Owner("a", "0" * 8)))
@example("ends in a bracket]", Mark(Owner("a", "0" * 8), "pool/web", ("one", "two")))
def test_a_mark_is_read_back_behind_any_text(text: str, mark: Mark) -> None:
    assert read_mark(marked(text, mark)) == mark


@given(texts)
def test_a_text_that_does_not_name_us_holds_no_mark(text: str) -> None:
    assert "tunnelpool" in text or read_mark(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tunnelpool",
        "[tunnelpool/v1 cluster=a uid=0123abcd] and then a word",
        "x[tunnelpool/v1 cluster=a uid=0123abcd]",
        "[tunnelpool/v1 cluster=a uid=0123abc]",
        "[tunnelpool/v1 cluster=a uid=0123ABCD]",
        "[tunnelpool/v2 cluster=a uid=0123abcd]",
        "[tunnelpool/v1 cluster=a_b uid=0123abcd]",
        "[tunnelpool/v1 cluster= uid=0123abcd]",
        "[tunnelpool/v1 cluster=a uid=0123abcd of=]",
        "[tunnelpool/v1 cluster=a uid=0123abcd owner=b]",
        "[tunnelpool/v1 uid=0123abcd cluster=a]",
        "[tunnelpool/v1 cluster=a uid=0123abcd]\n",
    ],
)
def test_what_merely_looks_like_a_mark_is_none(text: str) -> None:
    assert read_mark(text) is None


@given(owners, names, names, st.integers(0, 99))
def test_a_tunnels_name_is_read_back(owner: Owner, namespace: str, name: str, slot: int) -> None:
    given_name = TunnelName(owner, namespace.replace(".", "-"), name, slot)
    assert read_tunnel_name(str(given_name)) == given_name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "tunnelpool",
        "tunnelpool_a_0123abcd_default_web",
        "tunnelpool_a_0123abcd_default_web_",
        "tunnelpool_a_0123abcd_default_web_x",
        "tunnelpool_a_0123abcd_default_web_-1",
        "tunnelpool_a_0123abcd_default_we_b_1",
        "tunnelpool_a_0123abcd__web_1",
        "my-tunnelpool_a_0123abcd_default_web_1",
        "tunnelpool_a_0123abcd_default_web_1_2",
        "tunnelpool_a_0123abcd_default_web_1\n",
        "tunnelpool_a_0123abcd_default_web_01",
        "tunnelpool_a_0123abcd_default_web_٣",
    ],
)
def test_a_name_that_we_would_not_give_is_nobodys(name: str) -> None:
    assert read_tunnel_name(name) is None


@given(st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True), clusters)
def test_a_tunnels_name_is_short_enough_for_an_origin(namespace: str, cluster: str) -> None:
    name = TunnelName(Owner(cluster, "0123abcd"), namespace, "n" * 63, 19)
    assert len(str(name)) <= 253
