"""Hop 5: what a person typed → a query, or one line that says why not."""

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pincite.errors import QuestionError
from pincite.query import MAX_CHARACTERS, Query, Word, parse
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


@pytest.mark.parametrize("question", ["?", "?!…", "--- *** ---", "€ → ©", "😀😀", "“”", "\u200b", "%_%"])
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
def test_anything_typed_is_a_query_with_terms_or_one_line(question: str) -> None:
    try:
        query = parse(question)
    except QuestionError as error:
        complaint = str(error)
        assert len(complaint.splitlines()) == 1
        return
    assert query.text == " ".join(question.split())
    assert query.terms
    assert len(set(query.terms)) == len(query.terms)


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
