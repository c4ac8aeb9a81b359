"""Word: `.docx` and its kin. Paragraphs and tables in the order of the body.

The words are those that the final version shows: insertions are text, deletions are not, a field is its result.
Numbers and bullets of lists, headings and notes are made by Word, not written, and do not stand in the text.
Notes and text boxes follow the paragraph they hang on, those in a table the table.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from pincite.errors import Unreadable
from pincite.reading.composition import Composition, fold
from pincite.reading.content import Content
from pincite.reading.package import Package, alternative, attribute, child, children, counted, local
from pincite.reading.symbols import symbol
from pincite.types import Coverage

_TITLE_LEVEL = 1
_BODY_LEVEL = 9
"""As outline levels go, from 0."""
_HEADING = re.compile(r"heading ([1-9])", re.IGNORECASE)
_NOTES = {"footnoteReference": "footnotes", "endnoteReference": "endnotes"}
_DELETED = frozenset(("del", "moveFrom"))
_PLAIN = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_BREAKS = str.maketrans({"\n": " ", "\r": " ", "\t": " ", "\xad": None})
"""Within a run of text a line end shows as a space, and a soft hyphen not at all."""


def read(data: bytes) -> Content:
    """What a person reads in the body of the document, with headings by style or outline level."""
    package = Package(data)
    body = child(package.xml(package.main), "body")
    if body is None:
        raise Unreadable("not a Word document")
    reader = _Reader(package)
    reader.blocks(body)
    composition = reader.composition
    text = composition.text
    title = reader.title
    if not title and package.title and package.title in fold(text):
        title = package.title
    if not title:
        title = next((of.words for of in composition.headings if of.level == _TITLE_LEVEL + 1), "")
    reader.count_around()
    return composition.content(
        title,
        Coverage(left_out=counted(reader.left_out)),
        ("tracked changes are read as if accepted",) if reader.has_changes else (),
    )


@dataclass(frozen=True, slots=True)
class _Style:
    """What counts of a style, with what it takes from those it is based on."""

    level: int | None = None
    """Of the outline, from 0; 9 is body text."""
    is_title: bool = False
    is_listed: bool = False
    is_hidden: bool = False


class _Reader:
    """One document on its way into a composition."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._styles = _styles(package)
        self._notes = {
            (kind, attribute(note, "id")): note
            for kind in _NOTES.values()
            for root in package.related(package.main, kind)
            for note in root
        }
        self._hanging: list[etree._Element | str] = []
        """Notes, text boxes and words of drawings, to follow what they hang on."""
        self._in_code: list[bool] = []
        """Of each open field, whether the walk is in its code."""
        self._last_left_out = ""
        self._was_listed = False
        self.composition = Composition("paragraph")
        self.left_out: Counter[str] = Counter()
        self.title = ""
        self.has_changes = False

    def count_around(self) -> None:
        """Count what stands beside the body."""
        for kind in ("header", "footer"):
            for root in self._package.related(self._package.main, kind):
                self.left_out["headers and footers"] += any((node.text or "").strip() for node in root.iter("{*}t"))
        for root in self._package.related(self._package.main, "comments"):
            self.left_out["comments"] += len(children(root, "comment"))

    # Blocks

    def blocks(self, container: etree._Element) -> None:
        """Add what a body, a cell, a note or a text box holds."""
        for node in container:
            match local(node):
                case "p":
                    with self.composition.part():
                        self._paragraph(node)
                        self._hang()
                case "tbl":
                    self._table(node)
                    self._was_listed = False
                case "AlternateContent":
                    if (chosen := alternative(node)) is not None:
                        self.blocks(chosen)
                case "altChunk":
                    self.left_out["embedded documents"] += 1
                case name if name in _DELETED:
                    self._leave_out("tracked deletions", node)
                case name if not name.endswith("Pr"):
                    self.blocks(node)

    def _paragraph(self, node: etree._Element) -> None:
        style = self._style_of(node)
        words = self._words(node, style.is_hidden).strip()
        if not words:
            return
        level = None
        if style.is_title:
            level = _TITLE_LEVEL
            self.title = self.title or fold(words)
        elif style.level is not None and style.level < _BODY_LEVEL:
            level = _TITLE_LEVEL + 1 + style.level
        is_listed = style.is_listed and level is None
        self.composition.add(words, level=level, as_line=is_listed and self._was_listed)
        self._was_listed = is_listed

    def _hang(self) -> None:
        """Add what hangs on the block before."""
        while self._hanging:
            hanging, self._hanging = self._hanging, []
            self._was_listed = False
            for content in hanging:
                if isinstance(content, str):
                    self.composition.add(content)
                else:
                    self.blocks(content)

    def _table(self, table: etree._Element) -> None:
        """Row by row; one that frames others, or has one column, is layout and is read cell by cell."""
        rows = []
        for row in _inner(table, "tr"):
            if child(row, "trPr", "del") is not None:
                self.left_out["tracked deletions"] += 1
            else:
                rows.append(row)
        cells = [_inner(row, "tc") for row in rows]
        if any(next(cell.iter("{*}tbl"), None) is not None for row in cells for cell in row) or max(
            map(len, cells), default=0
        ) < 2:  # fmt: skip
            for cell in (cell for row in cells for cell in row):
                self._was_listed = False
                self.blocks(cell)
            return
        marked = 0
        while marked < len(rows) and _is_on(child(rows[marked], "trPr", "tblHeader")):
            marked += 1
        texts = [[self._cell(cell) for cell in row] for row in cells]
        self.composition.table(texts, marked, _is_bold(cells))
        with self.composition.part():
            self._hang()

    def _cell(self, cell: etree._Element) -> str:
        merge = child(cell, "tcPr", "vMerge")
        if merge is not None and attribute(merge, "val") != "restart":
            return ""  # goes on from the row above
        paragraphs = cell.iter("{*}p")
        return "\n".join(self._words(node, self._style_of(node).is_hidden) for node in paragraphs if _owner(node, cell))

    # Words

    def _words(self, paragraph: etree._Element, is_hidden: bool) -> str:
        """The visible words of a paragraph; what hangs on it is kept for later."""
        self._last_left_out = ""
        words = "".join(self._inline(paragraph, is_hidden))
        self._in_code = [False] * len(self._in_code)  # a code ends with its paragraph, whatever the file says
        return words

    def _inline(self, container: etree._Element, is_hidden: bool) -> Iterator[str]:
        for node in container:
            name = local(node)
            match name:
                case "r":
                    yield from self._inline(node, self._is_hidden(node, is_hidden))
                case "t" | "sym" | "tab" | "ptab" | "br" | "cr" | "noBreakHyphen":
                    yield self._written(node, name, is_hidden)
                case "fldChar":
                    self._turn_field(attribute(node, "fldCharType"))
                case "footnoteReference" | "endnoteReference":
                    note = self._notes.pop((_NOTES[name], attribute(node, "id")), None)  # once: a note may name itself
                    if note is not None and not is_hidden:
                        self._hanging.append(note)
                case "del" | "moveFrom":
                    self._leave_out("tracked deletions", node)
                case "rt":  # of ruby: in one line it would stand within the words
                    self._note("readings above characters")
                case "AlternateContent":
                    if (chosen := alternative(node)) is not None:
                        yield from self._inline(chosen, is_hidden)
                case "drawing" | "pict" | "object":
                    self._drawing(node, name)
                case "txbxContent":
                    self._hanging.append(node)
                case _ if not name.endswith("Pr") and name not in ("instrText", "delText", "delInstrText"):
                    self.has_changes |= name in ("ins", "moveTo")
                    yield from self._inline(node, is_hidden)

    def _written(self, node: etree._Element, name: str, is_hidden: bool) -> str:
        if any(self._in_code):
            return ""
        if name == "t":
            words = (node.text or "").translate(_BREAKS)
        elif name == "sym":
            words = symbol(attribute(node, "font"), attribute(node, "char"))
            self.left_out["symbols of fonts that are not Unicode"] += not words
        else:
            words = _PLAIN[name]
        if not words:
            return ""
        if is_hidden:
            self._note("hidden passages")
            return ""
        self._last_left_out = ""
        return words

    def _turn_field(self, turn: str) -> None:
        if turn == "begin":
            self._in_code.append(True)
        elif self._in_code and turn == "separate":
            self._in_code[-1] = False
        elif self._in_code and turn == "end":
            self._in_code.pop()

    def _drawing(self, node: etree._Element, name: str) -> None:
        """Text boxes and the words of charts hang on the paragraph; the rest is counted."""
        boxes = list(_boxes(node))
        drawn = self._package.drawn_words(self._package.main, node)
        self._hanging += [*boxes, *drawn]
        if name == "object":
            self.left_out["embedded objects"] += 1
        else:
            self.left_out["pictures"] += sum(1 for _ in node.iter("{*}pic", "{*}imagedata"))

    def _leave_out(self, kind: str, node: etree._Element) -> None:
        self.has_changes = True
        if any((of.text or "").strip() for of in node.iter("{*}t", "{*}delText")):
            self._note(kind)

    def _note(self, kind: str) -> None:
        """Count a stretch once, however many runs it is cut into."""
        self.left_out[kind] += self._last_left_out != kind
        self._last_left_out = kind

    # Styles

    def _style_of(self, paragraph: etree._Element) -> _Style:
        """A paragraph's own properties, then those of its style."""
        properties = child(paragraph, "pPr")
        named = self._styles.get(attribute(child(properties, "pStyle"), "val") or _DEFAULT, _Style())
        level = _level(properties)
        number = attribute(child(properties, "numPr", "numId"), "val")
        return _Style(
            level=named.level if level is None else level,
            is_title=named.is_title and level is None,
            is_listed=number != "0" if number else named.is_listed,
            is_hidden=named.is_hidden,
        )

    def _is_hidden(self, run: etree._Element, is_hidden: bool) -> bool:
        properties = child(run, "rPr")
        vanish = child(properties, "vanish")
        if vanish is not None:
            return _is_on(vanish)
        named = attribute(child(properties, "rStyle"), "val")
        return is_hidden or (bool(named) and self._styles.get(named, _Style()).is_hidden)


_DEFAULT = ""
"""The id under which the default style of paragraphs is kept."""


def _styles(package: Package) -> dict[str, _Style]:
    """By id, each with what it takes from those it is based on."""
    nodes = {
        attribute(node, "styleId"): node
        for root in package.related(package.main, "styles")
        for node in children(root, "style")
    }
    found = {name: _style(nodes, name) for name in nodes}
    for name, node in nodes.items():
        if attribute(node, "type") == "paragraph" and attribute(node, "default") in ("1", "true", "on"):
            found[_DEFAULT] = found[name]
    return found


def _style(nodes: dict[str, etree._Element], name: str) -> _Style:
    level, number, hidden, is_title = None, "", None, False
    seen: set[str] = set()
    while name in nodes and name not in seen:  # a chain of a damaged file may close
        seen.add(name)
        node = nodes[name]
        called = attribute(child(node, "name"), "val")
        if level is None:
            level = _level(child(node, "pPr"))
        if level is None and (heading := _HEADING.fullmatch(called)):
            level = int(heading[1]) - 1
        is_title = is_title or (level is None and called.lower() == "title")
        number = number or attribute(child(node, "pPr", "numPr", "numId"), "val")
        vanish = child(node, "rPr", "vanish")
        hidden = _is_on(vanish) if hidden is None and vanish is not None else hidden
        name = attribute(child(node, "basedOn"), "val")
    return _Style(level, is_title, number not in ("", "0"), bool(hidden))


def _level(properties: etree._Element | None) -> int | None:
    value = attribute(child(properties, "outlineLvl"), "val")
    return int(value) if value in tuple("0123456789") else None


def _is_on(toggle: etree._Element | None) -> bool:
    """Whether a property is there and not switched off."""
    return toggle is not None and attribute(toggle, "val") not in ("0", "false", "off")


def _inner(node: etree._Element, name: str) -> list[etree._Element]:
    """Rows of a table or cells of a row, also those in content controls, but not those of tables within."""
    found = []
    for inner in node:
        if local(inner) == name:
            found.append(inner)
        elif local(inner) in ("sdt", "sdtContent", "customXml", "ins", "moveTo"):
            found += _inner(inner, name)
    return found


def _owner(paragraph: etree._Element, cell: etree._Element) -> bool:
    """Whether a paragraph stands in the cell itself and not in a text box or a second variant within."""
    for above in paragraph.iterancestors():
        if above is cell:
            return True
        if local(above) in ("p", "Fallback", "del", "moveFrom"):
            return False
    return False


def _boxes(node: etree._Element) -> Iterator[etree._Element]:
    """The outermost text boxes of a drawing."""
    for inner in node:
        if local(inner) == "txbxContent":
            yield inner
        elif local(inner) == "AlternateContent":
            if (chosen := alternative(inner)) is not None:
                yield from _boxes(chosen)
        else:
            yield from _boxes(inner)


def _is_bold(cells: list[list[etree._Element]]) -> bool:
    """Whether the first row alone is bold throughout."""
    return len(cells) > 1 and all(map(_is_set_bold, cells[0])) and not all(map(_is_set_bold, cells[1]))


def _is_set_bold(cell: etree._Element) -> bool:
    runs = [run for run in cell.iter("{*}r") if child(run, "t") is not None]
    return bool(runs) and all(_is_on(child(run, "rPr", "b")) for run in runs)
