# SPDX-License-Identifier: Apache-2.0
"""Check every internal link, anchor, image, style and script of a built book: ``docs_links.py DIRECTORY``.

Exit status 1 where one leads nowhere, or where a page needs something from the network to be shown. Links to the
outside are left to ``make linkcheck``.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urldefrag, urlsplit

LOADED: Final = {
    ("script", "src"),
    ("img", "src"),
    ("link", "href"),
    ("source", "src"),
    ("iframe", "src"),
    ("object", "data"),
}


class Page(HTMLParser):
    """The anchors of a page and what it refers to."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note ids and references."""
        given = {name: value for name, value in attrs if value is not None}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and given.get("rel") in ("canonical", "search", "next", "prev", "index"):
            return
        self.loads += [given[name] for kind, name in LOADED if kind == tag and name in given]


def outside(url: str) -> bool:
    """Whether a reference leaves the book."""
    parts = urlsplit(url)
    return bool(parts.scheme or parts.netloc) and parts.scheme != "data"


def check(directory: Path) -> tuple[list[str], int]:
    """What leads nowhere, one line each, and how many references there are."""
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in sorted(directory.rglob("*.html"))}
    lines, count = [], 0
    for path, page in pages.items():
        name = path.relative_to(directory.resolve())
        for url in page.loads:
            if outside(url):
                lines.append(f"{name}: needs {url}")
        for url in [*page.links, *page.loads]:
            if outside(url) or url.startswith("data:"):
                continue
            count += 1
            file, anchor = urldefrag(url)
            target = (path.parent / unquote(urlsplit(file).path)).resolve() if file else path
            if target.is_dir():
                target /= "index.html"
            if not target.exists():
                lines.append(f"{name}: {url} does not exist")
            elif anchor and target in pages and unquote(anchor) not in pages[target].anchors:
                lines.append(f"{name}: {url} has no such anchor")
    return sorted(set(lines)), count


def main(argv: list[str]) -> int:
    lines, count = check(Path(argv[0]))
    print(*lines, sep="\n", end="\n" if lines else "")
    print(f"{count} internal references, {len(lines)} wrong")
    return 1 if lines else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
