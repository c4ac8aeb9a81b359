"""What is exported, read back by programs that others wrote."""

import csv
import io
import json
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pybtex.database
import pytest
import rispy
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from pincite import export
from pincite.export import Listed, markdown
from pincite.export.bibtex import write as write_bibtex
from pincite.export.reference import Reference, one_line
from pincite.export.ris import write as write_ris
from pincite.reading_list import Entry, Standing
from pincite.search import as_json
from pincite.settings import Settings
from pincite.types import Answer, Hit, Passage, Place, Span

ROOT = Path(__file__).parents[1]
UNPLEASANT = st.text(
    st.one_of(
        st.sampled_from("\n\r\t*_`\\<>[]()#+-=:|~&${}@%^\"'.1) aé“”。次🙂\u0301\u2028\u00a0"),
        st.characters(exclude_categories=("Cs", "Cc")),
    ),
    max_size=60,
)


def hit(text: str, *, source: str = "sea/tides.md", rank: int = 1, marks: tuple[Span, ...] = (), title: str = "Tides"):
    passage = Passage(source, 100, 100 + len(text), text, title=title)
    place = f"{source} › characters 100–{100 + len(text)}"
    return Hit(passage, rank, 0.875, "strong", marks, place, "ab" * 32, features={"cosine": 0.5})


def answer(*hits: Hit, question: str = "why is there high water") -> Answer:
    return Answer(question, hits[0].band if hits else "none", 3, 12.5, hits)


TEXT = "## Moon\n\nThe moon pulls the sea. That is why *high* water comes <twice> a day."
SENTENCE = "That is why *high* water comes <twice> a day."
MARK = (TEXT.index("That"), len(TEXT))
TIDES = hit(TEXT, marks=(MARK,))
FERRY = hit("1. The ferry waits.\n2. Then it leaves.", source="sea/ferry {1}.html", rank=2, title="Ferries & tides")
ANSWER = answer(TIDES, FERRY)


def listed(collected: Hit = TIDES, standing: Standing | None = None, note: str = "", question: str = "why") -> Listed:
    return Listed(Entry.of(collected, question).model_copy(update={"note": note, "at": "2026-01-02"}), standing)


# What y copies


def test_a_citation_is_copied_with_the_marked_sentence_word_for_word() -> None:
    assert export.cited(TIDES) == f"“{SENTENCE}” (sea/tides.md › characters 100–{100 + len(TEXT)})"
    assert export.cited(FERRY).startswith("“1. The ferry waits.\n2. Then it leaves.” (sea/ferry {1}.html › ")


# Markdown


def test_markdown_has_question_verdict_quotes_marks_citations_and_bands() -> None:
    assert export.of_answer(ANSWER, "markdown") == (
        "# why is there high water\n\n"
        "These passages likely answer:\n\n"
        "## 1. Tides\n\n"
        "> \\#\\# Moon\n"
        ">\n"
        "> The moon pulls the sea. **That is why \\*high\\* water comes \\<twice\\> a day.**\n\n"
        f"sea/tides.md › characters 100–{100 + len(TEXT)} (likely answers, 0.88)\n\n"
        "## 2. Ferries \\& tides\n\n"
        "> 1\\. The ferry waits.\\\n"
        "> 2\\. Then it leaves.\n\n"
        "sea/ferry {1}.html › characters 100–138 (likely answers, 0.88)\n"
    )


def test_markdown_says_when_nothing_answers() -> None:
    assert export.of_answer(answer(), "markdown") == "# why is there high water\n\nNothing here answers that.\n"


def shown(tokens: list[Token]) -> list[str]:
    """The text of each paragraph, as a reader of the rendered document sees it."""
    paragraphs = []
    for inline in (token for token in tokens if token.type == "inline"):
        words = {"text": lambda t: t.content, "text_special": lambda t: t.content, "hardbreak": lambda t: "\n"}
        odd = {t.type for t in inline.children or []} - {*words, "strong_open", "strong_close"}
        assert not odd, odd
        paragraphs.append("".join(words[t.type](t) for t in inline.children or [] if t.type in words))
    return paragraphs


def bold(tokens: list[Token]) -> str:
    inside, found = False, []
    for inline in (token for token in tokens if token.type == "inline"):
        for t in inline.children or []:
            inside = (inside or t.type == "strong_open") and t.type != "strong_close"
            found.append(t.content if inside else "")
    return "".join(found)


def lines_of(text: str) -> list[str]:
    return [line.strip() for line in re.split(r"\r\n|\r|\n", text) if line.strip()]


@settings(max_examples=500, deadline=None)
@given(text=UNPLEASANT, data=st.data())
def test_a_quote_in_markdown_is_rendered_as_its_characters_and_nothing_else(text: str, data: st.DataObject) -> None:
    edges = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4).filter(lambda e: len(e) % 2 == 0)))
    marks = tuple(zip(edges[::2], edges[1::2], strict=True))
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown.quoted(text, marks))
    kinds = {token.type for token in tokens}
    assert kinds <= {"blockquote_open", "blockquote_close", "paragraph_open", "paragraph_close", "inline"}
    assert [line for paragraph in shown(tokens) for line in lines_of(paragraph)] == lines_of(text)
    # What is bold lies in the marks, and all letters and numbers of the marks are bold.
    marked = "".join(text[start:end] for start, end in marks)
    assert [c for c in bold(tokens) if c.isalnum()] == [c for c in marked if c.isalnum()]


def test_the_marked_sentence_of_running_text_is_bold_from_end_to_end() -> None:
    tokens = MarkdownIt().parse(export.of_answer(ANSWER, "markdown"))
    assert bold(tokens) == SENTENCE


# CSV


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_csv_has_a_row_a_hit() -> None:
    first, second = rows(export.of_answer(ANSWER, "csv"))
    assert first == {
        "question": "why is there high water",
        "rank": "1",
        "score": "0.875",
        "band": "strong",
        "title": "Tides",
        "citation": TIDES.citation,
        "source": "sea/tides.md",
        "page": "",
        "start": "100",
        "end": str(100 + len(TEXT)),
        "text": TEXT,
        "marked": SENTENCE,
        "also": "",
    }
    assert (second["source"], second["text"]) == ("sea/ferry {1}.html", FERRY.passage.text)
    assert export.of_answer(ANSWER, "csv").startswith("question,rank,score,")
    assert export.of_answer(ANSWER, "csv").endswith("\r\n")


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_no_cell_is_a_formula(first: str) -> None:
    evil = f"{first}cmd|' /C calc'!A0"
    (row,) = rows(export.of_answer(answer(hit(evil, title=evil), question=evil), "csv"))
    assert (row["text"], row["title"], row["question"]) == (f"'{evil}",) * 3


@settings(deadline=None)
@given(text=UNPLEASANT)
def test_a_cell_has_the_text_word_for_word(text: str) -> None:
    (row,) = rows(export.of_answer(answer(hit(text)), "csv"))
    assert row["text"] in (text, f"'{text}")
    assert not row["text"].startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


# JSON


def test_json_is_that_of_the_command_line() -> None:
    assert json.loads(export.of_answer(ANSWER, "json")) == json.loads(json.dumps(as_json(ANSWER)))


# RIS


def test_ris_has_a_record_a_document_with_its_quotes_and_places() -> None:
    again = hit("Neap tides are small.", rank=3)
    found = rispy.loads(export.of_answer(answer(TIDES, FERRY, again), "ris"))
    assert found == [
        {
            "type_of_reference": "GEN",
            "title": "Tides",
            "urls": ["sea/tides.md"],
            "file_attachments1": "sea/tides.md",
            "notes": [
                f"“{one_line(TEXT)}” ({TIDES.citation}; likely answers, 0.88)",
                "“Neap tides are small.” (sea/tides.md › characters 100–121; likely answers, 0.88)",
            ],
        },
        {
            "type_of_reference": "ELEC",
            "title": "Ferries & tides",
            "urls": ["sea/ferry%20%7B1%7D.html"],
            "file_attachments1": "sea/ferry {1}.html",
            "notes": [
                "“1. The ferry waits. 2. Then it leaves.”"
                " (sea/ferry {1}.html › characters 100–138; likely answers, 0.88)"
            ],
        },
    ]


def test_every_line_of_ris_is_a_tag_and_ends_as_the_format_says() -> None:
    text = write_ris([Reference("a.pdf", one_line("T\nER  - \r\nTY  - JOUR"), ())])
    assert text == "TY  - GEN\r\nTI  - T ER - TY - JOUR\r\nUR  - a.pdf\r\nL1  - a.pdf\r\nER  - \r\n\r\n"


@settings(deadline=None)
@given(texts=st.lists(UNPLEASANT.filter(str.strip), min_size=1, max_size=3))
def test_ris_gives_back_what_went_in(texts: list[str]) -> None:
    found = rispy.loads(export.of_answer(answer(*(hit(t, source=f"{n}.md") for n, t in enumerate(texts))), "ris"))
    assert [record["title"] for record in found] == ["Tides"] * len(texts)
    for record, text in zip(found, texts, strict=True):
        assert record["notes"][0].startswith(f"“{one_line(text.strip())}” (")


# BibTeX

TEX = {
    r"\textbackslash{}": "\\",
    r"\textbraceleft{}": "{",
    r"\textbraceright{}": "}",
    r"\textasciitilde{}": "~",
    r"\textasciicircum{}": "^",
    r"\textasciigrave{}": "`",
    r"\textless{}": "<",
    r"\textgreater{}": ">",
    r"\textbar{}": "|",
    '{"}': '"',
    **{f"\\{c}": c for c in "$&#_%"},
    "{}": "",
}
"""What LaTeX prints for what is written."""


def printed(field: str) -> str:
    return re.sub("|".join(map(re.escape, TEX)), lambda found: TEX[found[0]], field)


def fields(text: str) -> dict[str, dict[str, str]]:
    """Key → fields, as BibTeX prints them."""
    entries = pybtex.database.parse_string(text, "bibtex").entries
    assert {entry.type for entry in entries.values()} <= {"misc"}
    return {key: {name: printed(value) for name, value in entry.fields.items()} for key, entry in entries.items()}


def test_bibtex_has_an_entry_a_document_with_its_quotes_and_places() -> None:
    found = fields(export.of_answer(ANSWER, "bibtex"))
    assert found == {
        "sea-tides": {
            "title": "{Tides}",
            "howpublished": "sea/tides.md",
            "note": f"“{one_line(TEXT)}” ({TIDES.citation}; likely answers, 0.88)",
        },
        "sea-ferry-1": {
            "title": "{Ferries & tides}",
            "howpublished": "sea/ferry {1}.html",
            "note": "“1. The ferry waits. 2. Then it leaves.”"
            " (sea/ferry {1}.html › characters 100–138; likely answers, 0.88)",
        },
    }


def test_keys_are_unique_whatever_the_names() -> None:
    sources = ["a b.md", "A-b.txt", "a_b.pdf", "潮.md", "§.md", "été/a.md", "a-b-2.md"]
    found = fields(write_bibtex([Reference(source, "", ()) for source in sources]))
    assert list(found) == ["a-b", "a-b-2", "a-b-3", "document", "document-2", "ete-a", "a-b-2-2"]
    assert [entry["howpublished"] for entry in found.values()] == sources


@settings(max_examples=300, deadline=None)
@given(title=UNPLEASANT, text=UNPLEASANT)
def test_bibtex_gives_back_what_went_in(title: str, text: str) -> None:
    title, text = unicodedata.normalize("NFC", title), unicodedata.normalize("NFC", text)
    written = export.of_answer(answer(hit(text, title=title.strip() or "x")), "bibtex")
    (entry,) = fields(written).values()
    assert entry["title"] == f"{{{one_line(title) or 'x'}}}"
    assert entry["note"].startswith(one_line(f"“{text.strip()}” (sea"))
    # TeX joins some characters into others, unless something stands between.
    assert not re.search(r"--|''|,,|`", written)


# The reading list

MOVED = Standing("moved", Place("sea/tide.md", 7, 82), "cd" * 32)
LIST = [listed(note="Ask *Ann*", standing=Standing("current")), listed(FERRY, MOVED, question="when does it leave")]


def test_a_reading_list_in_markdown_has_notes_changes_and_sources() -> None:
    assert export.of_list(LIST, "markdown") == (
        "# Reading list\n\n"
        "## why\n\n"
        "> \\#\\# Moon\n"
        ">\n"
        "> The moon pulls the sea. **That is why \\*high\\* water comes \\<twice\\> a day.**\n\n"
        f"sea/tides.md › characters 100–{100 + len(TEXT)}\n\n"
        "Ask \\*Ann\\*\n\n"
        "## when does it leave\n\n"
        "> 1\\. The ferry waits.\\\n"
        "> 2\\. Then it leaves.\n\n"
        "sea/ferry {1}.html › characters 100–138\n\n"
        "Moved: these words now stand in sea/tide.md, characters 7–82.\n\n"
        "## Sources\n\n"
        "- Tides: sea/tides.md\n"
        "- Ferries \\& tides: sea/ferry {1}.html\n"
    )


def test_a_reading_list_in_the_other_formats() -> None:
    first, second = rows(export.of_list(LIST, "csv"))
    assert (first["note"], first["marked"], first["change"], first["start"]) == ("Ask *Ann*", SENTENCE, "", "100")
    assert (second["question"], second["change"]) == (
        "when does it leave",
        "Moved: these words now stand in sea/tide.md, characters 7–82.",
    )
    told = json.loads(export.of_list(LIST, "json"))["entries"]
    assert [(one["quote"], one["start"], one["end"], one["state"], one["now"]) for one in told] == [
        (TEXT, 100, 100 + len(TEXT), "current", None),
        (FERRY.passage.text, 100, 138, "moved", {"source": "sea/tide.md", "start": 7, "end": 82}),
    ]
    (tides, ferry) = rispy.loads(export.of_list(LIST, "ris"))
    assert tides["notes"] == [f"“{one_line(TEXT)}” ({TIDES.citation}) Ask *Ann*"]
    assert ferry["notes"][0].endswith("Moved: these words now stand in sea/tide.md, characters 7–82.")
    assert fields(export.of_list(LIST, "bibtex"))["sea-tides"]["note"] == tides["notes"][0]


# The command line


@pytest.mark.slow
def test_search_prints_each_format(sample: Settings) -> None:
    def search(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "pincite", "search", "--index", str(sample.index), "-k", "2", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=False, timeout=300, check=False)

    question = "can ketamine damage your bladder"
    hits = json.loads(search(question, "--json").stdout)["hits"]
    done = search(question, "--format", "csv")
    assert (done.returncode, done.stderr) == (0, b"")
    assert [row["text"] for row in rows(done.stdout.decode())] == [one["text"] for one in hits]
    assert [
        note for record in rispy.loads(search(question, "--format", "ris").stdout.decode()) for note in record["notes"]
    ] == [f"“{one_line(one['text'])}” ({one['citation']}; likely answers, {one['score']:.2f})" for one in hits]
    assert search(question, "--format", "bibtex").stdout.startswith(b"@misc{")
    assert search(question, "--format", "markdown").stdout.startswith(f"# {question}\n".encode())
    assert search(question, "--format", "html").returncode == 2
    assert search(question, "--format", "csv", "--json").returncode == 2
