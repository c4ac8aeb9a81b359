"""Mail: `.eml`. The subject as heading, who wrote to whom and when, then the body."""

import re
from collections import Counter
from collections.abc import Sequence
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.policy import compat32

from pincite.errors import Unreadable
from pincite.reading import html
from pincite.reading.content import Content, Heading, decode, sections
from pincite.types import Coverage, Part, Table

_SHOWN = ("From", "To", "Cc", "Date")
_PROOF = ("from", "to", "subject", "date", "message-id", "received", "mime-version", "return-path")
"""What is a message has one of these."""
_FOLD = re.compile(r"\r?\n[ \t]+")
_ENCODED = re.compile(r"=\?[^?\s]+\?[bq]\?[^?]*\?=(?:\s+=\?[^?\s]+\?[bq]\?[^?]*\?=)*", re.IGNORECASE)
_LINE_END = re.compile(r"\r\n?")
_BLANK_LINES = re.compile(r"(?:[^\S\n]*\n)+")
_LONGEST_ENCODED = 50_000
"""Of a header. Longer ones are taken as they stand: decoding takes time by the square of the length."""
_SIGNATURES = ("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature")
_SEALED = ("application/pkcs7-mime", "application/x-pkcs7-mime")
_MOST_NAMED = 10
_LONGEST_STUB = 500
"""Bytes of a plain body that may say no more than that there is another."""
_SAYS_MORE = 4
"""Times as long is what it stands in for."""
_GAP = "\n\n"

_ATTACHMENTS = "attachments"
_PICTURES = "pictures in the text"
_NOT_TEXT = "bodies that are not text"
_ENCRYPTED = "encrypted bodies"
_BROKEN = "messages that cannot be read"


def read(data: bytes) -> Content:
    """One message, and those forwarded in it. Raises `Unreadable` for what is no message."""
    if not data:
        raise Unreadable("empty")
    message = parse(data)
    if not any(message.get(name) is not None for name in _PROOF):
        raise Unreadable("not of this format")
    letters = Letters()
    letters.write(message)
    return letters.content(title=header(message, "subject"))


def parse(data: bytes) -> Message:
    """Raises `Unreadable` for a message that nests too deep.

    By the older policy: the newer reads headers by a grammar that fails on many that are out there.
    """
    try:
        return message_from_bytes(data, policy=compat32)
    except RecursionError as error:
        raise Unreadable("damaged: parts nest too deep") from error


def header(message: Message, name: str) -> str:
    """The first header of this name, decoded, in one line; empty where there is none."""
    value = next((str(value) for key, value in message.raw_items() if key.lower() == name), "")
    line = _FOLD.sub(" ", _repaired(value)).strip()
    if len(line) <= _LONGEST_ENCODED:
        line = _ENCODED.sub(_unencoded, line)
    return " ".join(line.split())


def _unencoded(run: re.Match[str]) -> str:
    """What stands in encoded words that follow each other; as it stands, where it cannot be told."""
    try:
        words = decode_header(run[0])
    except (HeaderParseError, ValueError):
        return run[0]
    return "".join(
        _decoded(word, (charset or "").partition("*")[0])[0] if isinstance(word, bytes) else word
        for word, charset in words
    )


def _repaired(value: str) -> str:
    """Bytes above ASCII, which have no place in a header and are often there."""
    try:
        data = value.encode("ascii", "surrogateescape")
    except UnicodeEncodeError:
        return value
    return _decoded(data, None)[0] if not data.isascii() else value


def _decoded(data: bytes, charset: str | None) -> tuple[str, tuple[str, ...]]:
    """Text and remarks; what cannot be told is Windows-1252 with its gaps marked."""
    try:
        return decode(data, charset)
    except Unreadable:
        return data.decode("cp1252", "replace"), ()


class Letters:
    """Collects messages, one after the other."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._end = 0
        self._headings: list[Heading] = []
        self._tables: list[Table] = []
        self._left_out: Counter[str] = Counter()
        self._attachments: list[str] = []
        self._remarks: list[str] = []
        self._messages = 0
        self._bodies = 0

    def write(self, message: Message) -> tuple[int, int]:
        """Add a message and those forwarded in it; from where to where they reach."""
        start = self._next()
        pending: list[tuple[Message, int]] = [(message, 1)]
        while pending:
            letter, level = pending.pop()
            self._write_head(letter, level)
            pending.extend((forwarded, level + 1) for forwarded in reversed(self._write_body(letter, level)))
        return start, max(self._end, start)

    def give_up(self, reason: str) -> None:
        """Count a message that cannot be read."""
        self._messages += 1
        self._left_out[_BROKEN] += 1
        self._remarks.append(reason)

    def content(self, title: str = "", parts: Sequence[Part] = ()) -> Content:
        """Everything written. Raises `Unreadable` where all that there is was encrypted or broken."""
        if self._left_out[_ENCRYPTED] and not self._bodies:
            raise Unreadable("encrypted: save it decrypted")
        if self._left_out[_BROKEN] == self._messages:
            raise Unreadable(self._remarks[0])
        lost = self._left_out[_ENCRYPTED] + self._left_out[_BROKEN]
        remarks = list(dict.fromkeys(self._remarks))[:_MOST_NAMED]
        if self._attachments:
            named, more = self._attachments[:_MOST_NAMED], len(self._attachments) - _MOST_NAMED
            remarks.append(f"attachments left out: {', '.join(named)}{f' and {more} more' if more > 0 else ''}")
        return Content(
            _GAP.join(self._texts),
            title,
            sections(self._headings),
            parts=tuple(parts),
            tables=tuple(self._tables),
            coverage=Coverage(max(0.0, 1 - lost / self._messages), left_out=tuple((+self._left_out).items())),
            remarks=tuple(remarks),
        )

    def _next(self) -> int:
        """Where the next text will begin."""
        return self._end + (len(_GAP) if self._texts else 0)

    def _put(self, text: str) -> None:
        if text:
            self._end = self._next() + len(text)
            self._texts.append(text)

    def _write_head(self, message: Message, level: int) -> None:
        """A message without a subject still ends the reach of the one before."""
        self._messages += 1
        subject = header(message, "subject")
        self._headings.append(Heading(self._next(), level, subject))
        self._put(subject)
        lines = ((name, header(message, name.lower())) for name in _SHOWN)
        self._put("\n".join(f"{name}: {value}" for name, value in lines if value))

    def _write_body(self, message: Message, level: int) -> list[Message]:
        """The texts of a message in order; returns the messages forwarded in it."""
        forwarded: list[Message] = []
        pending: list[tuple[Message, bool]] = [(message, True)]
        while pending:
            part, is_shown = pending.pop()
            kind = part.get_content_type()
            inner = part.get_payload() if part.is_multipart() else None
            if kind == "multipart/encrypted" or kind in _SEALED:
                self._left_out[_ENCRYPTED] += 1
            elif kind == "message/rfc822" and isinstance(inner, list):
                forwarded += [letter for letter in inner if isinstance(letter, Message)]
            elif kind.startswith("multipart/") and isinstance(inner, list):
                parts = [child for child in inner if isinstance(child, Message)]
                best = _best(parts) if kind == "multipart/alternative" else None
                pending.extend((child, is_shown and best in (None, child)) for child in reversed(parts))
            elif kind in ("text/plain", "text/html") and part.get_content_disposition() != "attachment":
                if is_shown:
                    self._write_text(part, kind, level)
            elif kind.startswith("image/") and part.get("content-id"):
                self._left_out[_PICTURES] += 1
            elif kind not in _SIGNATURES and (is_shown or part.get_content_disposition() == "attachment"):
                self._left_out[_ATTACHMENTS] += 1
                self._attachments.append(_name(part) or kind)
        return forwarded

    def _write_text(self, part: Message, kind: str, level: int) -> None:
        data = _payload(part)
        charset = _charset(part)
        if not data.strip():
            return
        if b"\x00" in data and not (charset or "").startswith("utf"):
            self._left_out[_NOT_TEXT] += 1
            return
        self._bodies += 1
        if kind == "text/html":
            text, remarks = _decoded(data, charset or html.declared_charset(data))
            flow = html.flow(text, at=self._next())
            self._headings += [Heading(h.start, h.level + level, h.words) for h in flow.headings]
            self._tables += flow.tables
            self._left_out.update(flow.left_out)
            self._put(flow.text)
        else:
            text, remarks = _decoded(data, charset)
            text = _LINE_END.sub("\n", text).rstrip()
            text = text[blank.end() :] if (blank := _BLANK_LINES.match(text)) else text
            if text.startswith("-----BEGIN PGP MESSAGE-----"):
                self._left_out[_ENCRYPTED] += 1
                self._bodies -= 1
                return
            self._put(text)
        self._remarks += remarks


def _best(parts: Sequence[Message]) -> Message | None:
    """Of parts that say the same the plain one if it says anything, else the last that is text.

    A short plain one beside a much longer page says that the page is to be read.
    """
    plain = next((part for part in parts if part.get_content_type() == "text/plain" and _payload(part).strip()), None)
    texts = [part for part in parts if part.get_content_type() == "text/html" or part.is_multipart()]
    if plain is None or (texts and _is_stub(len(_payload(plain).strip()), texts[-1])):
        return texts[-1] if texts else None
    return plain


def _is_stub(length: int, other: Message) -> bool:
    """Whether a plain part of so many bytes stands in for the page among its alternatives."""
    if length > _LONGEST_STUB:
        return False
    pages = (part for part in other.walk() if part.get_content_type() == "text/html")
    page = next(pages, None)
    if page is None:
        return False
    data = _payload(page)
    text, _ = _decoded(data, _charset(page) or html.declared_charset(data))
    return len(html.flow(text).text) > _SAYS_MORE * length


def _payload(part: Message) -> bytes:
    """The bytes of a part, its transfer encoding undone; as they stand where it cannot be."""
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _charset(part: Message) -> str | None:
    charset = part.get_content_charset()
    return charset if isinstance(charset, str) else None


def _name(part: Message) -> str:
    """Of an attachment, as its sender called it."""
    name = part.get_filename()
    if not name:
        return ""
    encoded = Message()
    encoded["name"] = " ".join(name.split())
    return header(encoded, "name")
