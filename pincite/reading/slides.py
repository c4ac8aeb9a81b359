"""PowerPoint: `.pptx` and its kin. Slide by slide, the shapes from top to bottom and from left to right.

A slide's title is a heading, and its notes follow what stands on it. A hidden slide is counted, not read, and
keeps its number. Footers, dates and slide numbers, and what every slide has from its layout, are counted too.
"""

from collections import Counter
from collections.abc import Iterator

from lxml import etree

from pincite.errors import Unreadable
from pincite.reading.composition import Composition, fold
from pincite.reading.content import Content
from pincite.reading.package import Package, alternative, attribute, child, children, counted, local
from pincite.types import Coverage

_TITLES = ("title", "ctrTitle")
_FURNITURE = ("dt", "ftr", "hdr", "sldNum")
_SAME_LINE = 228_600
"""A quarter of an inch in the unit of the format: shapes that begin less apart in height stand side by side."""
_BREAKS = str.maketrans({"\v": "\n", "\r": "\n", "\xad": None})


def read(data: bytes) -> Content:
    """What a person reads on the slides that are shown, and in their notes."""
    package = Package(data)
    presentation = package.xml(package.main)
    if local(presentation) != "presentation":
        raise Unreadable("not a presentation")
    targets = package.relationships(package.main)
    composition = Composition("slide")
    left_out: Counter[str] = Counter()
    layouts: dict[str, etree._Element] = {}
    slides = presentation.findall("{*}sldIdLst/{*}sldId")
    for number, reference in enumerate(slides, 1):
        target = targets.get(_relationship(reference))
        if target is None:
            raise Unreadable(f"damaged: slide {number} is missing")
        slide = _Slide(package, target.target, layouts, left_out)
        if attribute(slide.root, "show") in ("0", "false"):
            left_out["hidden slides"] += 1
        else:
            with composition.part(number):
                slide.write(composition)
    left_out["texts of layouts"] = sum(
        not _placeholder(shape) and bool(_paragraphs(shape))
        for root in layouts.values()
        for shape in root.iter("{*}sp")
    )
    first = next((of.words for of in composition.headings[:1]), "")
    title = first or (package.title if package.title in fold(composition.text) else "")
    return composition.content(
        title, Coverage(len(composition.parts) / len(slides) if slides else 0.0, left_out=counted(left_out))
    )


class _Slide:
    """One slide on its way into a composition."""

    def __init__(self, package: Package, part: str, layouts: dict[str, etree._Element], left_out: Counter[str]) -> None:
        """`layouts` keeps the layouts and masters that were read, by part."""
        self._package = package
        self._part = part
        self._left_out = left_out
        self.root = package.xml(part)
        self._layouts = list(_layouts(package, part, layouts))
        """The layout, then its master."""

    def write(self, composition: Composition) -> None:
        """Add the title, the other shapes and the notes."""
        shapes = list(self._shapes(child(self.root, "cSld", "spTree")))
        titles = [shape for shape in shapes if _placeholder(shape) in _TITLES and _paragraphs(shape)]
        if titles:
            composition.add(_paragraphs(titles[0]), level=1)
        else:
            composition.no_heading(1)
        for shape in shapes:
            if shape not in titles[:1]:
                self._write_shape(shape, composition)
        for notes in self._package.related(self._part, "notesSlide"):
            for shape in notes.iter("{*}sp"):
                if _placeholder(shape) == "body":
                    composition.add(_paragraphs(shape))
        for comments in self._package.related(self._part, "comments"):
            self._left_out["comments"] += sum(1 for _ in comments.iter("{*}cm"))

    def _write_shape(self, shape: etree._Element, composition: Composition) -> None:
        match local(shape):
            case "sp" | "cxnSp":
                composition.add(_paragraphs(shape))
            case "graphicFrame":
                tables = list(shape.iter("{*}tbl"))
                for table in tables:
                    _write_table(table, composition)
                drawn = self._package.drawn_words(self._part, shape)
                for words in drawn:
                    composition.add(words)
                self._left_out["embedded objects"] += not tables and not drawn
            case "pic":
                self._left_out["pictures"] += 1

    def _shapes(self, tree: etree._Element | None) -> Iterator[etree._Element]:
        """Those of a slide or group that are shown and belong to the slide, in reading order."""
        found = []
        for node in tree if tree is not None else ():
            shape = alternative(node) if local(node) == "AlternateContent" else node
            if local(node) == "AlternateContent":
                shape = next(iter(shape), None) if shape is not None else None
            if shape is None or local(shape) not in ("sp", "cxnSp", "graphicFrame", "pic", "grpSp"):
                continue
            if any(attribute(of, "hidden") in ("1", "true") for of in shape.iterfind("{*}*/{*}cNvPr")):
                self._left_out["hidden shapes"] += 1
            elif _placeholder(shape) in _FURNITURE:
                self._left_out["footers, dates and slide numbers"] += bool(_paragraphs(shape))
            else:
                found.append((*self._place(shape), shape))
        for shape in _in_reading_order(found):
            if local(shape) == "grpSp":
                yield from self._shapes(shape)
            else:
                yield shape

    def _place(self, shape: etree._Element) -> tuple[int, int]:
        """How far down and how far right; a placeholder stands where its layout has it unless it was moved."""
        for of in (shape, *self._inherited(shape)):
            for offset in of.iterfind("{*}*/{*}off"):
                return _number(offset, "y"), _number(offset, "x")
            for offset in of.iterfind("{*}*/{*}xfrm/{*}off"):
                return _number(offset, "y"), _number(offset, "x")
        return 0, 0

    def _inherited(self, shape: etree._Element) -> Iterator[etree._Element]:
        """The placeholders of layout and master that a placeholder stands for."""
        for placeholder in shape.iterfind("{*}*/{*}nvPr/{*}ph"):
            kind = "title" if attribute(placeholder, "type") in _TITLES else "body"
            for layout, name, value in zip(
                self._layouts, ("idx", "type"), (attribute(placeholder, "idx"), kind), strict=False
            ):
                for above in layout.iter("{*}ph"):
                    if attribute(above, name) == value:
                        yield above.getparent().getparent().getparent()


def _layouts(package: Package, slide: str, known: dict[str, etree._Element]) -> Iterator[etree._Element]:
    part = slide
    for kind in ("slideLayout", "slideMaster"):
        part = next((of.target for of in package.relationships(part).values() if of.kind == kind), "")
        if not part:
            return
        if part not in known:
            known[part] = package.xml(part)
        yield known[part]


def _in_reading_order(placed: list[tuple[int, int, etree._Element]]) -> Iterator[etree._Element]:
    """Line by line; what begins at about the same height stands in one line."""
    lines: list[list[tuple[int, int, etree._Element]]] = []
    for shape in sorted(placed, key=lambda of: of[:2]):
        if lines and shape[0] - lines[-1][0][0] < _SAME_LINE:
            lines[-1].append(shape)
        else:
            lines.append([shape])
    for line in lines:
        for _, _, shape in sorted(line, key=lambda of: of[1]):
            yield shape


def _paragraphs(shape: etree._Element) -> str:
    """The text of a shape, one paragraph a line."""
    body = child(shape, "txBody")
    lines = (_words(paragraph) for paragraph in children(body, "p")) if body is not None else ()
    return "\n".join(line for line in lines if line.strip())


def _words(paragraph: etree._Element) -> str:
    pieces = []
    for node in paragraph.iter("{*}t", "{*}br"):
        if not any(local(above) == "Fallback" for above in node.iterancestors("{*}Fallback")):
            pieces.append("\n" if local(node) == "br" else (node.text or "").translate(_BREAKS))
    return "".join(pieces).strip()


def _write_table(table: etree._Element, composition: Composition) -> None:
    rows = [[_cell(cell) for cell in children(row, "tc")] for row in children(table, "tr")]
    is_marked = attribute(child(table, "tblPr"), "firstRow") in ("1", "true")
    composition.table(rows, marked=int(is_marked and len(rows) > 1))


def _cell(cell: etree._Element) -> str:
    goes_on = any(attribute(cell, name) in ("1", "true") for name in ("hMerge", "vMerge"))
    return "" if goes_on else "\n".join(_words(node) for node in cell.iter("{*}p"))


def _placeholder(shape: etree._Element) -> str:
    """What kind of placeholder a shape is; empty for any other shape."""
    found = next(shape.iterfind("{*}*/{*}nvPr/{*}ph"), None)
    return "" if found is None else attribute(found, "type") or "obj"


def _relationship(reference: etree._Element) -> str:
    """The id of a relationship; the element has an id of its own, without a namespace."""
    return next((value for name, value in reference.attrib.items() if name.endswith("}id")), "")


def _number(node: etree._Element, name: str) -> int:
    try:
        return int(attribute(node, name))
    except ValueError:
        return 0
