"""`tunnelpool run` until the operator itself is loaded."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

from tunnelpool.cli import main


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


class SlowModule(ModuleType):
    """Stands for `tunnelpool.app`, and is told to end while it is loaded."""

    def __getattr__(self, name: str) -> Any:
        """Be asked for `run`."""
        if name != "run":
            raise AttributeError(name)
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("it goes on loading")


def test_an_operator_that_is_told_to_end_while_it_loads_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as the kernel has it for the first of a container
    monkeypatch.setitem(sys.modules, "tunnelpool.app", SlowModule("tunnelpool.app"))
    assert CliRunner().invoke(main, ["run"]).exit_code == 0


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNNELPOOL_LEASE_NAME", "Not A Name")
    result = CliRunner().invoke(main, ["run"])
    assert result.exit_code == 1
    assert "TUNNELPOOL_LEASE_NAME" in result.output
