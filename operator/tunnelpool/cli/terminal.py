"""What the commands for people share: options, colours, errors in one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import click

from tunnelpool.domain.errors import ApiError

F = TypeVar("F", bound=Callable[..., Any])
_COLOURS: Final = {
    "create": "green",
    "good": "green",
    "update": "yellow",
    "poor": "yellow",
    "delete": "red",
    "bad": "red",
    "problem": "red",
}


def kubeconfig_option(command: F) -> F:
    """Add `--kubeconfig`."""
    return click.option(
        "--kubeconfig",
        default="",
        metavar="FILE",
        help="How to reach the cluster. Default: KUBECONFIG, ~/.kube/config, or the pod's ServiceAccount.",
    )(command)


def output_option(command: F) -> F:
    """Add `--output`."""
    return click.option(
        "--output",
        "-o",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="For people or for programs.",
    )(command)


def operator_namespace_option(command: F) -> F:
    """Add `--operator-namespace`."""
    return click.option(
        "--operator-namespace",
        default="tunnelpool-system",
        show_default=True,
        metavar="NAME",
        help="Where the operator runs.",
    )(command)


def paint(text: str, style: str) -> str:
    """Colour a text if a person looks at it (and NO_COLOR is not set)."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    colour = _COLOURS.get(style)
    return click.style(text, fg=colour) if colour else click.style(text, dim=True)


@contextmanager
def failing_by(*failures: type[Exception]) -> Iterator[None]:
    """Turn what a use case may fail by into one line on stderr and exit status 1."""
    expected: tuple[type[Exception], ...] = (ApiError, *failures)
    try:
        yield
    except expected as error:
        raise click.ClickException(str(error)) from None


class OptionsError(click.UsageError):
    """The options of a command whose exit status 2 has a meaning make no sense."""

    exit_code = 1


class Pipeline(click.Command):
    """A command whose exit status 2 has a meaning: what is wrong with its options is 1."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the options."""
        try:
            return super().make_context(*args, **kwargs)
        except click.UsageError as error:
            raise OptionsError(error.format_message(), error.ctx) from None
