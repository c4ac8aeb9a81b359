"""Hop 6: hit → place, quote, marked sentence. The one place that writes a citation."""

from pathlib import PurePosixPath

from pincite.types import Passage, Span


def cite(passage: Passage) -> str:
    """`ketamine/legality.md › Off-label use › characters 1204–1571`, `report.pdf, p. 12` or
    `plan.pptx › Budget › slide 3`."""
    if passage.pages is not None:
        seen = " (recognised in an image)" if passage.is_recognised else ""
        return " › ".join([f"{passage.source}, {_pages(passage.pages, passage.labels)}{seen}", *_headings(passage)])
    place = ("characters", passage.start, passage.end)
    if passage.parts is not None:
        name, first, last = passage.parts
        place = (name if first == last else f"{name}s", first, last)
    return " › ".join([passage.source, *_headings(passage), _range(*place)])


def _pages(pages: Span, labels: tuple[str, str]) -> str:
    """`p. 12`, `pp. 12–13`, or as printed and then as counted: `p. iv (page 6)`."""
    name = "p." if pages[0] == pages[1] else "pp."
    if not any(labels):
        return _range(name, *pages)
    first, last = (label or str(number) for label, number in zip(labels, pages, strict=True))
    return f"{_range(name, first, last)} ({_range('page' if pages[0] == pages[1] else 'pages', *pages)})"


def _range(name: str, first: int | str, last: int | str) -> str:
    return f"{name} {first}" if first == last else f"{name} {first}–{last}"


def _headings(passage: Passage) -> tuple[str, ...]:
    """The path of headings without the document's own title, which the source stands for."""
    return passage.heading[1:] if passage.heading[:1] == (passage.title,) else passage.heading


def page(passage: Passage) -> int | list[int] | None:
    """The physical page as other programs are given it: a number, `[first, last]`, or None where there are none."""
    if passage.pages is None:
        return None
    first, last = passage.pages
    return first if first == last else [first, last]


def display_title(passage: Passage) -> str:
    """The title, or the file's name where the content has none."""
    return passage.title or PurePosixPath(passage.source).name


def mark(passage: Passage, sentence: int) -> tuple[Span, ...]:
    """Where to mark the passage's text, given the sentence most likely to answer."""
    return passage.sentences[sentence : sentence + 1]
