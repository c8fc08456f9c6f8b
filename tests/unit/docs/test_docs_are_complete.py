"""Every setting, reason, command and option stands in the documentation."""

from pathlib import Path

import click

from tunnelpool import settings
from tunnelpool.cli import main
from tunnelpool.domain import reasons

DOCS = Path(__file__).parents[3] / "docs"


def test_the_page_of_reasons_is_current() -> None:
    assert (DOCS / "conditions.md").read_text() == reasons.page()


def test_each_reason_is_explained() -> None:
    assert set(reasons.EXPLANATIONS) == set(reasons.Reason)
    assert set(reasons.EVENTS) == set(reasons.EventReason)


def test_the_page_of_settings_is_current() -> None:
    assert (DOCS / "settings.md").read_text() == settings.page()


def test_each_command_and_option_is_in_the_docs() -> None:
    page = (DOCS / "cli.md").read_text()
    missing = [name for name in _names(main, "tunnelpool") if f"`{name}`" not in page]
    assert not missing


def _names(command: click.Command, path: str) -> list[str]:
    if isinstance(command, click.Group):
        return [name for sub in command.commands for name in _names(command.commands[sub], f"{path} {sub}")]
    return [path, *(option for one in command.params for option in one.opts if option.startswith("-"))]
