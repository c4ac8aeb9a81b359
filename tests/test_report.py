"""The report: what it says, that it needs nothing else, and that nothing in it is trusted."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from conftest import CHROMIUM

from pincite import relevance
from pincite.embedding import Embedder
from pincite.evaluation import Evaluation, JudgedQuery, evaluate, report, score, trec
from pincite.evaluation.measures import DOCUMENT_MEASURES, PASSAGE_MEASURES
from pincite.search import Searcher
from pincite.settings import Settings
from pincite.sync import sync
from pincite.types import Place

ROOT = Path(__file__).parents[1]
NASTY = (
    """<script>alert("1")</script> & 'quotes' "more" <img src=x onerror=alert(2)> </style></svg> {{ 7*7 }} {% raw %}"""
)


class Page(HTMLParser):
    """What a page holds: its tags with attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.text += " " if tag == "td" else ""

    def handle_data(self, data: str) -> None:
        self.text += data

    def said(self) -> str:
        """The text with its white space folded."""
        return " ".join(self.text.split())


def needs_nothing(html: str) -> None:
    """No script, nothing that is fetched, and links into the page alone."""
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object", "embed", "base", "image"}
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "srcset", "action")]
        assert all((attributes[name] or "").startswith("#") for name in ("href", "xlink:href") if name in attributes)
    assert not re.search(r"url\(|@import", html)


def row(id_: str, **given: Any) -> dict[str, Any]:
    """A question that was answered perfectly, unless it is said otherwise."""
    perfect = {str(measure): 1.0 for measure in DOCUMENT_MEASURES}
    found = {"citation": "a.md › characters 0–9", "title": "A", "text": "It is so. ", "mark": [0, 9]}
    return {
        "id": id_,
        "question": f"question {id_}?",
        "unanswerable": False,
        "measures": perfect,
        "passage_measures": {},
        "answer": "strong",
        "score": 0.9,
        "first": "a.md:0-9",
        "milliseconds": 20.0,
        "expected": [{"place": "a.md:0-9", "title": "A", "text": "It is so."}],
        "found": found,
        **given,
    }


def unanswerable(id_: str, score: float) -> dict[str, Any]:
    band = relevance.load().band(score)
    return row(id_, unanswerable=True, measures={}, answer=band, score=score, expected=[])


def rendered(rows: list[dict[str, Any]], method: str = "pincite", passages: int | None = 9, **more: Any) -> str:
    return report.render(Evaluation(method, passages, rows, {}, 1.5, **more), {"Judgements": "own.jsonl"})


def test_the_headline_counts_questions() -> None:
    wrong = dict.fromkeys(map(str, DOCUMENT_MEASURES), 0.0)
    rows = [row("1"), row("2"), row("3", measures=wrong, answer="none"), unanswerable("4", 0.9), unanswerable("5", 0)]
    html = rendered(rows)
    said = Page(html).said()
    assert re.search(r"<h1>(.*)</h1>", html)[1] == "For 2 of 3 questions the right document came first."  # type: ignore[index]
    assert "For 1 of 2 questions that nothing answers, it said so." in said
    assert "It gave an answer to 2 of 3 questions that have one." in said
    assert "A question takes 20 milliseconds" in said
    assert "Success@1 share of questions where the very first is right 0.667" in said
    # Answerable scores .9, .9, .9 against .9 and 0: of 6 pairs 3 are won and 3 tied.
    assert "0.5 is chance 0.750" in said
    needs_nothing(html)


def test_the_worst_questions_come_first_with_what_was_expected() -> None:
    def measured(value: float) -> dict[str, float]:
        return {**row("")["measures"], "nDCG@10": value, "RR@10": 0.25 if value else 0.0}

    passages = {str(measure): 0.5 for measure in PASSAGE_MEASURES}
    rows = [row(str(n), measures=measured(n / 20)) for n in range(1, 13)]
    rows += [row("lost", measures=measured(0), first=None, found=None), row("fine")]
    rows += [row("half", passage_measures=passages), row("last", measures=measured(0.04), passage_measures=passages)]
    said = Page(rendered(rows)).said()
    said = said[said.index("The questions that went worst") :]
    assert re.findall(r"question (\w+)\?", said) == ["lost", "last", *map(str, range(1, 9))]
    assert "lost · nDCG@10 0.000 · the right document: not among the first ten expected a.md:0-9 (A) It is so." in said
    assert "Nothing was found." in said
    assert "last · nDCG@10 0.040 · the right document: rank 4 · a passage that answers: rank 2" in said
    assert "came first a.md › characters 0–9 (A) — strong, probability 0.90 It is so." in said


def test_the_plots_show_the_bands_and_both_kinds_of_question() -> None:
    said = Page(rendered([row("1"), unanswerable("2", 0.1), unanswerable("3", 0.2)])).said()
    assert "1 question that has an answer" in said
    assert "2 questions that have none" in said
    bands = relevance.load()
    assert f"From {bands.weak:.3f} on a passage counts as a weak answer, from {bands.strong:.3f} on" in said
    html = rendered([row("1"), unanswerable("2", 0.1)])
    # The plot is as wide as the probabilities go: a threshold stands at its share of the width.
    upright = [
        float(x) for x in re.findall(r'<line [^>]*transform="translate\(([\d.]+),0\)"[^>]*stroke-dasharray', html)
    ]
    width = report._WIDTH - 60
    assert upright[:2] == pytest.approx([bands.weak * width, bands.strong * width], abs=0.5)


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (
            lambda: rendered([row("1")], method="dense"),
            ["The method “dense” gives no probability", "No question went wrong", "came first."],
        ),
        (lambda: rendered([row("1")]), ["For 1 of 1 question the right document", "This cannot be told"]),
        (
            lambda: rendered([unanswerable("1", 0.0)]),
            ["For 1 of 1 question that nothing answers, it said so.", "none could be measured"],
        ),
        (
            lambda: rendered([row("1", milliseconds=None)], method="bm25", passages=None, remarks=["q9: remarked"]),
            ["q9: remarked", "About the run"],
        ),
        (lambda: rendered([row("1")], lost=["q7: gone.md: lost"]), ["1 thing is not there", "q7: gone.md: lost"]),
    ],
    ids=["no scores", "one question", "unanswerable alone", "a run", "lost"],
)
def test_what_cannot_be_told_is_said(page: Any, words: list[str]) -> None:
    html = page()
    assert [word for word in words if word not in Page(html).said()] == []
    assert ("How long a question takes" in html) == ("remarked" not in html)
    needs_nothing(html)


def test_nothing_of_a_document_a_question_or_a_name_is_trusted(settings: Settings, embedder: Embedder) -> None:
    name = """<script>alert('f') & "q".md"""
    (settings.corpus / name).write_text(f"# The tide {NASTY}\n\nThe tide turns at six. {NASTY}\n", encoding="utf-8")
    (settings.corpus / "owl.md").write_text("# Owls\n\nAn owl hunts mice at night.\n", encoding="utf-8")
    sync(settings, embedder=embedder)
    queries = [
        JudgedQuery(f"<b>{NASTY}", f"when does the tide turn {NASTY}", {"owl.md": 1}, {Place("owl.md", 8, 30): 1}),
        JudgedQuery("2", "what hunts mice at night", {name: 1}, {Place(name, 0, 40): 1}),
    ]
    found = evaluate(Searcher(settings, embedder), queries, "pincite")
    found.lost.append(f"q: {NASTY}")
    html = report.render(found, {"Judgements": f"<script>{NASTY}"})
    needs_nothing(html)
    assert "<b>" not in html
    page = Page(html)
    # All of it is there to be read, as it is written.
    passage = found.rows[0]["found"]["text"]
    assert "<img src=x onerror=alert(2)>" in passage
    for shown in (f"when does the tide turn {NASTY}", f"<b>{NASTY}", passage, f"q: {NASTY}", f"<script>{NASTY}",
                  f"{name}:0-40", f"{name} › "):  # fmt: skip
        assert shown in page.text


def test_the_first_passage_is_shown_word_for_word(sample: Settings, embedder: Embedder) -> None:
    searcher = Searcher(sample, embedder)
    question = "can ketamine damage your bladder"
    found = evaluate(searcher, [JudgedQuery("1", question, {"ketamine/legality.md": 1})], "pincite")
    hit = searcher.search(question, 1).hits[0]
    html = report.render(found, {})
    page = Page(html)
    assert hit.passage.text in page.text
    assert hit.citation in page.text
    start, end = hit.marks[0]
    assert f"<mark>{hit.passage.text[start:end]}</mark>" in html
    assert "ketamine/legality.md" in page.text


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it_from_the_disk_and_fetches_nothing(tmp_path: Path, scheme: Any) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    file = tmp_path / "report.html"
    file.write_text(rendered([row("1"), row("2", question=NASTY), unanswerable("3", 0.5)]), encoding="utf-8")
    with playwright.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(color_scheme=scheme, viewport={"width": 390, "height": 800})
        asked, complaints = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(file.as_uri())
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        bar = page.evaluate("getComputedStyle(document.querySelector('.mark-rect path')).fill")
        widest = page.evaluate("Math.max(...[...document.querySelectorAll('*')].map(e => e.scrollWidth))")
        browser.close()
    assert (asked, complaints) == ([file.as_uri()], [])
    assert (background, bar) == {
        "light": ("rgb(255, 255, 255)", "rgb(31, 111, 92)"),
        "dark": ("rgb(20, 25, 24)", "rgb(95, 194, 166)"),
    }[scheme]
    assert widest <= 390


def test_a_scored_run_is_reported_without_an_index() -> None:
    found = score(trec.Run("bm25", {"a": ("x.md",)}), [JudgedQuery("a", "why?", {"y <i>.md": 1})])
    page = Page(report.render(found, {"Run": "bm25.run"}))
    assert "For 0 of 1 question the right document came first." in page.said()
    assert "expected y <i>.md came first x.md" in page.said()


def test_the_command_overwrites_its_report_and_refuses_a_file(sample: Settings, tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text('{"id": "1", "question": "is it legal", "unanswerable": true}\n')
    command = [sys.executable, str(ROOT / "evaluate.py"), "--index", str(sample.index), "--judgments", "own.jsonl"]

    def run(folder: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, "--report", folder], cwd=tmp_path, capture_output=True, text=True)

    for _ in range(2):
        done = run("deep/er")
        assert (done.returncode, done.stderr) == (0, "")
        assert [path.name for path in (tmp_path / "deep" / "er").iterdir()] == ["report.html"]
        assert "own.jsonl" in (tmp_path / "deep" / "er" / "report.html").read_text(encoding="utf-8")
    done = run("own.jsonl")
    assert done.returncode == 1
    assert done.stderr == f"pincite: {tmp_path / 'own.jsonl'}: is a file: name a folder\n"
