"""Hop 5: what a person typed → a query, or one line that says why not."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pincite.errors import QuestionError
from pincite.filters import Filters
from pincite.query import MAX_CHARACTERS, Query, Word, parse, plain
from pincite.storage import lexical


def refusal(question: str) -> str:
    with pytest.raises(QuestionError) as caught:
        parse(question)
    return str(caught.value)


def test_a_question_becomes_its_terms_each_once_in_its_order() -> None:
    assert parse("How fast does\n ketamine work,\tand how fast do ketamines wear off?") == Query(
        text="How fast does ketamine work, and how fast do ketamines wear off?",
        terms=("fast", "ketamin", "work", "wear", "off"),
    )


def test_stop_words_are_no_terms_whatever_their_apostrophes() -> None:
    assert parse("Why don't you say what’s new in the US?").terms == ("say", "new", "us")


def test_terms_are_those_of_the_index_whatever_the_writing() -> None:
    assert parse("CAFÉ Cafés ｃａｆé cafe\u0301").terms == ("cafe",)
    assert parse("R-ketamine 0.5 mg/kg").terms == ("r", "ketamin", "0", "5", "mg", "kg")
    assert parse("東京 はどこ").terms == ("東京", "はどこ")


@pytest.mark.parametrize("question", ["", " ", "\n\t\r\n", "\u2003\xa0"])
def test_an_empty_question_is_refused(question: str) -> None:
    assert refusal(question) == "the question is empty: type what you want to know"


def test_a_question_as_long_as_a_document_is_refused_not_cut() -> None:
    assert parse("ketamine " * 222).text.count("ketamine") == 222  # 1,997 characters
    assert refusal("ketamine " * 1_111 + "k") == (
        f"the question has 10,000 characters, {MAX_CHARACTERS:,} is the most: ask for one thing at a time"
    )
    assert parse("x" + " " * 10_000 + "y").text == "x y"  # white space counts once


@pytest.mark.parametrize("question", ["?", "?!…", "--- *** ---", "€ → ©", "😀😀", "\u200b", "%_%"])
def test_a_question_of_symbols_holds_nothing_to_search_for(question: str) -> None:
    assert refusal(question) == f"“{question}” holds no word to search for: ask in words"


@pytest.mark.parametrize(
    "question",
    [
        "what is it",
        "What is it?",
        "Who are THEY?",
        "what’s that",
        "What's that?",
        "how should I",
        "Why don’t you?",
        "Can't they?",
        "the",
        "is it not so?",
    ],
)
def test_a_question_of_only_stop_words_asks_to_be_told_what_it_is_about(question: str) -> None:
    assert refusal(question) == f"“{question}” holds only words that stand in every text: name what it is about"


@pytest.mark.parametrize(
    ("typed", "terms"),
    [
        ("WHO", ("who",)),
        ("what does the WHO say of IT staff", ("who", "say", "it", "staff")),
        ("WHO SAYS WHAT IS IT", ("say",)),  # in capitals throughout they tell nothing
        ('"The Who"', ("the", "who")),
        ('"to be or not to be"', ("to", "be", "or", "not")),
        ('the band "The Who"', ("band",)),
    ],
)
def test_stop_words_count_as_names_and_where_a_phrase_has_no_others(typed: str, terms: tuple[str, ...]) -> None:
    assert parse(typed).terms == terms


@pytest.mark.parametrize("question", ["ketamine", "is it legal", "what is K?", "who's 5", "How do I get off it?"])
def test_one_word_of_content_is_enough(question: str) -> None:
    assert parse(question).text == question


def test_what_is_shown_of_a_refused_question_is_short() -> None:
    assert refusal("?" * 60) == f"“{'?' * 60}” holds no word to search for: ask in words"
    assert refusal("?" * 61) == f"“{'?' * 57}…” holds no word to search for: ask in words"


def test_half_a_character_is_refused() -> None:
    assert refusal("what is \udce9t\ud800") == "the question is not valid UTF-8: type it again"


@hypothesis_settings(deadline=None, max_examples=300)
@given(st.text(st.characters(), max_size=300))
def test_a_plain_question_is_its_text_or_refused_in_one_line(question: str) -> None:
    try:
        query = plain(question)
    except QuestionError as error:
        complaint = str(error)
        assert len(complaint.splitlines()) == 1
        return
    assert query.text == query.typed == " ".join(question.split())
    assert query.filters == Filters()
    assert query.terms
    assert len(set(query.terms)) == len(query.terms)


# Its operators


@pytest.mark.parametrize(
    ("typed", "text", "filters"),
    [
        ('what is "off  label" use', "what is off label use", Filters(phrases=("off label",))),
        ('is it "off label"?', "is it off label?", Filters(phrases=("off label",))),
        ("dose “off label”", "dose off label", Filters(phrases=("off label",))),
        ('"said ""no"" twice"', 'said "no" twice', Filters(phrases=('said "no" twice',))),
        ("ketamine -nasal -Spray, cost", "ketamine cost", Filters(no_words=("Spray", "nasal"))),
        ('ketamine -"nasal spray"', "ketamine", Filters(no_phrases=("nasal spray",))),
        ("dose in:a/ in:b in:a/", "dose", Filters(within=("a/", "b"))),
        ('dose in:"a folder/my file.pdf"', "dose", Filters(within=("a folder/my file.pdf",))),
        ('dose in:"a  b/"', "dose", Filters(within=("a  b/",))),
        ("dose in:/a/ in:./b/", "dose", Filters(within=("a/", "b/"))),
        ("dose -in:drafts/", "dose", Filters(outside=("drafts/",))),
        ("dose type:pdf type:.MD -type:Txt", "dose", Filters(types=("md", "pdf"), no_types=("txt",))),
        (
            'dose title:cost title:"two  words" -title:old',
            "dose",
            Filters(titles=("cost", "two words"), no_titles=("old",)),
        ),
        ("dose after:2024", "dose", Filters(after=date(2024, 1, 1))),
        ("dose after:2024-02 before:2024-05-17", "dose", Filters(after=date(2024, 2, 1), before=date(2024, 5, 17))),
        (
            "dose after:2023 after:2024 before:2026 before:2025",
            "dose",
            Filters(after=date(2024, 1, 1), before=date(2025, 1, 1)),
        ),
        ("IN:a/ Type:pdf dose", "dose", Filters(within=("a/",), types=("pdf",))),
        ("dose -ketamine's -low-dose", "dose", Filters(no_words=("ketamine's", "low-dose"))),
    ],
)
def test_operators_become_filters_and_leave_the_text(typed: str, text: str, filters: Filters) -> None:
    query = parse(typed)
    assert (query.text, query.filters) == (text, filters)
    assert parse(f"x {filters}").filters == filters


@pytest.mark.parametrize(
    "typed",
    [
        'a 5" pipe and a 6" pipe',
        '"5 inch pipe',
        'the "never closed',
        "don't R-ketamine low-dose mg/kg",
        "storage at -20 °C, -5 and -.5",
        "ferries - and trains -",
        "a --flag -- b",
        "re:dose foo:bar https://example.org/in:a",
        'half"way"there x(in:a/)',
        "what's within: a/",
    ],
)
def test_what_is_no_operator_is_text(typed: str) -> None:
    query = parse(typed)
    assert (query.text, query.filters, query.typed) == (typed, Filters(), typed)
    assert query == plain(typed)


@pytest.mark.parametrize(
    "question", ['how "low dose" helps', "ketamine -nasal in:a/ type:", '""  x', "after:soon what"]
)
def test_a_plain_question_has_no_operators(question: str) -> None:
    assert plain(question) == Query(" ".join(question.split()), plain(question).terms)


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ("x type:", "“type:” names no file ending: write type:pdf, and type:md beside it for another"),
        ("x type:pdf,md", "“type:pdf,md” names no file ending: write type:pdf, and type:md beside it for another"),
        (
            "x in: a/",
            '“in:” names no folder: write in:folder/ or in:"a folder/file.pdf", without a space before it',
        ),
        ("x in:/", '“in:/” names no folder: write in:folder/ or in:"a folder/file.pdf", without a space before it'),
        ('x in:"a b', '“in:"a” has a quote that is not closed: write in:"…"'),
        ("x -title:?", '“-title:?” names no word: write title:word or title:"two words", without a space before it'),
        ("x after:soon", "“after:soon” names no day: write after:2024, after:2024-05 or after:2024-05-17"),
        (
            "x before:2023-02-29",
            "“before:2023-02-29” names no day: write before:2024, before:2024-05 or before:2024-05-17",
        ),
        ("x after:0000", "“after:0000” names no day: write after:2024, after:2024-05 or after:2024-05-17"),
        ("x -after:2024", "“-after:2024” has no opposite: write before:2024"),
        ('x ""', '“""” quotes no word: put the words between the quotes'),
        ('x -"?"', '“-"?"” quotes no word: put the words between the quotes'),
        ("in:a/ -b", "“in:a/ -b” says where to look and not for what: name what it is about"),
        ("to be in:a/", "“to be” holds only words that stand in every text: name what it is about"),
    ],
)
def test_an_operator_that_says_nothing_is_refused_with_what_is_right(typed: str, complaint: str) -> None:
    assert refusal(typed) == complaint


def test_what_was_typed_is_kept_with_its_operators() -> None:
    assert parse(' how  fast in:"a  b/"  -slow ').typed == 'how fast in:"a  b/" -slow'


PIECES = st.sampled_from(
    [
        *' \t\n"“”-:/.,',
        "in:",
        "type:",
        "title:",
        "after:",
        "before:",
        "IN:",
        "2024",
        "-05",
        "word",
        "a/",
        '""',
        "%_",
        "é",
    ]
)


@hypothesis_settings(deadline=None, max_examples=1000)
@given(st.lists(PIECES | st.text(st.characters(), max_size=4), max_size=40).map("".join))
def test_anything_typed_is_a_query_or_one_line(typed: str) -> None:
    try:
        query = parse(typed)
    except QuestionError as error:
        complaint = str(error)
        assert len(complaint.splitlines()) == 1
        return
    assert query.terms
    assert query.text == " ".join(query.text.split())
    assert parse(f"x {query.filters}").filters == query.filters
    again = parse(query.typed)
    assert (again, again.typed) == (query, query.typed)


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).map(lambda text: " ".join(f"w{text}".split()))
PLACES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).map(lambda text: f"f{text}")
ENDINGS = st.from_regex(r"[a-z0-9][a-z0-9._+-]{0,5}", fullmatch=True)


@hypothesis_settings(deadline=None, max_examples=300)
@given(
    st.builds(
        Filters,
        within=st.lists(PLACES, max_size=3),
        outside=st.lists(PLACES, max_size=3),
        types=st.lists(ENDINGS, max_size=3),
        no_types=st.lists(ENDINGS, max_size=3),
        titles=st.lists(WORDS, max_size=3),
        no_titles=st.lists(WORDS, max_size=3),
        phrases=st.lists(WORDS, max_size=3),
        no_phrases=st.lists(WORDS, max_size=3),
        no_words=st.lists(st.from_regex(r"[a-z][a-z0-9'-]{0,8}[a-z]", fullmatch=True), max_size=3),
        after=st.none() | st.dates(),
        before=st.none() | st.dates(),
    )
)
def test_filters_are_written_as_operators_that_parse_to_the_same(filters: Filters) -> None:
    assert parse(f"x {filters}").filters == filters


def test_order_and_repetition_make_no_other_filters() -> None:
    assert Filters(within=("b/", "a/", "b/")) == Filters(within=("a/", "b/"))
    assert str(Filters(within=("b/", 'a "x"/'), after=date(2024, 5, 1))) == 'in:"a ""x""/" in:b/ after:2024-05-01'
    assert not Filters()
    assert Filters(before=date(1, 1, 1))


# Its words


def test_every_word_has_its_place_its_terms_and_whether_it_asks() -> None:
    text = "How many doses, since WHEN?"
    assert parse(text).words() == [
        Word((0, 3), ("how",), True),
        Word((4, 8), ("mani",), True),
        Word((9, 14), ("dose",), False),
        Word((16, 21), ("sinc",), False),
        Word((22, 26), ("when",), True),
    ]


def test_words_are_told_apart_as_they_are_written() -> None:
    query = parse("ketamine's R-ketamine  0.5 mg_per_kg naïve 東京")
    shown = [(query.text[start:end], word.terms) for word in query.words() for start, end in [word.span]]
    assert shown == [
        ("ketamine", ("ketamin",)),
        ("s", ("s",)),
        ("R", ("r",)),
        ("ketamine", ("ketamin",)),
        ("0", ("0",)),
        ("5", ("5",)),
        ("mg_per_kg", ("mg", "per", "kg")),
        ("naïve", ("naiv",)),
        ("東京", ("東京",)),
    ]


def test_only_whole_words_ask() -> None:
    words = parse("Whatever somewhat howling, whose oldest years are many? Ketamine").words()
    assert [word.terms[0] for word in words if word.is_asking] == ["whose", "mani"]


@hypothesis_settings(deadline=None, max_examples=300)
@given(st.text(st.characters(), max_size=200))
def test_the_words_of_anything_typed_stand_in_order_and_hold_no_white_space(question: str) -> None:
    try:
        query = parse(question)
    except QuestionError:
        return
    end = 0
    for word in query.words():
        assert end <= word.span[0] < word.span[1] <= len(query.text)
        end = word.span[1]
        written = query.text[word.span[0] : end]
        assert not any(character.isspace() for character in written)
        assert list(word.terms) == lexical.terms(written)
