r"""Rich text: `.rtf` (specification 1.9.1). Paragraphs and tables in the order of the file.

As with Word: insertions are text, deletions are not, a field is its result; numbers and bullets of lists are not
in the text; notes and text boxes follow the paragraph they hang on, those in a table the table.

A file is groups in braces. A group inherits the properties around it, and what is set in it ends with it; some
control words make the group a destination whose words are no text of the body. `\*` marks those that a program
which does not know them leaves out.
"""

import codecs
import re
from collections import Counter
from typing import Any, NamedTuple

from pincite.errors import Unreadable
from pincite.reading.composition import Composition, fold
from pincite.reading.content import Content
from pincite.reading.package import counted
from pincite.reading.symbols import symbol
from pincite.types import Coverage

_TOKEN = re.compile(
    r"\\(?P<word>[a-zA-Z]{1,32})(?P<number>-?[0-9]{1,9})?[ ]?"
    r"|\\'(?P<code>[0-9a-fA-F]{2})|\\(?P<sign>[^a-zA-Z])|(?P<brace>[{}])|(?P<break>[\r\n]+)|(?P<words>[^\\{}\r\n]+)"
    r"|(?P<stray>\\)",
    re.DOTALL,
)
_TITLE_LEVEL = 1
_BODY_LEVEL = 9
_HEADING = re.compile(r"heading ([1-9])", re.IGNORECASE)
_WRITTEN = {
    "tab": "\t", "line": "\n", "emdash": "—", "endash": "–", "emspace": "\u2003", "enspace": "\u2002",
    "qmspace": "\u2005", "bullet": "•", "lquote": "‘", "rquote": "’", "ldblquote": "“", "rdblquote": "”",
}  # fmt: skip
_UNSEEN = dict.fromkeys([*range(9), *range(14, 32), 0x7F, 0xAD]) | dict.fromkeys((11, 12, 13), "\n")
"""Controls and soft hyphens, which nobody sees."""
_SIGNS = {"\\": "\\", "{": "{", "}": "}", "~": "\u00a0", "_": "-"}
_STARRED = frozenset(("shpinst", "shppict", "do", "nesttableprops", "moMath", "moMathPara", "ud"))
"""Destinations behind a star that hold text, or what becomes text."""
_ASIDES = {
    **{f"{kind}{pages}": "headers and footers" for kind in ("header", "footer") for pages in ("", "l", "r", "f")},
    "annotation": "comments",
}
_HANGING = frozenset(("footnote", "shptxt", "dptxbxtext"))
_SKIPPED = frozenset(
    """
    aftncn aftnsep aftnsepc atnauthor atndate atnid atnparent atnref atntime atrfend atrfstart author background
    bkmkend bkmkstart buptim category colortbl comment company creatim doccomm falt ffdeftext ffentrymcr ffexitmcr
    ffformat ffhelptext ffl ffname ffstattext filetbl fldinst fname fontemb formfield ftncn ftnsep ftnsepc
    hlinkbase info keywords listtable listoverridetable manager nextfile nonesttables nonshppict objalias objclass
    objdata objname objsect operator panose pict pn pnseclvl pntxta pntxtb printim private revtbl revtim rxe
    shprslt sn sp subject sv tc tcn template txe upr vern version xe xmlopen xmlclose xmlattrname xmlattrvalue
    """.split()  # noqa: SIM905 - a list of words is read as words
)
_MARKERS = frozenset(("listtext", "pntext"))
"""The number or bullet of a list, as the program that wrote the file saw it."""
_CHARSETS = {
    0: "cp1252", 77: "mac_roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "cp936", 136: "cp950", 161: "cp1253",
    162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874",
    238: "cp1250", 254: "cp437", 255: "cp850",
}  # fmt: skip
_SYMBOLS = 2
"""The character set of fonts that are not letters."""
_PAGES = {"ansi": "cp1252", "mac": "mac_roman", "pc": "cp437", "pca": "cp850"}
_NUMBERED_PAGES = {65001: "utf-8", 10000: "mac_roman", 1361: "johab", 708: "iso8859-6"}


def read(data: bytes) -> Content:
    """What a person reads in the body of the document, with headings by style or outline level."""
    if not data:
        raise Unreadable("empty")
    source = data.removeprefix(codecs.BOM_UTF8).lstrip().decode("latin-1")  # a byte is a character, to be decoded later
    if not source.startswith("{\\rtf"):
        raise Unreadable("not of this format")
    reader = _Reader()
    is_whole = reader.read(source)
    composition = reader.composition
    title = reader.title
    if not title and (stated := fold("".join(reader.stated_title))) in fold(composition.text):
        title = stated
    if not title:
        title = next((of.words for of in composition.headings if of.level == _TITLE_LEVEL + 1), "")
    notes = {
        "the file ends before its text does": not is_whole,
        "tracked changes are read as if accepted": reader.has_changes,
        "some characters are of no known encoding and stand as �": reader.has_unknown,
    }
    return composition.content(
        title, Coverage(left_out=counted(reader.left_out)), [words for words, holds in notes.items() if holds]
    )


class _State(NamedTuple):
    """What a group inherits."""

    room: str = "body"
    """Where words go: the body, nowhere (empty), the tables of fonts or styles, the title, or an aside by name."""
    font: int = -1
    is_hidden: bool = False
    is_deleted: bool = False
    is_bold: bool = False
    replaced: int = 1
    """How many characters after a Unicode one stand for it in programs that do not know Unicode."""
    style: int = 0
    level: int | None = None
    is_listed: bool = False
    in_table: bool = False


_PLAIN = {"is_hidden": False, "is_deleted": False, "is_bold": False}
_PARD = {"style": 0, "level": None, "is_listed": False, "in_table": False}


class _Font:
    """As the table of fonts names it."""

    def __init__(self) -> None:
        self.name = ""
        self.charset = 1
        self.page = 0


class _Cell(NamedTuple):
    """What stands in a cell: its paragraphs, and the rows of tables within."""

    blocks: list[str | list[str]]
    is_bold: bool


class _Flow:
    """Words on their way into paragraphs: those of the body, of a note or of a text box."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        """Of the group that it ends with."""
        self.pieces: list[str] = []
        self.hanging: list[str] = []
        self.is_bold = True
        self.is_marked = False
        """Whether a number or bullet stood before the paragraph."""

    def take(self) -> str:
        """The paragraph so far; a new one begins."""
        words = "".join(self.pieces).translate(_UNSEEN).strip()
        self.pieces.clear()
        return words


class _Reader:
    """One file on its way into a composition."""

    def __init__(self) -> None:
        self.composition = Composition("paragraph")
        self.left_out: Counter[str] = Counter()
        self.title = ""
        self.stated_title: list[str] = []
        self.has_changes = False
        self.has_unknown = False
        self._state = _State()
        self._stack: list[_State] = []
        self._flows = [_Flow(-1)]
        self._page = "cp1252"
        self._fonts: dict[int, _Font] = {}
        self._levels: dict[int, int] = {}
        """Of the styles that are headings or the title, as `Heading` counts."""
        self._style_name: list[str] = []
        self._bytes = bytearray()
        """Not yet decoded: a character may have several."""
        self._to_skip = 0
        self._high = 0
        """The first half of a character beyond 16 bits."""
        self._is_starred = False
        self._last_left_out = ""
        self._aside_depth = -1
        self._was_listed = False
        self._in_row = False
        self._is_header_row = False
        self._cell: list[str | list[str]] = []
        self._nested_row: list[str] = []
        self._row: list[_Cell] = []
        self._rows: list[list[_Cell]] = []
        self._marked = 0

    def read(self, source: str) -> bool:
        """Read a whole file; whether it ended where its outer group does."""
        place, end = 0, len(source)
        is_whole = False
        while place < end and not is_whole:
            token = _TOKEN.match(source, place)
            if token is None:  # cannot be: some alternative fits every character
                break
            place = token.end()
            kind = token.lastgroup
            if kind in ("word", "number"):
                word, number = token["word"], token["number"]
                if word == "bin":
                    place += max(0, int(number or 0))
                else:
                    self._control(word, None if number is None else int(number))
            elif kind == "code":
                self._byte(bytes.fromhex(token["code"]))
            elif kind == "sign":
                self._sign(token["sign"])
            elif kind == "words":
                self._words(token["words"])
            elif token["brace"] == "{":
                self._open()
            elif token["brace"] == "}":
                is_whole = self._close()
        self._end_paragraph()
        self._end_table()
        return is_whole

    # Groups

    def _open(self) -> None:
        self._decode()
        self._to_skip = 0
        self._stack.append(self._state)

    def _close(self) -> bool:
        """Whether that was the outer group."""
        self._decode()
        self._to_skip = 0
        self._is_starred = False
        if len(self._stack) == 1:
            self._end_paragraph()
        if self._flows[-1].depth == len(self._stack):
            self._end_paragraph()
            ended = self._flows.pop()
            self._flows[-1].hanging += ended.hanging
        if self._aside_depth == len(self._stack):
            self._aside_depth = -1
        if self._stack:
            self._state = self._stack.pop()
        return not self._stack

    def _set(self, **properties: Any) -> None:
        self._state = self._state._replace(**properties)

    # Control words

    def _control(self, word: str, number: int | None) -> None:
        self._to_skip = 0  # whatever the specification says: a paragraph's end is worse to lose than a sign to see
        self._decode()
        is_starred, self._is_starred = self._is_starred, False
        if word == "u":
            self._unicode(number or 0)
        elif self._is_destination(word, is_starred):
            self._enter(word)
        elif self._state.room in ("fonts", "styles"):
            self._define(word, number or 0)
        else:
            self._format(word, number)

    def _is_destination(self, word: str, is_starred: bool) -> bool:
        return (
            is_starred
            or word in _SKIPPED
            or word in _HANGING
            or word in _ASIDES
            or word in _MARKERS
            or word in ("fonttbl", "stylesheet", "title", "object")
            or (word.startswith("m") and word.endswith("Pr"))
        )

    def _enter(self, word: str) -> None:
        """Make the group the destination that the word names, within what is read."""
        room = self._state.room
        if word == "title" and room == "" and not self.stated_title:
            self._set(room="title")
        elif word == "ud" and len(self._stack) > 1:
            self._set(room=self._stack[-2].room)  # in Unicode what the group around has in another encoding
        elif room != "body":
            self._set(room=room if room in _ASIDES.values() and word not in _SKIPPED else "")
        elif word == "fonttbl":
            self._set(room="fonts")
        elif word == "stylesheet":
            self._set(room="styles")
        elif word in _ASIDES:
            self._set(room=_ASIDES[word])
        elif word in _HANGING:
            self._flows.append(_Flow(len(self._stack)))
            self._set(**_PARD, **_PLAIN)
        elif word == "object":
            self.left_out["embedded objects"] += 1
        elif word not in _STARRED:
            self.left_out["pictures"] += word == "pict"
            self._flows[-1].is_marked |= word in _MARKERS
            self._set(room="")

    def _define(self, word: str, number: int) -> None:
        """A property of a font or style in its table."""
        if self._state.room == "fonts":
            if word == "f":
                self._set(font=number)
                self._fonts.setdefault(number, _Font())
            elif font := self._fonts.get(self._state.font):
                if word == "fcharset":
                    font.charset = number
                elif word == "cpg":
                    font.page = number
        elif word == "s":
            self._set(style=number)
        elif word == "outlinelevel" and 0 <= number < _BODY_LEVEL:
            self._levels[self._state.style] = _TITLE_LEVEL + 1 + number

    def _format(self, word: str, number: int | None) -> None:
        is_on = number != 0
        match word:
            case "par" | "sect":
                self._end_paragraph()
            case "cell":
                self._end_cell()
            case "row":
                self._end_row()
            case "nestcell":
                self._nested_row.append(self._flows[-1].take())
            case "nestrow":
                self._cell.append(self._nested_row)
                self._nested_row = []
            case "trowd":
                self._in_row, self._is_header_row = True, False
            case "trhdr":
                self._is_header_row = True
            case "pard":
                self._set(**_PARD)
            case "plain":
                self._set(**_PLAIN)
            case "intbl":
                self._set(in_table=is_on)
            case "s":
                self._set(style=number or 0)
            case "outlinelevel":
                self._set(level=number)
            case "ls":
                self._set(is_listed=is_on)
            case "f":
                self._set(font=number or 0)
            case "v":
                self._set(is_hidden=is_on)
            case "deleted":
                self._set(is_deleted=is_on)
                self.has_changes = True
            case "revised":
                self.has_changes = True
            case "b":
                self._set(is_bold=is_on)
            case "uc":
                self._set(replaced=max(0, number or 0))
            case "ansi" | "mac" | "pc" | "pca":
                self._page = _PAGES[word]
            case "ansicpg":
                self._page = _codec(number or 0) or self._page
            case _ if word in _WRITTEN:
                self._put(_WRITTEN[word])

    def _sign(self, sign: str) -> None:
        self._to_skip = 0
        self._decode()
        if sign == "*":
            self._is_starred = True
        elif sign in "\r\n":
            self._format("par", None)
        else:
            self._put(_SIGNS.get(sign, ""))

    # Words

    def _words(self, words: str) -> None:
        skipped = min(self._to_skip, len(words))
        self._to_skip -= skipped
        words = words[skipped:]
        if not words:
            return
        if words.isascii() and not self._bytes and not self._is_symbolic():
            self._put(words)
        else:
            self._bytes += words.encode("latin-1")

    def _byte(self, byte: bytes) -> None:
        if self._to_skip:
            self._to_skip -= 1
        else:
            self._bytes += byte

    def _unicode(self, number: int) -> None:
        number &= 0xFFFF  # written as a signed number of 16 bits
        self._to_skip = self._state.replaced
        if 0xD800 <= number < 0xDC00:
            self._high = number
            return
        if 0xDC00 <= number < 0xE000:
            if self._high:
                self._put(chr(0x10000 + ((self._high - 0xD800) << 10) + number - 0xDC00))
            self._high = 0
            return
        self._high = 0
        if 0xF000 <= number <= 0xF0FF:
            self._put_symbol(number & 0xFF)
        elif number:
            self._put(chr(number))

    def _decode(self) -> None:
        """Put what was gathered in bytes."""
        if not self._bytes:
            return
        gathered = bytes(self._bytes)
        self._bytes.clear()
        if self._is_symbolic():
            for byte in gathered:
                self._put_symbol(byte)
            return
        font = self._fonts.get(self._state.font)
        codec = (_codec(font.page) or _CHARSETS.get(font.charset)) if font else None
        words = gathered.decode(codec or self._page, errors="replace")
        self.has_unknown |= "�" in words and self._state.room == "body"
        self._put(words)

    def _is_symbolic(self) -> bool:
        font = self._fonts.get(self._state.font)
        return font is not None and font.charset == _SYMBOLS and self._state.room == "body"

    def _put_symbol(self, code: int) -> None:
        font = self._fonts.get(self._state.font)
        sign = " " if code == 0x20 else symbol(font.name.strip() if font else "", f"F0{code:02X}")
        if sign:
            self._put(sign)
        elif self._state.room == "body":
            self.left_out["symbols of fonts that are not Unicode"] += 1

    def _put(self, words: str) -> None:
        """Words to where the group says."""
        state = self._state
        match state.room:
            case "body":
                self._put_text(words)
            case "":
                pass
            case "fonts":
                if font := self._fonts.get(state.font):
                    font.name += words.partition(";")[0]
            case "styles":
                self._name_style(words)
            case "title":
                self.stated_title.append(words)
            case aside:
                if words.strip() and self._aside_depth < 0:
                    self.left_out[aside] += 1
                    self._aside_depth = self._depth_of_room()

    def _depth_of_room(self) -> int:
        """The depth of the outermost group that goes where words go now."""
        depth = len(self._stack)
        while depth > 1 and self._stack[depth - 1].room == self._state.room:
            depth -= 1
        return depth

    def _put_text(self, words: str) -> None:
        state, flow = self._state, self._flows[-1]
        if state.is_deleted or state.is_hidden:
            kind = "tracked deletions" if state.is_deleted else "hidden passages"
            if words.strip():
                self.left_out[kind] += self._last_left_out != kind
                self._last_left_out = kind
            return
        if words.strip():
            self._last_left_out = ""
            flow.is_bold &= state.is_bold
        flow.pieces.append(words)

    def _name_style(self, words: str) -> None:
        name, end, _ = words.partition(";")
        self._style_name.append(name)
        if end:
            name = "".join(self._style_name).strip()
            self._style_name.clear()
            if heading := _HEADING.fullmatch(name):
                self._levels[self._state.style] = _TITLE_LEVEL + int(heading[1])
            elif name.lower() == "title":
                self._levels[self._state.style] = _TITLE_LEVEL

    # Paragraphs and tables

    def _end_paragraph(self) -> None:
        flow, state = self._flows[-1], self._state
        self._decode()
        self._last_left_out = ""
        if len(self._flows) > 1:
            flow.hanging += [words for words in (flow.take(),) if words]
            return
        words = flow.take()
        if state.in_table or self._in_row:
            self._cell += [words] if words else []
            return
        self._end_table()
        self._add(words, is_listed=state.is_listed or flow.is_marked)
        flow.is_marked, flow.is_bold = False, True

    def _add(self, words: str, is_listed: bool) -> None:
        level = self._levels.get(self._state.style)
        if self._state.level is not None and level != _TITLE_LEVEL:
            level = _TITLE_LEVEL + 1 + self._state.level if 0 <= self._state.level < _BODY_LEVEL else None
        if level == _TITLE_LEVEL:
            self.title = self.title or fold(words)
        is_listed = is_listed and level is None
        with self.composition.part():
            self.composition.add(words, level=level, as_line=is_listed and self._was_listed)
            self._hang()
        if words:
            self._was_listed = is_listed

    def _hang(self) -> None:
        """Add what hangs on the block before."""
        hanging = self._flows[0].hanging
        for words in hanging:
            self.composition.add(words)
            self._was_listed = False
        hanging.clear()

    def _end_cell(self) -> None:
        flow = self._flows[-1]
        if len(self._flows) > 1:
            flow.pieces.append("\t")
            return
        words = flow.take()
        self._cell += [words] if words else []
        self._row.append(_Cell(self._cell, flow.is_bold))
        self._cell = []
        flow.is_bold, flow.is_marked = True, False

    def _end_row(self) -> None:
        if len(self._flows) > 1:
            self._end_paragraph()
            return
        if self._is_header_row and self._marked == len(self._rows):
            self._marked += 1
        self._rows.append(self._row)
        self._row = []
        self._in_row = False

    def _end_table(self) -> None:
        """Row by row; a table that frames others, or has one column, is layout and is read cell by cell."""
        if self._cell:
            self._row.append(_Cell(self._cell, False))
        rows = [*self._rows, self._row] if self._row else self._rows
        marked = self._marked
        self._cell, self._row, self._rows, self._marked = [], [], [], 0
        if not rows:
            return
        self._was_listed = False
        frames = any(not isinstance(block, str) for row in rows for cell in row for block in cell.blocks)
        if frames or max(map(len, rows)) < 2:
            for row in rows:
                for cell in row:
                    self._unframe(cell)
        else:
            bold = [all(cell.is_bold for cell in row) for row in rows]
            texts = [["\n".join(map(str, cell.blocks)) for cell in row] for row in rows]
            self.composition.table(texts, marked, is_bold=bold[0] and not all(bold))
        with self.composition.part():
            self._hang()

    def _unframe(self, cell: _Cell) -> None:
        inner: list[list[str]] = []
        for block in [*cell.blocks, ""]:
            if not isinstance(block, str):
                inner.append(block)
                continue
            self.composition.table(inner)
            inner = []
            with self.composition.part():
                self.composition.add(block)


def _codec(page: int) -> str | None:
    """The codec of a numbered code page, if there is one."""
    name = _NUMBERED_PAGES.get(page, f"cp{page}")
    try:
        return codecs.lookup(name).name
    except LookupError:
        return None
