"""A connector is known by the id with which it introduces itself to the edge."""

from pathlib import Path

import pytest

from demo.pod_diary import connectors_in

ID = "3f2c8f0e-8f11-4d52-9a34-0e1d1f0b6a77"


@pytest.mark.parametrize(
    "line",
    [
        f"2026-11-24T15:00:00Z INF Generated Connector ID: {ID}",  # cloudflared
        f"INFO Generated Connector ID: {ID}",  # the stand-in
    ],
)
def test_the_id_is_read_from_the_log_of_either_program(tmp_path: Path, line: str) -> None:
    log = tmp_path / "log"
    log.write_text(f"starting\n{line}\nready\n")
    assert connectors_in(log) == {ID}


def test_a_pod_that_has_not_started_yet_has_none(tmp_path: Path) -> None:
    assert connectors_in(tmp_path / "none") == set()
