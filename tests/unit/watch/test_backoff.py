from itertools import islice

from tunnelpool.watch.settings import EndlessBackoff, operator_settings


def test_waits_double_up_to_half_a_minute_and_never_end() -> None:
    waits = list(islice(EndlessBackoff(), 200))
    for index, wait in enumerate(waits):
        longest = min(30.0, 2.0**index)
        assert longest / 2 <= wait <= longest


def test_each_request_begins_at_one_second_again() -> None:
    backoff = EndlessBackoff()
    list(islice(backoff, 9))
    assert next(iter(backoff)) <= 1.0


def test_kopf_may_neither_write_nor_ask_for_more_than_the_kinds() -> None:
    settings = operator_settings()
    assert settings.posting.enabled is False
    assert settings.peering.standalone is True
    assert settings.scanning.disabled is True
    assert settings.persistence.finalizer != "tunnelpool.dev/cleanup"
