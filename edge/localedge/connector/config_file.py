"""The file that `--config` names: YAML, with units on durations, which a pushed configuration lacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from localedge.connector.duration import parse_duration
from localedge.connector.ingress import Ingress, IngressError, parse_configuration
from localedge.connector.origin_request import DURATIONS


def read_config_file(file: Path) -> Ingress:
    """Read the ingress of a file.

    Raises:
        IngressError: it is invalid or needs what the stand-in cannot do.
        OSError: it cannot be read.

    """
    try:
        document = yaml.safe_load(file.read_text())
        for settings in _settings(document):
            for name in DURATIONS & settings.keys():
                settings[name] = int(parse_duration(str(settings[name])))
    except (yaml.YAMLError, ValueError) as error:
        raise IngressError(str(error)) from error
    return parse_configuration(document)


def _settings(document: Any) -> Iterator[dict[str, Any]]:
    """Find each `originRequest`; what has another shape is for the parser to refuse."""
    if not isinstance(document, dict):
        return
    rules = document.get("ingress")
    for each in (document, *(rules if isinstance(rules, list) else ())):
        if isinstance(each, dict) and isinstance(each.get("originRequest"), dict):
            yield each["originRequest"]
