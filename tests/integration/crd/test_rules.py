"""Each rule of the CustomResourceDefinitions, judged by the real API server."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.integration

DOCUMENT = yaml.safe_load((Path(__file__).parent / "rules.yaml").read_text())


@dataclass(frozen=True)
class Case:
    """One rule, one object that it accepts, one that it refuses."""

    name: str
    reject_name: str
    kind: str
    at: str
    says: str
    accept: dict[str, Any]
    reject: dict[str, Any]
    update: bool

    @property
    def place(self) -> str:
        """Pattern of the path that the API server prints: `spec.origins[0].address`, `spec.popPools[LHR]`."""
        escaped = re.escape(self.at)
        return escaped.replace(re.escape("[]"), r"\[\d+\]").replace(re.escape(".*"), r"\[\w+\]")


def _laid_over(base: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    merged = {**base, **overlay}
    return {name: value for name, value in merged.items() if value is not None}


def _cases() -> Iterator[Case]:
    number = itertools.count()
    for kind, base in DOCUMENT["base"].items():
        for raw in DOCUMENT[kind]:
            name = raw.get("name", f"case-{next(number)}")
            yield Case(
                name=name,
                reject_name=raw.get("reject_name", name),
                kind=kind,
                at=raw["at"],
                says=raw["says"],
                accept=_laid_over(base, raw["accept"]),
                reject=_laid_over(base, raw["reject"]),
                update=raw.get("update", False),
            )


CASES = list(_cases())
EACH = pytest.mark.parametrize(
    "case", CASES, ids=[f"{case.kind}:{case.at}:{case.says[:40]}" for case in CASES]
)


def _manifest(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "tunnelpool.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _documents(manifests: list[dict[str, Any]]) -> str:
    return yaml.safe_dump_all(manifests)


@pytest.fixture(scope="module")
def accepted(kubectl: Callable[..., Any]) -> str:
    """Collect what the API server says of the objects that should pass; store those to be updated."""
    first = [_manifest(case.kind, case.name, DOCUMENT["base"][case.kind]) for case in CASES if case.update]
    stored = kubectl("create", "--filename=-", stdin=_documents(first))
    assert stored.returncode == 0, stored.stderr
    news = [_manifest(case.kind, case.name, case.accept) for case in CASES if not case.update]
    updates = [_manifest(case.kind, case.name, case.accept) for case in CASES if case.update]
    return "".join(
        result.stdout + result.stderr
        for result in (
            kubectl("create", "--dry-run=server", "--filename=-", stdin=_documents(news)),
            kubectl("replace", "--dry-run=server", "--filename=-", stdin=_documents(updates)),
        )
    )


@pytest.fixture(scope="module")
def refusals(kubectl: Callable[..., Any], accepted: str) -> dict[str, str]:
    """Collect what the API server says of the objects that should fail, by their names."""
    assert accepted  # the objects that are updated here have been stored there
    news = [_manifest(case.kind, case.reject_name, case.reject) for case in CASES if not case.update]
    updates = [_manifest(case.kind, case.reject_name, case.reject) for case in CASES if case.update]
    text = (
        kubectl("create", "--dry-run=server", "--filename=-", stdin=_documents(news)).stderr
        + kubectl("replace", "--dry-run=server", "--filename=-", stdin=_documents(updates)).stderr
    )
    # Of each object: `Error from server (Invalid): … LBPool.tunnelpool.dev "x" is invalid: …` and more
    return {
        found["name"]: paragraph
        for paragraph in text.split("Error from server ")
        if (found := re.search(r'\.tunnelpool\.dev "(?P<name>[^"]+)" is invalid', paragraph))
    }


@EACH
def test_a_good_object_is_accepted(case: Case, accepted: str) -> None:
    assert re.search(rf"/{re.escape(case.name)} (created|replaced) \(server dry run\)", accepted), accepted


@EACH
def test_a_bad_object_is_refused_at_its_place_in_the_words_of_the_rule(
    case: Case, refusals: dict[str, str]
) -> None:
    assert case.reject_name in refusals, "the API server accepted it"
    refusal = refusals[case.reject_name]
    assert case.says in refusal
    if case.at != "metadata.name":
        assert re.search(rf"(?<![\w.]){case.place}: Invalid value.*{re.escape(case.says)}", refusal), refusal
