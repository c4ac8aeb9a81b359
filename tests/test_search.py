"""Hop 5: question → hits, over real files and the real model."""

import dataclasses
import json
import math
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest

from pincite import Searcher, Settings, relevance
from pincite.candidates import Pool
from pincite.citation import cite
from pincite.embedding import Embedder, QueryEmbedding
from pincite.errors import IndexMissing, QuestionError
from pincite.processors import cores
from pincite.query import parse
from pincite.relevance import Question
from pincite.search import as_json
from pincite.storage import Catalog, IndexFolder, lexical, vectors
from pincite.storage.vectors import segment_path
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
        assert hit.score <= model.probabilities([judged])[0] + 1e-12
    assert answer.answer == answer.hits[0].band
    with searcher.index.snapshot() as snapshot:
        order = relevance.Weights(0.0, model.order_weights(snapshot.generation.manifest.passages))
    orders = [order(relevance.Features(**hit.features)) for hit in answer.hits]
    assert orders == sorted(orders, reverse=True)


def decoded(tokens: np.ndarray) -> np.ndarray:
    """Unit vectors of codes: the low halves of the bytes, then the high ones, less 7½."""
    steps = np.hstack([tokens % 16, tokens // 16]) - 7.5
    return steps / np.linalg.norm(steps, axis=1, keepdims=True)


def shared(asked: QueryEmbedding, question: str, weigh: Callable[[str], float]) -> np.ndarray:
    """The weight of each word on its tokens, in equal parts; together 1 if there is any."""
    weights = np.zeros(len(asked.tokens))
    for word in re.finditer(r"\w+", question):
        own = [row for row, (start, end) in enumerate(asked.spans) if word.start() <= start and end <= word.end()]
        weights[own] = weigh(word[0]) / len(own)
    return weights / (weights.sum() or 1)


@pytest.mark.parametrize("question", ["How fast does ketamine work?", QUESTIONS[4], QUESTIONS[7], "Ozempic xyzzy"])
def test_every_hit_has_every_feature_exactly_however_it_was_found(
    searcher: Searcher, embedder: Embedder, question: str
) -> None:
    hits = {(hit.passage.source, hit.passage.start): hit for hit in searcher.search(question, 50).hits}
    asked, query = embedder.embed_query(question), parse(question)
    with searcher.index.snapshot() as snapshot:
        every = list(snapshot.catalog.all_passages())
        records = {stored.id: vectors.decode_all([snapshot.record(stored)]) for stored in every}
    counted = {stored.id: lexical.terms(stored.passage.indexed_text) for stored in every}
    held = {term: sum(term in found for found in counted.values()) for term in query.terms}
    idf = {term: math.log(1 + (len(every) - n + 0.5) / (n + 0.5)) for term, n in held.items()}
    weights = shared(asked, question, lambda word: max((idf.get(t, 0) for t in lexical.terms(word)), default=0))
    asking = shared(asked, question, lambda word: float(word.lower() in ("how", "what")))
    pairs = list(combinations(query.terms, 2))
    seen = 0
    for stored in every:
        if (hit := hits.get((stored.passage.source, stored.passage.start))) is None:
            continue
        seen += 1
        terms, record = counted[stored.id], records[stored.id]
        tokens = decoded(record.tokens)
        places = {term: [place for place, other in enumerate(terms) if other == term] for term in query.terms}
        nearness = 0.0
        for a, b in pairs:
            distance = min((abs(x - y) for x in places[a] for y in places[b]), default=99)
            nearness += min(idf[a], idf[b]) / distance if distance <= 16 else 0
        assert hit.features == {
            "cosine": pytest.approx(float(record.vectors[0] @ asked.vector), abs=1e-5),
            "token_similarity": pytest.approx(
                sum(weight * max(tokens @ token) for weight, token in zip(weights, asked.tokens, strict=True)), abs=1e-5
            ),
            "sentence_similarity": pytest.approx(
                max(
                    float((weights + 0.3 * asking) @ (asked.tokens @ tokens[first:last].T).max(axis=1))
                    for first, last in record.sentences
                ),
                abs=1e-5,
            ),
            "idf_share": pytest.approx(
                sum(idf[term] for term in query.terms if places[term]) / sum(idf.values()), abs=1e-9
            ),
            "proximity": pytest.approx(nearness / sum(min(idf[a], idf[b]) for a, b in pairs) if pairs else 0, abs=1e-9),
        }
    assert seen == 50


def test_the_records_are_what_the_model_makes_of_the_stored_texts(searcher: Searcher, embedder: Embedder) -> None:
    for hit in searcher.search("How fast does ketamine work?", 20).hits:
        ((_, made),) = embedder.embed_passages([hit.passage])
        asked = embedder.embed_query("How fast does ketamine work?")
        assert hit.features["cosine"] == pytest.approx(float(made.vector @ asked.vector), abs=0.005)
        with searcher.index.snapshot() as snapshot:
            query = parse("How fast does ketamine work?")
            weights = Question.of(query, asked, Pool(snapshot, query, embedder).statistics).weights
        nearest = (asked.tokens @ decoded(made.tokens).T).max(axis=1)
        assert hit.features["token_similarity"] == pytest.approx(float(weights @ nearest), abs=0.02)


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
        assert list(hit["features"]) == [
            "cosine", "token_similarity", "sentence_similarity", "idf_share", "proximity",
        ]  # fmt: skip


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


@pytest.mark.parametrize("feature", ["cosine", "token_similarity", "sentence_similarity", "idf_share", "proximity"])
def test_weights_that_are_given_order_and_judge_by_themselves(
    sample: Settings, embedder: Embedder, feature: str
) -> None:
    weights = relevance.Relevance(
        order=relevance.Weights(0.0, {feature: 2.0}),
        probability=relevance.Weights(-1.0, {feature: 3.0}),
        strong=0.7,
        weak=0.4,
    )
    hits = Searcher(sample, embedder, weights).search("How fast does ketamine work for pain?", 40).hits
    values = [hit.features[feature] for hit in hits]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[-1]
    # What ties stands by source and start.
    keys = [(-value, hit.passage.source, hit.passage.start) for value, hit in zip(values, hits, strict=True)]
    assert keys == sorted(keys)
    expected = [1 / (1 + math.exp(1 - 3 * value)) for value in values]
    assert [hit.score for hit in hits] == pytest.approx(expected)
    bands = ["strong" if score >= 0.7 else "weak" if score >= 0.4 else "none" for score in expected]
    assert [hit.band for hit in hits] == bands


def test_no_weights_are_those_that_ship(sample: Settings, embedder: Embedder, searcher: Searcher) -> None:
    assert searcher.relevance == relevance.load()
    given = Searcher(sample, embedder, relevance.load())
    assert without_time(given.search(QUESTIONS[0])) == without_time(searcher.search(QUESTIONS[0]))


def test_a_damaged_record_is_made_again_and_the_answer_is_the_same(settings: Settings, embedder: Embedder) -> None:
    texts = {
        "a.md": "# Ferries\n\nThe ferry to Harwich sails daily. It entered service on 14 March 1998.\n",
        "b.md": "# Trains\n\nTrains run hourly. A bicycle costs six pounds.\n",
        "c.md": "# Dogs\n\nA dog travels free of charge. Cats do not travel.\n",
    }
    searcher = indexed(settings, embedder, texts)
    questions = ("When did the ferry enter service?", "What does a dog cost?")
    before = [searcher.search(question) for question in questions]
    segment = segment_path(IndexFolder(settings.index).vectors, 1)
    whole = segment.read_bytes()
    with Catalog(settings.index) as catalog:
        records = [stored.location for stored in catalog.all_passages() if stored.location]
    assert len(records) == 3
    for damaged in records:
        middle = damaged.offset + damaged.length // 2
        segment.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
        for question, expected in zip(questions, before, strict=True):
            found = searcher.search(question)
            assert places(found) == places(expected)
            for hit, sound in zip(found.hits, expected.hits, strict=True):
                assert (hit.marks, hit.band, hit.citation) == (sound.marks, sound.band, sound.citation)
                # The vector comes from the model and not from float16, in another batch than before.
                assert hit.features == pytest.approx(sound.features, abs=0.01)
    segment.write_bytes(whole)
    assert [without_time(searcher.search(q)) for q in questions] == [without_time(answer) for answer in before]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("When did the ferry enter service?", "It entered service on 14 March 1998."),
        ("Who is the captain?", "Its captain is Anna Holm."),
        ("How much is a ticket?", "Tickets cost twelve pounds."),
    ],
)
def test_the_sentence_that_answers_is_marked(
    settings: Settings, embedder: Embedder, question: str, expected: str
) -> None:
    text = (
        "The Harwich ferry was built in a Danish yard. It entered service on 14 March 1998."
        " Its captain is Anna Holm. Tickets cost twelve pounds."
    )
    others = {"b.txt": "Trains run hourly.", "c.txt": "Bread rises slowly in the cold."}
    (hit, *_) = indexed(settings, embedder, {"a.txt": text, **others}).search(question).hits
    assert hit.passage.source == "a.txt"
    assert [hit.passage.text[start:end] for start, end in hit.marks] == [expected]


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


def test_copies_are_equal_to_the_last_bit_and_the_first_of_them_by_name_is_shown(
    settings: Settings, embedder: Embedder
) -> None:
    words = [
        "ferry",
        "island",
        "cars",
        "lorries",
        "harbour",
        "tide",
        "storm",
        "winter",
        "o'clock",
        "night",
        "captain",
        "engine",
        "rope",
        "fee",
        "sails",
    ]
    rng = np.random.default_rng(0)
    texts = [f"Note {n}: {' '.join(rng.choice(words, rng.integers(5, 80)))}." for n in range(60)]
    found = indexed(settings, embedder, {f"{folder}/{n}.txt": text for n, text in enumerate(texts) for folder in "ba"})
    for question in ("when does it sail", "which ferry takes cars and lorries to an island in winter at night " * 2):
        for hit in found.search(question, 60).hits:
            (copy,) = hit.also
            assert (hit.passage.source[0], copy.source) == ("a", f"b{hit.passage.source[1:]}")


def test_many_copies_of_a_few_passages_do_not_crowd_out_the_rest(settings: Settings, embedder: Embedder) -> None:
    # 40 copies of each of 3 passages are more than the candidates.
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


def test_no_more_questions_are_answered_at_a_time_than_there_are_cores(searcher: Searcher) -> None:
    lock = threading.Lock()
    asked = most = 0
    full = threading.Event()

    def ask(question: str) -> Answer:
        def told(stage: str) -> None:
            nonlocal asked, most
            with lock:
                asked += {"opening": 1, "hits": -1}.get(stage, 0)
                most = max(most, asked)
            if stage == "opening":
                if asked == cores():
                    full.set()
                full.wait(30)  # all that may be at it are

        return searcher.search(question, told=told)

    with ThreadPoolExecutor(3 * cores()) as threads:
        answers = list(threads.map(ask, QUESTIONS))
    assert most == cores()
    assert [answer.question for answer in answers] == QUESTIONS


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
    assert sum(rank <= 2 for rank in ranks.values()) >= 32, ranks


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
