"""Which program the connectors are: the real one wherever there is one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from demo.images import NoConnectorError, find_connector, write_image_table


def program(folder: Path, name: str = "cloudflared") -> Path:
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_program_that_is_named_runs(tmp_path: Path) -> None:
    path = program(tmp_path, "mine")
    found = find_connector({"CLOUDFLARED": str(path), "PATH": "/usr/bin"})
    assert found.real
    assert found.entrypoint == (str(path),)
    assert "the real cloudflared" in str(found)


def test_one_on_path_runs_without_being_named(tmp_path: Path) -> None:
    path = program(tmp_path)
    assert find_connector({"PATH": str(tmp_path)}).entrypoint == (str(path),)


def test_without_one_the_stand_in_runs_and_says_so(tmp_path: Path) -> None:
    found = find_connector({"PATH": str(tmp_path)})
    assert not found.real
    assert "stand-in" in str(found)


def test_a_named_program_that_is_not_there_is_an_error_not_a_stand_in(tmp_path: Path) -> None:
    with pytest.raises(NoConnectorError, match="is not a program"):
        find_connector({"CLOUDFLARED": str(tmp_path / "nothing"), "PATH": "/usr/bin"})


def test_the_table_names_both_images_of_the_chart(tmp_path: Path) -> None:
    table = json.loads(write_image_table(tmp_path / "images.json", find_connector({"PATH": ""})).read_text())
    assert set(table) == {"cloudflare/cloudflared", "ghcr.io/tunnelpool/tunnelpool"}
    assert table["ghcr.io/tunnelpool/tunnelpool"]["entrypoint"][1:] == ["-m", "tunnelpool"]
