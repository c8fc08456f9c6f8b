"""Which local command stands for which image."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# What an image without a word about PATH gets, as container engines do.
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DOCKER_HUB = ("docker.io/library/", "docker.io/", "index.docker.io/")


@dataclass(frozen=True)
class Image:
    """A command that stands for an image; the fields are those of an image's configuration."""

    repository: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    working_dir: str = "/"


BUILT_IN = {
    "devcluster/echo": Image("devcluster/echo", (sys.executable, "-m", "devcluster.echo")),
    "devcluster/shell": Image("devcluster/shell", ("/bin/sh", "-c")),
}


class ImageTable:
    """Images by repository: the built-in ones and those of a JSON file, which is read again at each look.

    The file: `{"repository": {"entrypoint": [...], "cmd": [...], "env": {...}, "workingDir": "/"}}`; all but
    `entrypoint` may be left out.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self.read()  # a bad file is told now, not when the first pod starts

    def find(self, reference: str) -> Image | None:
        """Return the image for a reference, whatever its tag and digest. Raises ValueError for a bad file."""
        return self.read().get(repository(reference))

    def read(self) -> dict[str, Image]:
        """All images. Raises ValueError, naming the file, if it is not as it should be."""
        if self._path is None:
            return BUILT_IN
        try:
            entries = json.loads(self._path.read_text())
            return {**BUILT_IN, **{repository(name): _image(name, entry) for name, entry in entries.items()}}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"image table {self._path}: {type(error).__name__}: {error}") from error


def repository(reference: str) -> str:
    """`cloudflare/cloudflared` for `docker.io/cloudflare/cloudflared:2026.8.2@sha256:…`."""
    name = reference.partition("@")[0]
    head, slash, last = name.rpartition("/")
    name = f"{head}{slash}{last.partition(':')[0]}"
    for prefix in DOCKER_HUB:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def _image(name: str, entry: dict[str, Any]) -> Image:
    unknown = set(entry) - {"entrypoint", "cmd", "env", "workingDir"}
    if unknown:
        raise ValueError(f"{name} has unknown fields {sorted(unknown)}")
    return Image(
        repository(name),
        tuple(map(str, entry["entrypoint"])),
        tuple(map(str, entry.get("cmd", ()))),
        {str(key): str(value) for key, value in entry.get("env", {}).items()},
        str(entry.get("workingDir", "/")),
    )
