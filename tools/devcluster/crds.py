"""Installs CustomResourceDefinitions and waits until the API serves them."""

import asyncio
import time
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml

from devcluster.api import APPLY, Api, ApiError

Json = dict[str, Any]

PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TIMEOUT_S = 30.0
POLL_S = 0.05


async def apply_crds(api: Api, paths: Iterable[Path]) -> list[str]:
    """Apply every definition in the files, or in the YAML files of the folders; wait until each is served.

    Returns their names. Raises ApiError if one is refused, TimeoutError if one does not come up, ValueError
    if a file holds anything else.
    """
    definitions = [definition for path in paths for definition in read_crds(path)]
    for definition in definitions:
        name = definition["metadata"]["name"]
        await api.patch(f"{PATH}/{name}", definition, APPLY, fieldManager="devcluster", force="true")
    end = time.monotonic() + TIMEOUT_S
    for definition in definitions:
        await _wait_until_served(api, definition["metadata"]["name"], end)
    return [definition["metadata"]["name"] for definition in definitions]


def read_crds(path: Path) -> list[Json]:
    """Return the definitions of a file, or of all YAML files of a folder, by name. Raises ValueError."""
    files = sorted(path.glob("*.y*ml")) if path.is_dir() else [path]
    found = []
    for file in files:
        for document in yaml.safe_load_all(file.read_text()):
            if document is None:
                continue
            if document.get("kind") != "CustomResourceDefinition":
                raise ValueError(f"{file} holds a {document.get('kind')}, not only CustomResourceDefinitions")
            found.append(document)
    return found


async def _wait_until_served(api: Api, name: str, end: float) -> None:
    while True:
        definition = await api.get(f"{PATH}/{name}")
        conditions = {
            item["type"]: item["status"] for item in definition.get("status", {}).get("conditions", ())
        }
        if conditions.get("Established") == "True" and await _is_served(api, definition["spec"]):
            return
        if time.monotonic() > end:
            raise TimeoutError(f"{name} is not served after {TIMEOUT_S:.0f} s: {conditions}")
        await asyncio.sleep(POLL_S)


async def _is_served(api: Api, spec: Json) -> bool:
    """Ask for the resources: Established is said a moment before the handler is there."""
    for version in spec["versions"]:
        if version["served"]:
            try:
                await api.get(f"/apis/{spec['group']}/{version['name']}/{spec['names']['plural']}", limit="1")
            except ApiError as error:
                if error.status == HTTPStatus.NOT_FOUND:
                    return False
                raise
    return True
