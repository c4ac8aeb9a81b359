"""Hop 2: documents → passages, each at its exact place."""

import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pincite import embedding, reading
from pincite.embedding.tokens import Tokenizer
from pincite.errors import Unreadable
from pincite.passages import SHORTEST_PIECE, SPECIAL_TOKENS, Counted, TokenCounter, cut
from pincite.reading import html, markdown, plain
from pincite.reading.content import Content
from pincite.types import Document, Page, Part, Passage, Section, Table

TOKENIZER = Tokenizer(embedding.find("all-MiniLM-L6-v2").tokenizer)
CORPUS = Path(__file__).parents[1] / "corpus"

AWKWARD = [
    "word ", "Ein Satz. ", "He said “yes!” and left. ", "Dr. No paid $3.50 at 6 p.m. ", "...", "?! ", "1.2.3",
    " ", "\t", "\n", "\n\n", "\r\n", "\r\n\r\n", "\r", "\x0c", "\x0b", "\x07", "\x7f", "\u2028", "\xa0", "\u200b",
    "\u200e", "\ufeff", "\ufffd", "\u0301", "e\u0301", "q\u0307\u0323", "ẞ", "ﬃ", "İ", "𝔘", "\U000e0041", "\u200d",
    "👩\u200d👩\u200d👧", "🏳️\u200d🌈", "👍🏽", "🇨🇭", "😀",
    "שלום עולם. ", "مرحبا بالعالم، ", "東京は日本の首都です。", "한국어", "ภาษาไทยไม่มีช่องว่าง", "हिन्दी ",
    "a" * 150, "─" * 120, "x" * 33,
    "# Head\n", "## Sub head ##\r\n", "#\n", "Under\n=====\n", "Two\nlines\n---\n", "```\n", "- item\n",
    "| a | b |\n", "---\n",
]  # fmt: skip


def words(texts: Sequence[str]) -> list[int]:
    """A toy counter: a token is a word."""
    return [len(text.split()) for text in texts]


def document(content: Content, source: str = "a.md") -> Document:
    return Document(source, content.title, "text/markdown", "", content.text, content.sections, content.pages)


def from_markdown(text: str) -> Document:
    return document(markdown.read(text.encode()))


def plain_text(text: str) -> Document:
    return Document("a.txt", "", "text/plain", "", text)


def texts(passages: Sequence[Passage]) -> list[str]:
    return [passage.text for passage in passages]


def quotes(passage: Passage) -> list[str]:
    return [passage.text[start:end] for start, end in passage.sentences]


def sentence(count: int, letter: str) -> str:
    """A sentence of so many words: `Aaa aaa aaa.`"""
    return " ".join([letter * 3] * count).capitalize() + "."


# What holds for every text


def check(document: Document, passages: Sequence[Passage], count: TokenCounter, budget: int) -> None:
    check_places(document, passages)
    check_sentences(passages)
    check_budget(passages, count, budget)
    check_headings(document, passages, count, budget)


def check_places(document: Document, passages: Sequence[Passage]) -> None:
    for passage in passages:
        assert document.text[passage.start : passage.end] == passage.text
        assert passage.source == document.source
        assert passage.title == document.title
        assert passage.text == passage.text.strip() != ""
    assert all(before.end <= after.start for before, after in pairwise(passages))
    edges = [0, *(edge for passage in passages for edge in (passage.start, passage.end)), len(document.text)]
    between = [document.text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]
    assert "".join(between).strip() == ""


def check_sentences(passages: Sequence[Passage]) -> None:
    for passage in passages:
        assert passage.sentences
        edges = [edge for span in passage.sentences for edge in span]
        assert edges == sorted(edges)
        assert edges[0] >= 0
        assert edges[-1] <= len(passage.text)
        assert all(quote == quote.strip() != "" for quote in quotes(passage))


def check_budget(passages: Sequence[Passage], count: TokenCounter, budget: int) -> None:
    """Context line, text and special tokens fit, unless the context line alone leaves too little room."""
    contexts = count([passage.context for passage in passages])
    wholes = count([passage.indexed_text for passage in passages])
    for context, whole in zip(contexts, wholes, strict=True):
        assert whole + SPECIAL_TOKENS <= max(budget, context + SHORTEST_PIECE + SPECIAL_TOKENS)


def check_headings(document: Document, passages: Sequence[Passage], count: TokenCounter, budget: int) -> None:
    """No passage ends with a heading that has text of its own, unless headings alone fill it."""
    if not document.sections:
        return
    ends = [*(section.start for section in document.sections[1:]), len(document.text)]
    for section, end in zip(document.sections, ends, strict=True):
        line = document.text[section.start : end].splitlines()[0] if section.heading else ""
        text = document.text[section.start + len(line) : end].strip()
        if not line.strip() or not text or set(text.split()[0]) <= {"=", "-"}:
            continue
        holder = next(passage for passage in passages if passage.end > section.start)
        is_separated = holder.end <= section.start + len(line)
        context, size = count([holder.context, holder.text])
        assert not is_separated or size + SHORTEST_PIECE > max(budget - context - SPECIAL_TOKENS, SHORTEST_PIECE)


@pytest.mark.parametrize("read", [markdown.read, plain.read, html.read])
@hypothesis_settings(deadline=None, max_examples=250)
@given(
    text=st.lists(st.sampled_from(AWKWARD) | st.text(max_size=9), min_size=25, max_size=120).map("".join),
    budget=st.sampled_from([48, 100, 200]),
)
@example(text="a" * 500, budget=48)
@example(text="# Head\n\n" + "word " * 45 + "end.", budget=48)
def test_passages_hold_every_character_at_its_place_under_the_budget(read, text: str, budget: int) -> None:
    try:
        content = read(text.encode("utf-8", "ignore"))
    except Unreadable:  # too many control characters for a file, not for a document
        content = Content(text)
    found = document(content)
    check(found, cut(found, TOKENIZER.count, budget), TOKENIZER.count, budget)


@hypothesis_settings(deadline=None, max_examples=150)
@given(text=st.lists(st.text(max_size=20), max_size=100).map(" ".join), budget=st.integers(18, 60))
def test_the_same_holds_for_any_characters_whatever(text: str, budget: int) -> None:
    found = plain_text(text)
    check(found, cut(found, words, budget), words, budget)


@pytest.mark.parametrize(
    "line",
    [
        "a" * 50_000,
        "word " * 10_000,
        "A short sentence. " * 2_778,
        "東" * 50_000,
        "한" * 50_000,
        "e\u0301" * 25_000,
        "\u0301" * 50_000,
        "👩\u200d👩\u200d👧\u200d👦" * 7_143,
        "שלום" * 12_500,
        "ไม่มีช่องว่าง" * 3_847,
        "x" + " " * 49_998 + "y",
        "." * 50_000,
        "─" * 50_000,
        "\x07" * 50_000,
        "# " + "word " * 10_000,
        "# " + "a" * 50_000,
    ],
    ids=lambda line: ascii(line[:12]),
)
def test_one_line_of_50_000_characters_is_cut_like_any_other(line: str, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(line, encoding="utf-8")
    found = plain_text(line) if "\x07" in line else reading.read(tmp_path / "a.md", "a.md")
    assert found.text == line
    started = time.process_time()
    passages = cut(found, TOKENIZER.count, 200)
    assert time.process_time() - started < 15
    check_places(found, passages)
    check_sentences(passages)
    check_budget(passages, TOKENIZER.count, 200)


def test_white_space_of_any_length_costs_no_time() -> None:
    text = ("word" + " " * 20_000 + "\n") * 20 + "\n" * 100_000 + ("\r\n" * 20_000) + "end"
    started = time.process_time()
    passages = cut(plain_text(text), words, 48)
    assert time.process_time() - started < 2
    check_places(plain_text(text), passages)


@pytest.mark.parametrize("path", sorted(CORPUS.rglob("*.*")), ids=lambda path: path.name)
def test_the_sample_corpus_is_cut_at_exact_places_under_the_budget(path: Path) -> None:
    found = reading.read(path, path.relative_to(CORPUS).as_posix())
    passages = cut(found, TOKENIZER.count, 200)
    check(found, passages, TOKENIZER.count, 200)
    assert all(len(TOKENIZER.encode([passage.indexed_text])[0]) <= 200 for passage in passages)


@pytest.mark.parametrize("text", ["", " \r\n\t\u2028 "])
def test_a_document_without_words_has_no_passages(text: str) -> None:
    assert cut(plain_text(text), words, 48) == []


# Worked examples. A budget of 22 words is room for 20: two are kept for special tokens.


def test_a_short_document_is_one_passage_with_its_sentences() -> None:
    text = "  They sail daily. The crossing takes three hours.\r\n\r\nDogs travel free.\n"
    assert cut(plain_text(text), words, 22) == [
        Passage(
            source="a.txt",
            start=2,
            end=len(text) - 1,
            text=text[2:-1],
            sentences=((0, 16), (17, 48), (52, 69)),
        )
    ]


def test_passages_hold_whole_sentences() -> None:
    a, b, c = sentence(9, "a"), sentence(9, "b"), sentence(9, "c")
    assert texts(cut(plain_text(f"{a} {b} {c}"), words, 22)) == [f"{a} {b}", c]


def test_a_passage_rather_ends_with_a_paragraph_than_in_the_next() -> None:
    # 6 + 6 + 6 would fit into 20, and would leave the second paragraph's last sentence alone.
    a, b, c, d = (sentence(6, letter) for letter in "abcd")
    assert texts(cut(plain_text(f"{a} {b}\n\n{c} {d}"), words, 22)) == [f"{a} {b}", f"{c} {d}"]


def test_but_not_where_less_than_half_would_be_left() -> None:
    # The first paragraph alone has 4 of 20.
    a, b, c, d = sentence(4, "a"), sentence(7, "b"), sentence(7, "c"), sentence(7, "d")
    assert texts(cut(plain_text(f"{a}\n\n{b} {c} {d}"), words, 22)) == [f"{a}\n\n{b} {c}", d]


def test_a_crumb_at_the_end_is_shared_with_the_passage_before() -> None:
    # 7 + 7 + 6 = 20 fills a passage and leaves 3, less than a quarter; 14 and 9 is the most even.
    a, b, c, d = sentence(7, "a"), sentence(7, "b"), sentence(6, "c"), sentence(3, "d")
    assert texts(cut(plain_text(f"{a} {b} {c} {d}"), words, 22)) == [f"{a} {b}", f"{c} {d}"]


def test_a_sentence_that_is_too_long_is_halved_at_white_space_until_it_fits() -> None:
    # 45 words → 23 + 22 → 12 + 11 + 11 + 11; no two of these fit into 20.
    long = " ".join(f"w{number:02}" for number in range(45)) + "."
    passages = cut(plain_text(long), words, 22)
    assert words(texts(passages)) == [12, 11, 11, 11]
    assert " ".join(texts(passages)) == long


def test_a_run_without_white_space_is_cut_anyway_but_not_within_a_sign() -> None:
    family = "👩\u200d👩\u200d👧\u200d👦"
    passages = cut(plain_text(family * 101), lambda texts: [len(text) for text in texts], 102)
    assert "".join(texts(passages)) == family * 101
    assert all(set(passage.text.split(family)) == {""} for passage in passages)


def test_lines_that_were_never_wrapped_are_paragraphs() -> None:
    # Each line is longer than 100 characters. 14 + 5 would fit into 20, were it one paragraph.
    lines = [sentence(14, "aaa"), sentence(5, "bbb") + " " + sentence(9, "ccc")]
    assert all(len(line) > 100 for line in lines)
    assert texts(cut(plain_text("\n".join(lines)), words, 22)) == lines


def test_a_passage_never_crosses_a_heading() -> None:
    passages = cut(from_markdown("# A\n\nOne.\n\n## B\n\nTwo.\n\n## C\n\nThree.\n"), words, 200)
    assert [(passage.heading, passage.text, quotes(passage)) for passage in passages] == [
        (("A",), "# A\n\nOne.", ["One."]),
        (("A", "B"), "## B\n\nTwo.", ["Two."]),
        (("A", "C"), "## C\n\nThree.", ["Three."]),
    ]


def test_a_heading_without_text_goes_with_the_next_that_has_some() -> None:
    passages = cut(from_markdown("# A\n\nIntro\n=====\n\n### B\n\nText.\n\n## C\n"), words, 200)
    assert [(passage.heading, passage.text, quotes(passage)) for passage in passages] == [
        (("Intro", "B"), "# A\n\nIntro\n=====\n\n### B\n\nText.", ["Text."]),
        (("Intro", "C"), "## C", ["## C"]),
    ]


def test_text_right_under_its_heading_is_quoted_without_it() -> None:
    passages = cut(from_markdown("# A\nOne. Two.\n\nB\n---\nThree.\r\n\r\n## C\r\nFour."), words, 200)
    assert [quotes(passage) for passage in passages] == [["One.", "Two."], ["Three."], ["Four."]]


def test_a_heading_that_was_broken_over_two_lines_is_not_quoted() -> None:
    found = document(html.read(b"<h1>Ferries<br>in winter</h1><p>They sail daily.</p>"))
    (passage,) = cut(found, words, 200)
    assert passage.text == "Ferries in winter\n\nThey sail daily."
    assert quotes(passage) == ["They sail daily."]


def test_a_heading_stays_with_its_text_though_the_first_sentence_would_fill_a_passage() -> None:
    # Context line 3, special tokens 2: room for 35. The heading (# h h h) takes 4, the sentence 33.
    text = "# h h h\n\n" + " ".join(f"w{number:02}" for number in range(33)) + "."
    passages = cut(from_markdown(text), words, 40)
    assert words(texts(passages)) == [4 + 17, 16]


def test_a_heading_stays_with_its_text_when_a_crumb_is_shared_out() -> None:
    # Room for 28: heading 9 + sentence 18 = 27, then a crumb of 3. Heading | the rest were more even.
    a, b = sentence(18, "a"), sentence(3, "b")
    passages = cut(from_markdown(f"# {'h ' * 8}\n\n{a} {b}"), words, 8 + 2 + 28)
    assert texts(passages)[0].startswith("# h h h h h h h h")
    assert a in texts(passages)[0]


def test_the_context_line_takes_its_part_of_the_budget() -> None:
    a, b = sentence(9, "a"), sentence(9, "b")
    sections = (Section(0, ("One two three",)),)
    found = Document("a.txt", "Four five", "text/plain", "", f"{a} {b}", sections)
    (whole,) = cut(found, words, 26)  # Four five › One two three: 6, special: 2, text: 18
    assert whole.context == "Four five › One two three"
    assert texts(cut(found, words, 25)) == [a, b]


def test_a_heading_that_is_the_title_is_not_said_twice() -> None:
    (passage,) = cut(from_markdown("# Ferries\n\nDaily.\n"), words, 200)
    assert (passage.title, passage.heading, passage.context) == ("Ferries", ("Ferries",), "Ferries")
    assert passage.indexed_text == "Ferries\n# Ferries\n\nDaily."


def test_a_context_line_may_not_squeeze_a_passage_to_nothing() -> None:
    found = Document("a.txt", "title " * 60, "text/plain", "", "word " * 64)
    assert words(texts(cut(found, words, 48))) == [16, 16, 16, 16]


def test_a_passage_knows_the_pages_it_stands_on() -> None:
    a, b, c = sentence(15, "a"), sentence(15, "b"), sentence(3, "c")
    text = f"{a}\n\n{b}\n\n{c}"
    split = text.index(b) + 20  # the second sentence goes on over the page
    pages = (Page(1, 0, split), Page(2, split, len(text)))
    found = Document("a.pdf", "", "application/pdf", "", text, pages=pages)
    assert [passage.pages for passage in cut(found, words, 22)] == [(1, 1), (1, 2)]


def test_a_heading_that_does_not_stand_in_the_text_takes_no_line_from_it() -> None:
    text = "It was dark.\n\nIt went on and on."
    found = Document("a.epub", "Night", "application/epub+zip", "", text, (Section(0, ("Chapter 1",)),))
    (passage,) = cut(found, words, 60)
    assert (passage.heading, passage.text) == (("Chapter 1",), text)
    assert quotes(passage) == ["It was dark.", "It went on and on."]


# Tables, pages and parts


HEADER, ROWS = "Town\tBoats", [f"Town{n}\t{n} {'boats ' * 6}" for n in range(30)]


def with_table(before: str, after: str, header: str = "Town | Boats") -> Document:
    """Prose, a header line with 30 rows of 8 words below it, prose."""
    text = f"{before}{HEADER}\n" + "\n".join(ROWS) + after
    start = text.index(ROWS[0])
    end = text.index(ROWS[-1]) + len(ROWS[-1])
    return Document("a.csv", "Fleet", "text/csv", "", text, tables=(Table(start, end, header),))


def test_a_table_is_cut_between_rows_and_each_part_has_the_header_in_its_context() -> None:
    found = cut(with_table("Two towns. ", "\n\nThe end."), words, 40)
    held = [row for passage in found for row in ROWS if row.strip() in passage.text]
    assert held == ROWS  # each row in one passage, whole
    first, *rest = found
    assert first.text.startswith("Two towns. Town\tBoats\nTown0\t0 boats")
    assert (first.columns, first.context) == ("", "Fleet")  # it has the header itself
    assert {passage.columns for passage in rest if passage.text.startswith("Town")} == {"Town | Boats"}
    assert rest[0].context == "Fleet › Town | Boats"
    # 40 words less 2 special ones and Fleet: 37; less the 3 of the header: 34, which is 4 rows of 8.
    assert [len(passage.text.splitlines()) for passage in rest[:-1]] == [4] * (len(rest) - 1)
    check(with_table("Two towns. ", "\n\nThe end."), found, words, 40)


def test_each_row_is_a_sentence_that_can_be_marked() -> None:
    found = cut(with_table("", ""), words, 40)
    assert [quote for passage in found for quote in quotes(passage)] == [HEADER, *map(str.strip, ROWS)]


def test_a_header_that_would_crowd_out_the_rows_is_shown_in_part() -> None:
    names = [f"column{n}" for n in range(60)]
    found = cut(with_table("", "", " | ".join(names)), words, 40)
    # 37 words of room, and at most 18 for the header: 9 names with 8 signs between them.
    assert found[1].columns == " | ".join(names[:9])
    found = cut(with_table("", "", "one " * 50), words, 40)
    assert found[1].columns == ""


def test_a_wide_table_is_cut_in_little_time_for_each_of_its_rows() -> None:
    names = " | ".join(f"column{n}" for n in range(150))
    asked = 0

    def counted(texts: Sequence[str]) -> list[int]:
        nonlocal asked
        asked += len(texts)
        return words(texts)

    found = cut(with_table("", "", names), counted, 40)
    assert len(found) > 5
    # Each of 31 lines and sections once, and the header for as many columns as halving needs: 8 for 150.
    assert asked < 31 + 2 * 8 + 10


@given(st.lists(st.sampled_from(AWKWARD), max_size=30), st.integers(0, 400), st.integers(0, 400))
@hypothesis_settings(deadline=None, max_examples=80)
def test_whatever_is_called_a_table_nothing_is_lost(pieces: list[str], one: int, other: int) -> None:
    text = "".join(pieces)
    start, end = sorted((min(one, len(text)), min(other, len(text))))
    found = Document("a.csv", "", "text/csv", "", text, tables=(Table(start, end, "a | b"),))
    passages = cut(found, TOKENIZER.count, 64)
    check_places(found, passages)
    check_budget(passages, TOKENIZER.count, 64)


def test_a_table_that_begins_within_a_run_of_characters_begins_a_passage() -> None:
    text = "─" * 120 + "Under\n=====\n"
    found = cut(Document("a.csv", "", "text/csv", "", text, tables=(Table(118, 125, "a | b"),)), TOKENIZER.count, 64)
    # In one piece the tokenizer would take the run apart at other places, which is a token more than both have.
    assert [(passage.start, passage.end) for passage in found] == [(0, 59), (59, 118), (118, 131)]
    check_budget(found, TOKENIZER.count, 64)


def test_a_passage_knows_its_pages_with_what_is_printed_on_them() -> None:
    text = "One two three. Four five six. Seven eight nine."
    pages = (Page(1, 0, 15, "i"), Page(2, 15, 30, "", is_recognised=True), Page(3, 30, len(text)))
    found = Document("a.pdf", "", "application/pdf", "", text, pages=pages)
    placed = [
        Counted(found).place(Passage("a.pdf", s, e, text[s:e])) for s, e in ((0, 14), (0, 16), (15, 47), (30, 47))
    ]
    assert [(p.pages, p.labels, p.is_recognised) for p in placed] == [
        ((1, 1), ("i", "i"), False),
        ((1, 2), ("i", ""), True),
        ((2, 3), ("", ""), True),
        ((3, 3), ("", ""), False),
    ]
    assert {p.parts for p in placed} == {None}


def test_a_passage_knows_its_parts() -> None:
    text = "a\tb\nc\td\n\ne\tf"
    parts = (Part("row", 1, 0, 3), Part("row", 2, 4, 7), Part("row", 9, 9, 12))
    found = Document("a.csv", "", "text/csv", "", text, parts=parts)
    placed = [Counted(found).place(Passage("a.csv", s, e, text[s:e])) for s, e in ((0, 3), (0, 7), (4, 12), (7, 9))]
    assert [p.parts for p in placed] == [("row", 1, 1), ("row", 1, 2), ("row", 2, 9), None]
    assert {p.pages for p in placed} == {None}
