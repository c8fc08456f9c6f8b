"""A listing is complete or it is an error, however the server cuts it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tunnelpool.domain.errors import UnavailableError


class Paged:
    """A server with `total` tunnels that gives out at most `cap` of them at once."""

    def __init__(self, tools: Any, total: int, cap: int, *, says: tuple[str, ...]) -> None:
        self.tools, self.total, self.cap, self.says = tools, total, cap, says
        self.pages: list[int] = []
        self.shift_once = False
        tools.cloudflare.faults = _Always(self)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer with a page."""
        page = int(request.url.params.get("page", 1))
        size = min(int(request.url.params.get("per_page", self.cap)), self.cap)
        self.pages.append(page)
        start = (page - 1) * size
        if self.shift_once and page == 2:
            self.shift_once = False
            start += 1
        items = [{"id": str(n), "name": f"t{n}"} for n in range(start, min(start + size, self.total))]
        info = {
            "page": page,
            "per_page": size,
            "count": len(items),
            "total_count": self.total,
            "total_pages": -(-self.total // size),
        }
        answer: httpx.Response = self.tools.envelope(items, **{name: info[name] for name in self.says})
        return answer


class _Always(list[Any]):
    """Answers every call, for good."""

    def __init__(self, server: Paged) -> None:
        super().__init__([("GET", "", server)])

    def __delitem__(self, index: Any) -> None:
        """Keep it."""


SAYS = [
    ("page", "per_page", "count", "total_count", "total_pages"),
    ("page", "per_page", "count", "total_count"),
    ("page", "per_page", "count"),
    ("total_pages",),
]


@pytest.mark.parametrize("says", SAYS)
@pytest.mark.parametrize("total", [0, 1, 49, 50, 51, 120])
async def test_every_page_is_read_even_if_the_server_gives_out_fewer_than_asked(
    tools: Any, says: tuple[str, ...], total: int
) -> None:
    Paged(tools, total, 50, says=says)
    assert len(await tools.cloud.tunnels()) == total


async def test_no_page_too_many_is_asked_for(tools: Any) -> None:
    server = Paged(tools, 100, 50, says=("page", "per_page", "count", "total_count"))
    await tools.cloud.tunnels()
    assert server.pages == [1, 2]


async def test_kinds_without_pages_are_read_further_if_the_answer_says_that_there_is_more(tools: Any) -> None:
    server = Paged(tools, 60, 25, says=("page", "per_page", "count", "total_count"))
    assert len(await tools.cloud.monitors()) == 60
    assert server.pages == [1, 2, 3]


async def test_a_kind_without_pages_is_one_request(tools: Any) -> None:
    server = Paged(tools, 20, 50, says=())
    assert len(await tools.cloud.monitors()) == 20
    assert server.pages == [1]


async def test_a_listing_that_shifts_while_it_is_read_is_read_again(tools: Any) -> None:
    server = Paged(tools, 70, 50, says=("total_count", "per_page"))
    server.shift_once = True
    assert len(await tools.cloud.tunnels()) == 70
    assert server.pages == [1, 2, 3, 1, 2]


async def test_half_a_listing_is_an_error(tools: Any) -> None:
    server = Paged(tools, 70, 50, says=("total_count",))
    answers = iter([tools.envelope([{"id": "1", "name": "a"}], total_count=2)] * 4)
    tools.cloudflare.faults[0] = ("GET", "", lambda _: next(answers))
    with pytest.raises(UnavailableError, match="changes while it is read"):
        await tools.cloud.tunnels()
    assert server.pages == []


@pytest.mark.parametrize("result", [{"id": "1"}, "text", [1], [{"name": "no id"}]])
async def test_what_is_no_list_of_objects_is_an_error(tools: Any, result: Any) -> None:
    tools.cloudflare.fail("GET", "/pools", tools.envelope(result))
    with pytest.raises(UnavailableError, match="not a list of objects"):
        await tools.cloud.pools()


async def test_null_is_an_empty_list(tools: Any) -> None:
    tools.cloudflare.fail("GET", "/pools", tools.envelope(None))
    assert await tools.cloud.pools() == ()
