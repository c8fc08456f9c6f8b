"""The world of the engine's tests: its modules lie beside the tests, which are no package."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from running_world import World


@pytest.fixture
def world() -> World:
    """Hand out a world in which nothing has happened yet."""
    return World()
