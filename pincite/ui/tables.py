"""Tables as HTML, which a screen reader reads and a telephone scrolls."""

from collections.abc import Sequence
from html import escape


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Escaped cells; the first of each row is its name. A name may have a second line, after a line break."""
    columns = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{_named(name)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for name, *cells in rows
    )
    return (
        f'<div class="pincite-scroll" tabindex="0" role="group" aria-label="{escape(caption)}">'
        f'<table class="pincite-table"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _named(name: str) -> str:
    first, _, more = name.partition("\n")
    return escape(first) + (f'<div class="pincite-quiet">{escape(more)}</div>' if more else "")
