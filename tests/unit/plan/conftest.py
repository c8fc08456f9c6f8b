"""Lets the tests of this folder import the snapshots that the builders' tests use too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "build"))
