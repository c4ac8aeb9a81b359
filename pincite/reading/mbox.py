"""Mailboxes: `.mbox`. One message after the other, each a part."""

import re

from pincite.errors import Unreadable
from pincite.reading.content import Content
from pincite.reading.mail import Letters, parse
from pincite.types import Part

# A line of prose may begin with “From ” too, where a program forgot to escape it: no header follows there.
_ENVELOPE = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\n\r\n))From [^\n]*\n(?=>?[!-9;-~]+:)")
_ESCAPED = re.compile(rb"^>(?=>*From )", re.MULTILINE)


def read(data: bytes) -> Content:
    """Every message, in the order of the file. Raises `Unreadable` for what is no mailbox."""
    if not data:
        raise Unreadable("empty")
    envelopes = list(_ENVELOPE.finditer(data))
    if not envelopes or envelopes[0].start() != 0:
        raise Unreadable("not of this format")
    letters = Letters()
    parts: list[Part] = []
    ends = [*(envelope.start() for envelope in envelopes[1:]), len(data)]
    for number, (envelope, end) in enumerate(zip(envelopes, ends, strict=True), 1):
        try:
            message = parse(_ESCAPED.sub(b"", data[envelope.end() : end]))
        except Unreadable as error:
            letters.give_up(f"message {number}: {error}")
            continue
        start, stop = letters.write(message)
        parts.append(Part("message", number, start, stop))
    return letters.content(parts=[part for part in parts if part.start < part.end])
