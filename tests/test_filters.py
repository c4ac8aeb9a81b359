"""Filters over real files and the real model: what passes, in which order, and at which depth."""

import dataclasses
import json
import os
import subprocess
import sys
import time
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pincite import Searcher, Settings
from pincite.embedding import Embedder
from pincite.errors import QuestionError
from pincite.evaluation.runs import METHODS, ask
from pincite.filters import Filters
from pincite.query import parse, plain
from pincite.storage import Catalog, dense, lexical
from pincite.storage.parts import Stretch
from pincite.sync import sync
from pincite.types import Answer

NFD = unicodedata.normalize("NFD", "Café")
FILES = {
    "boats/ferry.md": "# Ferry fares\n\nA ferry ticket costs six pounds.\n\n## Dogs\n\nDogs travel free of charge.\n",
    "boats/old/ferry.MD": "# Old fares\n\nA ferry ticket cost two pounds in 1990.\n",
    "boats.txt": "Ferries sail daily.",
    "boatsheds/keys.txt": "The key of the ferry shed hangs by the door.",
    "100%/a_b.txt": "The ferry was full: 100% of its seats were taken.",
    "100x/axb.txt": "The ferry was half full.",
    "a folder/C:\\ferry \"two\".txt": "Ferry number two has no dog kennel.",
    f"{NFD}/tea.txt": "On the ferry the CAFE\u0301 serves strong\n  tea. It doesn’t sell Straße maps.",
    "trains.html": "<title>Trains &amp; Ferries</title><p>The ferry meets the train, and a dog's ticket is free.</p>",
}  # fmt: skip


@pytest.fixture(scope="module")
def searcher(tmp_path_factory: pytest.TempPathFactory, embedder: Embedder) -> Searcher:
    folder = tmp_path_factory.mktemp("filters")
    settings = Settings(corpus=folder / "corpus", index=folder / "index")
    for number, (source, text) in enumerate(FILES.items()):
        path = settings.corpus / source
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        changed = datetime(2020 + number, 3, 1).timestamp()  # at midnight, in local time
        os.utime(path, (changed, changed))
    sync(settings, embedder=embedder)
    return Searcher(settings, embedder)


def sources(answer: Answer) -> set[str]:
    return {hit.passage.source for hit in answer.hits}


def texts(answer: Answer) -> set[str]:
    return {hit.passage.text for hit in answer.hits}


ALL = set(FILES)


@pytest.mark.parametrize(
    ("operators", "expected"),
    [
        ("", ALL),
        ("in:boats/", {"boats/ferry.md", "boats/old/ferry.MD"}),
        ("in:boats", {"boats/ferry.md", "boats/old/ferry.MD"}),
        ("in:boats.txt", {"boats.txt"}),
        ("in:boats.txt/", set()),
        ("in:boat", set()),
        ("in:boats/old/ in:boats.txt", {"boats/old/ferry.MD", "boats.txt"}),
        ("-in:boats/ -in:100%/", ALL - {"boats/ferry.md", "boats/old/ferry.MD", "100%/a_b.txt"}),
        ("in:boats/ -in:boats/old", {"boats/ferry.md"}),
        ("in:100%/", {"100%/a_b.txt"}),
        ("in:%", set()),
        ("in:100%/a_b.txt", {"100%/a_b.txt"}),
        ('in:"a folder/"', {"a folder/C:\\ferry \"two\".txt"}),
        ('in:"a folder/C:\\ferry ""two"".txt"', {"a folder/C:\\ferry \"two\".txt"}),
        ("in:Caf\u00e9/", {f"{NFD}/tea.txt"}),
        ("in:Cafe\u0301/tea.txt", {f"{NFD}/tea.txt"}),
        ("in:../boats/", set()),
        ("type:md", {"boats/ferry.md", "boats/old/ferry.MD"}),
        ("type:MD -in:boats/old/", {"boats/ferry.md"}),
        ("type:html type:md", {"boats/ferry.md", "boats/old/ferry.MD", "trains.html"}),
        ("type:d", set()),
        ("-type:txt", {"boats/ferry.md", "boats/old/ferry.MD", "trains.html"}),
        ("title:fare", {"boats/ferry.md", "boats/old/ferry.MD"}),
        ('title:"fares ferry"', {"boats/ferry.md"}),
        ("title:ferries", {"boats/ferry.md", "trains.html", "a folder/C:\\ferry \"two\".txt"}),
        ("title:ferry -title:train", {"boats/ferry.md", "a folder/C:\\ferry \"two\".txt"}),
        ("title:KEYS", {"boatsheds/keys.txt"}),
        ("after:2027", {f"{NFD}/tea.txt", "trains.html"}),
        ("after:2027-03-01", {f"{NFD}/tea.txt", "trains.html"}),
        ("after:2027-03-02", {"trains.html"}),
        ("before:2021-03", {"boats/ferry.md"}),
        ("before:2021-03-02", {"boats/ferry.md", "boats/old/ferry.MD"}),
        ("after:2021 before:2023", {"boats/old/ferry.MD", "boats.txt"}),
        ("after:2023 before:2021", set()),
        ("after:0001 before:9999", ALL),
            ("after:9999-12-31", set()),
        ("before:9999-12-31 after:2261-12-31", set()),
        ("before:0001", set()),
        ('"six pounds"', {"boats/ferry.md"}),
        ('"SIX   pounds."', {"boats/ferry.md"}),
        ('"six pound"', set()),
        ('"pounds six"', set()),
        ('"ticket costs"', {"boats/ferry.md"}),
        ('"a ferry ticket" "two pounds"', {"boats/old/ferry.MD"}),
        ('"café serves strong tea"', {f"{NFD}/tea.txt"}),
        ("\"doesn't sell STRASSE\"", {f"{NFD}/tea.txt"}),
        ('"100%"', {"100%/a_b.txt"}),
        ('"dog"', {"a folder/C:\\ferry \"two\".txt", "trains.html"}),
        ('"Ferry fares"', {"boats/ferry.md"}),
        ("-pounds -tea", ALL - {f"{NFD}/tea.txt", "boats/old/ferry.MD"} ),
        ('-"six pounds" -"two pounds" in:boats/', {"boats/ferry.md"}),
        ('-"six pound" in:boats/', {"boats/ferry.md", "boats/old/ferry.MD"}),
        ('-"ferry fares" in:boats/', {"boats/old/ferry.MD"}),
        ("-zeppelin", ALL),
        ('"zeppelin"', set()),
    ],
)  # fmt: skip
def test_what_passes(searcher: Searcher, operators: str, expected: set[str]) -> None:
    answer = searcher.search(f"ferry {operators}", 50)
    assert sources(answer) == expected
    assert answer.question == f"ferry {operators}".strip()
    if not expected:
        assert (answer.hits, answer.answer) == ((), "none")
    # The same from the page's controls, as far as it leaves the text alone.
    query = parse(f"ferry {operators}")
    assert sources(searcher.search(dataclasses.replace(query, filters=Filters()), 50, query.filters)) == expected


def test_a_word_that_is_left_out_is_left_out_in_every_form_and_with_what_stands_below_it(searcher: Searcher) -> None:
    dogs = {text for text in texts(searcher.search("ferry", 50)) if "dog" in text.lower()}
    assert len(dogs) == 3
    assert texts(searcher.search("ferry -dogs", 50)) == texts(searcher.search("ferry", 50)) - dogs
    # Both passages stand below the title “Ferry fares”.
    assert texts(searcher.search("ticket in:boats/ferry.md -fares", 50)) == set()


def test_what_is_typed_and_what_is_chosen_both_hold(searcher: Searcher) -> None:
    for typed, chosen, expected in [
        ("in:boats/", Filters(within=("boats/old/",)), {"boats/old/ferry.MD"}),
        ("in:boats/", Filters(within=("100%/",)), set()),
        ("type:md", Filters(types=("html", "md"), outside=("boats/old/",)), {"boats/ferry.md"}),
        ("-pounds", Filters(within=("boats/",), phrases=("dogs travel",)), {"boats/ferry.md"}),
    ]:
        assert sources(searcher.search(f"ferry {typed}", 50, chosen)) == expected


def test_a_plain_question_is_searched_for_as_it_is(searcher: Searcher) -> None:
    answer = searcher.search(plain('ferry in:boats/ -dog "no such phrase"'), 50)
    assert sources(answer) == ALL
    assert answer.question == 'ferry in:boats/ -dog "no such phrase"'


@pytest.mark.parametrize("method", METHODS)
def test_questions_that_are_measured_are_taken_as_they_are(searcher: Searcher, method: str) -> None:
    question = 'the ferry in:boats/ -dog "no such phrase" after:soon'
    assert set(ask(searcher, method, question).sources) == ALL


def test_an_empty_filter_is_none(searcher: Searcher) -> None:
    def without_time(answer: Answer) -> Answer:
        return dataclasses.replace(answer, milliseconds=0.0)

    assert without_time(searcher.search("ferry", 5, Filters())) == without_time(searcher.search("ferry", 5))


def test_filters_follow_what_a_sync_does(settings: Settings, embedder: Embedder) -> None:
    (settings.corpus / "a").mkdir()
    file = settings.corpus / "a" / "x.txt"
    file.write_text("Ferries sail daily.")
    os.utime(file, (0, datetime(2001, 5, 5).timestamp()))
    (settings.corpus / "other.txt").write_text("Trains run hourly.")
    sync(settings, embedder=embedder)
    searcher = Searcher(settings, embedder)
    assert sources(searcher.search("ferries in:a/ before:2002")) == {"a/x.txt"}

    (settings.corpus / "b").mkdir()
    file = file.rename(settings.corpus / "b" / "y.md")
    sync(settings, embedder=embedder)
    assert sources(searcher.search("ferries in:a/")) == set()
    assert sources(searcher.search("ferries in:b/ type:md")) == {"b/y.md"}

    os.utime(file, (0, datetime(2011, 5, 5).timestamp()))  # touched and not changed
    sync(settings, embedder=embedder)
    assert sources(searcher.search("ferries after:2011-05-05 before:2011-05-06")) == {"b/y.md"}

    file.write_text("Ferries sail weekly.")
    sync(settings, embedder=embedder)
    assert sources(searcher.search('ferries "sail daily"')) == set()
    assert sources(searcher.search('ferries "sail weekly" in:b/')) == {"b/y.md"}
    file.unlink()
    sync(settings, embedder=embedder)
    assert sources(searcher.search("ferries in:b/")) == set()


@pytest.mark.parametrize("question", ["How fast does ketamine work?", "bipolar", "is it safe to drive the day after"])
@pytest.mark.parametrize("operators", ["in:ketamine/", "-in:ketamine/ type:md", "-depression", 'in:choosing/ "a"'])
def test_an_order_with_filters_is_the_order_without_them_of_what_passes(
    sample: Settings, embedder: Embedder, question: str, operators: str
) -> None:
    wide = sample.model_copy(update={"search": sample.search.model_copy(update={"candidates": 1000})})
    searcher = Searcher(wide, embedder)
    everything = searcher.search(plain(question), 1000).hits
    query = parse(f"{question} {operators}")
    query = dataclasses.replace(query, text=plain(question).text, terms=plain(question).terms)  # without the phrase
    some = searcher.search(query, 1000).hits
    assert 20 < len(some) < len(everything)
    place = {hit.passage: hit for hit in everything}
    ranks = [place[hit.passage].rank for hit in some if hit.passage in place]
    assert len(ranks) >= len(some) - 1
    assert ranks == sorted(ranks)
    for hit in some:
        if hit.passage in place:
            assert hit.features == pytest.approx(place[hit.passage].features, abs=1e-6)
    # Few candidates suffice for the first ones.
    first = Searcher(sample, embedder).search(query, 10).hits
    assert [hit.passage for hit in first] == [hit.passage for hit in some[:10]]


def test_phrases_are_looked_for_as_deep_as_they_stand(settings: Settings, embedder: Embedder) -> None:
    # All have the same stems; nearest to the question are those that do not hold the phrase as it is.
    for number in range(60):
        (settings.corpus / f"{number:02}.txt").write_text(f"The sailing ferries of quay {number} sailed.")
    for number in range(4):
        (settings.corpus / f"z{number}.txt").write_text(
            f"Bread, tyres, tulips and cheese of shop {number}. Once the sails ferry came by as a clown."
        )
    sync(settings, embedder=embedder)
    narrow = settings.model_copy(update={"search": settings.search.model_copy(update={"candidates": 10})})
    searcher = Searcher(narrow, embedder)
    query = dataclasses.replace(plain("sailing ferries of the quay"), filters=Filters(phrases=("sails ferry",)))
    assert sources(searcher.search(query, 3)) <= {"z0.txt", "z1.txt", "z2.txt", "z3.txt"}
    assert sources(searcher.search(query, 10)) == {"z0.txt", "z1.txt", "z2.txt", "z3.txt"}


def test_phrases_that_leave_out_all_that_is_near_are_refused(
    settings: Settings, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pincite.candidates._DEEPEST", 16)
    for number in range(20):
        (settings.corpus / f"{number:02}.txt").write_text(f"Ferry {number} sails daily.")
    sync(settings, embedder=embedder)
    narrow = settings.model_copy(update={"search": settings.search.model_copy(update={"candidates": 10})})
    searcher = Searcher(narrow, embedder)
    with pytest.raises(QuestionError) as caught:
        searcher.search('when do ferries sail -"daily"')
    assert str(caught.value) == (
        "none of the passages nearest to the question is as its phrases ask: leave them away, or limit where to look"
        " with in:"
    )
    # What is among them is found, however much else is left out.
    last = searcher.search("when do ferries sail", 10).hits[-1].passage
    others = " ".join(f'-"ferry {number}"' for number in range(20) if f"Ferry {number} " not in last.text)
    assert sources(searcher.search(f"when do ferries sail {others}")) == {last.source}


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("titles", "words of titles"),
        ("no_titles", "words of titles to leave out"),
        ("phrases", "phrases"),
        ("no_phrases", "phrases to leave out"),
        ("no_words", "words to leave out"),
    ],
)
def test_words_to_look_for_everywhere_are_few(name: str, what: str) -> None:
    words = tuple(f"word{number}" for number in range(33))
    assert getattr(Filters(**{name: words[:32]}), name) == tuple(sorted(words[:32]))
    with pytest.raises(QuestionError) as caught:
        Filters(**{name: words})
    assert str(caught.value) == f"33 {what}: name at most 32"


def test_copies_are_named_only_where_they_pass(settings: Settings, embedder: Embedder) -> None:
    for source in ("a/x.txt", "a/y.txt", "b/z.txt"):
        path = settings.corpus / source
        path.parent.mkdir(exist_ok=True)
        path.write_text("Ferries sail daily.")
    sync(settings, embedder=embedder)
    (hit,) = Searcher(settings, embedder).search("ferries in:a/").hits
    assert (hit.passage.source, [place.source for place in hit.also]) == ("a/x.txt", ["a/y.txt"])


# Against independent witnesses


@pytest.fixture(scope="module")
def vectors() -> tuple[np.ndarray, np.ndarray]:
    """Ids in no order, and unit vectors."""
    random = np.random.default_rng(7)
    made = random.standard_normal((3_000, 32)).astype(np.float32)
    ids = random.permutation(np.arange(5, 3 * 3_000 + 5, 3)).astype(np.int64)
    return ids, made / np.linalg.norm(made, axis=1, keepdims=True)


NONE = np.empty(0, dtype=np.int64)


def dense_of(folder: Path, ids: np.ndarray, made: np.ndarray) -> dense.DenseIndex:
    rising = np.argsort(ids)
    layout = dense.build(folder, None, NONE, ids[rising], lambda some: made[rising[np.searchsorted(ids[rising], some)]])
    return dense.DenseIndex(folder, layout)


def lexical_of(folder: Path, texts: list[tuple[int, str]]) -> lexical.LexicalIndex:
    every = Stretch(first=texts[0][0], last=texts[-1][0], passages=len(texts))
    lexical.build(folder, None, NONE, every, lambda _first, _last: iter(texts))
    return lexical.LexicalIndex(folder)


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 100, 2_900, 3_000])
def test_the_nearest_of_those_allowed_are_those_of_brute_force(
    tmp_path: Path, vectors: tuple[np.ndarray, np.ndarray], count: int
) -> None:
    ids, made = vectors
    index = dense_of(tmp_path / "dense", ids, made)
    assert index.ids.tolist() == sorted(ids.tolist())
    random = np.random.default_rng(count)
    allowed = np.sort(random.choice(ids, count, replace=False))
    asked = made[17]
    cosines = made.astype(np.float16).astype(np.float32) @ asked
    expected = [int(ids[row]) for row in np.argsort(-cosines) if ids[row] in allowed]
    assert index.search(asked, 50, allowed) == expected[:50]
    every = index.search(asked, 5_000, allowed)
    assert every == [id_ for id_ in index.search(asked, 3_000) if id_ in allowed]
    of = dict(zip(ids.tolist(), cosines.tolist(), strict=True))
    # FAISS and numpy round to float16 in their own ways.
    assert [of[id_] for id_ in every] == pytest.approx([of[id_] for id_ in expected], abs=1e-4)
    # One that is not in the index changes nothing.
    assert index.search(asked, 50, np.append(allowed, 100_000)) == expected[:50]


def test_nothing_allowed_finds_nothing(tmp_path: Path, vectors: tuple[np.ndarray, np.ndarray]) -> None:
    nothing = np.empty(0, dtype=np.int64)
    assert dense_of(tmp_path / "dense", *vectors).search(vectors[1][0], 10, nothing) == []
    assert lexical_of(tmp_path / "lexical", [(1, "a ferry")]).search(["ferri"], 10, nothing) == []


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> lexical.LexicalIndex:
    """5,000 texts of no two alike scores: of one to thirty words, the rare one in every ninth."""
    random = np.random.default_rng(3)
    folder = tmp_path_factory.mktemp("words") / "lexical"
    vocabulary = ["ferry", "boat", "harbour", "quay", *(f"word{number}" for number in range(60))]

    def passages() -> Iterator[tuple[int, str]]:
        for number in range(5_000):
            drawn = random.choice(vocabulary, int(random.integers(1, 30)))
            yield 3 * number + 1, " ".join([*drawn, *(["zebra"] if number % 9 == 0 else [])])

    return lexical_of(folder, list(passages()))


@pytest.mark.parametrize("share", [1, 0.9, 0.5, 0.1, 0.01])
@pytest.mark.parametrize("query", [["ferri"], ["ferri", "boat", "zebra"], ["zebra"], ["nowhere"]])
def test_words_are_found_alike_whether_few_or_many_are_allowed(
    words: lexical.LexicalIndex, monkeypatch: pytest.MonkeyPatch, share: float, query: list[str]
) -> None:
    everything = words.search(query, len(words))
    random = np.random.default_rng(11)
    allowed = np.sort(random.choice(np.arange(1, 15_000, 3), int(5_000 * share), replace=False))
    expected = [id_ for id_ in everything if id_ in set(allowed.tolist())]
    for few, not_too_many in ((0, 0), (0, 10_000), (10_000, 0)):
        monkeypatch.setattr(lexical, "_FEW", few)
        monkeypatch.setattr(lexical, "_NOT_TOO_MANY", not_too_many)
        for count in (1, 10, 5_000):
            assert words.search(query, count, allowed) == expected[:count]


def test_words_that_stand_elsewhere_are_looked_for_twice_at_most(
    words: lexical.LexicalIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    best = lexical.LexicalIndex._best

    def counted(self: lexical.LexicalIndex, query: Sequence[str], count: int) -> list[int]:
        looked.append(count)
        return best(self, query, count)

    monkeypatch.setattr(lexical.LexicalIndex, "_best", counted)
    zebras = np.array(words.search(["zebra"], len(words)))
    others = np.setdiff1d(np.arange(1, 15_000, 3), zebras)
    looked.clear()
    assert words.search(["zebra"], 100, others) == []
    assert looked == [2 * 100 * 5_000 // len(others)]  # then those that are allowed were named
    monkeypatch.setattr(lexical, "_NOT_TOO_MANY", 0)
    looked.clear()
    assert words.search(["zebra"], 100, others) == []
    assert len(looked) == 2  # at the second depth there were no more to find


def test_all_that_hold_a_phrase_are_found(words: lexical.LexicalIndex, tmp_path: Path) -> None:
    assert words.holding(["zebra"]).tolist() == [3 * number + 1 for number in range(0, 5_000, 9)]
    texts = ["ferries sail", "the Ferry sails", "sail ferry", "ferry and sail", "ferry"]
    index = lexical_of(tmp_path / "lexical", list(enumerate(texts)))
    assert index.holding(["ferri", "sail"]).tolist() == [0, 1]
    assert index.holding(["ferri"]).tolist() == [0, 1, 2, 3, 4]
    assert index.holding(["tulip"]).tolist() == []


@pytest.mark.parametrize(
    ("text", "phrase", "expected"),
    [
        ("The Ferry sails.", "ferry SAILS", True),
        ("The ferry\n\tsails", "ferry sails", True),
        ("Ferry-sails", "ferry sails", False),
        ("ferry sails", "erry sail", False),
        ("a ferry sails", "ferry sail", False),
        ("ferry’s “old” sails – torn", "ferry's \"old\" sails - torn", True),
        ("ﬁve CAFE\u0301S in ＴＯＫＹＯ", "five cafés in tokyo", True),
        ("Straße", "STRASSE", True),
        ("ΑΘΉΝΑ", "αθήνα", True),
        ("it costs (about) $5", "(about) $5", True),
        ("a.b", "a*b", False),
        ("5.5 mg", "5 mg", True),
        ("15 mg", "5 mg", False),
        ("東京タワー", "東京", False),
    ],
)  # fmt: skip
def test_whole_words_are_held_but_for_case_accents_and_white_space(text: str, phrase: str, expected: bool) -> None:
    assert (lexical.phrase(phrase).search(lexical.folded(text)) is not None) is expected


@hypothesis_settings(deadline=None, max_examples=200)
@given(
    before=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    words=st.lists(st.from_regex(r"[a-zA-Zéß0-9]{1,6}", fullmatch=True), min_size=1, max_size=4),
    gaps=st.lists(st.sampled_from([" ", "\n", "\t ", "\u00a0"]), min_size=4, max_size=4),
    after=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
def test_what_is_quoted_from_a_text_is_held_by_it(before: str, words: list[str], gaps: list[str], after: str) -> None:
    text = "".join(word.swapcase() + gap for word, gap in zip(words, gaps, strict=False))
    assert lexical.phrase(" ".join(words)).search(lexical.folded(f"{before} {text} {after}"))


PIECES = [
    "in:boats/", "in:100%/", "-in:boats/old/", "type:txt", "type:md", "-type:html", "title:ferry", "-title:old",
    "after:2022", "before:2026", '"ferry"', "-dog", '-"six pounds"', '"ticket"',
]  # fmt: skip


@hypothesis_settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(PIECES), max_size=5))
def test_any_filters_leave_what_their_definition_says(searcher: Searcher, pieces: list[str]) -> None:
    query = parse(f"ferry {' '.join(pieces)}")
    asked = query.filters
    with Catalog(searcher.settings.index) as catalog:
        every = [stored.passage for stored in catalog.all_passages()]
        changed = {source: state.modified for source, state in catalog.files().items()}

    def passes(source: str, title: str, context: str, text: str) -> bool:
        year = datetime.fromtimestamp(changed[source] / 1e9).year
        named = title or source.rpartition("/")[2]
        written = " ".join(text.lower().split())
        return (
            (not asked.within or source.startswith(asked.within))
            and not source.startswith(asked.outside or ("\0",))
            and (not asked.types or source.lower().endswith(asked.types))
            and not source.lower().endswith(asked.no_types or ("\0",))
            and all(word[:4] in named.lower() for word in asked.titles)
            and not any(word in named.lower() for word in asked.no_titles)
            and (asked.after is None or year >= asked.after.year)
            and (asked.before is None or year < asked.before.year)
            and all(f" {phrase} " in f" {written.replace('.', ' ')} " for phrase in asked.phrases)
            and not any(word in f"{context} {text}".lower() for word in asked.no_words)
            and not any(phrase in written for phrase in asked.no_phrases)
        )

    expected = {p.text for p in every if passes(p.source, p.title, p.context, p.text)}
    assert texts(searcher.search(query, 50)) == expected


# From the command line


def test_the_command_understands_operators(searcher: Searcher) -> None:
    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "pincite", *arguments, "--index", str(searcher.settings.index)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
        return done.stdout + done.stderr

    told = json.loads(run("search", 'ferry "two pounds" in:boats/', "--json"))
    assert told["question"] == 'ferry "two pounds" in:boats/'
    assert [hit["source"] for hit in told["hits"]] == ["boats/old/ferry.MD"]
    assert run("search", "ferry in:nowhere/") == (
        "Nothing is left to look in: take away or widen what limits the question.\n"
    )
    assert run("search", "ferry after:soon").startswith("pincite: “after:soon” names no day")
    assert "boatsheds/keys.txt" in run("why", "ferry in:boats/", "--expected", "boatsheds/keys.txt")


# At size


@pytest.mark.slow
@pytest.mark.alone
def test_a_filter_over_many_passages_costs_little(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    made = random.standard_normal((100_000, 384)).astype(np.float32)
    ids = np.arange(1, 100_001, dtype=np.int64)
    index = dense_of(tmp_path / "dense", ids, made / np.linalg.norm(made, axis=1, keepdims=True))

    def best(allowed: np.ndarray | None) -> float:
        times = []
        for _ in range(5):
            started = time.perf_counter()
            index.search(made[0], 100, allowed)
            times.append(time.perf_counter() - started)
        return min(times)

    without = best(None)
    assert best(ids[::25]) < without + 0.02  # 4,000
    assert best(ids[1:]) < 3 * without + 0.02
