"""BibTeX: one `@misc` a document."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

from pincite.export.reference import Reference, one_line

_ESCAPED = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        # Braces are counted even where a backslash stands before them.
        "{": r"\textbraceleft{}",
        "}": r"\textbraceright{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "`": r"\textasciigrave{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': '{"}',
        **{character: f"\\{character}" for character in "$&#_%"},
    }
)
_LIGATURE = re.compile(r"([-',])(?=\1)")
"""What TeX would join into another character."""


def write(references: Sequence[Reference]) -> str:
    """In UTF-8, an empty line between entries."""
    keys: set[str] = set()
    return "\n".join(_entry(_key(reference.source, keys), reference) for reference in references)


def _entry(key: str, reference: Reference) -> str:
    fields = {
        "title": f"{{{_escaped(reference.title)}}}",  # a second pair of braces keeps its capitals
        "howpublished": _escaped(one_line(reference.source)),
        "note": _escaped(" ".join(reference.notes)),
    }
    return f"@misc{{{key},\n" + "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items()) + "}\n"


def _escaped(text: str) -> str:
    return _LIGATURE.sub(r"\1{}", text.translate(_ESCAPED))


def _key(source: str, taken: set[str]) -> str:
    """`ketamine-legality` for `ketamine/legality.md`; with a number where that is taken, which is then added."""
    plain = unicodedata.normalize("NFKD", str(PurePosixPath(source).with_suffix(""))).casefold()
    wanted = re.sub(r"[^a-z0-9]+", "-", plain.encode("ascii", "ignore").decode()).strip("-") or "document"
    key, number = wanted, 1
    while key in taken:
        number += 1
        key = f"{wanted}-{number}"
    taken.add(key)
    return key
