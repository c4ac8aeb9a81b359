"""Questions that a person could ask of an index, proposed from its headings and key phrases."""

import math
import re
from collections import Counter
from collections.abc import Iterator

from pincite.errors import QuestionError
from pincite.query import plain
from pincite.relevance import TermStatistics
from pincite.storage import Snapshot, lexical
from pincite.types import Passage

FEWEST_WORDS = 12
"""A passage with fewer says too little to ask about."""
LONGEST_PHRASE = 3
"""Words of a key phrase; a longer run is mostly half a sentence."""
LONGEST_HEADING = 80
"""Characters; a longer one is a sentence that was set as a heading."""

_WORD = re.compile(r"(?<![\w./@#:=<&-])[^\W\d_][^\W_]+(?:[-’'][^\W_]+)*(?![\w/@=>]|[.:]\w)")
_LONGEST_WORD = 30
_NUMBERING = re.compile(
    r"(?:(?i:appendix|chapter|part|section)\s+(?:\d[\d.]*|[A-Z]|[IVXLC]+)\b[.):]*"
    r"|\d{1,3}(?:\.\d{1,3})*[.):]+|\d{1,3}(?:\.\d{1,3})+|[IVXLC]+[.):]+)(?:\s+|$)"
)
_LISTS = frozenset(("bibliography", "contents", "further reading", "references", "sources", "table of contents"))
"""Headings of what nobody asks about."""
_EMPTY_HEADINGS = frozenset(
    """
    abstract appendix background chapter conclusion conclusions discussion faq introduction note notes overview
    preface questions remarks section summary
    """.split()  # noqa: SIM905 - a list of words is read as words
)
# A heading that begins with one of these, or has one of these verbs, is a clause and no name of a thing.
_OPEN_CLAUSES = frozenset(
    """
    about after at before by during for from how if in on or since to until what when where whether which while who
    why with without
    """.split()  # noqa: SIM905
)
_VERBS = frozenset(
    "am are can could did do does had has have is may might must should was were will would".split()  # noqa: SIM905
)
_ARTICLES = ("a", "an", "the")
_LEAD_TO_NOUNS = frozenset(
    """
    a about against an any at by during each every for from her his in into its my no of on our over per some the
    their these this those through under with without your
    """.split()  # noqa: SIM905
)
_NO_NOUNS = frozenset(
    """
    above again almost along also although always another around became because become becomes below best better
    both came cannot come comes despite done either else enough even ever example examples few first found
    further gave get give given gives goes going got herself high himself however impossible instead itself keep
    keeps kept kind kinds last later least left less let likelier likely longer lot low made make makes many may
    might more most much must myself need needs never none nor often once one only other others outside part
    parts people perhaps possible quite rather same say says second seem seems several since sort still take
    taken takes themselves thing things third though three today together took toward towards two unless until
    upon us use used usually way ways well went whether whole within yet yourself
    """.split()  # noqa: SIM905
)
"""Words of every text, beside the stop words of questions."""


def propose(snapshot: Snapshot, passage: Passage) -> str | None:
    """A question that a person could have typed and the passage may answer, in the passage's own words.

    None for a passage that is too short, stands in a list of sources or has no key phrases.
    """
    if len(passage.text.split()) < FEWEST_WORDS or _folded(*passage.heading[-1:]).casefold() in _LISTS:
        return None
    heading = _telling_heading(passage)
    if "?" in heading:
        return heading[: heading.index("?") + 1]
    phrases = key_phrases(snapshot, passage, heading)
    if not phrases:
        return None
    if not heading:
        return f"What links {phrases[0]} to {phrases[1]}?" if phrases[1:] else f"What is said about {phrases[0]}?"
    if not _names_a_thing(heading):
        return f"{heading}{' –' if ':' in heading else ':'} what about {phrases[0]}?"
    return f"What links {_within_a_sentence(heading, snapshot, passage.source)} to {phrases[0]}?"


def _telling_heading(passage: Passage) -> str:
    """The innermost heading, or else the title, that says what this is about; empty where none does."""
    for heading in (*reversed(passage.heading), passage.title):
        words = _folded(heading).rstrip(".:")
        if numbering := _NUMBERING.match(words):
            words = words[numbering.end() :]
        if words.casefold() not in _EMPTY_HEADINGS and len(words) <= LONGEST_HEADING and _WORD.search(words):
            return words
    return ""


def _folded(*headings: str) -> str:
    return " ".join(" ".join(headings).split())


def _names_a_thing(heading: str) -> bool:
    """Whether a heading can stand where a noun stands; a clause or a list cannot."""
    words = heading.casefold().split()
    return words[0] not in _OPEN_CLAUSES and not _VERBS.intersection(words) and not re.search(r"[,:;!–—]", heading)


def _within_a_sentence(heading: str, snapshot: Snapshot, source: str) -> str:
    """Without the capital that only its beginning asked for: not that of a name, nor of a Heading in Title Case."""
    first, *others = heading.split()
    document = snapshot.catalog.document(source)
    is_name = document and re.search(rf"[a-z,;] {re.escape(first)}\b", document.text)
    if is_name or first[1:].lower() != first[1:] or any(word.istitle() for word in others):
        return heading
    return heading[0].lower() + heading[1:]


def key_phrases(snapshot: Snapshot, passage: Passage, heading: str) -> list[str]:
    """The phrases that tell a passage from the others, as they stand in it, the most telling first.

    By the sum of (1 + ln tf) · idf of their terms. Words of the heading and the title are left out,
    and no two phrases share a word.
    """
    text = passage.text[passage.sentences[0][0] :]
    counted = Counter(lexical.terms(text))
    statistics = TermStatistics(snapshot.contents.passages, snapshot.frequencies(counted))

    def weight(phrase: str) -> float:
        terms = lexical.terms(phrase)
        return math.fsum((1 + math.log(counted[term])) * statistics.idf(term) for term in terms)

    said = {*lexical.terms(heading), *lexical.terms(passage.title)}
    kept: list[str] = []
    articles = dict(_phrases(text))
    phrases = [phrase for phrase in articles if counted.keys() >= set(lexical.terms(phrase))]
    for phrase in sorted(phrases, key=weight, reverse=True):
        terms = set(lexical.terms(phrase))
        if not terms & said:
            kept.append(f"{articles[phrase]} {phrase}".strip())
            said |= terms
    return kept


def _phrases(text: str) -> Iterator[tuple[str, str]]:
    """Runs of words between stop words and punctuation, where a noun is likely, each with its article.

    After Rose, Engel, Cramer and Cowley 2010, "Automatic Keyword Extraction from Individual Documents".
    """
    run: list[str] = []
    lead, end = "", 0
    for word in _WORD.finditer(text):
        is_stop_word = _is_stop_word(word[0])
        if is_stop_word or text[end : word.start()].strip(" "):
            yield from _phrase(lead, run)
            run = []
            lead = word[0].casefold() if is_stop_word else ""
        if not is_stop_word:
            run.append(word[0])
        end = word.end()
    yield from _phrase(lead, run)


def _phrase(lead: str, run: list[str]) -> Iterator[tuple[str, str]]:
    is_noun = lead in _LEAD_TO_NOUNS and 0 < len(run) <= LONGEST_PHRASE and not run[-1].endswith(("ed", "ing", "ly"))
    if is_noun and max(map(len, run)) <= _LONGEST_WORD:
        yield " ".join(run), lead if lead in _ARTICLES else ""


def _is_stop_word(word: str) -> bool:
    try:
        plain(word)
    except QuestionError:
        return True
    return word.casefold() in _NO_NOUNS | _LEAD_TO_NOUNS | _OPEN_CLAUSES | _VERBS
