import pytest

from tunnelpool.cloudflare.settings import CALLS_PER_FIVE_MINUTES, CloudflareSettings


def test_the_defaults_are_the_budget_that_the_setting_defaults_to() -> None:
    assert CloudflareSettings.within(CALLS_PER_FIVE_MINUTES) == CloudflareSettings()


@pytest.mark.parametrize("calls", [300, 1150, 1200, 1_000_000])
def test_burst_and_rate_together_come_to_the_calls_of_five_minutes(calls: int) -> None:
    settings = CloudflareSettings.within(calls, api_url="http://127.0.0.1:1")
    assert settings.api_url == "http://127.0.0.1:1"
    assert settings.burst + settings.requests_per_s * 300 == pytest.approx(calls)
    assert settings.burst > settings.sweep_reserve
