"""Judging: a question, the best passages of every method in an order that hides who found them, a key a grade."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

import streamlit as st

from pincite import citation
from pincite.errors import PinciteError
from pincite.evaluation import draft
from pincite.evaluation.draft import Proposal
from pincite.evaluation.judgements import Judgement
from pincite.evaluation.judging import Standing, standings
from pincite.evaluation.records import Measured
from pincite.evaluation.sets import JudgementSet
from pincite.query import plain
from pincite.types import Passage
from pincite.ui import index_state, keys, markup, urlstate
from pincite.ui.resources import Resources

if TYPE_CHECKING:
    from pincite.ui.pages import Pages

GRADES = ("Does not answer", "Answers in part", "Answers")
"""By grade."""
_DEPTH = 10
"""Passages that each method adds."""
_AROUND = 400
"""Characters shown before and after a passage."""
_PROPOSED = 5
_LISTED = 20
_EXCERPT = 80
_COMPLAINT = "judge-complaint"
_DRAWN = "judge-proposals-drawn"


def show(pages: "Pages", resources: Resources) -> None:
    """The question lives in the URL as `q`, the number of the passage as `n`."""
    st.title("Judge")
    question = urlstate.text(keys.BOX, "q", "A question to judge passages for", forget=["n"])
    if complaint := st.session_state.pop(_COMPLAINT, None):
        markup.notice(complaint)
    press: dict[str, str] = {}
    try:
        if question:
            press = _judge(resources, question)
        else:
            _begin(resources)
        _judged(pages, resources)
    except PinciteError as error:
        index_state.trouble(pages, resources, error)
    told = {str(grade): name.lower() for grade, name in enumerate(GRADES)} if press else {}
    if press:
        told |= {"j": "the next passage", "k": "the passage before"}
    keys.listen(
        f"{question}#{st.query_params.get('n', '')}",
        press=press,
        told=told,
        has_box=True,
        focus=not question,
        asked=question,
    )


# One question


def _judge(resources: Resources, question: str) -> dict[str, str]:
    """One passage of the pool, to be graded; returns the keys that it listens to."""
    plain(question)  # what cannot be asked is told before anything else
    passages = _pool(resources, question, _state(resources))
    grades = [resources.judgements.grade_of(question, passage) for passage in passages]
    judgement = resources.judgements.of(question)
    is_unanswerable = bool(judgement and judgement.unanswerable)
    number = _number(grades)
    done = sum(grade is not None for grade in grades)
    st.progress(done / max(len(grades), 1), text=f"{done} of {len(grades)} judged")
    if is_unanswerable:
        st.info("You said that nothing in the documents answers this.", icon=":material/do_not_disturb_on:")
    if number > len(passages):
        _done(resources, question, grades, is_unanswerable)
        return {"k": "back"}
    passage, grade = passages[number - 1], grades[number - 1]
    st.html(markup.block("quiet", f"Passage {number} of {len(passages)}") + _shown(resources, passage))
    st.html(markup.block("verdict", f"You said: {GRADES[grade].lower()}" if grade is not None else "Not judged yet"))
    with st.container(horizontal=True):
        for value, name in enumerate(GRADES):
            # A press that arrives late, when the next passage is already there, still means the one that was seen.
            with st.container(key=f"grade-{value}", width="content"):
                st.button(
                    f"{name} ({value})",
                    key=f"grade-{value}-{passage.source}-{passage.start}",
                    icon=":material/check:" if grade == value else None,
                    on_click=_grade,
                    args=(resources, question, passages, number, value),
                )
    with st.container(horizontal=True):
        st.button(
            "Back", key="back", icon=":material/arrow_back:", disabled=number == 1, on_click=_go, args=(number - 1,)
        )
        st.button("Next", key="next", icon=":material/arrow_forward:", on_click=_go, args=(number + 1,))
        if grade is not None:
            st.button(
                "Withdraw", key="withdraw", icon=":material/undo:", on_click=_save,
                args=(lambda: resources.judgements.grade(question, passage, None),),
            )  # fmt: skip
        _nothing(resources, question, grades, is_unanswerable)
    return {**{str(value): f"grade-{value}" for value in range(len(GRADES))}, "j": "next", "k": "back"}


def _number(grades: Sequence[int | None]) -> int:
    """Which passage the URL names, from 1; without one the first that is not judged, or one above the last."""
    asked = st.query_params.get("n", "")
    if asked.isdecimal() and asked.isascii():
        return min(max(int(asked[:9]), 1), len(grades) + 1)
    return _next(grades, 0)


def _next(grades: Sequence[int | None], after: int) -> int:
    """The first that is not judged below number `after`, or from the top; one above the last where all are."""
    open_ones = [number for number, grade in enumerate(grades, start=1) if grade is None]
    return next((number for number in open_ones if number > after), open_ones[0] if open_ones else len(grades) + 1)


def _done(resources: Resources, question: str, grades: Sequence[int | None], is_unanswerable: bool) -> None:
    """Below the last passage: what came together, and what is missing."""
    counted = [f"{grades.count(value)}: {name.lower()}" for value, name in reversed([*enumerate(GRADES)])]
    missing = grades.count(None)
    st.html(
        markup.block("verdict", "All passages are judged." if not missing else f"{missing} not judged yet")
        + markup.block("quiet", ", ".join(counted))
    )
    if not missing and not is_unanswerable and not any(grades):
        st.caption("None of them answers: say that nothing does, or the question is left out of the measures.")
    with st.container(horizontal=True):
        st.button("Back", key="back", icon=":material/arrow_back:", on_click=_go, args=(len(grades),))
        _nothing(resources, question, grades, is_unanswerable)
        st.button("Another question", key="another", icon=":material/restart_alt:", on_click=_ask, args=("",))


def _nothing(resources: Resources, question: str, grades: Sequence[int | None], is_unanswerable: bool) -> None:
    answers = any(grades)
    st.button(
        "Something does answer" if is_unanswerable else "Nothing here answers",
        key="nothing",
        icon=":material/do_not_disturb_on:",
        disabled=answers,
        help="You judged a passage to answer" if answers else "Nothing in all the documents, not only nothing shown",
        on_click=_save,
        args=(lambda: resources.judgements.mark_unanswerable(question, not is_unanswerable),),
    )


def _shown(resources: Resources, passage: Passage) -> str:
    """A passage in its surroundings, without the sentence that a method would mark."""
    document = resources.judgements.text_of(passage.source) or ""
    before = document[max(passage.start - _AROUND, 0) : passage.start].lstrip()
    after = document[passage.end : passage.end + _AROUND].rstrip()
    before = f"…{before}" if passage.start > _AROUND else before
    after = f"{after}…" if passage.end + _AROUND < len(document) else after
    return (
        markup.block("title", citation.display_title(passage))
        + markup.block("quiet", citation.cite(passage))
        + '<div class="pincite-text pincite-judging"><span class="pincite-heading">'
        + markup.marked(before, [])
        + '</span><span class="pincite-passage" role="region" aria-label="The passage to judge">'
        + markup.marked(passage.text, [])
        + '</span><span class="pincite-heading">'
        + markup.marked(after, [])
        + "</span></div>"
    )


def _state(resources: Resources) -> str:
    """Which state of the index is asked. Raises `IndexMissing`."""
    state = Measured.now(resources.searcher)
    return f"{state.generation} {state.built_at.isoformat()}"


@st.cache_resource(max_entries=32, show_spinner="Asking every method…")
def _pool(_resources: Resources, question: str, state: str) -> tuple[Passage, ...]:
    """What every method finds best, in an order that the question alone decides."""
    (pool,) = draft.pool(_resources.searcher, [Proposal(question)], _DEPTH, 0, lambda _stage, _done, _total: None)
    return pool.passages


# What a press does


def _grade(resources: Resources, question: str, passages: Sequence[Passage], number: int, grade: int) -> None:
    def judge() -> None:
        resources.judgements.grade(question, passages[number - 1], grade)
        _go(_next([resources.judgements.grade_of(question, passage) for passage in passages], number))

    _save(judge)


def _save(act: Callable[[], None]) -> None:
    """Do what was asked, or have the page say why it cannot be done."""
    try:
        act()
    except PinciteError as error:
        st.session_state[_COMPLAINT] = str(error)


def _go(number: int | None) -> None:
    urlstate.put("n", "" if number is None else str(number))


def _ask(question: str) -> None:
    urlstate.put("q", question)
    _go(None)


# Without a question


def _begin(resources: Resources) -> None:
    """What this is for, and questions to begin with."""
    st.caption(
        "For a question you get the best passages of every method, mixed. Say of each whether it answers: it is saved"
        " at once, and Quality measures with it. Type a question that people really asked, or have some proposed."
    )
    drawn = st.session_state.get(_DRAWN, 0)
    if st.button("Propose questions", icon=":material/lightbulb:", help="Others with each press"):
        drawn = st.session_state[_DRAWN] = drawn + 1
    if not drawn:
        return
    st.caption("Made from headings and phrases of your documents: put them as you would ask them.")
    for question in _proposals(resources, drawn, _state(resources)):
        st.button(markup.plain(question), key=f"propose-{question}", type="tertiary", on_click=_ask, args=(question,))


@st.cache_resource(max_entries=8, show_spinner="Looking for questions…")
def _proposals(_resources: Resources, drawn: int, state: str) -> list[str]:
    found, _ = draft.proposals(_resources.searcher, _PROPOSED, drawn)
    return [proposal.question for proposal in found]


# What was judged before


def _judged(pages: "Pages", resources: Resources) -> None:
    """The person's judgements, the last first, with what has changed since."""
    known = [j for j in resources.judgements.all().values() if j.places or j.unanswerable]
    st.divider()
    st.header("Your judgements")
    if not known:
        st.caption(f"None yet. They will lie in {markup.plain(str(resources.judgements.file))}.")
        return
    known.sort(key=lambda judgement: judgement.at, reverse=True)
    changes = _changes(resources, known, JudgementSet("own", tuple(known)).sha256, _state(resources))
    changed = sum(any(standing.change for standing in found) for found in changes.values())
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{len(known):,}** judged" + (f", **{changed:,}** changed since" if changed else ""))
        only = st.toggle("Only what has changed", key="changed") if changed else False
        st.download_button(
            "Download own.jsonl",
            resources.judgements.file.read_bytes(),
            file_name=resources.judgements.file.name,
            mime="application/jsonl",
            icon=":material/download:",
            on_click="ignore",
        )
    listed = [j for j in known if not only or any(standing.change for standing in changes[j.id])]
    shown = len(listed) if len(listed) <= _LISTED or st.session_state.get("judged-all") else _LISTED
    for judgement in listed[:shown]:
        _line(judgement, changes[judgement.id])
    if shown < len(listed):
        st.button(f"Show all {len(listed):,}", on_click=st.session_state.update, args=({"judged-all": True},))


@st.cache_resource(max_entries=8, show_spinner=False)
def _changes(_resources: Resources, _known: Sequence[Judgement], sha256: str, state: str) -> dict[str, list[Standing]]:
    texts = cache(_resources.judgements.text_of)
    return {judgement.id: standings(judgement, texts) for judgement in _known}


def _line(judgement: Judgement, found: Sequence[Standing]) -> None:
    grades = [place.grade for place in judgement.places]
    said = [f"{grades.count(value)}: {name.lower()}" for value, name in enumerate(GRADES) if grades.count(value)]
    said = [*reversed(said), *(["nothing answers"] if judgement.unanswerable else [])]
    with st.container(border=True):
        st.button(
            markup.plain(judgement.question),
            key=f"again-{judgement.id}",
            icon=":material/gavel:",
            help="Judge again",
            type="tertiary",
            on_click=urlstate.go,
            args=({"q": judgement.question, "n": "1"},),
        )
        st.html(markup.block("quiet", f"{', '.join(said)} · {judgement.at[:10]}"))
        for standing in found:
            if standing.change:
                quote = " ".join(standing.place.quote.split())
                short = quote if len(quote) <= _EXCERPT else f"{quote[: _EXCERPT - 1]}…"
                st.html(
                    markup.block("changed", f"Changed since: {standing.place.source}: {standing.change}: “{short}”")
                )
