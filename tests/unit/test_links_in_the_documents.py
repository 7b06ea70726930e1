"""Every relative link in the README, the documents and the specifications leads somewhere, headings included."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_PAGES = sorted([_ROOT / "README.md", *(_ROOT / "docs").rglob("*.md"), *(_ROOT / "spec").rglob("*.md")])
_LINK = re.compile(r"\[[^\]\[]*\]\(([^)\s]+)\)")
_BLOCK = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def _links(page: Path) -> Iterator[str]:
    """Those to other places in the repository."""
    text = _BLOCK.sub("", page.read_text("utf-8"))
    yield from (link for link in _LINK.findall(text) if not re.match(r"[a-z]+:", link))


def _anchors(page: Path) -> set[str]:
    """What GitHub makes of each heading."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.strip().lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", _PAGES, ids=[str(page.relative_to(_ROOT)) for page in _PAGES])
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = []
    for link in _links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        inside = target.is_relative_to(_ROOT) and target.exists()
        if not inside or (anchor and target.suffix == ".md" and anchor not in _anchors(target)):
            dead.append(link)

    assert dead == []


def test_there_are_links_to_follow() -> None:
    assert sum(len(list(_links(page))) for page in _PAGES) > 50
