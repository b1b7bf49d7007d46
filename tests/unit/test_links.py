"""Every relative link of the documentation leads to a file, and to a heading if it names one."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^( *)(```+|~~~+).*?^ *\2`*\s*$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)


def links(text):
    return _LINK.findall(_CODE.sub("", _FENCE.sub("", text)))


def anchors(text):
    """Return the anchors that GitHub gives to the headings of a page."""
    found = []
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        count = sum(re.fullmatch(rf"{re.escape(slug)}(-\d+)?", other) is not None for other in found)
        found.append(f"{slug}-{count}" if count else slug)
    return found


def broken(page, text):
    wrong = []
    for link in links(text):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        missing = not target.exists() or not target.is_relative_to(PROJECT)
        if missing or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_every_relative_link_leads_somewhere(page):
    assert broken(page, page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("link", ["no_such_page.md", "README.md#no-such-heading", "#no-such-heading", "../README.md"])
def test_a_link_that_leads_nowhere_is_found(link):
    assert broken(PROJECT / "README.md", f"see [this]({link})") == [link]


def test_links_in_code_and_elsewhere_are_left_alone():
    text = "`[a](b)` [web](https://example.org/x)\n```\n[c](d)\n```\n[e](README.md#limits)"
    assert broken(PROJECT / "README.md", text) == []


def test_anchors_are_those_of_github():
    page = "# A `b.c` and D\n## Twice\n## Twice\n```\n# no heading\n```\n"
    assert anchors(page) == ["a-bc-and-d", "twice", "twice-1"]
