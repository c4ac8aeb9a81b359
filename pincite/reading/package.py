"""Office packages (ECMA-376 part 2): the parts of a `.docx` or `.pptx`, found by their relationships.

Elements, attributes and kinds of relationships go by their local names, for the strict and the transitional
variant of the format differ in namespaces only.
"""

import posixpath
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from lxml import etree

from pincite.errors import Unreadable
from pincite.reading.archive import Archive
from pincite.reading.composition import fold


@dataclass(frozen=True, slots=True)
class Relationship:
    """From one part to another."""

    kind: str
    """The last word of its type: `styles`."""
    target: str
    """A member of the archive."""


class Package:
    """The parts of an Office file."""

    def __init__(self, data: bytes) -> None:
        """Raises `Unreadable` for what is no Office file."""
        self._archive = Archive(data)
        if "_rels/.rels" not in self._archive:
            raise Unreadable("not of this format")
        self.main = next((of.target for of in self.relationships("").values() if of.kind == "officeDocument"), "")
        """The part that the document begins with."""
        if not self.main:
            raise Unreadable("damaged: names no main part")

    def xml(self, part: str) -> etree._Element:
        """The root of a part. Raises `Unreadable` if it is missing or damaged."""
        return self._archive.xml(part)

    def relationships(self, part: str) -> dict[str, Relationship]:
        """By their ids, those that stay in the file; of the package itself for the empty name."""
        folder, name = posixpath.split(part)
        member = posixpath.join(folder, "_rels", f"{name}.rels")
        if member not in self._archive:
            return {}
        return {
            node.get("Id", ""): Relationship(
                posixpath.basename(node.get("Type", "")),
                posixpath.normpath(posixpath.join("/", folder, unquote(node.get("Target", "")))).lstrip("/"),
            )
            for node in children(self._archive.xml(member), "Relationship")
            if node.get("TargetMode") != "External"
        }

    def related(self, part: str, kind: str) -> Iterator[etree._Element]:
        """The roots of the parts to which a part has relationships of this kind."""
        for target in dict.fromkeys(of.target for of in self.relationships(part).values() if of.kind == kind):
            yield self.xml(target)

    @property
    def title(self) -> str:
        """As the file's properties have it; programs write there what they like."""
        for of in self.relationships("").values():
            if of.kind == "core-properties" and of.target in self._archive:
                return next((fold(node.text or "") for node in self.xml(of.target).iter("{*}title")), "")
        return ""

    def drawn_words(self, part: str, frame: etree._Element) -> list[str]:
        """The words of the charts and diagrams in a frame: titles, series and categories; the points of a diagram."""
        relationships = self.relationships(part)
        found = []
        for node in frame.iter("{*}chart", "{*}relIds"):
            target = relationships.get(attribute(node, "id" if local(node) == "chart" else "dm"))
            if target is not None:
                root = self.xml(target.target)
                found.append(_chart_words(root) if local(node) == "chart" else _diagram_words(root))
        return [words for words in found if words]


def local(node: etree._Element) -> str:
    """The name of an element without its namespace; empty for what is no element."""
    tag = node.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(node: etree._Element | None, name: str) -> str:
    """The value of an attribute in any namespace; empty without one."""
    if node is None:
        return ""
    return next((value for key, value in node.attrib.items() if key.rpartition("}")[2] == name), "")


def children(node: etree._Element, name: str) -> list[etree._Element]:
    """The children of an element that have this local name."""
    return list(node.iterchildren(f"{{*}}{name}"))


def child(node: etree._Element | None, *path: str) -> etree._Element | None:
    """The first descendant down a path of local names."""
    for name in path:
        node = next(node.iterchildren(f"{{*}}{name}"), None) if node is not None else None
    return node


def alternative(node: etree._Element) -> etree._Element | None:
    """What to read of content that is there in several variants, of which a person sees one."""
    choices = children(node, "Choice") or children(node, "Fallback")
    return choices[0] if choices else None


def counted(left_out: Counter[str]) -> tuple[tuple[str, int], ...]:
    """What was left out, by name."""
    return tuple(sorted((name, count) for name, count in left_out.items() if count))


def _chart_words(chart: etree._Element) -> str:
    titles = [fold("".join(node.itertext("{*}t"))) for node in chart.iter("{*}title")]
    names = [fold("".join(node.itertext("{*}v"))) for node in chart.iter("{*}tx") if local(node.getparent()) == "ser"]
    categories = [node.text or "" for part in chart.iter("{*}cat") for node in part.iter("{*}v")]
    return "\n".join(dict.fromkeys(line for line in [*titles, *names, *map(fold, categories)] if line))


def _diagram_words(diagram: etree._Element) -> str:
    points = (fold("".join(node.itertext("{*}t"))) for node in diagram.iter("{*}p") if local(node.getparent()) == "t")
    return "\n".join(point for point in points if point)
