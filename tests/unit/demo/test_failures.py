"""Each failed request is laid beside the edge's note of it: a dead origin explains it, or nothing does."""

from __future__ import annotations

from typing import Any

from demo.failures import by_visit, explained, unexplained
from demo.samples import Sample

HOST = "my.example.com"


def note(number: int, *, host: str = HOST, **fields: Any) -> dict[str, Any]:
    """Write an entry of the edge's journal of requests."""
    usual = {"pool": "my-pool", "origin": "tunnelpool_here_0123abcd_default_web_1", "error": 1033}
    return {"host": host, "path": f"/?visit={number}", **usual, **fields}


def test_a_failure_tells_where_the_edge_had_sent_it() -> None:
    noted = by_visit([note(7), note(7, host="other.example.com", origin="another")], HOST)
    failure = explained(Sample(7, 103.0, 530, "", 0.1), noted, began=100.0)
    assert str(failure) == (
        "  3.00 s: status 530, sent to my-pool/tunnelpool_here_0123abcd_default_web_1, error 1033"
    )


def test_a_failure_that_the_edge_knows_nothing_of_is_never_explained() -> None:
    failure = explained(Sample(8, 101.0, 0, "", 10.0), by_visit([note(7)], HOST), began=100.0)
    assert unexplained([failure], ["_web_1"], until_s=60) == [
        "  1.00 s: status none, sent to nowhere, error 0"
    ]


def test_a_failure_is_explained_by_its_origin_and_its_time() -> None:
    noted = by_visit([note(number) for number in range(4)], HOST)
    found = [explained(Sample(n, 100.0 + 2 * n, 530, "", 0.1), noted, began=100.0) for n in range(4)]
    assert unexplained(found, ["_web_1"], from_s=1, until_s=5) == [str(found[0]), str(found[3])]
    assert len(unexplained(found, ["_web_0"], until_s=60)) == 4
