"""The page about the edge tells what the edge does."""

from __future__ import annotations

import re
from importlib.resources import files

from localedge.api.gateway import ROUTES
from localedge.serve import serve

PAGE = files("localedge").joinpath("README.md").read_text()


def test_every_route_is_listed_with_its_methods_and_no_other_is() -> None:
    rows = re.findall(r"^\| `(/[^`]*)` \| ([A-Z ]+) \|", PAGE, re.MULTILINE)
    listed = {(method, path) for path, methods in rows for method in methods.split()} - {("GET", "/ips")}
    assert listed == {(route.method, route.template) for route in ROUTES}


def test_every_option_that_is_named_exists() -> None:
    known = {option for parameter in serve.params for option in (*parameter.opts, *parameter.secondary_opts)}
    named = set(re.findall(r"`(--[a-z-]+)", PAGE)) - {"--name"}
    assert named - known == set()
