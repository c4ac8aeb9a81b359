"""RIS: one record a document, as reference managers read it."""

from collections.abc import Iterable
from urllib.parse import quote

from pincite.export.reference import Reference, one_line

_TYPES = {
    "text/html": "ELEC",
    "application/epub+zip": "EBOOK",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "SLIDE",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "DATA",
    "application/vnd.ms-excel": "DATA",
    "application/vnd.oasis.opendocument.spreadsheet": "DATA",
    "text/csv": "DATA",
    "text/tab-separated-values": "DATA",
    "message/rfc822": "PCOMM",
    "application/mbox": "PCOMM",
}
"""Media type → type of reference; others are of no particular type."""


def write(references: Iterable[Reference]) -> str:
    """Each line ends with CR LF, each record with `ER` and an empty line."""
    return "".join(_record(reference) for reference in references)


def _record(reference: Reference) -> str:
    fields = [
        ("TY", _TYPES.get(reference.media_type, "GEN")),
        ("TI", reference.title),
        ("UR", quote(reference.source)),
        ("L1", one_line(reference.source)),
        *(("N1", note) for note in reference.notes),
        ("ER", ""),
    ]
    return "".join(f"{tag}  - {value}\r\n" for tag, value in fields) + "\r\n"
