"""Judging without labels: what is drafted, what a person does to it, what is adopted."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from pincite.embedding import Embedder
from pincite.errors import IndexMissing, JudgementError
from pincite.evaluation import draft, load, project, sheet
from pincite.evaluation.adoption import adopt
from pincite.evaluation.judgements import JudgedPlace, Judgement, identity, locate, update
from pincite.evaluation.proposals import propose
from pincite.evaluation.records import Measured
from pincite.evaluation.runs import METHODS
from pincite.evaluation.sheet import Asked, Block, Complaint, Line
from pincite.passages import cut
from pincite.search import Searcher
from pincite.settings import Settings
from pincite.storage import Catalog
from pincite.sync import sync
from pincite.types import Document, Passage, Place, Section

ROOT = Path(__file__).parents[1]
FERRY = """# Ferries

The ferry leaves at six. It takes ninety minutes.

| day | boats |
| --- | --- |
| Monday | four |

[2] boats are red.
> They are loud."""
"""Four sentences: two of prose, a table, and lines that look like those of a sheet."""


def passage(text: str = FERRY, source: str = "ferry.md") -> Passage:
    start = text.index("The ferry")
    spans = [re.search(re.escape(part), text) for part in (
        "The ferry leaves at six.", "It takes ninety minutes.",
        "| day | boats |\n| --- | --- |\n| Monday | four |", "[2] boats are red.", "> They are loud.",
    )]  # fmt: skip
    sentences = tuple(match.span() for match in spans if match)
    assert len(sentences) == 5
    assert start == sentences[0][0]
    return Passage(source, 0, len(text), text, "Ferries", ("Ferries", "Times"), None, sentences)


# The sheet

SHEET = """
Question 1: when does the ferry leave

[ ] ferry.md:11-146  Ferries › Times
  | The ferry leaves at six.
  | It takes ninety minutes.
  | | day | boats |
  | | --- | --- |
  | | Monday | four |
  | [2] boats are red.
  | > They are loud.

[ ] unanswerable
"""


def test_a_sheet_shows_a_sentence_or_a_row_on_a_line_behind_a_bar() -> None:
    written = sheet.write([("when does\nthe ferry leave", [passage()])], "my draft.txt")
    head, _, body = written.partition("\n\n")
    assert body == SHEET
    assert all(line.startswith("#") for line in head.splitlines())
    assert "python evaluate.py adopt 'my draft.txt'" in head


@pytest.mark.parametrize("edit", [("[ ] ferry", "[2] ferry"), ("when does", "when"), ("  | It", "> | It"), ("#", "# ")])
def test_a_sheet_knows_whether_it_was_touched(edit: tuple[str, str]) -> None:
    written = sheet.write([("when does the ferry leave", [passage()])], "draft.txt")
    assert sheet.is_untouched(written)
    assert not sheet.is_untouched(filled(edit, text=written))
    assert not sheet.is_untouched("my notes")


def test_a_sheet_is_read_as_it_was_written() -> None:
    lines = SHEET.split("\n")
    (asked,), stray = sheet.read(SHEET)
    texts = [(number, lines[number - 1][4:]) for number in range(5, 12)]
    block = Block(4, "", Place("ferry.md", 11, 146), [Line(number, text, False) for number, text in texts])
    assert asked == Asked(2, "when does the ferry leave", "", [block], [])
    assert stray == []
    assert not asked.is_marked


@pytest.mark.parametrize(
    "source",
    ["a b.md", "[2] x.md", "a:1-2 b.md", '"quoted".md', "tab\there.md", "line\nend.md", " lead.md", "ü › x.md", "#.md"],
)
def test_any_file_name_comes_back(source: str) -> None:
    (asked,), stray = sheet.read(sheet.write([("q", [passage(source=source)])], "draft.txt"))
    assert [block.place for block in asked.blocks] == [Place(source, 11, 146)]
    assert (asked.complaints, stray) == ([], [])


def test_the_number_of_a_list_goes_with_what_it_numbers() -> None:
    text = "1. Cast off. 2. Sail."
    steps = Passage("steps.md", 0, 21, text, "", (), None, ((0, 2), (3, 12), (13, 15), (16, 21)))
    written = sheet.write([("q", [steps])], "draft.txt")
    assert "[ ] steps.md:0-21\n  | 1. Cast off.\n  | 2. Sail.\n\n" in written


def test_a_heading_that_looks_like_a_place_changes_nothing() -> None:
    verse = Passage("bible.md", 0, 5, "Words", "Matthew", ("Matthew 5:3-12",), None, ((0, 5),))
    (asked,), _ = sheet.read(sheet.write([("q", [verse])], "draft.txt"))
    assert asked.blocks[0].place == Place("bible.md", 0, 5)


# What is adopted


def filled(*edits: tuple[str, str], text: str = SHEET) -> str:
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def place(start: int, quote: str, grade: int, text: str = FERRY) -> JudgedPlace:
    end = start + len(quote)
    prefix, suffix = text[max(0, start - 32) : start], text[end : end + 32]
    return JudgedPlace(source="ferry.md", quote=quote, prefix=prefix, suffix=suffix, start=start, grade=grade)


def adopted(text: str, document: str | None = FERRY) -> list[Judgement]:
    found = adopt(text, {"ferry.md": document}.get)
    assert found.complaints == []
    return found.judgements


def test_without_marked_lines_the_whole_passage_is_the_place() -> None:
    (judgement,) = adopted(filled(("[ ] ferry", "[1] ferry")))
    assert judgement.places == (place(11, FERRY[11:], 1),)
    assert judgement.id == identity("When  does the FERRY leave") == "own-b1d54f71d9c3"
    assert (judgement.question, judgement.unanswerable) == ("when does the ferry leave", False)


def test_marked_lines_are_the_places_and_neighbours_are_one() -> None:
    text = filled(
        ("[ ] ferry", "[ 2 ] ferry"), ("  | The", "> | The"), ("  | It", " >| It"), ("  | | Mon", "> | | Mon"),
        ("  | > They", "> | > They"),
    )  # fmt: skip
    (judgement,) = adopted(text)
    assert judgement.places == (
        place(11, "The ferry leaves at six. It takes ninety minutes.", 2),
        place(FERRY.index("| Monday"), "| Monday | four |", 2),
        place(FERRY.index("> They"), "> They are loud.", 2),
    )


def test_a_broken_line_names_fewer_words_and_the_bar_may_be_replaced() -> None:
    text = filled(("[ ] ferry", "[2] ferry"), ("| The ferry leaves at six.", "| The ferry leaves\n>at six."))
    (judgement,) = adopted(text)
    assert judgement.places == (place(FERRY.index("at six."), "at six.", 2),)


def test_a_passage_added_by_hand_is_found_by_its_words() -> None:
    (judgement,) = adopted(filled(("[ ] unans", "[2] ferry.md:0-1\n| It takes\n| ninety minutes.\n\n[ ] unans")))
    assert judgement.places == (place(FERRY.index("It takes"), "It takes ninety minutes.", 2),)


def mangled(text: str) -> str:
    """What an editor on another system does: byte-order mark, line ends, tabs, blanks, no last line end."""
    lines = [re.sub(r"^ +", "\t", line).rstrip() + "  " for line in text.split("\n")]
    return "\r\n".join(lines).rstrip()


@pytest.mark.parametrize("edit", [mangled, lambda t: t.replace("\n", "\r"), lambda t: re.sub(r"\n+", "\n", t)])
def test_what_editors_do_to_white_space_changes_nothing(edit: Callable[[str], str], tmp_path: Path) -> None:
    marked = filled(("[ ] ferry", "[2] ferry"), ("  | It", "> | It"))
    (tmp_path / "draft.txt").write_bytes(b"\xef\xbb\xbf" + edit(marked).encode())
    assert adopted(sheet.read_text(tmp_path / "draft.txt")) == adopted(marked)


def test_a_place_that_moved_is_found_by_its_words_and_quoted_as_it_is_now() -> None:
    now = "New.\n\n" + FERRY.replace("at six. It", "at six.\r\n\tIt")
    (judgement,) = adopted(filled(("[ ] ferry", "[2] ferry"), ("  | The", "> | The"), ("  | It", "> | It")), now)
    (judged,) = judgement.places
    assert (judged.start, judged.quote) == (17, "The ferry leaves at six.\r\n\tIt takes ninety minutes.")


def test_a_question_without_marks_is_counted_and_one_without_answer_is_kept() -> None:
    second = SHEET.replace("when does the ferry leave", "who sails it").replace("[ ] unans", "[x] unans")
    found = adopt(SHEET + second, {"ferry.md": FERRY}.get)
    assert (found.unmarked, found.left_out, found.complaints) == (1, 0, [])
    assert [(j.question, j.unanswerable, j.places) for j in found.judgements] == [("who sails it", True, ())]


@pytest.mark.parametrize(
    ("edits", "complaints"),
    [
        ([("[ ] ferry", "[3] ferry")], [(4, "[3] is no grade: put 2, 1, 0 or nothing")]),
        ([("[ ] ferry", "[x] ferry")], [(4, "[x] is no grade: put 2, 1, 0 or nothing")]),
        ([("  | It", "> | It")], [(4, "words are marked with > and the brackets are empty: put 2, 1 or 0")]),
        ([("[ ] ferry.md:11-146", "[2] ferry")], [(4, "names no passage: keep [ ] SOURCE:START-END as drafted")]),
        ([("11-146", "146-11")], [(4, "names no passage: keep [ ] SOURCE:START-END as drafted")]),
        ([("[ ] ferry", "[2] gone")], [(4, "gone.md is not in the index: empty the brackets, or draft again")]),
        (
            [("[ ] ferry", "[2] ferry"), ("ninety", "eighty")],
            [(6, "not what ferry.md says there: put the line back, or draft again if the document has changed")],
        ),
        (
            [("[ ] ferry", "[2] ferry"), ("[ ] unans", "[x] unans")],
            [(2, "marked unanswerable, and a passage as answering: take one of them back")],
        ),
        ([("[ ] unans", "[2] unans")], [(2, "[2] before unanswerable: put x, or nothing")]),
        (
            [("[ ] ferry", "[0] ferry")],
            [(2, "nothing judged here answers: mark the question unanswerable, or empty its brackets")],
        ),
        (
            [("[ ] ferry", "[2] ferry"), (" when does the ferry leave", "")],
            [(2, "the question is empty: type what you want to know")],
        ),
        (
            [("[ ] ferry", "[2] ferry"), ("  | It", "It")],
            [
                (6, "is no question, passage or remark: begin words of a passage with |, a remark with #"),
                (7, "not what ferry.md says there: put the line back, or draft again if the document has changed"),
            ],
        ),
        (
            [("[ ] unans", "[ ] unanswerable\n[x] unans")],
            [(14, "a second one for the same question: is a question gone?")],
        ),
        (
            [("[ ] ferry.md", '[2] "\\ud800.md"')],
            [(4, "names no passage: keep [ ] SOURCE:START-END as drafted")],
        ),
        ([("\nQuestion", "my notes\nQuestion")], [(1, "stands before the first question: begin a remark with #")]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_line_and_the_question_left_out(
    edits: list[tuple[str, str]], complaints: list[tuple[int, str]]
) -> None:
    found = adopt(filled(*edits), {"ferry.md": FERRY}.get)
    assert found.complaints == [Complaint(*complaint) for complaint in complaints]
    assert found.judgements == []


def test_a_wrong_question_does_not_take_the_others_with_it() -> None:
    marked = filled(("[ ] ferry", "[2] ferry"))
    wrong = marked.replace("when does the ferry leave", "how long").replace("[2] ferry", "[9] ferry")
    again = marked.replace("when does", "WHEN  does")
    found = adopt(marked + wrong + again, {"ferry.md": FERRY}.get)
    assert [judgement.question for judgement in found.judgements] == ["when does the ferry leave"]
    size = SHEET.count("\n")
    assert (found.left_out, found.complaints) == (
        2,
        [
            Complaint(4 + size, "[9] is no grade: put 2, 1, 0 or nothing"),
            Complaint(2 + 2 * size, "the question of line 2 again: judge it once"),
        ],
    )


def test_one_place_with_two_grades_is_a_complaint() -> None:
    block = SHEET[SHEET.index("[ ] ferry") : SHEET.index("[ ] unans")]
    twice = filled(("[ ] unans", block.replace("[ ]", "[1]", 1) + "[ ] unans"), ("[ ] ferry", "[2] ferry"))
    found = adopt(twice, {"ferry.md": FERRY}.get)
    assert found.complaints == [Complaint(13, "judged [2] above and [1] here: judge once")]


def test_words_that_stand_twice_and_not_where_they_were_drafted_are_a_complaint() -> None:
    found = adopt(filled(("[ ] ferry", "[2] ferry")), {"ferry.md": "x" + FERRY + FERRY}.get)
    assert found.complaints == [
        Complaint(4, "stands at several places of ferry.md, and not where it was drafted: draft again")
    ]


def test_words_that_stand_twice_are_taken_where_they_were_drafted() -> None:
    second = len(FERRY) + 11
    text = filled(("[ ] ferry.md:11-146", f"[2] ferry.md:{second}-{second + 135}"))
    (judgement,) = adopted(text, FERRY + FERRY)
    assert [judged.start for judged in judgement.places] == [second]


def test_a_sheet_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "draft.txt").write_bytes(SHEET.encode("utf-16"))
    with pytest.raises(JudgementError, match=r"draft\.txt: not UTF-8: save it as UTF-8"):
        sheet.read_text(tmp_path / "draft.txt")
    with pytest.raises(JudgementError, match=r"none\.txt: cannot be read"):
        sheet.read_text(tmp_path / "none.txt")


FRAGMENTS = (
    "A sentence stands here. ", "[2] x\n", "> quoted\n", "| a | b |\n", "# Heading\n", "\r\n", "\r\n\r\n", "\t", "   ",
    "[ ] a.md:1-2\n", "Question 1: why?\n", "[x] unanswerable\n", "e\u0301a\u0308 ", "\U0001f469\u200d\U0001f467 ",
    "4. ", "\n\n1.\n\n", "\ufeff", "\u2028", "\x85", "\x1c", "\u200b", "\u3000", "“«»”", "日本語。", "\\s*",
)  # fmt: skip
UNPLEASANT = st.lists(
    st.one_of(st.sampled_from(FRAGMENTS), st.text(st.characters(codec="utf-8"), max_size=12)), max_size=40
).map("".join)


@effort(max_examples=300, deadline=None)
@given(text=UNPLEASANT, data=st.data())
def test_what_was_drafted_and_marked_comes_back_at_its_exact_place(text: str, data: st.DataObject) -> None:
    document = Document("a.md", "", "text/plain", "", text, (Section(0, ()),))
    passages = cut(document, lambda texts: [len(t) // 4 + 1 for t in texts], 60)
    written = sheet.write([(f"what of number {n}", [p]) for n, p in enumerate(passages)], "draft.txt")
    lines, expected = [], []
    for line in written.split("\n"):
        grade = data.draw(st.sampled_from("21 ")) if line.startswith("[ ] a.md") else ""
        if grade.strip():
            stretch = re.fullmatch(r"\[ \] a\.md:(\d+)-(\d+)", line)
            assert stretch
            expected.append((int(stretch[1]), int(stretch[2]), int(grade)))
        lines.append(line.replace("[ ]", f"[{grade}]", 1) if grade else line)
    found = adopt(mangled("\n".join(lines)), {"a.md": text}.get)
    assert found.complaints == []
    assert [(p.start, p.start + len(p.quote), p.grade) for j in found.judgements for p in j.places] == expected
    for judgement in found.judgements:
        for judged in judgement.places:
            assert text[judged.start : judged.start + len(judged.quote)] == judged.quote
            assert locate(judged, text) == (judged.start, judged.start + len(judged.quote))
            assert Judgement.model_validate_json(judgement.model_dump_json()) == judgement


@effort(max_examples=200, deadline=None)
@given(text=UNPLEASANT, data=st.data())
def test_every_marked_line_is_a_slice_of_the_text(text: str, data: st.DataObject) -> None:
    document = Document("a.md", "", "text/plain", "", text, (Section(0, ()),))
    passages = cut(document, lambda texts: [len(t) // 4 + 1 for t in texts], 60)
    written = sheet.write([("what of the ferry", passages)], "draft.txt")
    written = re.sub(r"^\[ \] a\.md", "[2] a.md", written, flags=re.MULTILINE)
    marked = [
        f">{line[1:]}" if line[:3] == "  |" and data.draw(st.booleans()) else line for line in written.split("\n")
    ]
    found = adopt("\n".join(marked), {"a.md": text}.get)
    assert found.complaints == []
    judged = [p for j in found.judgements for p in sorted(j.places, key=lambda p: p.start)]
    assert all(text[p.start : p.start + len(p.quote)] == p.quote for p in judged)
    blocks = [block.splitlines()[1:] for block in re.split(r"^\[2\] a\.md", "\n".join(marked), flags=re.MULTILINE)[1:]]
    wanted = [[line for line in block if line.startswith("> |")] or block for block in blocks]
    texts = [line[3:] for block in wanted for line in block if line[1:3] == " |"]
    assert _unspaced("".join(p.quote for p in judged)) == _unspaced("".join(texts))


def _unspaced(text: str) -> str:
    return "".join(text.split())


# The judgements file


def test_what_is_said_already_is_not_appended_again(tmp_path: Path) -> None:
    file = tmp_path / "new" / "own.jsonl"
    a, b = Judgement(id="a", question="é\u2028?", at="2026-01-01"), Judgement(id="b", question="b")
    assert update(lambda _known: [a, b], file) == 2
    before = file.read_bytes()
    assert update(lambda _known: [a.model_copy(update={"at": "2027-01-01"}), b], file) == 0
    assert file.read_bytes() == before
    file.write_bytes(before.rstrip())  # no line end after the last
    assert update(lambda _known: [a.model_copy(update={"unanswerable": True})], file) == 1
    assert file.read_bytes().startswith(before)
    assert load(file) == [a.model_copy(update={"unanswerable": True}), b]


def test_a_file_that_holds_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("my notes\n")
    with pytest.raises(JudgementError, match=r"notes\.txt, line 1"):
        update(lambda _known: [Judgement(id="a", question="a")], tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "my notes\n"
    with pytest.raises(JudgementError, match=r"is a folder: name a \.jsonl file in it"):
        update(lambda _known: [Judgement(id="a", question="a")], tmp_path)


# What is drafted

LONG = "The harbour master keeps a ledger of every vessel that enters, and he signs it each evening by the old lamp."


def indexed(settings: Settings, embedder: Embedder, files: dict[str, str]) -> Searcher:
    for name, text in files.items():
        (settings.corpus / name).write_text(text, encoding="utf-8")
    sync(settings, embedder=embedder)
    return Searcher(settings, embedder)


@pytest.mark.parametrize(
    ("text", "question"),
    [
        (f"# Harbours\n\n## Keeping the books\n\n{LONG}", "What links keeping the books to the old lamp?"),
        (f"# Harbours\n\n## Why it is signed\n\n{LONG}", "Why it is signed: what about the old lamp?"),
        (f"# Ports\n\n## Is it signed? A note\n\n{LONG}", "Is it signed?"),
        (f"# Ports\n\n## Introduction\n\n{LONG}", "What links ports to the harbour master?"),
        (f"# Ports\n\n## Chapter 3\n\n{LONG}", "What links ports to the harbour master?"),
        (f"# Ports\n\n## 2.1 Ink, paper\n\n{LONG}", "Ink, paper: what about the harbour master?"),
        (f"# Ports\n\n## Ink: how much\n\n{LONG}", "Ink: how much – what about the harbour master?"),
        (f"# 12\n\n{LONG}", "What links the harbour master to the old lamp?"),
        (f"# Ports\n\n## Sources\n\n{LONG}", None),
        ("# Ports\n\nThe harbour is deep.", None),
        ("# Ports\n\n" + "of the and 12 345 is are " * 6, None),
    ],
)
def test_a_question_is_made_of_heading_and_key_phrase(
    text: str, question: str | None, settings: Settings, embedder: Embedder
) -> None:
    searcher = indexed(settings, embedder, {"a.md": text, "b.md": "# Other\n\nA lamp. A ledger. A vessel. A master."})
    with searcher.index.snapshot() as snapshot:
        (stored,) = [s for s in snapshot.catalog.all_passages() if s.passage.source == "a.md"]
        assert propose(snapshot, stored.passage) == question


def test_every_document_has_its_turn_before_any_has_a_second(sample: Settings, embedder: Embedder) -> None:
    searcher = Searcher(sample, embedder)
    with Catalog(sample.index) as catalog:
        sources = set(catalog.files())
    found, remarks = draft.proposals(searcher, 40, seed=7)
    origins = [proposal.origin.source for proposal in found if proposal.origin]
    assert (len(origins), remarks) == (40, [])
    assert set(origins[: len(sources)]) == sources
    assert len({identity(proposal.question) for proposal in found}) == 40
    assert draft.proposals(Searcher(sample, embedder), 40, seed=7)[0] == found
    assert draft.proposals(searcher, 5, seed=7)[0] == found[:5]
    assert draft.proposals(searcher, 5, seed=8)[0] != found[:5]


def test_a_pool_is_the_best_of_every_method_and_the_origin(sample: Settings, embedder: Embedder) -> None:
    searcher = Searcher(sample, embedder)
    question, origin = "can ketamine damage your bladder", Place("choosing/ptsd.md", *_first_place(sample))
    (pool,) = draft.pool(searcher, [draft.Proposal(question, origin)], 3, 0, lambda *_: None)
    shown = [Place(p.source, p.start, p.end) for p in pool.passages]
    best = {place for method in METHODS.values() for place in method(searcher, question).places[:3]}
    assert set(shown) == {*best, origin}
    assert len(shown) == len(set(shown))
    (other,) = draft.pool(searcher, [draft.Proposal(question, origin)], 3, 1, lambda *_: None)
    assert set(other.passages) == set(pool.passages)
    assert other.passages != pool.passages


def _first_place(sample: Settings) -> tuple[int, int]:
    with Catalog(sample.index) as catalog:
        first = catalog.places("choosing/ptsd.md")[0]
    return first.start, first.end


def test_own_questions_are_taken_once_and_those_that_cannot_be_asked_named(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_bytes(b"\xef\xbb\xbfwhat is  ketamine\r\n???\r\n\r\nWhat is Ketamine\r\nblader pain")
    found, remarks = draft.own(tmp_path / "log.txt", None, 0)
    assert found == [draft.Proposal("what is ketamine"), draft.Proposal("blader pain")]
    assert remarks == [f"{tmp_path / 'log.txt'}, line 2: left out: “???” holds no word to search for: ask in words"]
    (drawn,) = draft.own(tmp_path / "log.txt", 1, 0)[0]
    assert drawn in found
    (tmp_path / "log.txt").write_text("\n\n")
    with pytest.raises(JudgementError, match="holds no question: write one a line"):
        draft.own(tmp_path / "log.txt", None, 0)


def test_fewer_questions_than_asked_for_are_told_and_none_is_an_error(settings: Settings, embedder: Embedder) -> None:
    searcher = indexed(settings, embedder, {"a.md": f"# Ports\n\n{LONG}", "b.md": "# Hut\n\nA hut."})
    found, remarks = draft.proposals(searcher, 9, 0)
    assert [proposal.question for proposal in found] == ["What links ports to the harbour master?"]
    assert remarks == [f"{settings.index}: gives 1 of 9 questions: it holds no more to ask about"]
    (settings.corpus / "a.md").unlink()
    sync(settings, embedder=embedder)
    with pytest.raises(JudgementError, match="no passage says enough to ask about: write questions of your own"):
        draft.proposals(searcher, 9, 0)


def test_what_was_judged_of_other_passages_stays(tmp_path: Path) -> None:
    text = "The ferry leaves at six.\n\nA boat takes ninety minutes.\n\nNobody knows the fare."
    question = "when does the ferry leave"
    id_ = identity(question)

    def place(quote: str, grade: int) -> JudgedPlace:
        start = text.index(quote)
        return JudgedPlace.from_text("f.md", text, start, start + len(quote), grade=grade)

    known = Judgement(
        id=id_,
        question=question,
        places=(place("leaves at six", 1), place("ninety minutes", 2), place("Nobody knows", 0)),
    )

    def after(marks: str) -> Judgement:
        found = adopt(f"Question 1: {question}\n\n{marks}", {"f.md": text}.get)
        assert found.complaints == []
        (judgement,) = found.onto({id_: known})
        return judgement

    # The first passage was judged again, in other words of it; the second was left empty, the third is not there.
    judged = after("[2] f.md:0-24\n| The ferry leaves at six.\n\n[ ] f.md:26-54\n| A boat takes ninety minutes.\n")
    assert judged.places == (place("The ferry leaves at six.", 2), place("ninety minutes", 2), place("Nobody knows", 0))
    # That nothing answers contradicts what did.
    judged = after("[0] f.md:0-24\n| The ferry leaves at six.\n\n[x] unanswerable\n")
    assert judged.unanswerable
    assert judged.places == (place("The ferry leaves at six.", 0), place("Nobody knows", 0))


def test_damaged_files_are_built_again_and_an_empty_index_is_named(settings: Settings, embedder: Embedder) -> None:
    searcher = indexed(settings, embedder, {"a.md": f"# Ports\n\n{LONG}"})
    (dense,) = settings.index.glob("generations/*/dense/*.faiss")
    dense.write_bytes(b"")
    assert Measured.now(searcher).passages == 1
    assert len(draft.proposals(searcher, 1, 0)[0]) == 1
    with pytest.raises(IndexMissing, match=r"run python ingest\.py"):
        Measured.now(Searcher(settings.model_copy(update={"index": settings.index / "none"}), embedder))


# The commands

HEAD = r"^\[ \] (.+):(\d+)-(\d+)  "
"""Of a passage to judge."""


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "evaluate.py"), *arguments], cwd=folder, capture_output=True, text=True
    )


def test_draft_judge_adopt_measure(sample: Settings, tmp_path: Path) -> None:
    index = ("--index", str(sample.index))
    done = run("draft", "--questions", "4", *index, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    file = tmp_path / "judgments" / "draft.txt"
    drafted = file.read_text(encoding="utf-8")
    assert done.stdout == (
        f"4 questions, {len(re.findall(HEAD, drafted, re.MULTILINE))} passages to judge: fill in"
        " judgments/draft.txt, then python evaluate.py adopt judgments/draft.txt\n"
    )
    assert run("draft", "--questions", "4", *index, folder=tmp_path).returncode == 0  # no marks yet
    assert file.read_text(encoding="utf-8") == drafted

    first, second, third, _ = re.split(r"(?=^Question \d)", drafted, flags=re.MULTILINE)[1:]
    head = re.search(HEAD, first, re.MULTILINE)
    assert head
    source, start, end = head[1], int(head[2]), int(head[3])
    marked = drafted.replace(first, first.replace("[ ]", "[2]", 1))
    marked = marked.replace(second, second.replace("[ ] unans", "[x] unans"))
    marked = marked.replace(third, third.replace("[ ]", "[7]", 1))
    file.write_text(marked, encoding="utf-8")

    done = run("draft", *index, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "pincite: judgments/draft.txt: holds work of yours: adopt it and move it away, or name another with --output\n"
    )
    assert file.read_text(encoding="utf-8") == marked

    done = run("adopt", *index, folder=tmp_path)
    line = marked[: marked.index("[7]")].count("\n") + 1
    assert done.returncode == 1
    assert done.stderr == f"pincite: judgments/draft.txt, line {line}: [7] is no grade: put 2, 1, 0 or nothing\n"
    assert done.stdout == (
        "2 questions judged, 2 of them new or changed in judgments/own.jsonl; 1 without a mark, 1 left out\n"
    )
    answered, unanswerable = load(tmp_path / "judgments" / "own.jsonl")
    with Catalog(sample.index) as catalog:
        document = catalog.document(source)
    assert document
    assert [(p.start, p.quote) for p in answered.places] == [(start, document.text[start:end])]
    assert unanswerable.unanswerable
    queries, lost = project([answered], {source: document.text})
    assert (queries[0].places, lost) == ({Place(source, start, end): 2}, [])

    file.write_text(marked.replace("[7]", "[1]"), encoding="utf-8")
    done = run("adopt", "judgments/draft.txt", *index, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("3 questions judged, 1 of them new or changed")
    done = run("--judgments", "judgments/own.jsonl", *index, "--json", "out.json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out.json").read_text())["queries"] == 3


def test_wrong_usage_and_bad_input_of_the_commands(sample: Settings, tmp_path: Path) -> None:
    index = ("--index", str(sample.index))
    assert run("draft", "--questions", "0", folder=tmp_path).returncode == 2
    done = run("draft", "--index", "nowhere", folder=tmp_path)
    assert (done.returncode, done.stderr) == (1, "pincite: nowhere: no index here: run python ingest.py\n")
    (tmp_path / "notes.txt").write_text("my notes")
    done = run("draft", "--output", "notes.txt", *index, folder=tmp_path)
    assert (done.returncode, (tmp_path / "notes.txt").read_text()) == (1, "my notes")
    done = run("adopt", "none.txt", *index, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "pincite: none.txt: cannot be read (No such file or directory)\n"
    done = run("adopt", "notes.txt", *index, folder=tmp_path)
    assert done.returncode == 1
    assert "notes.txt, line 1: stands before the first question" in done.stderr
    (tmp_path / "empty.txt").touch()
    done = run("adopt", "empty.txt", *index, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "pincite: empty.txt: holds no question: name the file that evaluate.py draft wrote\n"
    assert not (tmp_path / "judgments").exists()


def test_the_sheet_in_the_readme_is_one(sample: Settings) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"^```text\n(Question.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert shown
    with Catalog(sample.index) as catalog:
        found = adopt(shown[1], lambda source: catalog.document(source).text)  # type: ignore[union-attr]
    assert found.complaints == []
    (judgement,) = found.judgements
    quote = "Ketamine cystitis is an inflammation of the bladder that can scar and shrink it."
    assert [(p.grade, p.start, p.quote) for p in judgement.places] == [(2, 1315, quote)]
