"""Which namespaces may claim which host names: case, dots, letters of the world, wildcards."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tunnelpool.domain.hostname_policy import Grant, HostnamePolicy, PatternError, ascii_name
from tunnelpool.domain.reasons import Reason

labels = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True).filter(
    lambda label: label[2:4] != "--"
)
names = st.lists(labels, min_size=2, max_size=5).map(".".join)
letters = st.text("äöüßéøđαβγжщ中文字", min_size=1, max_size=6)
few = settings(max_examples=50, deadline=None)


def allows(pattern: str, hostname: str, *, namespace: str = "shop", of: str = "shop") -> bool:
    return HostnamePolicy((Grant((of,), (pattern,)),)).allows(namespace, hostname)


@given(labels, names)
def test_without_policy_everything_is_allowed(namespace: str, hostname: str) -> None:
    assert HostnamePolicy().allows(namespace, hostname)
    assert HostnamePolicy().refusal(namespace, [hostname]) is None


@few
@given(names)
def test_a_name_is_allowed_where_it_is_listed_and_nowhere_else(hostname: str) -> None:
    assert allows(hostname, hostname)
    assert not allows(hostname, hostname, namespace="other")
    assert not allows(hostname, f"x.{hostname}")
    assert not allows(hostname, f"x{hostname}")
    assert not allows(hostname, hostname.partition(".")[2])


@few
@given(hostname=names, upper=st.booleans(), dotted=st.booleans())
def test_case_and_a_dot_at_the_end_do_not_count(hostname: str, *, upper: bool, dotted: bool) -> None:
    written = (hostname.upper() if upper else hostname) + "." * dotted
    assert allows(written, hostname)
    assert allows(hostname, written)


@few
@given(letters, names)
def test_letters_of_the_world_and_their_ascii_form_are_one(label: str, rest: str) -> None:
    hostname = f"{label}.{rest}"
    written = ascii_name(hostname)
    assert written.isascii()
    assert written.startswith("xn--")
    assert written.partition(".")[0].removeprefix("xn--").encode().decode("punycode") == label
    for one in (hostname, written, hostname.upper() if "ß" not in hostname else hostname):
        for other in (hostname, written, written.upper()):
            assert allows(one, other)


@few
@given(letters, letters, names)
def test_other_letters_are_another_name(one: str, other: str, rest: str) -> None:
    assume(one != other)
    assert not allows(f"{one}.{rest}", f"{other}.{rest}")


def test_known_names_have_their_known_ascii_form() -> None:
    assert ascii_name("Bücher.Example.com.") == "xn--bcher-kva.example.com"
    assert ascii_name("straße.example.com") == "xn--strae-oqa.example.com"  # not strasse, as browsers have it
    assert ascii_name("b\u0075\u0308cher.example.com") == "xn--bcher-kva.example.com"  # composed or not


@few
@given(st.lists(labels, min_size=1, max_size=3).map(".".join), names)
def test_a_star_at_the_front_is_any_name_below(below: str, zone: str) -> None:
    assert allows(f"*.{zone}", f"{below}.{zone}")
    assert not allows(f"*.{zone}", zone)
    assert not allows(f"*.{zone}", f"{below}{zone}")


@few
@given(names)
def test_a_star_alone_is_every_name(hostname: str) -> None:
    assert allows("*", hostname)
    assert allows("*", f"*.{hostname}")


@pytest.mark.parametrize(
    ("pattern", "hostname", "allowed"),
    [
        ("app-*.example.com", "app-1.example.com", True),
        ("app-*.example.com", "app-1.2.example.com", False),
        ("app*.example.com", "app.example.com", True),
        ("app.*.example.com", "app.eu.example.com", True),
        ("app.*.example.com", "app.a.b.example.com", False),
        ("*.app-*.example.com", "a.b.app-1.example.com", True),
        ("*-app.example.com", "eu-app.example.com", True),
        ("*-app.example.com", "a.eu-app.example.com", False),
        # A claim of a wildcard is of every name below it.
        ("*.example.com", "*.example.com", True),
        ("*.example.com", "*.eu.example.com", True),
        ("*.com", "*.example.com", True),
        ("app.example.com", "*.example.com", False),
        ("a*.example.com", "*.example.com", False),
        ("*a.example.com", "*.example.com", False),
        ("*.eu.example.com", "*.example.com", False),
        ("eu.*.com", "*.example.com", False),
        ("*.*.example.com", "*.example.com", False),
        ("*.*.example.com", "*.eu.example.com", True),
        # What is no name is nobody's.
        ("*", "", False),
        ("*", "a..b", False),
        ("*.example.com", ".example.com", False),
        ("*.example.com", "a b.example.com", False),
        ("app.example.com", "app.example.com..", False),
        ("app.example.com", "appxexample.com", False),
    ],
)
def test_wildcards(pattern: str, hostname: str, *, allowed: bool) -> None:
    assert allows(pattern, hostname) is allowed


@pytest.mark.parametrize(
    ("of", "namespace", "included"),
    [
        ("*", "shop", True),
        ("shop-*", "shop-eu", True),
        ("shop-*", "shop", False),
        ("*-eu", "shop-eu", True),
        ("s*p", "shop", True),
        ("shop", "shop2", False),
    ],
)
def test_namespaces_by_pattern(of: str, namespace: str, *, included: bool) -> None:
    assert allows("*", "app.example.com", of=of, namespace=namespace) is included


@pytest.mark.parametrize(
    ("namespaces", "hostnames", "says"),
    [
        (("Shop",), ("*",), "namespace 'Shop' must be lower-case letters"),
        (("",), ("*",), "namespace ''"),
        (("*",), ("",), "hostname ''"),
        (("*",), ("a..b",), "must be 1 to 63 letters"),
        (("*",), ("bü*.example.com",), r"must not have '\*' beside letters beyond ASCII"),
        (("*",), ("ⅷ.example.com",), "must be written in letters that a host name may hold"),
        (("*",), ("a。b",), "must be written in letters that a host name may hold"),
        (("*",), ("https://a.example.com",), "'https://a' must be 1 to 63 letters"),
        (("*",), ("a" * 64 + ".example.com",), "must be 1 to 63 letters"),
    ],
)
def test_a_pattern_that_cannot_be_read_is_refused(
    namespaces: tuple[str, ...], hostnames: tuple[str, ...], says: str
) -> None:
    with pytest.raises(PatternError, match=says):
        Grant(namespaces, hostnames)


def test_a_refusal_names_namespace_hostname_and_what_is_allowed() -> None:
    policy = HostnamePolicy(
        (Grant(("shop-*",), ("*.shop.example.com",)), Grant(("shop-eu",), ("shop.eu", "*.shop.example.com")))
    )
    assert policy.refusal("shop-eu", ["a.shop.example.com", "shop.eu"]) is None
    problem = policy.refusal("shop-eu", ["a.shop.example.com", "app.example.com"])
    assert problem is not None
    assert (problem.reason, problem.stalled) == (Reason.HOSTNAME_NOT_ALLOWED, True)
    assert "namespace 'shop-eu' must not claim hostname 'app.example.com'" in problem.message
    assert "'*.shop.example.com' or 'shop.eu'" in problem.message
    nothing = policy.refusal("other", ["app.example.com"])
    assert nothing is not None
    assert "allows it none at all" in nothing.message
