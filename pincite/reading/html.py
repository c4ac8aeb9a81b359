"""HTML: `.html`. The text of the main content, block by block; headings become sections."""

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from pincite.reading.content import Content, Heading, decode, sections

_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_\-]{1,40})", re.IGNORECASE)
_NOT_CONTENT = (
    "script, style, noscript, template, nav, footer, aside, iframe, object, svg, math,"
    " button, select, textarea, [hidden], [aria-hidden=true],"
    " [style*='display:none' i], [style*='display: none' i], body > header"
)
_BLOCKS = frozenset(
    """
    address article blockquote body caption dd details div dl dt fieldset figcaption figure h1 h2 h3 h4 h5 h6
    header hr li main ol p pre section summary table tbody tfoot thead tr ul
    """.split()  # noqa: SIM905 - a list of words is read as words
)
_CELLS = frozenset(("td", "th"))
_LEVELS = {f"h{level}": level for level in range(1, 7)}


def read(data: bytes) -> Content:
    """What a reader of the page would read, without navigation, scripts and hidden text."""
    declared = _CHARSET.search(data[:4096])
    text, remarks = decode(data, declared[1].decode("ascii") if declared else None)
    tree = LexborHTMLParser(text)
    for node in tree.css(_NOT_CONTENT):
        node.decompose()
    root = next((node for node in (tree.css_first("main"), _only(tree.css("article"))) if _words(node)), tree.body)
    writer = _Writer()
    if root is not None:
        writer.write(root)
    title = next((heading.words for heading in writer.headings if heading.level == 1), _words(tree.css_first("title")))
    return Content(writer.text(), title, sections(writer.headings), remarks=remarks)


def _only(nodes: list[LexborNode]) -> LexborNode | None:
    return nodes[0] if len(nodes) == 1 else None


def _words(node: LexborNode | None) -> str:
    return " ".join(node.text().split()) if node is not None else ""


class _Writer:
    """Collects text: white space folded, a blank line between blocks, a tab between cells."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._gap = ""
        self._preformatted = 0
        """How many `pre` the walk is in."""
        self._in_heading = 0
        self._heading_start = 0
        self._heading_part = 0
        self.headings: list[Heading] = []

    def text(self) -> str:
        return "".join(self._parts)

    def write(self, root: LexborNode) -> None:
        """Walk the tree on a stack of our own: pages nest deeper than Python's."""
        pending: list[tuple[LexborNode, bool]] = [(root, True)]
        while pending:
            node, opens = pending.pop()
            tag = node.tag or ""
            if tag == "-text":
                self._write_text(node.text_content or "")
                continue
            if tag == "pre":
                self._preformatted += 1 if opens else -1
            if tag in _BLOCKS:
                self._separate("\n\n" if tag not in ("tr", "li") else "\n")
            elif tag == "br" and opens:
                self._separate("\n")
            elif tag in _CELLS and opens:
                self._separate("\t")
            if tag in _LEVELS:
                self._note_heading(_LEVELS[tag], opens)
            if opens:
                pending.append((node, False))
                pending.extend((child, True) for child in reversed(list(node.iter(include_text=True))))

    def _note_heading(self, level: int, opens: bool) -> None:
        """The outermost heading, if it has words: those that stand in the text."""
        if opens and not self._in_heading:
            self._heading_start = self._length + (len(self._gap) if self._length else 0)
            self._heading_part = len(self._parts)
        self._in_heading += 1 if opens else -1
        if not self._in_heading and (words := " ".join("".join(self._parts[self._heading_part :]).split())):
            self.headings.append(Heading(self._heading_start, level, words))

    def _separate(self, gap: str) -> None:
        """Ask for a gap before the next text; the widest one asked for wins."""
        if _WIDTH[gap] > _WIDTH[self._gap]:
            self._gap = gap

    def _write_text(self, text: str) -> None:
        if self._preformatted:
            self._put(self._gap if self._length else "")
            self._put(text)
            self._gap = ""
            return
        words = " ".join(text.split())
        if not words:
            self._separate(" " if text else "")
            return
        if text[0].isspace():
            self._separate(" ")
        self._put(self._gap if self._length else "")
        self._put(words)
        self._gap = " " if text[-1].isspace() else ""

    def _put(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)


_WIDTH = {"": 0, " ": 1, "\t": 2, "\n": 3, "\n\n": 4}
