"""Keeps asyncio from making a loop that nobody closes."""

from __future__ import annotations

import asyncio

import pytest


@pytest.fixture(scope="session", autouse=True)
def no_loop_by_accident() -> None:
    # pytest-asyncio asks for the current loop before it sets its own; on Python 3.11 that would make one.
    asyncio.set_event_loop(None)
