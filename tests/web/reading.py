"""A page as its reader gets it: elements, texts and links."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "img", "br", "hr", "wbr", "path", "rect"}


@dataclass
class Element:
    """One element, with its text and its place."""

    tag: str
    attributes: dict[str, str]
    parent: Element | None
    children: list[Element] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text in it, with single spaces."""
        return " ".join("".join(self.texts).split())

    @property
    def classes(self) -> set[str]:
        return set(self.attributes.get("class", "").split())

    def all(self, *tags: str, within: str | None = None) -> list[Element]:
        """Every element of these tags below this one."""
        found = []
        for child in self.children:
            if not tags or child.tag in tags:
                found.append(child)
            found.extend(child.all(*tags))
        return [one for one in found if within is None or within in one.classes]


class Page(HTMLParser):
    """Reads a page, and notes every element that is left open or closed twice."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = self._here = Element("", {}, None)
        self.faults: list[str] = []
        self.feed(html)
        self.close()
        while self._here is not self.root:
            self.faults.append(f"<{self._here.tag}> is never closed")
            self._here = self._here.parent or self.root

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if len(attributes) != len(attrs):
            self.faults.append(f"<{tag}> has an attribute twice")
        element = Element(tag, attributes, self._here)
        self._here.children.append(element)
        if tag not in VOID:
            self._here = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._here.tag != tag or self._here.parent is None:
            self.faults.append(f"</{tag}> closes <{self._here.tag}>")
            return
        self._here = self._here.parent

    def handle_data(self, data: str) -> None:
        element: Element | None = self._here
        while element is not None:
            element.texts.append(data)
            element = element.parent

    def all(self, *tags: str, within: str | None = None) -> list[Element]:
        return self.root.all(*tags, within=within)

    def by_id(self, name: str) -> Element:
        [found] = [one for one in self.all() if one.attributes.get("id") == name]
        return found

    def links(self, within: Element | None = None) -> dict[str, str]:
        """The addresses of links by what they say."""
        found = (within or self.root).all("a")
        return {one.text: one.attributes["href"] for one in found}

    @property
    def text(self) -> str:
        return self.root.text

    @property
    def heading(self) -> str:
        [found] = self.all("h1")
        return found.text
