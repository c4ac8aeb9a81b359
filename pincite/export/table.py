"""CSV (RFC 4180): one row a passage."""

import csv
import io
from collections.abc import Iterable, Sequence

from pincite.export.listed import Listed
from pincite.search import as_json
from pincite.types import Answer, Span

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes a spreadsheet compute a cell, or read it as the beginning of another."""


def of_answer(answer: Answer) -> str:
    """The hits of an answer, with the names of the columns on top."""
    columns = ("question", "rank", "score", "band", "title", "citation", "source", "page", "start", "end")
    rows = []
    for hit, told in zip(answer.hits, as_json(answer)["hits"], strict=True):
        told |= {"question": answer.question, "page": "–".join(str(page) for page in _pages(told["page"]))}
        also = "; ".join(f"{place.source}, characters {place.start}–{place.end}" for place in hit.also)
        rows.append([*(told[name] for name in columns), hit.passage.text, marked(hit.passage.text, hit.marks), also])
    return _csv([*columns, "text", "marked", "also"], rows)


def of_list(listed: Sequence[Listed]) -> str:
    """The entries of a reading list, with the names of the columns on top."""
    columns = ("question", "note", "title", "citation", "source", "start", "end")
    return _csv(
        [*columns, "text", "marked", "collected", "change", "sha256"],
        (
            [
                *(getattr(one.entry, name) for name in columns),
                one.entry.quote,
                marked(one.entry.quote, one.entry.marks),
                one.entry.at,
                one.change,
                one.entry.sha256,
            ]
            for one in listed
        ),
    )


def marked(text: str, marks: Sequence[Span]) -> str:
    """The marked sentences alone, a line each."""
    return "\n".join(text[start:end] for start, end in marks)


def _pages(page: int | list[int] | None) -> list[int]:
    return page if isinstance(page, list) else [] if page is None else [page]


def _csv(columns: Sequence[str], rows: Iterable[Sequence[str | float]]) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_defused(cell) for cell in row] for row in rows)
    return out.getvalue()


def _defused(cell: str | float) -> str | float:
    """An apostrophe in front of what a spreadsheet would take for a formula, as people type it there."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
