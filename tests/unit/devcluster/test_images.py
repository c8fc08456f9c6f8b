"""Which command stands for which image."""

import json
from pathlib import Path

import pytest

from devcluster.podrunner.images import ImageTable, repository


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("cloudflare/cloudflared", "cloudflare/cloudflared"),
        ("cloudflare/cloudflared:2026.8.2", "cloudflare/cloudflared"),
        ("docker.io/cloudflare/cloudflared:1@sha256:abc", "cloudflare/cloudflared"),
        ("docker.io/library/busybox", "busybox"),
        ("ghcr.io/tunnelpool/tunnelpool:0.1.0", "ghcr.io/tunnelpool/tunnelpool"),
        ("localhost:5000/app", "localhost:5000/app"),
        ("localhost:5000/app:1", "localhost:5000/app"),
        ("app@sha256:abc", "app"),
    ],
)
def test_tag_digest_and_docker_hub_do_not_count(reference: str, expected: str) -> None:
    assert repository(reference) == expected


def test_the_table_is_read_again_at_each_look(tmp_path: Path) -> None:
    file = tmp_path / "images.json"
    file.write_text("{}")
    table = ImageTable(file)
    assert table.find("a/b:1") is None
    file.write_text(json.dumps({"docker.io/a/b": {"entrypoint": ["/b", 1], "env": {"X": 2}, "cmd": ["c"]}}))
    found = table.find("a/b:2")
    assert found
    assert (found.entrypoint, found.command, found.env) == (("/b", "1"), ("c",), {"X": "2"})
    assert table.find("devcluster/echo:9")


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"a": {}}', '{"a": {"entrypoint": ["x"], "entrypiont": []}}', '{"a": 1}']
)
def test_a_bad_table_is_refused_with_the_name_of_its_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / "images.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"image table .*images\.json: "):
        ImageTable(file)
