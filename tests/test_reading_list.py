"""The reading list: what is in its file, and what has become of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from pincite.embedding import Embedder
from pincite.errors import ReadingListError
from pincite.reading_list import Entry, ReadingList, Standing, identity, standings
from pincite.search import Searcher
from pincite.settings import Settings
from pincite.storage import Catalog
from pincite.sync import sync
from pincite.types import Hit, Passage, Place

ROOT = Path(__file__).parents[1]
QUESTION = "why is there high water every twelve hours"
TIDES = "# Tides\n\nThe moon pulls the sea. That is why high water comes about every twelve hours.\n"
BREAD = "Bread\n\nSourdough rises slowly because wild yeast is slower than baker's yeast.\n"


def hit(text: str = "The tide turns. It does so twice.", start: int = 40, source: str = "sea/tides.md") -> Hit:
    passage = Passage(source, start, start + len(text), text, title="Tides")
    return Hit(passage, 1, 0.9, "strong", ((0, 15),), f"{source} › characters {start}–{start + len(text)}", "ab" * 32)


def entry(**given: object) -> Entry:
    return Entry.of(hit(), QUESTION).model_copy(update={"at": "2026-01-02T03:04:05+00:00", **given})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "reading-list.jsonl"


# The file


def test_an_entry_is_one_line_with_place_quote_and_surroundings(file: Path) -> None:
    text = "x" * 40 + "The tide turns. It does so twice." + "y" * 40
    collected = Entry.of(hit(), "why", text)
    ReadingList(file).put(collected)
    (line,) = file.read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == {
        "id": collected.id,
        "source": "sea/tides.md",
        "quote": "The tide turns. It does so twice.",
        "prefix": "x" * 32,
        "suffix": "y" * 32,
        "start": 40,
        "marks": [[0, 15]],
        "sha256": "ab" * 32,
        "citation": "sea/tides.md › characters 40–73",
        "title": "Tides",
        "question": "why",
        "note": "",
        "at": collected.at,
    }
    assert text[collected.start : collected.end] == collected.quote


def test_what_is_written_later_replaces_and_removes_and_nothing_is_rewritten(file: Path) -> None:
    listed = ReadingList(file)
    listed.put(entry(id="a"))
    first = file.read_bytes()
    listed.put(entry(id="b", at="2026-01-03"))
    listed.note(entry(id="a"), "ask Ann")
    assert listed.entries() == {"a": entry(id="a", note="ask Ann"), "b": entry(id="b", at="2026-01-03")}
    listed.remove("a")
    assert list(listed.entries()) == ["b"]
    listed.put(entry(id="a", note="ask Ann"))
    assert list(ReadingList(file).entries()) == ["a", "b"], "brought back to its place"
    assert file.read_bytes().startswith(first)
    assert len(file.read_bytes().splitlines()) == 5


def test_without_a_file_the_list_is_empty_and_a_folder_is_made_for_it(tmp_path: Path) -> None:
    listed = ReadingList(tmp_path / "new" / "list.jsonl")
    assert listed.entries() == {}
    listed.put(entry())
    assert list(listed.entries().values()) == [entry()]


def test_what_another_process_writes_is_seen(file: Path) -> None:
    mine, other = ReadingList(file), ReadingList(file)
    mine.put(entry(id="a"))
    assert list(mine.entries()) == ["a"]
    other.put(entry(id="b", at="2026-01-03"))
    assert list(mine.entries()) == ["a", "b"]
    file.unlink()
    assert mine.entries() == {}


@effort(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.text(st.one_of(st.characters(exclude_categories=("Cs",)), st.sampled_from('\n\r\u2028\x00"\\'))),
    note=st.text(st.characters(exclude_categories=("Cs",))),
)
def test_what_is_collected_comes_back_whatever_its_characters(words: str, note: str, file: Path) -> None:
    listed = ReadingList(file)
    collected = entry(quote=words or "x", marks=(), question=words, title=words)
    listed.put(collected)
    listed.note(collected, note)
    assert ReadingList(file).entries()[collected.id] == collected.model_copy(update={"note": note})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "EOF while parsing"),
        (b"[]", "Input should be a valid dictionary or instance of Entry"),
        (b'{"id": "x"}', "source: Field required"),
        (b'{"id": "x", "removed": false}', "removed: Input should be True"),
        (b'{"id": "x", "source": "a", "quote": "abc", "colour": 1}', "colour: Extra inputs are not permitted"),
        (b'{"id": "x", "source": "a", "quote": ""}', "quote: String should have at least 1 character"),
        (b'{"id": "x", "source": "a", "quote": "abc", "marks": [[0, 4]]}', "marks do not lie one after the other"),
        (b'{"id": "x", "source": "a", "quote": "abc", "marks": [[2, 1]]}', "marks do not lie one after the other"),
        (b'{"id": "\\ud800"}', "unexpected end of hex escape"),
        (b"\xff", "expected value"),
    ],
)
def test_a_damaged_line_is_refused_with_file_and_line_and_nothing_is_lost(line: bytes, reason: str, file: Path) -> None:
    listed = ReadingList(file)
    listed.put(entry())
    with file.open("ab") as out:
        out.write(b"\n" + line + b"\n")
    before = file.read_bytes()
    with pytest.raises(ReadingListError) as caught:
        listed.entries()
    message = str(caught.value)
    assert message.startswith(f"{file}, line 3: ")
    assert reason in message
    assert message.endswith(": mend the line, or delete it")
    assert "\n" not in message
    listed.put(entry(id="later"))
    assert file.read_bytes().startswith(before)


def test_a_line_that_a_crash_left_open_does_not_swallow_the_next(file: Path) -> None:
    listed = ReadingList(file)
    listed.put(entry(id="a"))
    file.write_bytes(file.read_bytes() + b'{"id": "torn')
    listed.put(entry(id="b"))
    with pytest.raises(ReadingListError, match="line 2"):
        listed.entries()
    file.write_bytes(b"\n".join(line for line in file.read_bytes().split(b"\n") if b"torn" not in line))
    assert list(listed.entries()) == ["a", "b"]


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    for act in (ReadingList(tmp_path).entries, lambda: ReadingList(tmp_path).put(entry())):
        with pytest.raises(ReadingListError, match=f"{tmp_path}: cannot be (read|written) .*directory"):
            act()


WRITER = """
import sys
from pathlib import Path
from pincite.reading_list import Entry, ReadingList

listed = ReadingList(Path(sys.argv[1]))
for number in range(100):
    listed.put(Entry(id=f"{sys.argv[2]}-{number}", source="a.md", quote="tide " * 2000, at=f"{number:03}"))
"""


def test_two_that_write_at_once_lose_nothing(file: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(file)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = [subprocess.Popen([*command, name], env=environment) for name in "abc"]
    assert [process.wait(timeout=300) for process in running] == [0, 0, 0]
    assert sorted(ReadingList(file).entries()) == sorted(f"{name}-{n}" for name in "abc" for n in range(100))


def test_the_same_passage_under_the_same_question_is_one_entry() -> None:
    assert identity(hit(), "Why  is it?") == identity(hit(), "why is it?")
    others = {
        identity(hit(), "why"),
        identity(hit(start=41), "why is it?"),
        identity(hit(source="b"), "why is it?"),
        identity(hit("The tide turns. It did."), "why is it?"),
        identity(hit(), "why is it?"),
    }
    assert len(others) == 5


# What has become of it


@pytest.fixture
def collected(settings: Settings, embedder: Embedder) -> Entry:
    (settings.corpus / "tides.md").write_text(TIDES, encoding="utf-8")
    (settings.corpus / "bread.txt").write_text(BREAD, encoding="utf-8")
    sync(settings, embedder=embedder)
    first = Searcher(settings, embedder).search(QUESTION).hits[0]
    assert first.passage.source == "tides.md"
    return Entry.of(first, QUESTION, TIDES)


def now(settings: Settings, collected: Entry) -> Standing:
    with Catalog(settings.index) as catalog, catalog.reading():
        return standings([collected], catalog)[collected.id]


def digest(settings: Settings, source: str) -> str:
    with Catalog(settings.index) as catalog, catalog.reading():
        return catalog.files()[source].sha256


def test_what_stands_where_it_stood_is_current(settings: Settings, collected: Entry) -> None:
    place = Place("tides.md", collected.start, collected.end)
    assert now(settings, collected) == Standing("current", place, collected.sha256)


def test_words_further_down_have_moved(settings: Settings, embedder: Embedder, collected: Entry) -> None:
    (settings.corpus / "tides.md").write_text("Preface\n\n" + TIDES, encoding="utf-8")
    sync(settings, embedder=embedder)
    place = Place("tides.md", collected.start + 9, collected.end + 9)
    assert now(settings, collected) == Standing("moved", place, digest(settings, "tides.md"))


def test_a_file_that_was_renamed_has_moved(settings: Settings, embedder: Embedder, collected: Entry) -> None:
    (settings.corpus / "tides.md").rename(settings.corpus / "sea.md")
    sync(settings, embedder=embedder)
    place = Place("sea.md", collected.start, collected.end)
    assert now(settings, collected) == Standing("moved", place, collected.sha256)


def test_other_words_are_a_change(settings: Settings, embedder: Embedder, collected: Entry) -> None:
    (settings.corpus / "tides.md").write_text(TIDES.replace("twelve", "eleven"), encoding="utf-8")
    sync(settings, embedder=embedder)
    assert now(settings, collected) == Standing("changed", None, digest(settings, "tides.md"))


def test_a_document_that_is_deleted_is_gone(settings: Settings, embedder: Embedder, collected: Entry) -> None:
    (settings.corpus / "tides.md").unlink()
    sync(settings, embedder=embedder)
    assert now(settings, collected) == Standing("gone")
