"""The sample corpus: as many articles as promised, of the promised size and kind, and nobody else's sentences."""

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from pincite import reading
from pincite.types import Document

CORPUS = Path(__file__).parents[1] / "corpus"
SOURCES = sorted(path.relative_to(CORPUS).as_posix() for path in CORPUS.rglob("*") if path.is_file())
RUN = 8
"""Words in a row that nobody writes twice by chance."""


@cache
def document(source: str) -> Document:
    return reading.read(CORPUS / source, source)


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.lower())


def headings(source: str) -> list[str]:
    return [section.heading[-1] for section in document(source).sections if section.heading]


def test_there_are_enough_articles_of_every_kind() -> None:
    kinds = Counter(Path(source).suffix for source in SOURCES)
    assert set(kinds) == {".md", ".html", ".txt"}
    assert kinds.total() >= 18
    assert min(kinds[".html"], kinds[".txt"]) >= 2


@pytest.mark.parametrize("source", SOURCES)
def test_an_article_has_between_500_and_1200_words(source: str) -> None:
    assert 500 <= len(document(source).text.split()) <= 1200


@pytest.mark.parametrize("source", SOURCES)
def test_an_article_has_a_title_headings_and_sources_and_is_plain_utf_8(source: str) -> None:
    article = document(source)
    assert article.title
    assert headings(source)[0] == article.title
    assert len(headings(source)) >= 4
    assert headings(source)[-1] == "Sources"
    assert article.remarks == ()


@pytest.mark.parametrize("source", SOURCES)
def test_an_article_names_at_least_two_sources(source: str) -> None:
    text = document(source).text
    listed = text[document(source).sections[-1].start :].splitlines()[1:]
    assert sum(bool(line.strip()) for line in listed) >= 2


NOT_ADVICE = re.compile(
    r"""(not|no|nor|nothing|none|neither)\b[^.]*\b(advice|guidance|advise|direct)\b
    | (substitute\ for|replace\b|overrule\b)
    | general\ (education|explanation|knowledge|reading)\b
    | for\ (information|orientation)\b
    | background\ only""",
    re.VERBOSE,
)
"""Every article says it in its own words, so that no passage of the corpus repeats another."""


@pytest.mark.parametrize("source", SOURCES)
def test_an_article_says_at_its_end_that_it_is_not_medical_advice(source: str) -> None:
    text = document(source).text
    before_sources = text[: document(source).sections[-1].start].split("\n\n")
    last = next(paragraph for paragraph in reversed(before_sources) if paragraph.strip())
    assert NOT_ADVICE.search(" ".join(last.lower().split())), last


def test_no_two_paragraphs_are_the_same() -> None:
    counted: Counter[str] = Counter()
    for source in SOURCES:
        for paragraph in re.split(r"\s*\n\s*\n\s*", document(source).text):
            folded = " ".join(paragraph.split())
            if len(folded) >= 40:
                counted[folded] += 1
    assert [paragraph for paragraph, times in counted.items() if times > 1] == []


def runs(text: str) -> set[tuple[str, ...]]:
    found = words(text)
    return {tuple(found[start : start + RUN]) for start in range(len(found) - RUN + 1)}


def test_no_sentence_is_taken_from_the_users_own_article(shared: Path) -> None:
    article = runs((shared / "seed" / "000_847cdb24defe4628.txt").read_text(encoding="utf-8"))
    assert len(article) > 500
    taken = {source: article & runs(document(source).text) for source in SOURCES}
    assert {source: found for source, found in taken.items() if found} == {}
