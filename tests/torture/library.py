"""A corpus folder that changes by chance: several formats, odd names, and one word of its own in each document."""

import contextlib
import io
import os
import random
import shutil
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

from pincite import reading
from pincite.errors import Unreadable
from pincite.types import Document

_WORDS = (
    "heron", "frog", "pond", "lake", "tree", "winter", "light", "ferry", "harbour", "signal", "copper", "ledger",
    "annual", "meadow", "granite", "vessel", "orbit", "enzyme", "valley", "archive", "lantern", "saddle", "mirror",
    "thunder", "pepper", "canvas", "glacier", "anchor",
)  # fmt: skip
_VERBS = ("hunts", "guards", "measures", "carries", "remembers", "crosses", "paints", "repairs")
_FOLDERS = ("", "", "", "notes/", "Ordner ü/tief/", "a b/", "100%/")
_STEMS = (
    "plain", "späße", "日本 語", "two  spaces", "it's \"quoted\"", "-dash", "100% sure", "new\nline", "semi;colon",
    "emoji 🦉", "ca\u0301fe", "x" * 180, "a.b.c", "UPPER", "tab\there",
)  # fmt: skip
_MOST = 16
_FEWEST = 5


@dataclass(frozen=True)
class Held:
    """What a file holds, read by nobody but the reader."""

    sha256: str
    document: Document


class Library:
    """The folder, and what happens to it. All chance comes from `rng`."""

    def __init__(self, root: Path, rng: random.Random) -> None:
        self.root = root
        self.rng = rng
        self._made = 0
        self._known: dict[tuple[bytes, str, str], Document | None] = {}
        root.mkdir()
        for _ in range(rng.randint(_FEWEST, _MOST - 4)):
            self.add()
        if rng.random() < 0.3:
            self._add_what_is_left_alone()

    # What it holds

    def held(self) -> dict[str, Held]:
        """Source → what the file holds, for every file that an index must hold."""
        found = {}
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                path = Path(folder, name)
                if not name.startswith(".") and (document := self._read(path)):
                    source = path.relative_to(self.root).as_posix()
                    found[source] = Held(document.sha256, document)
        return found

    def _read(self, path: Path) -> Document | None:
        source = path.relative_to(self.root).as_posix()
        info = path.lstat()
        try:
            source.encode()
        except UnicodeEncodeError:
            return None
        if not stat.S_ISREG(info.st_mode) or not info.st_size:
            return None
        key = (path.read_bytes(), source, "")
        if key not in self._known:
            try:
                self._known[key] = reading.read(path, source)
            except Unreadable:
                self._known[key] = None
        return self._known[key]

    def files(self) -> list[Path]:
        """Those that can be changed, in order."""
        return sorted(path for path in self.root.rglob("*") if path.is_file() and not path.is_symlink())

    # What happens to it

    def change(self, count: int | None = None) -> None:
        """A few things happen, one after the other."""
        happenings: list[Callable[[], None]] = [
            self.add, self.add, self.edit, self.edit, self.edit, self.touch, self.remove, self.move, self.copy,
            self.become_folder, self.become_link, self.spoil,
        ]  # fmt: skip
        for _ in range(count or self.rng.randint(1, 6)):
            self.rng.choice(happenings)()

    def add(self) -> None:
        if len(self.files()) < _MOST:
            ending = self.rng.choice(list(_WRITERS))
            path = self.root / self.rng.choice(_FOLDERS) / f"{self.rng.choice(_STEMS)} {self._made}{ending}"
            self._write(path)

    def edit(self) -> None:
        for path in self._some():
            if path.suffix.lower() in _WRITERS:
                self._write(path)

    def rewrite(self, path: Path) -> None:
        """A file gets other content in one step, as editors do it."""
        if path.suffix.lower() in _WRITERS:
            aside = self.root.parent / f"aside{path.suffix}"
            self._write(aside)
            aside.replace(path)

    def touch(self) -> None:
        """Another time of change, with the same content: long ago, now, or years ahead."""
        for path in self._some():
            shift = self.rng.choice((-4e8, -1e4, 0.0, 1e4, 4e8))
            moment = time.time_ns() + round(shift * 1e9) + self.rng.randrange(10**9)
            os.utime(path, ns=(moment, moment))

    def remove(self) -> None:
        for path in self._some():
            if len(self.held()) > _FEWEST:
                path.unlink()

    def move(self) -> None:
        for path in self._some():
            target = self.root / self.rng.choice(_FOLDERS) / f"moved {self._made}{path.suffix}"
            self._made += 1
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)

    def copy(self) -> None:
        for path in self._some():
            if len(self.files()) < _MOST:
                shutil.copy(path, path.with_name(f"copy {self._made}{path.suffix}"))
                self._made += 1

    def become_folder(self) -> None:
        """A file is replaced by a folder of its name, with the file in it."""
        for path in self._some():
            away = self.root / f"away {self._made}"
            self._made += 1
            path.rename(away)
            path.mkdir()
            away.rename(path / f"inside{path.suffix}")

    def become_link(self) -> None:
        """A file is replaced by a symbolic link to another one."""
        for path in self._some():
            if len(self.held()) > _FEWEST:
                other = self.rng.choice(self.files())
                path.unlink()
                path.symlink_to(other if other != path else self.root)

    def spoil(self) -> None:
        """A file turns into what nothing can read, or into nothing."""
        for path in self._some():
            if len(self.held()) > _FEWEST:
                path.write_bytes(self.rng.choice((b"", b"\0\1\2" * 50, b" \n\t ")))

    def stamp(self, word: str) -> None:
        """Every document is written anew, with this word in each of its passages."""
        for path in self.root.rglob("*"):
            if path.is_file() or path.is_symlink():
                path.unlink()
        for number in range(8):
            body = "\n\n".join(f"## Part {part}\n\n{self._sentence(word)} {self._sentence(word)}" for part in range(3))
            (self.root / f"stamped {number}.md").write_text(f"# Report {number} of {word}\n\n{body}\n")

    def _some(self) -> list[Path]:
        files = self.files()
        return [self.rng.choice(files)] if files else []

    def _write(self, path: Path) -> None:
        self._made += 1
        path.parent.mkdir(parents=True, exist_ok=True)
        own = f"wug{self._made:04}"
        title = f"{self.rng.choice(_WORDS).title()} {self._made}"
        paragraphs = [
            " ".join(self._sentence(own if number == 0 else self.rng.choice(_WORDS)) for number in range(3))
            for _ in range(self.rng.randint(1, 6))
        ]
        path.write_bytes(_WRITERS[path.suffix.lower()](title, paragraphs, self.rng))

    def _sentence(self, word: str) -> str:
        first, second, third = self.rng.sample(_WORDS, 3)
        return f"The {first} of {word} {self.rng.choice(_VERBS)} the {second} near the {third}."

    def _add_what_is_left_alone(self) -> None:
        (self.root / ".hidden.md").write_text("# Hidden\n\nNobody may find this.\n")
        (self.root / "picture.bin").write_bytes(b"\0\1\2")
        (self.root / "empty.txt").touch()
        with contextlib.suppress(OSError):  # a file system may refuse such a name
            (Path(os.fsdecode(os.fsencode(self.root) + b"/\xff.md"))).write_text("# No name\n\nText.\n")
        os.mkfifo(self.root / "pipe.md")


# The formats


def _markdown(title: str, paragraphs: list[str], rng: random.Random) -> bytes:
    end = rng.choice(("\n", "\r\n"))
    bom = rng.choice((b"", b"\xef\xbb\xbf"))
    parts = [f"# {title}", *(f"## Part {number}\n\n{text}" for number, text in enumerate(paragraphs))]
    return bom + ("\n\n".join(parts) + "\n").replace("\n", end).encode()


def _plain(title: str, paragraphs: list[str], rng: random.Random) -> bytes:
    text = "\n\n".join((title, *paragraphs, "Grüße, naïve café."))
    return text.encode(rng.choice(("utf-8", "utf-8", "utf-16", "latin-1")))


def _html(title: str, paragraphs: list[str], _rng: random.Random) -> bytes:
    body = "".join(f"<h2>Part {number}</h2><p>{text}</p>" for number, text in enumerate(paragraphs))
    return f"<html><head><title>{title}</title></head><body><nav>Menu</nav><h1>{title}</h1>{body}</body>".encode()


def _table(title: str, paragraphs: list[str], _rng: random.Random) -> bytes:
    return "\n".join([f"name,{title}", *(f"row {number},{text}" for number, text in enumerate(paragraphs))]).encode()


def _mail(title: str, paragraphs: list[str], _rng: random.Random) -> bytes:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = title, "ann@example.org", "ben@example.org"
    message.set_content("\n\n".join(paragraphs))
    return message.as_bytes()


def _word(title: str, paragraphs: list[str], _rng: random.Random) -> bytes:
    import docx

    document = docx.Document()
    document.add_heading(title, 1)
    for text in paragraphs:
        document.add_paragraph(text)
    document.save(out := io.BytesIO())
    return out.getvalue()


def _pdf(title: str, paragraphs: list[str], _rng: random.Random) -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(out := io.BytesIO())
    for text in paragraphs:
        canvas.drawString(72, 760, title)
        for line, sentence in enumerate(text.split(". ")):
            canvas.drawString(72, 720 - 20 * line, sentence)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


_WRITERS = {
    ".md": _markdown, ".txt": _plain, ".html": _html, ".csv": _table, ".eml": _mail, ".docx": _word, ".pdf": _pdf,
}  # fmt: skip
