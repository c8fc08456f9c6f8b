import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnelpool.domain.address_ranges import AddressRanges

V4 = ["173.245.48.0/20", "103.21.244.0/22", "9.0.0.0/8"]
V6 = ["2606:4700::/32", "2400:cb00::/32"]


@given(st.permutations(V4), st.permutations(V6))
def test_another_order_of_the_same_ranges_is_no_change(ipv4: list[str], ipv6: list[str]) -> None:
    found = AddressRanges.of([*ipv4, *ipv4], ipv6)
    assert found == AddressRanges.of(V4, V6)
    assert found.all == (
        "9.0.0.0/8",
        "103.21.244.0/22",
        "173.245.48.0/20",
        "2400:cb00::/32",
        "2606:4700::/32",
    )


@pytest.mark.parametrize(
    ("ipv4", "ipv6"), [([], []), (["2400:cb00::/32"], []), (["nonsense"], V6), (["10.0.0.1/8"], V6)]
)
def test_what_is_no_list_of_ranges_is_refused_as_a_whole(ipv4: list[str], ipv6: list[str]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        AddressRanges.of(ipv4, ipv6)
