from pathlib import Path

import pytest

from tunnelpool.ops.metrics import METRICS, Metric, Metrics, page

_PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"


def _series(metrics: Metrics) -> dict[str, float]:
    lines = [line for line in metrics.text().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_the_page_of_the_documentation_is_current() -> None:
    assert _PAGE.read_text() == page(), "run: python -m tunnelpool.ops.metrics > docs/metrics.md"


def test_exactly_the_metrics_of_the_table_are_exposed_with_their_types_and_helps() -> None:
    text = Metrics().text().decode()
    typed = {tuple(line.split()[2:4]) for line in text.splitlines() if line.startswith("# TYPE tunnelpool_")}
    assert typed == {(metric.name, metric.type) for metric in METRICS}
    for metric in METRICS:
        assert f"# HELP {metric.name} {metric.help}" in text


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_and_labels_follow_the_conventions(metric: Metric) -> None:
    assert metric.name.startswith("tunnelpool_")
    assert metric.name.endswith("_total") == (metric.type == "counter")
    assert metric.help.endswith(".")
    assert not {"name", "namespace", "hostname"} & set(metric.labels)


def test_what_is_reported_is_exposed() -> None:
    metrics = Metrics()
    metrics.reconciled("tunnel", "ok", 0.2)
    metrics.step("Pool", "create")
    metrics.cloudflare_request("/accounts/{account}/x", "GET", 200, 0.1)
    metrics.rate_limit_wait(1.5)
    metrics.rate_limit_wait(1.0)
    series = _series(metrics)
    assert series['tunnelpool_reconcile_total{kind="tunnel",result="ok"}'] == 1
    assert series['tunnelpool_reconcile_duration_seconds_sum{kind="tunnel"}'] == 0.2
    assert series['tunnelpool_steps_total{action="create",kind="Pool"}'] == 1
    requests = 'tunnelpool_cloudflare_requests_total{code="200",method="GET",route="/accounts/{account}/x"}'
    assert series[requests] == 1
    assert series["tunnelpool_cloudflare_rate_limit_wait_seconds_total"] == 2.5


def test_gauges_are_asked_when_they_are_read() -> None:
    metrics = Metrics()
    depth = {"waiting": 1, "running": 0, "delayed": 3}
    metrics.read_queue(lambda: depth)
    metrics.read_store(lambda: {"Pod": True, "Secret": False})
    metrics.read_watches(lambda: {"Pod": 12.5})
    leading = [False]
    metrics.read_leader(lambda: leading[0])
    assert _series(metrics)["tunnelpool_leader"] == 0
    leading[0] = True
    depth["waiting"] = 7
    series = _series(metrics)
    assert series['tunnelpool_queue_depth{state="waiting"}'] == 7
    assert series["tunnelpool_leader"] == 1
    assert series['tunnelpool_store_synced{kind="Pod"}'] == 1
    assert series['tunnelpool_store_synced{kind="Secret"}'] == 0
    assert series['tunnelpool_watch_last_event_age_seconds{kind="Pod"}'] == 12.5


def test_two_operators_in_one_process_do_not_share_numbers() -> None:
    one, other = Metrics(), Metrics()
    one.step("Pool", "create")
    assert not any(name.startswith("tunnelpool_steps") for name in _series(other))
