"""E-books: `.epub`. The chapters in reading order; one without a heading gets it from the table of contents."""

import posixpath
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from lxml import etree

from pincite.errors import Unreadable
from pincite.reading import html
from pincite.reading.archive import MEGABYTE, MOST_XML, Archive
from pincite.reading.content import Content, Heading, sections
from pincite.types import Coverage, Part, Table

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_OBFUSCATED_FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
_READABLE = ("application/xhtml+xml", "text/html", "text/x-oeb1-document", "application/xml", "")
_TYPE = "{http://www.idpf.org/2007/ops}type"

_ASIDE = "chapters outside the reading order"
_CONTENTS = "tables of contents"
_PICTURES = "chapters that are pictures"
_REPEATED = "chapters named twice"
_BROKEN = "chapters that cannot be read"


@dataclass(frozen=True, slots=True)
class _Item:
    """What the package names: a chapter, a picture, the table of contents."""

    path: str
    media_type: str
    properties: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Package:
    title: str
    spine: tuple[tuple[_Item | None, bool], ...]
    """What is read one after the other, and whether it belongs to the reading order; None is named and missing."""
    labels: dict[str, str]
    """Path of a chapter → what the table of contents calls it."""


def read(data: bytes) -> Content:
    """Every chapter of the reading order. Raises `Unreadable` for what is no e-book, or is protected."""
    book = Archive(data)
    if _CONTAINER not in book:
        raise Unreadable("not of this format")
    _refuse_protected(book)
    package = _package(book)
    if not package.spine:
        raise Unreadable("damaged: names no chapters")
    texts: list[str] = []
    headings: list[Heading] = []
    tables: list[Table] = []
    parts: list[Part] = []
    left_out: Counter[str] = Counter()
    remarks: list[str] = []
    end = 0
    for item, chapter in _chapters(book, package, left_out, remarks):
        start = end + (len(_GAP) if texts else 0)
        flow = html.flow(chapter, at=start)
        left_out.update(flow.left_out)
        if not flow.text.strip():
            continue
        label = package.labels.get(item.path)
        if label and not (flow.headings and flow.headings[0].start == start):
            headings.append(Heading(start, 1, label))
        headings += flow.headings
        tables += flow.tables
        end = start + len(flow.text)
        texts.append(flow.text)
        parts.append(Part("chapter", len(parts) + 1, start, end))
    if not parts and remarks:
        raise Unreadable(remarks[0])
    return Content(
        _GAP.join(texts),
        package.title,
        sections(headings),
        parts=tuple(parts),
        tables=tuple(tables),
        coverage=Coverage(len(parts) / max(1, len(parts) + left_out[_BROKEN]), left_out=tuple((+left_out).items())),
        remarks=tuple(dict.fromkeys(remarks))[:_MOST_REMARKS],
    )


_GAP = "\n\n"
_MOST_REMARKS = 10


def _refuse_protected(book: Archive) -> None:
    """Fonts are often made unusable outside of the book; whatever else is encrypted is the book."""
    if _ENCRYPTION not in book:
        return
    methods = [method.get("Algorithm") for method in book.xml(_ENCRYPTION).iter("{*}EncryptionMethod")]
    if any(method not in _OBFUSCATED_FONTS for method in methods):
        raise Unreadable("protected against copying (DRM): get a copy without it")


def _package(book: Archive) -> _Package:
    path = next((root.get("full-path") for root in book.xml(_CONTAINER).iter("{*}rootfile")), None)
    if not path:
        raise Unreadable("damaged: names no package")
    package = book.xml(path)
    items = {
        item.get("id"): _Item(
            _resolved(path, item.get("href", "")),
            item.get("media-type", "").lower(),
            tuple(item.get("properties", "").split()),
        )
        for item in package.iter("{*}item")
    }
    title = next(
        (words for node in package.iter("{http://purl.org/dc/elements/1.1/}title") if (words := _said(node))), ""
    )
    spine = next(package.iter("{*}spine"), None)
    references = [] if spine is None else list(spine.iter("{*}itemref"))
    return _Package(
        title,
        tuple((items.get(reference.get("idref")), reference.get("linear") != "no") for reference in references),
        _labels(book, items, items.get(spine.get("toc")) if spine is not None else None),
    )


def _labels(book: Archive, items: dict[str, _Item], ncx: _Item | None) -> dict[str, str]:
    """From the table of contents, old or new; a book without one, or with a broken one, does without.

    A chapter's own entry counts before those of places in it.
    """
    contents = [item.path for item in items.values() if "nav" in item.properties]
    contents += [ncx.path] if ncx else []
    labels: dict[str, str] = {}
    for path in contents:
        try:
            entries = list(_entries(book.xml(path)))
        except Unreadable:
            continue
        for has_place in (False, True):
            for label, link in entries:
                target, _, place = link.partition("#")
                if label and bool(place) == has_place:
                    labels.setdefault(_resolved(path, target), label)
    return labels


def _entries(contents: etree._Element) -> Iterator[tuple[str, str]]:
    """Label and link of each entry of `nav.xhtml` or an NCX."""
    for nav in contents.iter("{*}nav"):
        if nav.get(_TYPE, "toc") == "toc":
            yield from ((_said(link), link.get("href", "")) for link in nav.iter("{*}a"))
    for point in contents.iter("{*}navPoint"):
        label, link = point.find("{*}navLabel/{*}text"), point.find("{*}content")
        if label is not None and link is not None:
            yield _said(label), link.get("src", "")


def _chapters(
    book: Archive, package: _Package, left_out: Counter[str], remarks: list[str]
) -> Iterator[tuple[_Item, str]]:
    """What the spine names and how it reads, as HTML; what is left out is counted."""
    seen: set[str] = set()
    for item, is_linear in package.spine:
        if item is None:
            left_out[_BROKEN] += 1
            remarks.append("damaged: a chapter is named and not there")
        elif not is_linear:
            left_out[_ASIDE] += 1
        elif "nav" in item.properties:
            left_out[_CONTENTS] += 1
        elif item.media_type not in _READABLE:
            left_out[_PICTURES] += 1
        elif item.path in seen:
            left_out[_REPEATED] += 1
        else:
            seen.add(item.path)
            try:
                yield item, _markup(book.read(item.path))
            except Unreadable as error:
                left_out[_BROKEN] += 1
                remarks.append(str(error))


def _markup(data: bytes) -> str:
    if len(data) > MOST_XML:
        raise Unreadable(
            f"a chapter has {len(data) // MEGABYTE:,} MB, more than the {MOST_XML // MEGABYTE} that are read"
        )
    return html.markup(data)[0]


def _resolved(base: str, link: str) -> str:
    """The member of the archive that a link in the member `base` means."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(base), unquote(link.partition("#")[0])))


def _said(node: etree._Element) -> str:
    return " ".join("".join(node.itertext()).split())
