"""The map of the proof leaves nothing out and names nothing that is not there."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from proof_map import LAWS, ROOT, Section, level_of, load, page, path_of

SECTIONS = load()
CLAIMS = [claim for section in SECTIONS for claim in section.claims]
NAMED = sorted({one for claim in CLAIMS for one in claim.shown_by})
OF_LAWS = [section for section in SECTIONS if section.law]


def test_the_page_is_current() -> None:
    told = "run: python tests/proof/proof_map.py > docs/proof.md"
    assert (ROOT / "docs/proof.md").read_text() == page(), told


@pytest.mark.parametrize("shown_by", NAMED)
def test_what_shows_a_claim_is_there(shown_by: str) -> None:
    path, name = path_of(shown_by), shown_by.partition("::")[2]
    assert path.is_file()
    if name:
        assert re.search(rf"^(?:async )?def {re.escape(name)}\(", path.read_text(), re.MULTILINE)


def test_every_law_has_a_section_in_its_order_under_its_name() -> None:
    assert [section.law for section in OF_LAWS] == list(LAWS)
    architecture = (ROOT / "docs/architecture.md").read_text()
    for section in OF_LAWS:
        number, _, title = section.title.partition(". ")
        assert (int(number), f"{number}. **{title}**" in architecture) == (section.law, True), section.title


@pytest.mark.parametrize("section", OF_LAWS, ids=lambda section: section.title)
def test_a_law_is_shown_alone_and_in_the_whole_chain(section: Section) -> None:
    levels = Counter(level_of(one) for claim in section.claims for one in claim.shown_by)
    assert levels["component"]
    assert levels["e2e"] + levels["integration"]


def test_every_promise_of_the_readme_is_shown() -> None:
    readme = (ROOT / "README.md").read_text()
    promises = re.findall(r"^- \*\*(.+?)\.?\*\*", readme.partition("## What it promises")[2], re.MULTILINE)
    assert promises
    assert {claim.promise for claim in CLAIMS if claim.promise} == set(promises)


def test_no_claim_is_made_twice() -> None:
    assert max(Counter(claim.says for claim in CLAIMS).values()) == 1
