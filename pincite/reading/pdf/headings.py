"""Which paragraphs are headings: what the outline says, else what type says."""

from collections import Counter
from collections.abc import Sequence

from pincite.reading.pdf.layout import Line
from pincite.reading.pdf.paragraphs import Paragraph
from pincite.reading.pdf.pdfium import Bookmark

_LARGER = 1.12
_LONGEST = 200
_LONGEST_BOLD = 120
_MOST_LINES = 3
_DEEPEST = 6


def named(bookmarks: Sequence[Bookmark], pages: Sequence[Sequence[Line]]) -> dict[int, int]:
    """The lines, by `id`, that an entry of the outline names on the page it leads to, with its level."""
    found: dict[int, int] = {}
    letters: dict[int, list[str]] = {}
    for bookmark in bookmarks:
        if bookmark.page >= len(pages) or not (wanted := _letters(bookmark.title)):
            continue
        lines = pages[bookmark.page]
        if bookmark.page not in letters:
            letters[bookmark.page] = [_letters(line.text) for line in lines]
        for place in _places(wanted, letters[bookmark.page]):
            chosen = lines[place[0] : place[1]]
            if not any(id(line) in found or line.table >= 0 for line in chosen):
                found.update((id(line), bookmark.level) for line in chosen)
                break
    return found


def _places(wanted: str, letters: Sequence[str]) -> list[tuple[int, int]]:
    """Where up to three lines that follow each other say exactly this."""
    found = []
    for start in range(len(letters)):
        said = ""
        for end in range(start, min(start + _MOST_LINES, len(letters))):
            said += letters[end]
            if said == wanted:
                found.append((start, end + 1))
            if not wanted.startswith(said):
                break
    return found


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def body_size(paragraphs: Sequence[Paragraph]) -> float:
    """The size that most characters are set in."""
    sizes: Counter[float] = Counter()
    for paragraph in paragraphs:
        for line in paragraph.lines:
            sizes[_rounded(line.size)] += len(line.text)
    return max(sizes, key=lambda size: (sizes[size], -size), default=0.0)


def mark_by_type(paragraphs: Sequence[Paragraph]) -> None:
    """Give levels by size, larger first, and below them to lines in bold of the body's size."""
    body = body_size(paragraphs)
    characters = sum(len(line.text) for paragraph in paragraphs for line in paragraph.lines)
    bold = sum(len(line.text) for paragraph in paragraphs for line in paragraph.lines if line.bold)
    large = [paragraph for paragraph in paragraphs if _is_short(paragraph) and _size(paragraph) >= _LARGER * body]
    sizes = sorted({_size(paragraph) for paragraph in large}, reverse=True)
    for paragraph in large:
        paragraph.level = min(1 + sizes.index(_size(paragraph)), _DEEPEST)
    if 2 * bold >= characters:
        return
    for paragraph, after in zip(paragraphs, paragraphs[1:], strict=False):
        if not paragraph.level and _is_bold_heading(paragraph, body) and not (after.is_row and after.lines[0].bold):
            paragraph.level = min(1 + len(sizes), _DEEPEST)


def _is_short(paragraph: Paragraph) -> bool:
    words = paragraph.words
    return (
        not paragraph.is_row
        and len(paragraph.lines) <= _MOST_LINES
        and len(words) <= _LONGEST
        and sum(map(str.isalpha, words)) >= 0.4 * len(words.replace(" ", ""))
        and not words.endswith((",", ";"))
    )


def _is_bold_heading(paragraph: Paragraph, body: float) -> bool:
    words = paragraph.words
    return (
        all(line.bold for line in paragraph.lines)
        and _is_short(paragraph)
        and len(words) <= _LONGEST_BOLD
        and _size(paragraph) >= 0.95 * body
        and not words.endswith((".", ":"))
    )


def _size(paragraph: Paragraph) -> float:
    return _rounded(paragraph.lines[0].size)


def _rounded(size: float) -> float:
    return round(size * 2) / 2


def title(described: str, paragraphs: Sequence[Paragraph]) -> str:
    """What the file calls itself, if its first page says so too; else the largest heading there, if any."""
    if not paragraphs:
        return ""
    first = [paragraph for paragraph in paragraphs if paragraph.page == paragraphs[0].page]
    wanted = _letters(described)
    if len(wanted) > 3 and wanted in _letters(" ".join(paragraph.words for paragraph in first)):
        return described
    body = body_size(paragraphs)
    large = [p for p in first if _is_short(p) and _size(p) >= _LARGER * body]
    return max(large, key=_size).words if large else ""
