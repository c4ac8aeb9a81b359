"""Hop 2: documents → passages at exact offsets.

A document is cut by its structure: passages never cross a heading with text of its own, prefer to
end with a paragraph, and hold whole sentences. A sentence longer than the budget is cut where
there is white space, and a run without any is cut anyway, so that nothing is left out.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from sentencex import segment

from pincite.types import Document, Page, Part, Passage, Section, Span, Table

TokenCounter = Callable[[Sequence[str]], list[int]]
"""Texts → how many tokens the model makes of each, special tokens not included."""

SPECIAL_TOKENS = 2
"""Room kept for what the model puts before and after a text."""

COLUMN = " | "
"""What stands between the columns of a header."""

SHORTEST_PIECE = 16
"""A context line may not squeeze a passage below this many tokens."""

# Tried only where white space begins, and without going back: a long stretch of it would take
# quadratic time.
_BLANK_LINES = re.compile(r"(?<!\s)(?:[^\S\r\n]*+(?:\r\n?+|\n)){2,}+\s*")
_NEWLINE = re.compile(r"\r\n?|\n")
_UNDERLINE = re.compile(r"(?:\r\n?|\n) {0,3}(?:=+|-+)[^\S\r\n]*(?=[\r\n]|\Z)")
_WHITE_SPACE = re.compile(r"\s")
_WRAPPED_LINE = 100
"""Lines longer than this are paragraphs that were never wrapped."""
_SURELY_HALVED_AGAIN = 8
"""What has so many times the tokens that there is room for is halved, and its halves too, without counting those."""
_LONGEST_SEGMENT = 20_000
"""Characters handed to the sentence splitter at once."""


@dataclass(frozen=True, slots=True)
class _Sentence:
    start: int
    end: int
    tokens: int
    opens_paragraph: bool
    breaks_run: bool
    """Cut out of a run without white space: rejoined with what is before it, it would be one again."""
    is_heading: bool
    columns: str = ""
    """The header above it, if it is a row of a table."""
    columns_tokens: int = 0
    """What that header takes of a passage that begins here."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is not cut if it fits: a sentence, a heading, a row of a table."""

    span: Span
    opens_paragraph: bool
    is_heading: bool = False
    table: Table | None = None


def cut(document: Document, count_tokens: TokenCounter, budget: int) -> list[Passage]:
    """Cut a document into passages of at most `budget` tokens, context line included.

    Together the passages hold every character of `document.text` that is not white space, in
    order and without overlap.
    """
    passages: list[Passage] = []
    counted = Counted(document)
    for start, end, heading, heading_lines in _reaches(document):
        template = Passage(document.source, start, end, "", document.title, heading)
        overhead = count_tokens([template.context])[0] + SPECIAL_TOKENS
        room = max(budget - overhead, SHORTEST_PIECE)
        sentences = _sentences(document, start, end, heading_lines, count_tokens, room)
        for group in _pack(sentences, room):
            passages.append(counted.place(_passage(document, heading, group)))
    return passages


def _reaches(document: Document) -> Iterator[tuple[int, int, tuple[str, ...], list[Span]]]:
    """Start, end, heading and the lines that are headings, of each stretch to cut.

    A heading directly followed by another has nothing of its own to say: it goes with the next.
    """
    text = document.text
    sections = document.sections or (Section(0, ()),)
    ends = [*(section.start for section in sections[1:]), len(text)]
    start = 0
    lines: list[Span] = []
    for section, end in zip(sections, ends, strict=True):
        text_start = section.start
        if section.heading:
            text_start = _heading_end(text, section.start, end, section.heading[-1])
            lines.append((section.start, text_start))
        is_bare = not text[text_start:end].strip()
        if is_bare and end < len(text):
            continue
        yield start, end, section.heading, lines
        start, lines = end, []


def _heading_end(text: str, start: int, end: int, words: str) -> int:
    """Where the heading that begins at `start` ends: its line, its further lines, its underline.

    At `start` where its words do not stand there: a table of contents may call a chapter what it does
    not call itself.
    """
    newline = _NEWLINE.search(text, start, end)
    heading_end = newline.start() if newline else end
    wanted, said = _letters(words), _letters(text[start:heading_end])
    if not (wanted in said or wanted.startswith(said)):
        return start
    while newline and said and said != wanted and wanted.startswith(said):
        line_start = newline.end()
        newline = _NEWLINE.search(text, line_start, end)
        line_end = newline.start() if newline else end
        said += _letters(text[line_start:line_end])
        if said == wanted:
            heading_end = line_end
    underline = _UNDERLINE.match(text, heading_end, end)
    return underline.end() if underline else heading_end


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


def _paragraphs(text: str, start: int, end: int) -> Iterator[Span]:
    """Stretches between blank lines; within them, lines that were clearly never wrapped."""
    for block_start, block_end in _split(_BLANK_LINES, text, start, end):
        lines = list(_split(_NEWLINE, text, block_start, block_end))
        if len(lines) > 1 and max(e - s for s, e in lines) > _WRAPPED_LINE:
            yield from lines
        else:
            yield block_start, block_end


def _split(separator: re.Pattern[str], text: str, start: int, end: int) -> Iterator[Span]:
    position = start
    for match in separator.finditer(text, start, end):
        if match.start() > position:
            yield position, match.start()
        position = match.end()
    if position < end:
        yield position, end


def _sentences(
    document: Document, start: int, end: int, headings: list[Span], count_tokens: TokenCounter, room: int
) -> list[_Sentence]:
    """The units of a stretch with their token counts; none has more than `room`."""
    text = document.text
    units = list(_units(document, start, end, headings))
    counts = count_tokens([text[unit.span[0] : unit.span[1]] for unit in units])
    tables = {unit.table.start: unit.table for unit in units if unit.table}
    columns = {start: _fitting(table.header, count_tokens, room // 2) for start, table in tables.items()}
    sentences: list[_Sentence] = []
    above = 0  # tokens of the headings that the next sentence must not be separated from
    table_before: Table | None = None
    for unit, tokens in zip(units, counts, strict=True):
        header, header_tokens = columns[unit.table.start] if unit.table else ("", 0)
        fits = room if unit.is_heading else max(room - above - header_tokens, SHORTEST_PIECE)
        for index, ((s, e), n) in enumerate(_pieces(text, unit.span, tokens, count_tokens, fits)):
            is_cut = index > 0 or (s > start and unit.table is not table_before)
            breaks_run = is_cut and not text[s - 1].isspace()
            opens = unit.opens_paragraph and index == 0
            sentences.append(_Sentence(s, e, n, opens, breaks_run, unit.is_heading, header, header_tokens))
        above = above + tokens if unit.is_heading else 0
        table_before = unit.table
    return sentences


def _fitting(header: str, count_tokens: TokenCounter, room: int) -> tuple[str, int]:
    """As many columns of a header as fit, and their tokens."""
    columns = header.split(COLUMN)

    def tokens(count: int) -> int:
        return count_tokens([COLUMN.join(columns[:count])])[0]

    count = bisect_right(range(1, len(columns) + 1), room, key=tokens)
    return COLUMN.join(columns[:count]), tokens(count)


def _units(document: Document, start: int, end: int, headings: list[Span]) -> Iterator[_Unit]:
    for first, last in headings:
        yield from _text_units(document, start, first)
        heading = _strip(document.text, first, last)
        if heading[0] < heading[1]:
            yield _Unit(heading, opens_paragraph=True, is_heading=True)
        start = last
    yield from _text_units(document, start, end)


def _text_units(document: Document, start: int, end: int) -> Iterator[_Unit]:
    """Sentences outside of tables, and in them rows."""
    first = bisect_right(document.tables, start, key=lambda table: table.end)
    last = bisect_left(document.tables, end, key=lambda table: table.start)
    for table in document.tables[first:last]:
        yield from _sentence_units(document.text, start, max(table.start, start))
        start, below = max(table.start, start), min(table.end, end)
        for row in _split(_NEWLINE, document.text, start, below):
            span = _strip(document.text, *row)
            if span[0] < span[1]:
                yield _Unit(span, opens_paragraph=True, table=table)
        start = below
    yield from _sentence_units(document.text, start, end)


def _sentence_units(text: str, start: int, end: int) -> Iterator[_Unit]:
    for paragraph in _paragraphs(text, start, end):
        opens = True
        for span in _sentence_spans(text, *paragraph):
            yield _Unit(span, opens)
            opens = False


def _sentence_spans(text: str, start: int, end: int) -> Iterator[Span]:
    """Sentences of one paragraph, without the white space around them."""
    position = start
    while position < end:
        stop = min(position + _LONGEST_SEGMENT, end)
        block = text[position:stop]
        parts = segment("en", block)
        if "".join(parts) != block:  # the splitter repeated or lost something: take the block whole
            parts = [block]
        if stop < end and len(parts) > 1:
            parts.pop()  # it may go on past the block: it comes again with what follows
        elif stop < end:
            space = _WHITE_SPACE.search(text, stop, end)
            parts = [text[position : space.start() if space else end]]
        for part in parts:
            span = _strip(text, position, position + len(part))
            position += len(part)
            if span[0] < span[1]:
                yield span


def _strip(text: str, start: int, end: int) -> Span:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), start + len(part.rstrip())


def _pieces(text: str, span: Span, tokens: int, count_tokens: TokenCounter, room: int) -> Iterator[tuple[Span, int]]:
    """A sentence as it is, or halved, near its middle, until every piece fits."""
    pending = [(span, tokens)]
    while pending:
        (start, end), tokens = pending.pop()
        if tokens <= room or end - start <= 1:
            yield (start, end), tokens
            continue
        middle = _break_near_middle(text, start, end)
        halves = [half for half in (_strip(text, start, middle), _strip(text, middle, end)) if half[0] < half[1]]
        # Halves of so many are halved again, however many each has: to count them every time would take longest.
        is_long = tokens > _SURELY_HALVED_AGAIN * room
        counts = [tokens // 2] * len(halves) if is_long else count_tokens([text[s:e] for s, e in halves])
        pending.extend(reversed(list(zip(halves, counts, strict=True))))


def _break_near_middle(text: str, start: int, end: int) -> int:
    """Where to cut: the white space nearest to the middle, else the middle itself."""
    middle = (start + end) // 2
    reach = (end - start) // 4
    for distance in range(reach):
        for position in (middle + distance, middle - distance):
            if start < position < end and text[position].isspace():
                return position
    apart = (place for place in range(middle, middle + reach) if not _cling(text[place - 1], text[place]))
    return next(apart, middle)


def _cling(before: str, after: str) -> bool:
    """Whether two characters are one sign: combining marks, joiners, selectors, skin tones."""
    return (
        unicodedata.category(after).startswith("M")
        or "\u200d" in (before, after)
        or "\U0001f3fb" <= after <= "\U0001f3ff"
    )


def _pack(sentences: list[_Sentence], room: int) -> Iterator[list[_Sentence]]:
    """Sentences in groups of at most `room` tokens."""
    groups: list[list[_Sentence]] = []
    group: list[_Sentence] = []
    for sentence in sentences:
        if group and sentence.breaks_run:
            groups.append(group)
            group = []
        elif group and _tokens(group) + sentence.tokens > room - group[0].columns_tokens:
            kept = _cut_at_paragraph(group, sentence, room)
            groups.append(group[:kept])
            group = group[kept:]
        group.append(sentence)
    if group:
        groups.append(group)
    is_crumb = len(groups) > 1 and _tokens(groups[-1]) < room // 4 and not groups[-1][0].breaks_run
    if is_crumb and not groups[-2][-1].is_heading:
        groups[-2:] = _even(groups[-2] + groups[-1], room)
    yield from groups


def _cut_at_paragraph(group: list[_Sentence], following: _Sentence, room: int) -> int:
    """How many sentences of a full group to keep: up to its last paragraph, if that is half of it."""
    if following.opens_paragraph:
        return len(group)
    for kept in range(len(group) - 1, 0, -1):
        if group[kept].opens_paragraph and not group[kept - 1].is_heading:
            fits = _tokens(group[kept:]) + following.tokens <= room - group[kept].columns_tokens
            return kept if fits and _tokens(group[:kept]) * 2 >= room else len(group)
    return len(group)


def _even(sentences: list[_Sentence], room: int) -> list[list[_Sentence]]:
    """Two groups, as even as sentences allow, rather than a full one and a crumb."""

    def fits(kept: int) -> bool:
        return _tokens(sentences[kept:]) <= room - sentences[kept].columns_tokens

    def unevenness(kept: int) -> int:
        return abs(_tokens(sentences[:kept]) - _tokens(sentences[kept:]))

    places = (kept for kept in range(1, len(sentences)) if fits(kept) and not sentences[kept - 1].is_heading)
    kept = min(places, key=unevenness)
    return [sentences[:kept], sentences[kept:]]


def _tokens(sentences: list[_Sentence]) -> int:
    return sum(sentence.tokens for sentence in sentences)


class Counted:
    """What a person counts a document by: its pages, or its parts."""

    def __init__(self, document: Document) -> None:
        self._pages, self._page_ends = document.pages, [page.end for page in document.pages]
        self._parts, self._part_ends = document.parts, [part.end for part in document.parts]

    def pages(self, start: int, end: int) -> Sequence[Page]:
        """Those that share a character with a stretch."""
        last = bisect_left(self._pages, end, key=lambda page: page.start)
        return self._pages[bisect_right(self._page_ends, start) : last]

    def parts(self, start: int, end: int) -> Sequence[Part]:
        """The same."""
        last = bisect_left(self._parts, end, key=lambda part: part.start)
        return self._parts[bisect_right(self._part_ends, start) : last]

    def place(self, passage: Passage) -> Passage:
        """The passage with the pages and parts on which it stands."""
        pages, parts = self.pages(passage.start, passage.end), self.parts(passage.start, passage.end)
        return replace(
            passage,
            pages=(pages[0].number, pages[-1].number) if pages else None,
            labels=(pages[0].label, pages[-1].label) if pages else ("", ""),
            is_recognised=any(page.is_recognised for page in pages),
            parts=(parts[0].name, parts[0].number, parts[-1].number) if parts else None,
        )


def stretch(document: Document, start: int, end: int) -> Passage:
    """Any stretch of a document with its place: the heading over its last word, as `cut` has it, and its pages or
    parts. Its sentences are not told apart."""
    last = max(end - 1, start)
    over = bisect_right(document.sections, last, key=lambda section: section.start)
    heading = document.sections[over - 1].heading if over else ()
    return Counted(document).place(
        Passage(document.source, start, end, document.text[start:end], document.title, heading)
    )


def _passage(document: Document, heading: tuple[str, ...], group: list[_Sentence]) -> Passage:
    start, end = group[0].start, group[-1].end
    quotable = [sentence for sentence in group if not sentence.is_heading] or group
    return Passage(
        source=document.source,
        start=start,
        end=end,
        text=document.text[start:end],
        title=document.title,
        heading=heading,
        sentences=tuple((sentence.start - start, sentence.end - start) for sentence in quotable),
        columns=group[0].columns,
    )
