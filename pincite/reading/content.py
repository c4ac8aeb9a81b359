"""What a reader gives back, and how bytes become text."""

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pincite.errors import Unreadable
from pincite.types import Coverage, Page, Part, Section, Table

_MARKS = (
    (codecs.BOM_UTF8, "utf-8", ""),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")

_WHOLE = Coverage()


@dataclass(frozen=True, slots=True)
class Content:
    """A document without what only the file system knows."""

    text: str
    title: str = ""
    sections: tuple[Section, ...] = ()
    pages: tuple[Page, ...] = ()
    parts: tuple[Part, ...] = ()
    tables: tuple[Table, ...] = ()
    coverage: Coverage = _WHOLE
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading as it stands in the text. `level` is 1 for the outermost."""

    start: int
    level: int
    words: str


def sections(headings: Sequence[Heading]) -> tuple[Section, ...]:
    """The reach of each heading, with the path of headings it stands under."""
    found = [Section(0, ())]
    path: list[Heading] = []
    for heading in headings:
        path = [above for above in path if above.level < heading.level] + [heading]
        reach = Section(heading.start, tuple(above.words for above in path if above.words))
        if heading.start == 0:
            found.pop()
        found.append(reach)
    return tuple(found)


def decode(data: bytes, declared: str | None = None) -> tuple[str, tuple[str, ...]]:
    """Text and remarks. A byte-order mark wins, then UTF-8, a few bytes of it damaged or not, then `declared`, then a
    guess.

    Raises `Unreadable` for bytes that are not text in any encoding that fits.
    """
    if not data:
        raise Unreadable("empty")
    text, encoding = _decoded(data, declared)
    controls = len(_CONTROLS.findall(text))
    if controls > max(2, len(text) // 200) or "\x00" in text[:1000]:
        raise Unreadable("not text")
    return text, (f"decoded from {encoding}",) if encoding else ()


def _decoded(data: bytes, declared: str | None) -> tuple[str, str]:
    """Text, and the encoding's name where it is not UTF-8."""
    for mark, codec, name in _MARKS:
        if data.startswith(mark):
            try:
                return data[len(mark) :].decode(codec), name
            except UnicodeDecodeError as error:
                raise Unreadable(f"not valid {name or 'UTF-8'} (byte {error.start})") from error
    if b"\x00" in data[:1000]:
        return _wide(data)
    if declared and b"\x1b" in data and (text := _as_declared(data, declared)):
        return text  # ISO-2022 switches between alphabets with escapes, so it is valid UTF-8 as well
    try:
        return data.decode("utf-8"), ""
    except UnicodeDecodeError:
        pass
    if text := _damaged(data, declared):
        return text
    if declared and (text := _as_declared(data, declared)):
        return text
    return _guessed(data)


def _damaged(data: bytes, declared: str | None) -> tuple[str, str] | None:
    """UTF-8 in which some bytes are wrong: two characters beyond ASCII are right for each of them, or one is where it
    calls itself that. In other encodings the bytes of a few characters are right by chance."""
    text = data.decode("utf-8", "replace")
    wrong = text.count("\ufffd") - data.count(b"\xef\xbf\xbd")
    right = len(text) - len(text.encode("ascii", "ignore")) - wrong
    if right < (1 if _is_utf8(declared) else 2) * wrong:
        return None
    return text, f"UTF-8 with {wrong:,} damaged {'character' if wrong == 1 else 'characters'}"


def _is_utf8(name: str | None) -> bool:
    try:
        return name is not None and codecs.lookup(name).name == "utf-8"
    except (LookupError, ValueError):
        return False


def _as_declared(data: bytes, declared: str) -> tuple[str, str] | None:
    """Text, if the file can be in the encoding it names.

    The name was read as ASCII, so an encoding that has ASCII elsewhere, or that is no encoding of
    characters, cannot be the right one. What calls itself Latin-1 is Windows-1252, as browsers know.
    """
    try:
        name = codecs.lookup(declared).name
        if _ASCII.encode("ascii").decode(name) != _ASCII:
            return None
        if name in ("iso8859-1", "ascii"):
            return data.decode("cp1252"), "Windows-1252"
        return data.decode(name), declared
    except (LookupError, ValueError):  # the latter of a name that holds a null character, too
        return None


def _wide(data: bytes) -> tuple[str, str]:
    """UTF-16 without its mark: in Latin text every other byte is zero."""
    sample = data[:2000]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    codec = "utf-16-le" if odd > even else "utf-16-be"
    if max(even, odd) < len(sample) // 5 or min(even, odd) > len(sample) // 50:
        raise Unreadable("not text")
    try:
        return data.decode(codec), "UTF-16"
    except UnicodeDecodeError as error:
        raise Unreadable("not text") from error


def _guessed(data: bytes) -> tuple[str, str]:
    from charset_normalizer import from_bytes  # a third of what a reading process takes to start

    # Nearly any bytes can be Thai, so it is thought of last.
    best = from_bytes(data, cp_isolation=_LEGACY).best() or from_bytes(data, cp_isolation=["cp874"]).best()
    if best is None:
        raise Unreadable("not text in an encoding that can be told")
    alike = {best.encoding, *best.could_be_from_charset}
    encoding = best.encoding
    if "cp1252" in alike or (encoding in _LATIN and best.language not in _EASTERN):
        # The Latin single-byte pages differ in a handful of signs; among them Windows-1252 is by
        # far the most common on real disks, so another needs a language that it cannot write.
        encoding = "cp1252"
    if encoding in _ALPHABETS:
        fitting = [codec for codec in _ALPHABETS if _is_written_in(codec, data)]
        encoding = encoding if encoding in fitting or not fitting else fitting[0]
    try:
        return data.decode(encoding), "Windows-1252" if encoding == "cp1252" else encoding
    except UnicodeDecodeError:
        return str(best), best.encoding


def _is_written_in(codec: str, data: bytes) -> bool:
    """Whether, read so, the letters beyond ASCII are those of one language."""
    try:
        signs = set(data.decode(codec).lower())
    except UnicodeDecodeError:
        return False
    letters = {sign for sign in signs if sign > "\x7f" and sign.isalpha()} - set("µªº")
    return any(letters <= set(alphabet) for alphabet in _ALPHABETS[codec].split())


_ASCII = r'<meta charset="AZaz09+AGE-\u0041">'
_ALPHABETS = {
    "cp1252": "äöüßé àâæçéèêëîïôœùûüÿ áéíñóúü àáâãçéêíóôõúü àèéìíîòóù åäöšžé æøåéóòô áðéíóúýþæö áèéêëïíóöüç àçèéíïòóúü",
    "cp1250": "ąćęłńóśźż áčďéěíňóřšťúůýž áäčďéíĺľňóôŕšťúýž áéíóöőúüű ăâîșțşţ čćđšž čšž",
    "cp1254": "çğıöşüâîû",
    "cp1257": "ąčęėįšųūž āčēģīķļņšūžōŗ äõöüšž",
}
"""Of the languages that a Latin page is used for: what fits none of its own, and one of another's, is in that."""
_LATIN = ("cp1250", "cp1254", "cp1257")
_EASTERN = (
    "Croatian Czech Estonian Hungarian Latvian Lithuanian Polish Romanian Serbian Slovak Slovene Turkish".split()  # noqa: SIM905
)
_LEGACY = [
    "cp1252", *_LATIN, "cp1251", "koi8_r", "cp1253", "cp1255", "cp1256", "cp932", "euc_jp", "gb18030", "big5", "cp949",
]  # fmt: skip
"""What files that are not Unicode are written in: the fewer to choose from, the better the guess."""
