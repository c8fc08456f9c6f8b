import base64
import io
import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnelpool.ops.logging import set_up_logging
from tunnelpool.ops.redaction import MASK, Redactor

_LIBRARIES = ("kopf", "aiohttp.access", "httpx", "httpcore", "kubernetes", "asyncio")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in _LIBRARIES}
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


@pytest.fixture
def redactor() -> Redactor:
    return Redactor()


def test_a_line_of_json_holds_the_message_and_what_was_given_beside_it(redactor: Redactor) -> None:
    out = io.StringIO()
    set_up_logging(redactor, style="json", level="info", stream=out)
    logging.getLogger("tunnelpool.x").info("done with %s", "it", extra={"key": "tunnel/a/b", "generation": 3})
    line = json.loads(out.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "tunnelpool.x",
        "message": "done with it",
        "key": "tunnel/a/b",
        "generation": 3,
    }


def test_a_line_of_text_reads_like_a_sentence(redactor: Redactor) -> None:
    out = io.StringIO()
    set_up_logging(redactor, style="text", level="info", stream=out)
    logging.getLogger("tunnelpool.x").warning("slow", extra={"key": "tunnel/a/b"})
    assert out.getvalue().endswith("WARNING tunnelpool.x: slow key=tunnel/a/b\n")


def _fail(message: str) -> None:
    raise ValueError(message)


@pytest.mark.parametrize("style", ["json", "text"])
def test_a_secret_shows_neither_in_messages_nor_in_extras_nor_in_tracebacks(
    style: Literal["json", "text"], redactor: Redactor
) -> None:
    out = io.StringIO()
    set_up_logging(redactor, style=style, level="info", stream=out)
    secret = 's3cr"et-ä-value'
    redactor.register(secret)
    log = logging.getLogger("tunnelpool.x")
    try:
        _fail(f"with {secret}")
    except ValueError:
        log.exception("saw %s", secret, extra={"token": secret})
    encoded = base64.b64encode(secret.encode()).decode()
    log.info("saw %s", encoded)
    written = out.getvalue()
    assert "s3cr" not in written
    assert encoded not in written
    assert MASK in written
    assert "ValueError" in written


@pytest.mark.parametrize("style", ["json", "text"])
def test_libraries_that_log_bodies_stay_quiet_at_debug(
    style: Literal["json", "text"], redactor: Redactor
) -> None:
    out = io.StringIO()
    set_up_logging(redactor, style=style, level="debug", stream=out)
    logging.getLogger("kopf.objects").info("body")
    logging.getLogger("aiohttp.access").info("GET")
    assert out.getvalue() == ""


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdef0123456789",
        "authorization: bearer abcdef0123456789",
        "token eyJhIjoiYWJjZGVmMDEyMzQ1Njc4OSIsInQiOiJ4In0=",
    ],
)
def test_what_looks_like_a_token_is_masked_without_being_known(text: str, redactor: Redactor) -> None:
    masked = redactor.mask(text)
    assert masked.endswith(MASK)
    assert "abcdef" not in masked
    assert "eyJ" not in masked


def test_of_secrets_that_begin_alike_the_longer_one_is_masked_whole(redactor: Redactor) -> None:
    redactor.register("abcdefgh")
    redactor.register("abcdefgh-ijkl")
    assert redactor.mask("<abcdefgh-ijkl>") == f"<{MASK}>"


def test_what_is_too_short_to_be_a_token_leaves_logs_readable(redactor: Redactor) -> None:
    redactor.register("a")
    redactor.register("")
    assert redactor.mask("a cat") == "a cat"


@given(st.text(min_size=8), st.text(), st.text())
def test_a_registered_secret_is_in_no_masked_text(secret: str, before: str, after: str) -> None:
    redactor = Redactor()
    redactor.register(secret)
    masked = redactor.mask(before + secret + after)
    assert masked.count(secret) == (before + MASK + after).count(secret) or secret not in masked
