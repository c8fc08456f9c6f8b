"""`localedge serve` as a process: ready in one line, gone at a signal."""

from __future__ import annotations

import asyncio
import json
import signal
import stat
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from localedge.cli import main

PROGRAM = str(Path(sys.executable).with_name("localedge"))


def check_files(ready: dict[str, Any], folder: Path) -> None:
    certificate = Path(ready["cert_pem"])
    assert certificate.read_text().startswith("-----BEGIN ARGO TUNNEL TOKEN-----\n")
    for secret in (certificate, folder / "edge.json"):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert json.loads((folder / "edge.json").read_text()) == ready


async def test_it_says_where_it_is_in_one_line_and_ends_at_sigterm(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        *("serve", "--json", "--dir", str(tmp_path), "--zone", "a.example", "--zone", "b.example"),
        *("--account", "Other", "--zone", "c.example@Other"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        ready = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
        assert set(ready) == {
            "api_url",
            "control_url",
            "http_url",
            "https_url",
            "edge",
            "ca_file",
            "account_id",
            "api_token",
            "read_only_token",
            "zones",
            "accounts",
            "cert_pem",
        }
        assert list(ready["zones"]) == ["a.example", "b.example"]
        assert list(ready["accounts"]) == ["Local Edge", "Other"]
        assert list(ready["accounts"]["Other"]["zones"]) == ["c.example"]
        check_files(ready, tmp_path)
        async with httpx.AsyncClient() as http:
            url = f"{ready['api_url']}/user/tokens/verify"
            answer = await http.get(url, headers={"Authorization": f"Bearer {ready['api_token']}"})
            assert answer.json()["result"]["status"] == "active"
            assert (await http.get(f"{ready['control_url']}/lags")).json() == {
                "config": 3,
                "state": 15,
                "death": 5,
            }
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--plan", "free"],
        ["--speed", "0"],
        ["--lag-config", "-1"],
        ["--api-port", "70000"],
        ["--zone", "a.example@Nobody"],
    ],
)
def test_settings_without_meaning_are_refused(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, ["serve", *arguments])
    assert result.exit_code == 2
    assert "Invalid value" in result.output
