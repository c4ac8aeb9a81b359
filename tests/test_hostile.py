"""Hostile documents, file names, questions and links, in a real browser: each is its characters and nothing more."""

import http.client
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

import pytest
from conftest import serving
from conftest import settled as drawn
from reportlab.pdfgen.canvas import Canvas

from pincite.citation import display_title
from pincite.embedding import Embedder
from pincite.evaluation.judging import OwnJudgements, indexed_texts
from pincite.evaluation.sets import OWN
from pincite.export import cited
from pincite.reading_list import Entry, ReadingList
from pincite.search import Searcher
from pincite.settings import Settings
from pincite.storage import Catalog
from pincite.sync import sync
from pincite.types import Document, Hit

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [
    # Playwright's own event loop leaves a socket to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
    pytest.mark.slow,
]

HOSTILE = {
    "script": "<script>alert('ran')</script>",
    "image": "<img src=//127.0.0.1:9/x onerror=alert('ran')>",
    "link": "[press](javascript:alert('ran')) ![x](http://127.0.0.1:9/x)",
    "formula": "$x^2$ and $$y_1$$",
    "colour": ":red[no] :material/home: :smile: :blue-badge[b]",
    "arrows": "a -> b <- c -- d >= e <-> f ~~g~~ **h**",
    "entities": "&lt;b&gt; &amp; &copy; &#x3c;i&#62;",
    "override": "see \u202egnp.exe\u2066 here",
    "long": "W" * 300,
}
"""What it is → words that a document, its headings and its name are made of."""
QUESTION = "why is there high water every twelve hours"
TIDES = "The moon pulls the sea towards it. That is why high water comes about every twelve hours"
SECRET = "The password of the harbour master is herring."
MOST = 50
INNOCENT = "Herring swim in the harbour in April."
_MARKDOWN = re.compile(r"([\\`*_\[\]<>&$~!])")


@dataclass(frozen=True, slots=True)
class Library:
    """A running page over hostile documents."""

    address: str
    settings: Settings
    documents: dict[str, Document]
    """By source."""
    hits: tuple[Hit, ...]
    """For `QUESTION`, some of every hostile document."""

    @property
    def hostile(self) -> list[Document]:
        return [self.of(kind) for kind in HOSTILE]

    @property
    def present(self) -> set[str]:
        """Sources whose files are still there."""
        return {source for source in self.documents if not (self.settings.corpus / source).is_symlink()}

    def of(self, kind: str) -> Document:
        return next(document for document in self.documents.values() if f"says {kind}." in document.text)


def name_of(words: str) -> str:
    """The words as one name of a file or folder: without slashes, no longer than file systems take."""
    return words.replace("/", "∕")[:100]


def write(corpus: Path) -> None:
    """A document for each kind: folder, name, title, heading and text are made of its words."""
    for kind, words in HOSTILE.items():
        folder = corpus / name_of(f"{words} folder")
        folder.mkdir()
        escaped = _MARKDOWN.sub(r"\\\1", words)
        text = f"# {escaped} title\n\n{words}. {TIDES}, says {kind}.\n\n## {escaped} part?\n\n{words}\n"
        (folder / f"{name_of(words)}.md").write_text(text, encoding="utf-8")
    (corpus / ":material").mkdir()  # a directive that a path's own slash makes
    (corpus / ":material" / "home: lane.txt").write_text("Lane\n\nThe lane behind the quay is narrow.\n")


def write_ways_out(corpus: Path) -> None:
    """A secret beside the folder, links to it within, and documents that are to become such links."""
    (corpus.parent / "secret.txt").write_text(SECRET)
    (corpus / "out.txt").symlink_to(corpus.parent / "secret.txt")
    (corpus / "up").symlink_to(corpus.parent)
    (corpus / "swapped.txt").write_text(f"{INNOCENT} So they say.")
    (corpus / "place").mkdir()
    (corpus / "place" / "secret.txt").write_text(INNOCENT)
    for name in ("swapped.pdf", "whole.pdf"):
        canvas = Canvas(str(corpus / name), pagesize=(300, 200))
        canvas.drawString(30, 100, f"{INNOCENT} So says {name}.")
        canvas.save()


def swap(corpus: Path) -> None:
    """Documents that are indexed become links out of the folder."""
    for name in ("swapped.txt", "swapped.pdf"):
        (corpus / name).unlink()
        (corpus / name).symlink_to(corpus.parent / "secret.txt")
    shutil.rmtree(corpus / "place")
    (corpus / "place").symlink_to(corpus.parent)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, embedder: Embedder) -> Iterator[Library]:
    """Not to be changed. Every hostile passage is collected and judged, for a hostile question each."""
    folder = tmp_path_factory.mktemp("hostile")
    settings = Settings(
        corpus=folder / "corpus",
        index=folder / "index",
        reading_list=folder / "reading-list.jsonl",
        judgments=folder / "judgments",
    )
    settings.corpus.mkdir()
    settings.judgments.mkdir()
    write(settings.corpus)
    write_ways_out(settings.corpus)
    sync(settings, embedder=embedder)
    swap(settings.corpus)
    with Catalog(settings.index) as catalog, catalog.reading():
        documents = {source: catalog.document(source) for source in catalog.files()}
    found = {source: document for source, document in documents.items() if document is not None}
    hits = Searcher(settings).search(QUESTION, MOST).hits
    keep(settings, found, hits)
    with serving(settings) as address:
        yield Library(address, settings, found, tuple(hits))


def keep(settings: Settings, documents: dict[str, Document], hits: Sequence[Hit]) -> None:
    """On the reading list with a note, and in the person's judgements."""
    reading_list = ReadingList(settings.reading_list)
    judgements = OwnJudgements(settings.judgments / OWN, indexed_texts(settings.index))
    for hit in hits:
        document = documents[hit.passage.source]
        if TIDES not in document.text:
            continue
        question = f"{document.title} asked"
        entry = Entry.of(hit, question, document.text)
        reading_list.put(entry)
        reading_list.note(entry, f"{document.title} noted")
        judgements.grade(question, hit.passage, 2)


@pytest.fixture
def page(library: Library, browser_page: "Page") -> Iterator["Page"]:
    """A page that must not open a dialog, raise, turn words into markup, or ask anything of another address."""
    asked: list[str] = []
    told: list[str] = []
    browser_page.on("request", lambda request: asked.append(request.url))
    browser_page.on("websocket", lambda socket: asked.append(socket.url))
    browser_page.on("dialog", lambda dialog: (told.append(dialog.message), dialog.dismiss()))
    browser_page.on("pageerror", lambda error: told.append(str(error)))
    yield browser_page
    assert told == []
    own = (library.address, library.address.replace("http", "ws"), "data:", "blob:")
    assert [url for url in asked if not url.startswith(own)] == []


def settled(page: "Page") -> None:
    """It is as it will stay, and made nothing of anybody's words."""
    drawn(page)
    assert page.locator("[data-testid=stException], .katex, [href^=javascript]").count() == 0
    images = page.locator("img").evaluate_all("all => all.map(image => image.src)")
    assert [image for image in images if not image.startswith("data:image/png")] == []


def words(found: "Locator") -> list[str]:
    """The characters of each, whether they are in view or not."""
    return found.evaluate_all("all => all.map(one => one.textContent)")


def one_line(text: str) -> str:
    """As a label shows it; the joiners of no width that keep its characters apart do not count."""
    return " ".join(text.replace("\u2060", "").split())


def address(library: Library, path: str = "", **query: str) -> str:
    return f"{library.address}/{path}?{urlencode(query, quote_via=quote)}"


# Words


def test_the_documents_hold_what_they_are_meant_to(library: Library) -> None:
    for kind, words in HOSTILE.items():
        document = library.of(kind)
        assert document.source == f"{name_of(f'{words} folder')}/{name_of(words)}.md"
        begins = words[:150]  # a title of more than 200 characters is cut
        assert document.title.startswith(begins)
        assert document.sections[-1].heading[-1].startswith(begins)
        assert document.text.count(words) >= 1


@pytest.mark.parametrize("by", ["passage", "document"])
def test_results_show_titles_places_and_texts_as_their_characters(library: Library, page: "Page", by: str) -> None:
    page.goto(address(library, q=QUESTION, by=by, n=str(MOST)))
    settled(page)
    for fold in page.locator("[data-testid=stExpander] summary").all():
        fold.click()
    settled(page)
    kept = [hit for hit in library.hits if hit.passage.source in library.present]
    titles, quiet, texts = (words(page.locator(f".pincite-{one}")) for one in ("title", "quiet", "text"))
    copied = page.locator("[data-copy]").evaluate_all("all => all.map(one => decodeURIComponent(one.dataset.copy))")
    assert {document.source for document in library.hostile} <= {hit.passage.source for hit in kept}
    for hit in kept:
        title = display_title(hit.passage)
        assert (f"{hit.rank}. {title}" if by == "passage" else title) in titles
        assert hit.citation in quiet
        assert hit.passage.text in texts
        assert cited(hit) in copied


@pytest.mark.parametrize("kind", HOSTILE)
def test_the_source_shows_name_text_and_outline_as_their_characters(library: Library, page: "Page", kind: str) -> None:
    document = library.of(kind)
    page.goto(address(library, "source", q=QUESTION, source=document.source, start="0", end="40"))
    settled(page)
    assert words(page.locator(".pincite-title")) == [document.title]
    assert words(page.locator("[data-testid=stMain] .pincite-quiet"))[0].startswith(f"{document.source}, characters")
    assert words(page.locator(".pincite-text")) == [document.text]
    outline = words(page.locator(".st-key-outline button"))
    assert [one_line(label) for label in outline] == [one_line(one.heading[-1]) for one in document.sections]
    with page.expect_download() as begun:
        page.get_by_role("button", name="Original file").click()
    assert re.fullmatch(r"[^/\\]+", begun.value.suggested_filename)
    assert begun.value.path().read_bytes() == (library.settings.corpus / document.source).read_bytes()


def test_suggestions_and_questions_of_before_are_offered_as_their_characters(library: Library, page: "Page") -> None:
    page.goto(library.address)
    settled(page)
    headings = {one_line(section.heading[-1]) for document in library.hostile for section in document.sections}
    suggested = [one_line(label) for label in words(page.locator("[class*=st-key-suggested-] button p"))]
    assert len(suggested) == 6
    assert set(suggested) <= headings
    every = [f"{one} asked" for one in HOSTILE.values()]
    for some in (every[:5], every[5:]):
        page.evaluate("known => localStorage.setItem('pincite.recent', known)", json.dumps(some))
        page.reload()
        page.get_by_text("Asked before").wait_for()
        settled(page)
        labels = words(page.locator("[class*=st-key-recent-] button p"))
        assert [one_line(label) for label in labels] == [one_line(one) for one in some]


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_question_is_its_characters_in_the_box_and_safe_in_the_name_of_an_export(
    library: Library, page: "Page", kind: str
) -> None:
    question = f"{HOSTILE[kind][:60]} {QUESTION}"
    page.goto(address(library, q=question))
    settled(page)
    assert page.get_by_label("Question", exact=True).input_value() == question
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as begun:
        page.locator("[class*=st-key-export-] button").first.click()
    assert re.fullmatch(r"[a-z0-9-]{1,60}\.[a-z]+", begun.value.suggested_filename)


def test_filters_offer_folders_as_their_characters(library: Library, page: "Page") -> None:
    folders = {document.source.rpartition("/")[0] + "/" for document in library.documents.values()} - {"/"}
    page.goto(address(library, q=QUESTION))
    settled(page)
    page.get_by_role("button", name="Filters").click()
    page.get_by_role("combobox", name="Folder").click()
    page.get_by_role("option").first.wait_for()
    offered: set[str] = set()
    for _ in range(len(folders)):  # the list draws only what is in view
        offered |= set(words(page.get_by_role("option")))
        page.keyboard.press("ArrowDown")
    assert {one_line(label) for label in offered} == {f"{one_line(folder)} (1)" for folder in folders}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_folder_that_a_link_names_is_its_characters(library: Library, page: "Page", kind: str) -> None:
    document = library.of(kind)
    folder = document.source.rpartition("/")[0] + "/"
    for name in (folder, f"{HOSTILE[kind]} nowhere/"):
        page.goto(address(library, "compare", q=QUESTION, ina=name))
        settled(page)
        tags = {one_line(tag).removesuffix(" (1)") for tag in words(page.locator("[data-tag] [title]"))}
        assert tags == {one_line(name)}
    page.goto(address(library, "compare", q=QUESTION, ina=folder, inb=":material/"))
    settled(page)
    assert f"1. {document.title}" in words(page.locator(".pincite-title"))


@pytest.mark.parametrize("by", ["Question", "Document"])
def test_the_reading_list_shows_what_is_collected_as_its_characters(library: Library, page: "Page", by: str) -> None:
    page.goto(address(library, "reading-list", by=by))
    settled(page)
    groups, titles = words(page.locator(".pincite-group")), words(page.locator(".pincite-title"))
    quiet, texts = words(page.locator(".pincite-quiet")), words(page.locator(".pincite-text"))
    notes = page.locator("textarea").evaluate_all("all => all.map(one => one.value)")
    collected = [library.of(kind) for kind in HOSTILE]
    for document in collected:
        question = f"{document.title} asked"
        assert one_line(question) in [one_line(one) for one in (groups if by == "Question" else titles)]
        assert any(document.source in line for line in quiet)
        assert f"{document.title} noted" in notes
    hostile = {document.source for document in collected}
    assert {hit.passage.text for hit in library.hits if hit.passage.source in hostile} <= set(texts)
    page.get_by_role("button", name="Remove").first.click()
    page.get_by_text("Removed: ").wait_for()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Removed: ").wait_for(state="detached")
    settled(page)


@pytest.mark.parametrize("kind", HOSTILE)
def test_the_table_of_documents_and_its_card_show_their_characters(library: Library, page: "Page", kind: str) -> None:
    from playwright.sync_api import TimeoutError as PlaywrightTimeout

    document = library.of(kind)
    page.goto(address(library, "documents"))
    settled(page)
    page.get_by_label("Words in the path").fill(document.source)
    page.keyboard.press("Enter")
    page.get_by_text("1 row.").wait_for()
    settled(page)
    cells = page.locator("[data-testid=stDataFrame] canvas [role=gridcell]")
    assert [text for text in words(cells) if text in (document.source, document.title)] != []
    box = page.locator("[data-testid=stDataFrame]").bounding_box()
    assert box is not None
    card = page.get_by_text("Open it as it was indexed")
    for _ in range(4):  # a canvas, which does not say when it is ready for a click
        page.mouse.click(box["x"] + 18, box["y"] + 52)  # the box in front of its first row
        with suppress(PlaywrightTimeout):  # the choice is sent a moment after it is made
            card.wait_for(timeout=5_000)
            break
    card.wait_for()
    settled(page)
    assert document.title in words(page.locator(".pincite-title"))
    assert f"{document.source} (indexed)" in words(page.locator(".pincite-quiet"))


def test_judging_shows_passages_and_judged_questions_as_their_characters(library: Library, page: "Page") -> None:
    seen: set[str] = set()
    for number in range(1, len(library.documents) + 1):
        page.goto(address(library, "judge", q=QUESTION, n=str(number)))
        settled(page)
        seen |= set(words(page.locator(".pincite-title")))
    assert {document.title for document in library.hostile} <= seen
    page.goto(address(library, "judge"))
    page.get_by_text(" title asked").first.wait_for()
    settled(page)
    shown = one_line(words(page.locator("[data-testid=stMain]"))[0])
    assert [one.title for one in library.hostile if one_line(f"{one.title} asked") not in shown] == []


# Ways out of the folder


def ways(target: Path, corpus: Path) -> list[str]:
    """Names of a file outside the corpus, as somebody might write them."""
    relative, absolute = "../secret.txt", str(target)
    return [
        relative,
        f"place/../{relative}",
        "./../secret.txt",
        "....//secret.txt",
        absolute,
        f"/{absolute}",
        f"file://{absolute}",
        relative.replace("../", "%2e%2e%2f"),
        relative.replace("../", "%252e%252e%252f"),
        relative.replace("/", "\\"),
        absolute.replace("/", "\\"),
        f"{relative}\0.txt",
        f"swapped.txt\0/../{relative}",
        "\0",
        "out.txt",
        "up/secret.txt",
        f"up/{corpus.name}/../secret.txt",
        "~/secret.txt",
    ]


NUMBER_OF_WAYS = 18


@pytest.mark.parametrize("number", range(NUMBER_OF_WAYS))
def test_no_source_outside_the_folder_can_be_opened(library: Library, page: "Page", number: int) -> None:
    corpus = library.settings.corpus
    every = ways(corpus.parent / "secret.txt", corpus)
    assert len(every) == NUMBER_OF_WAYS
    source = every[number]
    page.goto(address(library, "source", source=source, start="0", end="20", page="1"))
    settled(page)
    shown = page.locator("body").inner_text()
    assert "not in the index" in shown
    assert SECRET not in shown
    assert page.get_by_role("button", name="Original file").count() == 0


@pytest.mark.parametrize("source", ["swapped.txt", "swapped.pdf", "place/secret.txt"])
def test_a_document_that_became_a_link_out_of_the_folder_is_shown_as_it_was(
    library: Library, page: "Page", source: str
) -> None:
    page.goto(address(library, "source", source=source, start="0", end="20", page="1"))
    settled(page)
    shown = page.locator("body").inner_text()
    assert INNOCENT in shown
    assert SECRET not in shown
    assert "said when it was indexed" in shown
    assert page.get_by_role("button", name="Original file").count() == 0
    assert page.locator("img").count() == 0


VALUES = ["../../secret.txt", "%2e%2e%2fsecret.txt", "..\\secret.txt", "\0", "-1", "9" * 5000, "٣", "²", "1e9", "0x10"]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: ascii(value)[:24])
@pytest.mark.parametrize("kind", ["text", "pdf"])
def test_no_parameter_leads_anywhere_else(library: Library, page: "Page", value: str, kind: str) -> None:
    names = ("start", "end", "mark", "page", "file", "n", "as", "by", "year", "in", "type")
    source = "whole.pdf" if kind == "pdf" else library.hostile[0].source
    text = library.documents[source].text
    page.goto(address(library, "source", q=QUESTION, source=source, **dict.fromkeys(names, value)))
    settled(page)
    shown = page.locator("body").inner_text()
    assert SECRET not in shown
    assert "indexed anew since this link was made" in shown
    if kind == "text":
        assert words(page.locator(".pincite-text")) == [text]
    else:
        page.get_by_alt_text(re.compile(r"^Page \d of whole\.pdf")).wait_for()


def raw(address: str, path: str) -> bytes:
    """What a server answers to a path that nobody has tidied up."""
    place = urlsplit(address)
    assert place.hostname
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=30)
    try:
        connection.putrequest("GET", path, skip_accept_encoding=True)
        connection.endheaders()
        return connection.getresponse().read()
    except http.client.BadStatusLine:
        return b""
    finally:
        connection.close()


PREFIXES = ["/", "/static/", "/app/static/", "/media/", "/component/", "/_stcore/", "/_stcore/bidi-components/"]
PREFIXES += ["/_stcore/bidi-components/pincite_keys/", "/source/", "/~/+/media/"]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_server_hands_out_no_file_by_its_path(library: Library, prefix: str) -> None:
    corpus = library.settings.corpus
    target = str(corpus.parent / "secret.txt")
    climbs = [
        step * depth for depth in (1, 4, 12) for step in ("../", "%2e%2e/", "..%2f", "%2e%2e%2f", "%252e%252e%252f")
    ]
    climbs += [step * depth for depth in (1, 12) for step in ("..\\", "..%5c", "..%255c")]
    paths = [climb + end for climb in climbs for end in (target.lstrip("/"), "secret.txt", "corpus/swapped.txt")]
    paths += [target, quote(target, safe=""), f"/{target}", "secret.txt", "corpus/out.txt", "secret.txt%00.png"]
    for path in paths:
        answer = raw(library.address, prefix + path)
        assert SECRET.encode() not in answer, path
        assert INNOCENT.encode() not in answer, path
