"""Hop 5: question → hits, over real files and the real model."""

import dataclasses
import json
import threading
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pincite import Searcher, Settings, relevance
from pincite.citation import cite
from pincite.embedding import Embedder
from pincite.errors import IndexMissing, QuestionError
from pincite.query import parse
from pincite.relevance import TermStatistics, bm25, bm25_bound, idf_share
from pincite.search import as_json
from pincite.storage import lexical
from pincite.sync import sync
from pincite.types import Answer, Place

QUESTIONS = [
    "How fast does ketamine work?",
    "is it safe to drive the day after a session",
    "microdosing and SSRIs",
    "ketamin for backpain",
    "What questions should I ask my doctor before I begin?",
    "Ozempic microdose",
    "bipolar",
    "Can I get legal mushroom gummies in a shop, and what is in them if they hold no psilocybin?",
]


@pytest.fixture(scope="module")
def searcher(sample: Settings, embedder: Embedder) -> Searcher:
    return Searcher(sample, embedder)


def indexed(settings: Settings, embedder: Embedder, files: dict[str, str]) -> Searcher:
    """A searcher over these files."""
    for source, text in files.items():
        path = settings.corpus / source
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    sync(settings, embedder=embedder)
    return Searcher(settings, embedder)


def places(answer: Answer) -> list[tuple[str, int, int]]:
    return [(hit.passage.source, hit.passage.start, hit.passage.end) for hit in answer.hits]


def without_time(answer: Answer) -> Answer:
    return dataclasses.replace(answer, milliseconds=0.0)


# What every answer keeps to


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_hit_is_the_exact_slice_of_the_file_on_disk(searcher: Searcher, question: str) -> None:
    hits = searcher.search(question, 100).hits
    for hit in hits:
        passage = hit.passage
        path = searcher.settings.corpus / passage.source
        if path.suffix in (".md", ".txt"):
            text = path.read_bytes().decode("utf-8-sig")
            assert text[passage.start : passage.end] == passage.text
        assert hit.citation == cite(passage)
        for start, end in hit.marks:
            assert (start, end) in passage.sentences
    assert {hit.passage.source.partition(".")[2] for hit in hits} >= {"md"}


@pytest.mark.parametrize("count", [1, 3, 10, 50, 150])
def test_there_are_always_as_many_hits_as_were_asked_for(searcher: Searcher, count: int) -> None:
    for question in (*QUESTIONS[:3], "How tall is Mount Everest?", "xyzzy"):
        answer = searcher.search(question, count)
        assert [hit.rank for hit in answer.hits] == list(range(1, count + 1))
        assert len(set(places(answer))) == count
        assert answer.question == question


def test_fewer_hits_are_the_first_of_more(searcher: Searcher) -> None:
    for question in QUESTIONS:
        ten, three = searcher.search(question), searcher.search(question, 3)
        assert len(ten.hits) == 10
        assert places(three) == places(ten)[:3]


@pytest.mark.parametrize("question", [*QUESTIONS, "How tall is Mount Everest?"])
def test_scores_never_rise_and_bands_follow_them(searcher: Searcher, question: str) -> None:
    answer = searcher.search(question, 50)
    model = relevance.load()
    scores = [hit.score for hit in answer.hits]
    assert all(1 >= before >= after >= 0 for before, after in pairwise(scores))
    for hit in answer.hits:
        assert hit.band == model.band(hit.score)
        judged = relevance.Features(**hit.features)
        assert hit.score <= model.probability_of(judged) + 1e-12
    assert answer.answer == answer.hits[0].band
    with searcher.index.snapshot() as snapshot:
        order = relevance.Weights(0.0, model.order_weights(snapshot.generation.manifest.passages))
    orders = [order(relevance.Features(**hit.features)) for hit in answer.hits]
    assert orders == sorted(orders, reverse=True)


def test_every_hit_has_every_feature_exactly_however_it_was_found(searcher: Searcher, embedder: Embedder) -> None:
    question = "How fast does ketamine work?"
    answer = searcher.search(question, 50)
    vector, terms = embedder.embed_query(question), parse(question).terms
    with searcher.index.snapshot() as snapshot:
        every = list(snapshot.catalog.all_passages())
    counted = [lexical.terms(stored.passage.indexed_text) for stored in every]
    frequencies = {term: sum(term in found for found in counted) for term in terms}
    statistics = TermStatistics(len(every), sum(map(len, counted)) / len(every), frequencies)
    where = [(stored.passage.source, stored.passage.start) for stored in every]
    scores = {place: bm25(Counter(found), len(found), statistics) for place, found in zip(where, counted, strict=True)}
    shares = {place: idf_share(Counter(found), statistics) for place, found in zip(where, counted, strict=True)}
    for hit in answer.hits:
        ((_, made),) = embedder.embed_passages([hit.passage])
        score = scores[hit.passage.source, hit.passage.start]
        assert hit.features == {
            "cosine": pytest.approx(float(made.vector @ vector), abs=0.005),
            "sentence_cosine": pytest.approx(float(np.max(made.sentences @ vector)), abs=0.02),
            "bm25_bound": pytest.approx(score / bm25_bound(statistics), abs=1e-9),
            "idf_share": pytest.approx(shares[hit.passage.source, hit.passage.start], abs=1e-9),
        }


def test_the_json_has_exactly_the_keys_of_the_contract(searcher: Searcher) -> None:
    printed = as_json(searcher.search("How fast does ketamine work?", 4))
    assert json.loads(json.dumps(printed)) == printed
    assert list(printed) == ["question", "answer", "generation", "milliseconds", "hits"]
    assert printed["question"] == "How fast does ketamine work?"
    assert printed["answer"] in ("strong", "weak", "none")
    assert printed["generation"] == 1
    assert 0 < printed["milliseconds"] < 10_000
    for rank, hit in enumerate(printed["hits"], start=1):
        assert list(hit) == [
            "rank", "score", "band", "source", "title", "heading", "page", "start", "end", "text", "marks", "citation",
            "also", "features",
        ]  # fmt: skip
        assert (hit["rank"], hit["page"]) == (rank, None)
        assert len(hit["text"]) == hit["end"] - hit["start"]
        ((start, end),) = hit["marks"]
        assert 0 <= start < end <= len(hit["text"])
        assert list(hit["features"]) == ["cosine", "sentence_cosine", "bm25_bound", "idf_share"]


def test_the_json_of_a_hit_complete(settings: Settings, embedder: Embedder) -> None:
    text = "Ferries sail daily."
    searcher = indexed(settings, embedder, {"a.txt": text, "b/c.txt": text})
    (hit,) = as_json(searcher.search("When do ferries sail?"))["hits"]
    assert {key: hit[key] for key in hit if key not in ("score", "band", "features")} == {
        "rank": 1,
        "source": "a.txt",
        "title": "a.txt",
        "heading": [],
        "page": None,
        "start": 0,
        "end": 19,
        "text": text,
        "marks": [[0, 19]],
        "citation": "a.txt › characters 0–19",
        "also": [{"source": "b/c.txt", "start": 0, "end": 19}],
    }


# Order, ties and repetitions


def test_the_passage_that_answers_comes_first(settings: Settings, embedder: Embedder) -> None:
    searcher = indexed(
        settings,
        embedder,
        {
            "ferries.md": "# Ferries\n\nThey sail daily.\n\n## Dogs\n\nA dog travels free of charge.\n",
            "trains.md": "# Trains\n\nThey run hourly.\n\n## Bicycles\n\nA bicycle costs six pounds.\n",
        },
    )
    answer = searcher.search("What does it cost to take my dog on the boat?", 4)
    assert answer.hits[0].citation == "ferries.md › Dogs › characters 29–67"
    assert answer.hits[0].passage.text == "## Dogs\n\nA dog travels free of charge."
    assert [answer.hits[0].passage.text[start:end] for start, end in answer.hits[0].marks] == [
        "A dog travels free of charge."
    ]
    assert searcher.search("bicycle fare", 4).hits[0].passage.source == "trains.md"


def test_ties_end_with_source_and_start(settings: Settings, embedder: Embedder) -> None:
    # Neither the model nor the analyzer tells capitals from small letters.
    files = {
        "b.md": "# Times\n\nFerries sail daily.\n\n# Times\n\nferries sail daily.\n",
        "a/z.md": "# Times\n\nFERRIES sail daily.\n",
        "a/b.md": "# Times\n\nferries SAIL daily.\n",
    }
    answer = indexed(settings, embedder, files).search("ferries")
    assert len({hit.score for hit in answer.hits}) == 1
    assert places(answer) == [("a/b.md", 0, 28), ("a/z.md", 0, 28), ("b.md", 0, 28), ("b.md", 30, 58)]


def test_repetitions_are_one_hit_that_names_the_other_places(settings: Settings, embedder: Embedder) -> None:
    searcher = indexed(
        settings,
        embedder,
        {
            "b.md": "# One\n\nFerries sail  daily.\n",
            "a.md": "# One\n\nFerries sail\ndaily.\n",
            "c.md": "# One\n\nFerries never sail.\n",
        },
    )
    answer = searcher.search("Do ferries sail daily?")
    assert [(hit.passage.source, hit.also) for hit in answer.hits] == [
        ("a.md", (Place("b.md", 0, 27),)),
        ("c.md", ()),
    ]


def test_many_copies_of_a_few_passages_do_not_crowd_out_the_rest(settings: Settings, embedder: Embedder) -> None:
    # 40 copies of each of 3 passages are more than the 100 candidates.
    copies = {
        f"{number:02}/{name}.txt": f"The ferry to {name} sails daily."
        for number in range(40)
        for name in ("Harwich", "Hull", "Dover")
    }
    others = {f"other/{number}.txt": f"Chapter {number}: of cheese and wine." for number in range(9)}
    answer = indexed(settings, embedder, copies | others).search("When does the ferry sail?", 10)
    assert len(answer.hits) == 10
    assert sorted(len(hit.also) for hit in answer.hits[:3]) == [39, 39, 39]


def test_a_title_makes_its_passages_findable_and_is_never_quoted(settings: Settings, embedder: Embedder) -> None:
    files = {
        "a.md": "---\ntitle: Zeppelins\n---\n\nThey carried forty people.\n",
        "b.md": "---\ntitle: Trams\n---\n\nThey carried forty people.\n",
    }
    searcher = indexed(settings, embedder, files)
    for question, source in [("zeppelin", "a.md"), ("tram", "b.md")]:
        hit = searcher.search(question).hits[0]
        assert hit.passage.source == source
        assert hit.passage.text in files[source]


# Through time


def test_the_index_is_followed_from_generation_to_generation(settings: Settings, embedder: Embedder) -> None:
    searcher = indexed(settings, embedder, {"a.txt": "Ferries sail daily."})
    assert searcher.search("ferries").generation == 1
    (settings.corpus / "b.txt").write_text("Ferries to Hull sail weekly.")
    sync(settings, embedder=embedder)
    answer = searcher.search("Hull ferries")
    assert answer.generation == 2
    assert answer.hits[0].passage.source == "b.txt"
    (settings.corpus / "b.txt").unlink()
    sync(settings, embedder=embedder)
    assert [hit.passage.source for hit in searcher.search("Hull ferries").hits] == ["a.txt"]


def test_four_threads_that_share_a_searcher_get_what_each_gets_alone(searcher: Searcher) -> None:
    alone = {question: without_time(searcher.search(question)) for question in QUESTIONS}
    different: list[str] = []
    failed: list[BaseException] = []

    def ask(first: int) -> None:
        try:
            for step in range(2 * len(QUESTIONS)):
                question = QUESTIONS[(first + step) % len(QUESTIONS)]
                if without_time(searcher.search(question)) != alone[question]:
                    different.append(question)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=ask, args=(2 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (failed, different) == ([], [])


def test_asking_before_anything_is_indexed_says_what_to_run(settings: Settings, embedder: Embedder) -> None:
    with pytest.raises(IndexMissing, match=r"run python ingest\.py$"):
        Searcher(settings, embedder).search("ferries")


def test_a_question_that_cannot_be_asked_is_refused_before_the_index_is_opened(
    settings: Settings, embedder: Embedder
) -> None:
    for question in ("", "?!", "what is it", "word " * 2_000, "ferry " * 300):
        with pytest.raises(QuestionError):
            Searcher(settings, embedder).search(question)


# A real article in plain text, without headings


@pytest.fixture(scope="module")
def article(shared: Path, embedder: Embedder, tmp_path_factory: pytest.TempPathFactory) -> Searcher:
    settings = Settings(corpus=shared / "seed", index=tmp_path_factory.mktemp("seed") / "index")
    sync(settings, embedder=embedder)
    return Searcher(settings, embedder)


IN_OTHER_WORDS = [
    ("How quickly does ketamine work compared with ordinary antidepressants?", "can provide relief within hours"),
    ("Which brain chemical does ketamine act on?", "acts on the brain’s glutamate system"),
    ("Do people hallucinate when they take tiny doses of LSD?", "The intention is not to hallucinate"),
    ("In which countries are magic mushrooms tolerated by the law?", "decriminalized or tolerated small amounts"),
    ("Can I buy legal mushroom supplements without drugs in them?", "legal microdosing products"),
    ("Does microdosing help with cluster headaches?", "effective against cluster headaches"),
    ("Can microdosing keep me awake at night?", "insomnia, or emotional imbalances"),
    ("What is in microdose gummies?", "adaptogens such as lion's mane"),
    ("Is there solid scientific proof that microdosing works?", "has not received large-scale"),
    ("Does a small dose of ketamine help against nerve pain?", "neuropathic and chronic pain"),
    ("Is taking small amounts of Ozempic the same as microdosing psychedelics?", "It is not a psychedelic"),
    ("Should I choose ketamine or microdosing if my depression is severe?", "better option for severe depression"),
    ("Can tiny doses make my anxiety worse?", "improve or deteriorate anxiety"),
    ("How fast does ketamine start to help compared with regular antidepressants?", "within hours"),
    ("What slang names does ketamine have?", "Special K"),
    ("Can I be arrested for taking small amounts of LSD?", "different in different countries"),
    ("Is the nasal spray approved by regulators?", "Spravato"),
    ("Can people get addicted to ketamine over time?", "dependency"),
    ("What do studies from universities show about ketamine and brain cells?", "growth of new nerves"),
    ("Do small doses of mushrooms help with headaches?", "cluster headaches"),
    ("Could I stop my antidepressant and take tiny doses of psychedelics instead?", "alternative to SSRIs"),
    ("Are mushroom gummies sold legally?", "Microdosing gummies"),
    ("Can low doses of ketamine ease nerve pain?", "sub-therapeutic"),
    ("Is taking a little semaglutide the same as microdosing mushrooms?", "Ozempic"),
    ("Which treatment is better for very bad depression?", "one-size-fits-all"),
    ("Do we know what happens after years of microdosing?", "long-term sense"),
    ("Does microdosing make nervousness better or worse?", "Some people are finding"),
    ("What sleep problems or other unwanted effects can small psychedelic doses cause?", "insomnia"),
    ("How was ketamine first used in medicine?", "anesthetic"),
    ("Why do people take tiny amounts of LSD?", "increase mood, creativity"),
    ("Is there enough scientific proof for microdosing?", "large-scale, peer-reviewed"),
    ("tablets that melt in the mouth", "sublingual"),
    ("does therapy need to go along with the drug?", "combined with professional"),
]
"""Questions, and words of the paragraph that answers."""


def test_questions_in_other_words_find_their_paragraph(article: Searcher) -> None:
    ranks = {}
    for question, quote in IN_OTHER_WORDS:
        texts = [hit.passage.text for hit in article.search(question).hits]
        ranks[question] = next((rank for rank, text in enumerate(texts, start=1) if quote in text), 99)
    first = [question for question, rank in ranks.items() if rank == 1]
    assert len(first) >= 26, ranks
    assert max(ranks.values()) <= 4, ranks


@pytest.mark.parametrize(
    "question",
    [
        "How do I bake sourdough bread?",
        "What is the capital of Mongolia?",
        "When does the ferry to Harwich leave?",
        "How do I file a tax return for a small company?",
        "Who painted the Mona Lisa?",
        "How do I treat a sprained ankle?",
        "Which vaccine do I need before travelling to Kenya?",
        "How much caffeine is in a cup of coffee?",
        "What is the dose of paracetamol for a child?",
        "What are the side effects of statins?",
    ],
)
def test_a_question_about_another_subject_is_not_answered(article: Searcher, question: str) -> None:
    answer = article.search(question)
    assert answer.answer == "none"
    assert {hit.band for hit in answer.hits} == {"none"}
    assert len(answer.hits) == 10
