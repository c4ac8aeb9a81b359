"""HTML: `.html`. The text of the main content, block by block; headings become sections.

`markup` makes a string of a file and `flow` reads it; chapters of e-books and messages use both.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lxml import etree
from selectolax.lexbor import LexborHTMLParser, LexborNode

from pincite.errors import Unreadable
from pincite.reading import archive
from pincite.reading.content import Content, Heading, decode, sections
from pincite.types import Coverage, Table

_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_\-]{1,40})", re.IGNORECASE)
_XHTML = "http://www.w3.org/1999/xhtml"

_FURNITURE = "navigation and page furniture"
_HIDDEN = "hidden elements"
_DRAWINGS = "drawings with text"
_READINGS = "readings above characters"
"""Ruby: in one line they would stand within the words."""
_MACHINERY = ""
"""No reader of the page sees it, whatever the page does: not worth a word."""

_CONTENT = ("article", "main", "section", "blockquote", "figure", "[role=main i]", "[role=article i]")
"""Within these, headers, footers and asides belong to the content, as browsers tell it to screen readers."""
_TITLES = ("h1", "h2", "h3", "h4", "h5", "h6", "summary", "dt")


def _within(containers: Iterable[str], tag: str) -> str:
    return ", ".join(f"{container} {tag}" for container in containers)


_CONTROLS = f"nav, select, textarea, button:not({_within(_TITLES, 'button')})"
_COOKIES = (
    "#onetrust-consent-sdk, #CybotCookiebotDialog, #usercentrics-root, #didomi-host, #qc-cmp2-container,"
    " #cookie-law-info-bar, #cookie-notice, #cookie-banner, #cookie-consent, #cookieConsent, .cookie-banner,"
    " .cookie-consent, .cookie-notice, .cc-window, .osano-cm-window, .fc-consent-root"
)
_LEFT_OUT = (
    (
        "script, style, noscript, template, iframe, object, audio, video, canvas, datalist, rp, annotation,"
        " annotation-xml",
        _MACHINERY,
    ),
    (
        "[hidden]:not([hidden=until-found i]), dialog:not([open]), [aria-hidden=true i]:not(:has(main, article, h1))",
        _HIDDEN,
    ),
    ("svg", _DRAWINGS),
    ("rt, rtc", _READINGS),
    (_CONTROLS, _FURNITURE),
)
"""Selector and what it is called; the first that fits counts."""
_LEFT_OUT_OF_PAGES = (
    f"search, [role=navigation i], [role=contentinfo i], [role=search i], [role=complementary i],"
    f" [role=banner i]:not(:has(h1)), header:not(:has(h1), {_within(_CONTENT, 'header')}),"
    f" footer:not({_within(_CONTENT, 'footer')}), aside:not({_within(_CONTENT, 'aside')}),"
    f" :is({_COOKIES}):not(html, body, main, article, :has(main, article, h1))",
    _FURNITURE,
)
_INVISIBLE = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse))\b", re.IGNORECASE)

_LEVELS = {f"h{level}": level for level in range(1, 7)}
_TABLE_PARTS = frozenset(("tbody", "thead", "tfoot"))
_CELLS = frozenset(("td", "th"))
_LISTS = frozenset(("ul", "ol", "menu", "dir"))
_PREFORMATTED = frozenset(("pre", "listing", "xmp", "plaintext"))
_LINES = frozenset(("li", "tr", "dd", "option"))
_BLOCKS = frozenset(
    """
    address article aside blockquote body caption center details dialog div dl dt fieldset figcaption figure footer
    form header hgroup hr legend main nav p search section summary table
    """.split()  # noqa: SIM905 - a list of words is read as words
).union(_LEVELS, _TABLE_PARTS, _LISTS, _PREFORMATTED)
_LAYS_OUT = frozenset(("table", "blockquote", *_LEVELS, *_PREFORMATTED))
"""What stands in a cell only where the table is there to lay a page out."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What a page, a chapter or a message says, and what of it was left out."""

    text: str
    title: str
    """The first heading of level 1, else what the head names."""
    headings: tuple[Heading, ...]
    tables: tuple[Table, ...]
    left_out: Counter[str]
    visible: int
    """Characters other than white space that a person sees: in the text and in what was left out."""

    @property
    def coverage(self) -> Coverage:
        """The share of the characters, and what else was left out."""
        share = letters(self.text) / self.visible if self.visible else 1.0
        return Coverage(searchable=share, left_out=tuple(self.left_out.items()))


def read(data: bytes) -> Content:
    """What a reader of the page would read, without navigation, scripts and hidden text."""
    text, remarks = markup(data)
    page = flow(text, is_page=True)
    return Content(
        page.text, page.title, sections(page.headings), tables=page.tables, coverage=page.coverage, remarks=remarks
    )


def letters(text: str) -> int:
    """Characters other than white space."""
    return sum(map(len, text.split()))


def markup(data: bytes) -> tuple[str, tuple[str, ...]]:
    """A file as HTML, and remarks. Raises `Unreadable` for what is not text."""
    if _XHTML.encode() in data[:4096] and (text := _from_xhtml(data)):
        return text, ()
    return decode(data, declared_charset(data))


def declared_charset(data: bytes) -> str | None:
    """What a `meta` element near the top says."""
    declared = _CHARSET.search(data[:4096])
    return declared[1].decode("ascii") if declared else None


def _from_xhtml(data: bytes) -> str:
    """XHTML as HTML, where it is well formed: `<title/>` would else begin a title that never ends."""
    try:
        root = archive.parse(data, "page")
    except Unreadable:
        return ""
    for element in root.iter(f"{{{_XHTML}}}*"):
        element.tag = etree.QName(element).localname
    return str(etree.tostring(root, encoding="unicode", method="html"))


def flow(markup: str, *, at: int = 0, is_page: bool = False) -> Flow:
    """Read HTML. Headings and tables lie as if the text began at `at`.

    A page of the web has furniture around its content: what stands outside of `main`, or of the one
    article that holds most of the words, counts as such. A chapter or a message is content throughout.
    """
    tree = LexborHTMLParser(_flattened(markup))
    left_out = _left_out(tree, is_page)
    body = tree.body
    writer = _Writer(left_out, at)
    if body is not None:
        if is_page:
            _leave_out_around(_main(tree, body, left_out), body, left_out)
        writer.write(body)
    text = writer.text()
    title = next((heading.words for heading in writer.headings if heading.level == 1), "")
    return Flow(
        text,
        title or next((words for node in tree.css("title:not(svg title)") if (words := _words(node.text()))), ""),
        tuple(writer.headings),
        tuple(writer.tables),
        writer.left_out,
        letters(text) + writer.letters_left_out,
    )


# What is left out

_LeftOut = dict[int, str]
"""The elements to leave out, by `mem_id`, and what they are called."""


def _left_out(tree: LexborHTMLParser, is_page: bool) -> _LeftOut:
    found: _LeftOut = {}
    for node in tree.css("[style]"):
        if _INVISIBLE.search(node.attributes.get("style") or ""):
            found[node.mem_id] = _HIDDEN
    for selector, name in (*_LEFT_OUT, *([_LEFT_OUT_OF_PAGES] if is_page else [])):
        for node in tree.css(selector):
            found.setdefault(node.mem_id, name)
    return found


def _main(tree: LexborHTMLParser, body: LexborNode, left_out: _LeftOut) -> LexborNode:
    """The main content: what calls itself so, or the one article if most words stand in it, or everything."""
    for node in tree.css("main, [role=main i]"):
        if _letters(node, left_out):
            return node
    articles = tree.css("article")
    if len(articles) == 1 and 2 * _letters(articles[0], left_out) > _letters(body, left_out):
        return articles[0]
    return body


def _leave_out_around(main: LexborNode, body: LexborNode, left_out: _LeftOut) -> None:
    """Everything beside the way from the body down to the main content."""
    node = main
    while node.mem_id != body.mem_id and (parent := node.parent) is not None:
        left_out.pop(node.mem_id, None)
        for child in parent.iter(include_text=True):
            if child.mem_id != node.mem_id:
                left_out.setdefault(child.mem_id, _FURNITURE)
        node = parent


def _letters(root: LexborNode, left_out: _LeftOut) -> int:
    """How many characters of an element a person sees, or would see if it were not left out itself."""
    return sum(letters(text) for text in _texts(root, left_out))


def _texts(root: LexborNode, left_out: _LeftOut) -> Iterator[str]:
    """The texts below an element in order, with a space wherever a block or a line begins or ends."""
    for node, _ in _walk(root, left_out):
        if node.tag == "-text":
            if node.mem_id == root.mem_id or node.mem_id not in left_out:
                yield node.text_content or ""
        elif node.tag in _BLOCKS or node.tag in _LINES or node.tag == "br":
            yield " "


def _walk(root: LexborNode, left_out: _LeftOut) -> Iterator[tuple[LexborNode, bool]]:
    """Each node, and whether it opens or closes; what is left out below the root, and text, only opens.

    On a stack of our own: pages nest deeper than Python's.
    """
    pending = [(root, True)]
    while pending:
        node, opens = pending.pop()
        yield node, opens
        if opens and node.tag != "-text" and (node.mem_id not in left_out or node.mem_id == root.mem_id):
            pending.append((node, False))
            pending.extend((child, True) for child in reversed(list(node.iter(include_text=True))))


def _words(text: str) -> str:
    return " ".join(text.split())


# Text


class _Writer:
    """Collects text: white space folded, a blank line between blocks, a tab between cells."""

    def __init__(self, left_out: _LeftOut, at: int) -> None:
        self._marked = left_out
        self._parts: list[str] = []
        self._end = at
        self._gap = ""
        self._broken = False
        """Whether nothing but a line break has come since the last words."""
        self._in_preformatted = 0
        self._in_lists = 0
        self._in_heading = 0
        self._heading_start = 0
        self._heading_part = 0
        self.headings: list[Heading] = []
        self.tables: list[Table] = []
        self.left_out: Counter[str] = Counter()
        self.letters_left_out = 0

    def text(self) -> str:
        return "".join(self._parts)

    def write(self, root: LexborNode) -> None:
        """Everything in it but what is left out, which is counted."""
        for node, opens in _walk(root, self._marked):
            tag = node.tag or ""
            if node.mem_id in self._marked and node.mem_id != root.mem_id:
                self._leave_out(node)
            elif tag == "-text":
                self._write_text(node.text_content or "")
            elif tag == "table" and opens and not self._in_heading and self._holds_data(node):
                self._write_table(node)
                self._marked[node.mem_id] = _MACHINERY  # the walk goes on behind it
            else:
                self._note(tag, opens)

    def _leave_out(self, node: LexborNode) -> None:
        """Count what a person sees of it, and of what is hidden what is there to see."""
        name = self._marked[node.mem_id]
        if name == _MACHINERY:
            return
        if name == _DRAWINGS:
            count = sum(letters(text.text()) for text in node.css("text"))
        else:
            count = _letters(node, self._marked)
        if count:
            self.left_out[name] += 1
        if name != _HIDDEN:
            self.letters_left_out += count
            if node.tag in _BLOCKS:
                self._separate("\n\n")

    def _note(self, tag: str, opens: bool) -> None:
        """What the begin or end of an element means for the text around it."""
        step = 1 if opens else -1
        if tag in _LEVELS and not opens:
            self._close_heading(_LEVELS[tag])
        if tag in _PREFORMATTED:
            self._in_preformatted += step
        if tag in _LISTS:
            self._in_lists += step
        if tag == "br" and opens:
            self._separate("\n\n" if self._broken else "\n")
            self._broken = True
        elif tag in _LINES or (tag in _LISTS and self._in_lists > (1 if opens else 0)):
            self._separate("\n")
        elif tag == "dt":
            self._separate("\n\n" if opens else "\n")
        elif tag in _BLOCKS or tag in _CELLS:
            self._separate("\n\n")
        if tag in _LEVELS and opens:
            self._open_heading()

    def _open_heading(self) -> None:
        if not self._in_heading:
            self._heading_start = self._end + (len(self._gap) if self._parts else 0)
            self._heading_part = len(self._parts)
        self._in_heading += 1

    def _close_heading(self, level: int) -> None:
        """Note the outermost heading, if it has words: those that stand in the text, in one line."""
        self._in_heading -= 1
        if not self._in_heading and (words := _words("".join(self._parts[self._heading_part :]))):
            self.headings.append(Heading(self._heading_start, level, words))

    def _holds_data(self, table: LexborNode) -> bool:
        """Whether it is a table to its reader, not only to whoever laid the page out."""
        if (table.attributes.get("role") or "").lower() in ("presentation", "none"):
            return False
        is_told, columns, cells, blocks = False, 0, 0, 0
        for node, opens in _walk(table, self._marked):
            tag = node.tag or ""
            if not opens or node.mem_id == table.mem_id or node.mem_id in self._marked:
                continue
            if tag in _LAYS_OUT:
                return False
            if tag == "tr":
                cells = 0
            elif tag in _CELLS:
                cells += 1
                columns = max(columns, cells)
                blocks = 0
            elif tag in _BLOCKS:
                blocks += 1
            is_told = is_told or tag in ("th", "thead", "caption")
            if blocks > _MOST_BLOCKS_IN_A_CELL and not is_told:
                return False
        return is_told or columns > 1

    def _write_table(self, table: LexborNode) -> None:
        """A line a row, a tab between cells, empty ones too; whatever breaks a line in a cell is a space."""
        header: list[str] = []
        start = end = -1
        for is_header, cells in self._rows(table):
            self._separate("\n\n" if end < 0 else "\n")
            self._put_words("\t".join(cells).rstrip("\t"))
            if is_header and start < 0:
                header += filter(None, cells)
            elif start < 0:
                start = self._end - len(self._parts[-1])
            end = self._end
        if header and start >= 0:
            self.tables.append(Table(start, end, " | ".join(header)))
        self._separate("\n\n")

    def _rows(self, table: LexborNode) -> Iterator[tuple[bool, list[str]]]:
        """The cells of each row that has words, and whether all of them name columns; the caption is a paragraph."""
        cells: list[str] = []
        words: list[str] = []
        in_head = False
        names = True
        for node, opens in _walk(table, self._marked):
            tag = node.tag or ""
            if node.mem_id in self._marked:
                self._leave_out(node)
            elif tag == "-text":
                words.append(node.text_content or "")
            elif tag == "thead":
                in_head = opens
            elif tag in _CELLS or tag == "caption":
                if not opens:
                    cells.append(_words("".join(words)))
                    names = names and (tag == "th" or not cells[-1])
                words = []
                if tag == "caption" and not opens:
                    self._separate("\n\n")
                    self._put_words(cells.pop())
            elif tag == "tr" and opens:
                cells, names = [], True
            elif tag == "tr":
                if any(cells):
                    yield in_head or names, cells
            elif tag in _BLOCKS or tag in _LINES or tag in ("br", "dt"):
                words.append(" ")

    def _separate(self, gap: str) -> None:
        """Ask for a gap before the next text; the widest one asked for wins. A heading is one line."""
        if self._in_heading:
            gap = " "
        if _WIDTH[gap] > _WIDTH[self._gap]:
            self._gap = gap

    def _write_text(self, text: str) -> None:
        if self._in_preformatted and not self._in_heading:
            self._put_words(text)
            return
        words = _words(text)
        if not words:
            self._separate(" " if text else "")
            return
        if text[0].isspace():
            self._separate(" ")
        self._put_words(words)
        self._gap = " " if text[-1].isspace() else ""

    def _put_words(self, words: str) -> None:
        """Behind the gap that was asked for."""
        if not words:
            return
        gap = self._gap if self._parts else ""
        self._parts += (gap, words)
        self._end += len(gap) + len(words)
        self._gap = ""
        self._broken = False


_MOST_BLOCKS_IN_A_CELL = 2
_WIDTH = {"": 0, " ": 1, "\n": 2, "\n\n": 3}


# Depth

_DEEPEST = 512
"""Elements within each other, as deep as browsers go. Parsing takes time by length times depth."""
_MOST_FORMATTING = 32
"""Formatting left open is opened again in every later block: thousands of it would fill the memory."""
_FORMATTING = frozenset("a b big code em font i nobr s small strike strong tt u".split())  # noqa: SIM905 - as words
_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())  # noqa: SIM905 - as words
_CLOSED_BY_THE_NEXT = frozenset(
    "html head body p li dt dd tr td th thead tbody tfoot colgroup caption option optgroup rp rt".split()  # noqa: SIM905 - as words
)
_TAG = re.compile(
    r"<!--.*?(?:-->|\Z)|<(?P<raw>script|style|textarea|title|xmp|iframe|noembed|noframes)\b.*?(?:</(?P=raw)|\Z)"
    r"|<(?P<closes>/?)(?P<name>[a-z][^\s/<>]*)(?P<rest>[^<>]*)",
    re.DOTALL | re.IGNORECASE,
)


def _flattened(markup: str) -> str:
    """The same page with tags that nest deeper than browsers go turned into line breaks.

    Nearly every page comes back as it is. Nothing but names of tags is changed, so that no text is lost.
    """
    changed: list[str] = []
    position = 0
    open_elements: list[str] = []
    open_names: Counter[str] = Counter()
    formatting: Counter[str] = Counter()
    surplus: Counter[str] = Counter()
    for tag in _TAG.finditer(markup):
        name = (tag["name"] or "").lower()
        is_drawing = open_names["svg"] or open_names["math"]
        if not name or name in _VOID or name in _CLOSED_BY_THE_NEXT or (is_drawing and tag["rest"].endswith("/")):
            continue
        if tag["closes"]:
            is_surplus = surplus[name] > 0
            if is_surplus:
                surplus[name] -= 1
            else:
                formatting[name] -= formatting[name] > 0
                while open_names[name] and (closed := open_elements.pop()):
                    open_names[closed] -= 1
                    if closed == name:
                        break
        else:
            is_formatting = name in _FORMATTING
            is_surplus = len(open_elements) >= _DEEPEST or (is_formatting and formatting.total() >= _MOST_FORMATTING)
            if is_surplus:
                surplus[name] += 1
            else:
                formatting[name] += is_formatting
                open_elements.append(name)
                open_names[name] += 1
        if is_surplus:
            breaks_line = name in _BLOCKS and not is_drawing
            changed += (markup[position : tag.start("name")], "br" if breaks_line else "wbr")
            position = tag.end("name")
    return "".join(changed) + markup[position:] if changed else markup
