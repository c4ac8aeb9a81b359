"""Zip files of unknown origin, and the XML in them: within limits, and nothing resolved or fetched."""

import io
import struct
import zipfile
import zlib

from lxml import etree

from pincite.errors import Unreadable

MEGABYTE = 2**20
MOST_GROWTH = 512 * MEGABYTE
"""How much larger than the file its members may be together. Pictures and films hardly shrink, so they may be large."""
MOST_RATIO = 200
"""How many times as large as the file its members may be; XML that repeats itself comes to a hundred."""
SMALL = 50 * MEGABYTE
"""Members that come to less together may have any ratio."""
MOST_MEMBERS = 20_000
MOST_XML = 100 * MEGABYTE
"""In one member: as a tree it takes some ten times as much."""

_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How files of old Office versions begin, and the wrappers of those with a password."""
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, ValueError)
"""What `zipfile` raises for damaged files."""
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""What documents are packed with. Others are refused: `zipfile` cannot unpack them piece by piece."""


class Archive:
    """The members of a zip file.

    What its directory declares is checked on opening, so a library that opens the bytes again meets nothing
    that declares itself too large; what a member really holds is checked when it is read here.
    """

    def __init__(self, data: bytes) -> None:
        """Raises `Unreadable` for what is no zip file, has a password, or unpacks to too much."""
        if not data:
            raise Unreadable("empty")
        if data.startswith(_COMPOUND):
            raise Unreadable(_compound(data))
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except _BROKEN as error:
            looks_right = data.startswith(b"PK")
            raise Unreadable("damaged: incomplete or overwritten" if looks_right else "not of this format") from error
        members = self._zip.infolist()
        if any(member.flag_bits & 1 for member in members):
            raise Unreadable("protected by a password: save a copy without one")
        if any(member.compress_type not in _PACKED for member in members):
            raise Unreadable("packed as no program packs documents: unpack it, pack it again with deflate")
        if len(members) > MOST_MEMBERS:
            raise Unreadable(f"packs {len(members):,} files, more than the {MOST_MEMBERS:,} that are read")
        size = sum(member.file_size for member in members)
        if size > len(data) + MOST_GROWTH or size > max(SMALL, len(data) * MOST_RATIO):
            raise Unreadable(f"unpacks to {size // MEGABYTE:,} MB, too much for its size")
        self.names = tuple(self._zip.namelist())
        """In the order of the file's directory."""

    def __contains__(self, name: str) -> bool:
        return name in self._zip.NameToInfo

    def read(self, name: str) -> bytes:
        """Raises `Unreadable` for a member that is missing, damaged, or larger than it declares."""
        try:
            member = self._zip.getinfo(name)
            with self._zip.open(member) as file:
                data = file.read(
                    member.file_size + 1
                )  # never all: zipfile would unpack first and look at the size then
        except KeyError as error:
            raise Unreadable(f"damaged: {name} is missing") from error
        except _BROKEN as error:
            raise Unreadable(f"damaged: {name} cannot be unpacked") from error
        if len(data) != member.file_size:
            raise Unreadable(f"damaged: {name} is shorter than it declares")
        return data

    def xml(self, name: str) -> etree._Element:
        """The root of a member that is XML. Raises `Unreadable` as `read` and `parse` do."""
        return parse(self.read(name), name)


def parse(data: bytes, name: str) -> etree._Element:
    """The root of an XML document, without comments and processing instructions.

    Raises `Unreadable`, naming the document by `name`, if it is too large, not well-formed, or declares
    entities: no program that writes documents does that.
    """
    if len(data) > MOST_XML:
        raise Unreadable(f"{name} has {len(data) // MEGABYTE:,} MB, more than the {MOST_XML // MEGABYTE} that are read")
    parser = etree.XMLParser(
        resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Unreadable(f"damaged: {name} is not well-formed XML") from error
    declared = root.getroottree().docinfo.internalDTD
    if declared is not None and any(True for _ in declared.iterentities()):
        raise Unreadable(f"{name} declares entities, as no document needs to")
    return root


def _compound(data: bytes) -> str:
    if "EncryptedPackage".encode("utf-16-le") in data:
        return "protected by a password: save a copy without one"
    return "a file of an old Office version under a new ending: save it in the format of its ending"
