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
    read_marks,
    read_tunnel_name,
    unmarked,
    without_mark,
)

clusters = st.from_regex(CLUSTER_NAME.pattern.removeprefix("^").removesuffix("$"), fullmatch=True)
owners = st.builds(Owner, clusters, st.text("0123456789abcdef", min_size=8, max_size=8))
labels = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
names = st.lists(labels, min_size=1, max_size=3).map(".".join)
origins = st.from_regex(r"[-_.a-zA-Z0-9]{1,30}", fullmatch=True)
aggregates = st.just("") | st.builds("{}/{}".format, st.sampled_from(("pool", "host")), names)
origin_names = st.lists(origins, max_size=4).map(tuple)
fields = st.lists(st.sampled_from(("monitor", "minimum_origins", "enabled")), max_size=3).map(tuple)


@st.composite
def marks_of(draw: st.DrawFn, *, guest: bool) -> Mark:
    """Draw a mark; among the origins that are out are tunnels of the cluster itself."""
    owner = draw(owners)
    own = tuple(
        str(TunnelName(owner, "default", "web", n)) for n in draw(st.sets(st.integers(0, 9), max_size=3))
    )
    shared, asks = (False, draw(fields)) if guest else (draw(st.booleans()), ())
    return Mark(owner, draw(aggregates), own + draw(origin_names), guest, shared, draw(origin_names), asks)


marks = marks_of(guest=False)
guests = st.lists(marks_of(guest=True), max_size=3).map(tuple)
texts = st.text(max_size=60)


@given(texts, marks)
@example("[tunnelpool/v1 cluster=x uid=00000000]", Mark(Owner("a", "0" * 8)))
@example("ends in a bracket]", Mark(Owner("a", "0" * 8), "pool/web", ("one", "two")))
def test_a_mark_is_read_back_behind_any_text(text: str, mark: Mark) -> None:
    assert read_mark(marked(text, mark)) == mark


@given(texts, marks, guests)
def test_the_marks_of_all_clusters_are_read_back_and_taken_off(
    text: str, mark: Mark, others: tuple[Mark, ...]
) -> None:
    described = marked(text, mark, *others)
    assert read_marks(described) == (mark, *others)
    assert read_mark(described) == mark
    assert unmarked(described) == text.rstrip()
    left = tuple(other for other in others if other.owner != mark.owner)
    assert without_mark(described, mark.owner) == marked(text.rstrip(), *left)


def test_marks_of_five_clusters_fit_into_a_description_beside_the_users_text() -> None:
    clusters_ = [
        Owner(f"production-{place}", f"0000000{n}") for n, place in enumerate(("eu", "us", "ap", "af", "sa"))
    ]
    out = [tuple(str(TunnelName(one, "default", "web", n)) for n in range(2)) for one in clusters_]
    owner, *rest = zip(clusters_, out, strict=True)
    described = marked(
        "x" * 500,
        Mark(owner[0], "pool/web", owner[1], shared=True),
        *(Mark(one, "pool/web", gone, guest=True) for one, gone in rest),
    )
    assert len(described) <= 1024


def test_a_mark_of_the_first_version_means_what_it_meant() -> None:
    text = "mine [tunnelpool/v1 cluster=a uid=0123abcd of=pool/web out=tunnelpool_a_0123abcd_default_web_0,x]"
    out = ("tunnelpool_a_0123abcd_default_web_0", "x")
    assert read_mark(text) == Mark(Owner("a", "0123abcd"), "pool/web", out)


@given(owners, owners)
def test_a_cluster_that_is_taken_over_counts_as_ours_and_only_of_our_name(here: Owner, there: Owner) -> None:
    heir = Owner(here.cluster, here.uid, formerly=there.uid)
    assert heir.covers(there) == (there.cluster == here.cluster)
    assert heir.covers(here)
    assert heir == here
    assert here.is_namesake(there) == (here.cluster == there.cluster and here.uid != there.uid)


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
