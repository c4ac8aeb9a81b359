"""OpenDocument text: `.odt` and `.ott` (ODF 1.2 and later, part 3). Paragraphs and tables in the order of the body.

As with Word: tracked insertions are text, deletions are not; numbers and bullets are not in the text; notes and
text boxes follow the paragraph they hang on, those in a table the table. What repeats a row or cell without
change stands once.
"""

import re
from collections import Counter
from collections.abc import Iterator

from lxml import etree

from pincite.errors import Unreadable
from pincite.reading.archive import Archive
from pincite.reading.composition import Composition, fold
from pincite.reading.content import Content
from pincite.reading.package import attribute, child, children, counted, local
from pincite.types import Coverage

_TITLE_LEVEL = 1
_MIMETYPE = b"application/vnd.oasis.opendocument.text"
_WHITE = re.compile(r"[ \t\r\n]+")
_SPACE, _TAB, _LINE = "\x01", "\x02", "\x03"
"""Stand for what is written as elements while other white space is folded; XML cannot hold them."""
_WRITTEN = str.maketrans({_SPACE: " ", _TAB: "\t", _LINE: "\n", "\xad": None})
_ASIDE = frozenset(("tracked-changes", "forms", "event-listeners", "note-citation", "binary-data", "script", "desc"))
"""What is no text of the document, or counted elsewhere."""
_MOST_SPACES = 1000


def read(data: bytes) -> Content:
    """What a person reads in the body of the document, with headings by outline level."""
    archive = Archive(data)
    if "mimetype" in archive and not archive.read("mimetype").startswith(_MIMETYPE):
        raise Unreadable("not an OpenDocument text")
    if "META-INF/manifest.xml" in archive:
        manifest = archive.xml("META-INF/manifest.xml")
        if next(manifest.iter("{*}encryption-data"), None) is not None:
            raise Unreadable("protected by a password: save a copy without one")
    document = archive.xml("content.xml")
    body = child(document, "body", "text")
    if body is None:
        raise Unreadable("not an OpenDocument text")
    around = archive.xml("styles.xml") if "styles.xml" in archive else None
    reader = _Reader([document] if around is None else [around, document])
    reader.blocks(body)
    composition = reader.composition
    title = reader.title or _stated_title(archive, composition.text)
    if not title:
        title = next((of.words for of in composition.headings if of.level == _TITLE_LEVEL + 1), "")
    reader.count_around(body, around)
    return composition.content(
        title,
        Coverage(left_out=counted(reader.left_out)),
        ("tracked changes are read as if accepted",) if reader.has_changes else (),
    )


def _stated_title(archive: Archive, text: str) -> str:
    """The title in the properties, if it stands in the text."""
    if "meta.xml" not in archive:
        return ""
    title = next((fold(node.text or "") for node in archive.xml("meta.xml").iter("{*}title")), "")
    return title if title in fold(text) else ""


class _Reader:
    """One document on its way into a composition."""

    def __init__(self, roots: list[etree._Element]) -> None:
        """`roots` hold the styles; the later go before the earlier."""
        self._styles = {
            (attribute(style, "family"), attribute(style, "name")): style
            for root in roots
            for style in root.iter("{*}style")
        }
        self._hanging: list[etree._Element] = []
        self._was_hidden = False
        self._was_listed = False
        self.composition = Composition("paragraph")
        self.left_out: Counter[str] = Counter()
        self.title = ""
        self.has_changes = False

    def count_around(self, body: etree._Element, styles: etree._Element | None) -> None:
        """Count what stands beside the text."""
        for change in body.iter("{*}changed-region"):
            self.has_changes = True
            self.left_out["tracked deletions"] += child(change, "deletion") is not None
        for page in styles.iter("{*}master-page") if styles is not None else ():
            for node in page:
                if local(node).startswith(("header", "footer")):
                    self.left_out["headers and footers"] += bool("".join(node.itertext()).strip())

    # Blocks

    def blocks(self, container: etree._Element, is_listed: bool = False) -> None:
        """Add what a body, a list, a cell, a note or a text box holds."""
        for node in container:
            match local(node):
                case "p" | "h":
                    with self.composition.part():
                        self._paragraph(node, is_listed)
                        self._hang()
                case "table":
                    self._table(node)
                    self._was_listed = False
                case "list":
                    self._was_listed &= is_listed
                    self.blocks(node, is_listed=True)
                case "section" if attribute(node, "display") == "none":
                    self.left_out["hidden passages"] += 1
                case "frame" | "custom-shape" | "rect" | "g":
                    self._drawing(node)
                    with self.composition.part():
                        self._hang()
                case name if name and name not in _ASIDE:
                    self.blocks(node, is_listed)

    def _paragraph(self, node: etree._Element, is_listed: bool) -> None:
        words = self._words(node)
        if not words.strip():
            return
        level = None
        if local(node) == "h":
            level = _TITLE_LEVEL + _outline_level(node)
        elif "Title" in self._names(node):
            level = _TITLE_LEVEL
            self.title = self.title or fold(words)
        self.composition.add(words, level=level, as_line=is_listed and self._was_listed and level is None)
        self._was_listed = is_listed and level is None

    def _hang(self) -> None:
        """Add what hangs on the block before."""
        while self._hanging:
            hanging, self._hanging = self._hanging, []
            self._was_listed = False
            for node in hanging:
                self.blocks(node)

    def _table(self, table: etree._Element) -> None:
        """Row by row; one that frames others, or has one column, is layout and is read cell by cell."""
        rows, marked = _rows(table)
        cells = [[cell for cell in row if local(cell) in ("table-cell", "covered-table-cell")] for row in rows]
        frames = any(next(cell.iter("{*}table"), None) is not None for row in cells for cell in row)
        if frames or max(map(len, cells), default=0) < 2:
            for cell in (cell for row in cells for cell in row):
                self._was_listed = False
                self.blocks(cell)
            return
        texts = [[self._cell(cell) for cell in row] for row in cells]
        is_bold = all("Table_20_Heading" in self._names(node) for cell in cells[0] for node in cell.iter("{*}p"))
        self.composition.table(texts, marked, is_bold)
        with self.composition.part():
            self._hang()

    def _cell(self, cell: etree._Element) -> str:
        if local(cell) == "covered-table-cell":
            return ""
        return "\n".join(self._words(node) for node in cell.iter("{*}p", "{*}h") if _owner(node, cell))

    # Words

    def _words(self, paragraph: etree._Element) -> str:
        """The visible words of a paragraph, white space folded as the format says; what hangs on it is kept."""
        self._was_hidden = False
        words = "".join(self._inline(paragraph, self._is_hidden("paragraph", paragraph)))
        return _WHITE.sub(" ", words).strip().translate(_WRITTEN).strip()

    def _inline(self, node: etree._Element, is_hidden: bool) -> Iterator[str]:
        yield self._written(node.text or "", is_hidden)
        for inner in node:
            yield from self._element(inner, is_hidden)
            yield self._written(inner.tail or "", is_hidden)

    def _element(self, node: etree._Element, is_hidden: bool) -> Iterator[str]:
        match local(node):
            case "s":
                yield self._written(_SPACE * _count(node), is_hidden)
            case "tab":
                yield self._written(_TAB, is_hidden)
            case "line-break":
                yield self._written(_LINE, is_hidden)
            case "note":
                if not is_hidden:
                    self._hanging += children(node, "note-body")
            case "annotation":
                self.left_out["comments"] += 1
            case "ruby-text":  # in one line it would stand within the words
                self.left_out["readings above characters"] += 1
            case "frame" | "custom-shape" | "rect" | "g":
                self._drawing(node)
            case "hidden-text" | "hidden-paragraph" if attribute(node, "is-hidden") == "true":
                yield from self._inline(node, True)
            case "span":
                yield from self._inline(node, is_hidden or self._is_hidden("text", node))
            case name if name and name not in _ASIDE:
                yield from self._inline(node, is_hidden)

    def _written(self, words: str, is_hidden: bool) -> str:
        if not words.strip(" \t\r\n"):
            return "" if is_hidden else words
        if is_hidden:
            self.left_out["hidden passages"] += not self._was_hidden
        self._was_hidden = is_hidden
        return "" if is_hidden else words

    def _drawing(self, node: etree._Element) -> None:
        """Text boxes hang on the paragraph; the rest is counted."""
        name = local(node)
        inner = [shape for shape in node if local(shape) not in ("title", "desc")]
        if name == "frame" and inner:
            shown = inner[0]  # of several variants the first
            match local(shown):
                case "text-box":
                    self._hanging.append(shown)
                case "image":
                    self.left_out["pictures"] += 1
                case _:
                    self.left_out["embedded objects"] += 1
        elif name == "g":
            for shape in inner:
                self._drawing(shape)
        elif "".join(node.itertext()).strip():
            self._hanging.append(node)

    # Styles

    def _chain(self, family: str, node: etree._Element) -> Iterator[tuple[str, etree._Element]]:
        """The styles of an element with their names, from its own to the one that all are based on."""
        name = attribute(node, "style-name")
        seen: set[str] = set()
        while name and name not in seen:  # a chain of a damaged file may close
            seen.add(name)
            style = self._styles.get((family, name))
            if style is None:
                return
            yield name, style
            name = attribute(style, "parent-style-name")

    def _names(self, paragraph: etree._Element) -> list[str]:
        return [name for name, _ in self._chain("paragraph", paragraph)] or [attribute(paragraph, "style-name")]

    def _is_hidden(self, family: str, node: etree._Element) -> bool:
        for _, style in self._chain(family, node):
            display = attribute(child(style, "text-properties"), "display")
            if display:
                return display == "none"
        return False


def _rows(table: etree._Element) -> tuple[list[etree._Element], int]:
    """The rows of a table, and how many of them are marked as its header."""
    rows, marked = [], 0
    for node in table:
        match local(node):
            case "table-row":
                rows.append(node)
            case "table-header-rows":
                rows += children(node, "table-row")
                marked = len(rows)
            case "table-rows" | "table-row-group":
                inner, inner_marked = _rows(node)
                marked = len(rows) + inner_marked if inner_marked else marked
                rows += inner
    return rows, marked


def _owner(paragraph: etree._Element, cell: etree._Element) -> bool:
    """Whether a paragraph stands in the cell itself, and not in a note or box within."""
    for above in paragraph.iterancestors():
        if above is cell:
            return True
        if local(above) in ("p", "h", *_ASIDE):
            return False
    return False


def _outline_level(heading: etree._Element) -> int:
    value = attribute(heading, "outline-level")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 3 else 1


def _count(spaces: etree._Element) -> int:
    value = attribute(spaces, "c")
    return min(int(value), _MOST_SPACES) if value.isascii() and value.isdigit() and len(value) < 9 else 1
