from __future__ import annotations

import base64
import json
import uuid
from pathlib import Path

import pytest
from click.testing import CliRunner

from localedge.connector import cli
from localedge.connector.credentials import parse_token
from localedge.connector.process import Settings

TUNNEL_ID = "fa6071c0-2503-46d6-a46e-387c4b6156bd"
TOKEN = base64.b64encode(
    json.dumps({"a": "acc", "t": TUNNEL_ID, "s": base64.b64encode(b"secret").decode()}).encode()
).decode()
REACHABLE = ["tunnel", "--protocol", "http2", "--edge", "127.0.0.1:1"]


class Started:
    """Takes the place of the process and keeps the settings that it was started with."""

    settings: Settings

    def __init__(self, settings: Settings) -> None:
        Started.settings = settings

    async def run(self) -> int:
        """End at once."""
        return 0


@pytest.fixture(autouse=True)
def _no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "ConnectorProcess", Started)
    monkeypatch.setattr(cli, "_set_up_logging", lambda _: None)


def start(*arguments: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(cli.connector, list(arguments), env=env)
    return result.exit_code, result.output


def test_the_flags_of_cloudflared_are_understood(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.touch()
    arguments = [
        *("tunnel", "--no-autoupdate", "--no-prechecks", "--protocol", "http2"),
        *("--edge", "127.0.0.1:7844", "--edge", "[::1]:7844", "--ha-connections", "2", "--retries", "0"),
        *(
            "--cacert",
            str(ca),
            "--metrics",
            "0.0.0.0:20241",
            "--grace-period",
            "1m20s",
            "--loglevel",
            "debug",
        ),
        *("run", "--token", TOKEN),
    ]
    assert start(*arguments)[0] == 0
    assert Started.settings == Settings(
        credentials=parse_token(TOKEN),
        edge=(("127.0.0.1", 7844), ("::1", 7844)),
        ca_file=ca,
        ha_connections=2,
        retries=0,
        grace_s=80.0,
        metrics=("0.0.0.0", 20241),  # noqa: S104 - what a pod listens on
    )


def test_the_environment_of_a_pod_is_understood(tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN + "\n")
    environment = {
        "NO_AUTOUPDATE": "true",
        "TUNNEL_NO_PRECHECKS": "true",
        "TUNNEL_TRANSPORT_PROTOCOL": "http2",
        "TUNNEL_EDGE": "emu:7844,emu:7844, emu:7844",
        "TUNNEL_RETRIES": "0",
        "TUNNEL_METRICS": "127.0.0.1:2",
        "TUNNEL_GRACE_PERIOD": "20s",
        "TUNNEL_LOGLEVEL": "warn",
        "TUNNEL_TOKEN_FILE": str(token_file),
    }
    assert start("tunnel", "run", env=environment)[0] == 0
    assert Started.settings == Settings(
        credentials=parse_token(TOKEN),
        edge=(("emu", 7844),) * 3,
        ca_file=None,
        ha_connections=4,
        retries=0,
        grace_s=20.0,
        metrics=("127.0.0.1", 2),
    )


def test_the_token_wins_over_the_file(tmp_path: Path) -> None:
    other = tmp_path / "token"
    other.write_text("nonsense")
    assert start(*REACHABLE, "run", "--token", TOKEN, "--token-file", str(other))[0] == 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["tunnel", "--edge", "a:1", "run", "--token", TOKEN], "speaks http2 only, not auto"),
        (["tunnel", "--protocol", "quic", "--edge", "a:1", "run", "--token", TOKEN], "not quic"),
        (["tunnel", "--protocol", "http2", "run", "--token", TOKEN], "give --edge"),
        (["tunnel", "--protocol", "http2", "--edge", "a", "run", "--token", TOKEN], "not host:port"),
        ([*REACHABLE, "--grace-period", "5", "run", "--token", TOKEN], "no duration"),
        ([*REACHABLE, "--grace-period", "4m", "run", "--token", TOKEN], "equal or less than 180 s"),
        ([*REACHABLE, "--post-quantum", "run", "--token", TOKEN], "No such option"),
        ([*REACHABLE, "run"], "a token is needed"),
        ([*REACHABLE, "run", "--token", "nonsense"], "Provided Tunnel token is not valid."),
    ],
)
def test_what_the_stand_in_cannot_do_is_refused(arguments: list[str], why: str) -> None:
    code, output = start(*arguments)
    assert code != 0
    assert why in output


def test_a_token_that_is_refused_is_not_repeated() -> None:
    assert "nonsense" not in start(*REACHABLE, "run", "--token", "nonsense")[1]


def test_it_says_that_it_is_a_stand_in() -> None:
    assert "a stand-in for cloudflared" in start("--version")[1]


def test_a_secret_is_not_shown_with_the_credentials() -> None:
    credentials = parse_token(TOKEN)
    assert (credentials.account_tag, credentials.tunnel_id) == ("acc", uuid.UUID(TUNNEL_ID))
    assert credentials.secret == b"secret"
    assert "secret" not in repr(credentials)
