"""What people and pipelines meet on the outside of the commands."""

from __future__ import annotations

import importlib.metadata
import sys

import click
import pytest
from click.testing import CliRunner

from tunnelpool.cli import main
from tunnelpool.cli.terminal import failing_by, paint
from tunnelpool.domain.errors import UnavailableError


def test_colours_come_only_where_a_person_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    assert paint("+ pool", "create") == "+ pool"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert paint("+ pool", "create") == click.style("+ pool", fg="green")
    assert click.unstyle(paint("+ pool", "faint")) == "+ pool"
    monkeypatch.setenv("NO_COLOR", "1")
    assert paint("+ pool", "create") == "+ pool"


def test_what_an_api_refuses_is_one_line_and_no_traceback() -> None:
    with pytest.raises(click.ClickException) as caught, failing_by():
        raise UnavailableError("no answer")
    assert (caught.value.format_message(), caught.value.exit_code) == ("no answer", 1)
    with pytest.raises(ZeroDivisionError), failing_by():
        raise ZeroDivisionError


@pytest.mark.parametrize("name", ["tunnelpool", "kubectl-tunnelpool"])
def test_it_is_a_program_and_a_plugin_of_kubectl(name: str) -> None:
    (found,) = importlib.metadata.entry_points(group="console_scripts", name=name)
    assert found.load() is main


@pytest.mark.parametrize(
    ("called", "says"), [("kubectl-tunnelpool", "kubectl tunnelpool"), ("tunnelpool", "tunnelpool")]
)
def test_it_calls_itself_what_its_user_has_typed(called: str, says: str) -> None:
    told = CliRunner().invoke(main, ["plan", "--help"], prog_name=called).stdout
    assert told.startswith(f"Usage: {says} plan ")


def test_each_command_has_a_help_text() -> None:
    for name, command in main.commands.items():
        assert command.help
        assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0
