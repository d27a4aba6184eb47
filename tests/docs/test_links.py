"""Links inside the project lead to files, and to headings, that exist."""

import re

import pytest
from helpers import pages

pytestmark = pytest.mark.docs

LINK = re.compile(r"(?<!`)\]\((?!https?:|mailto:)([^)\s#]*)(?:#([^)\s]*))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def prose(text: str) -> str:
    """The text without what stands in code."""
    return re.sub(r"`[^`\n]*`", "``", pages.BLOCK.sub("", text))


def anchors(text: str) -> set[str]:
    """The names by which headings are linked to: in lower case, without punctuation, a hyphen for a space."""
    titles = (re.sub(r"[`*]|\]\(.*?\)|\[", "", title) for title in HEADING.findall(pages.BLOCK.sub("", text)))
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


LINKS = [
    pytest.param(page, target, anchor, id=f"{page.relative_to(pages.ROOT)}: {target}#{anchor}")
    for page in pages.PAGES
    for target, anchor in LINK.findall(prose(page.read_text("utf-8")))
]


@pytest.mark.parametrize(("page", "target", "anchor"), LINKS)
def test_a_link_leads_somewhere(page, target, anchor):
    linked = (page.parent / target).resolve() if target else page
    assert linked.exists()
    assert linked.is_relative_to(pages.ROOT)
    if anchor:
        assert anchor in anchors(linked.read_text("utf-8"))
