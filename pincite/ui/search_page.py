"""The page that answers: a question box, the verdict, the ranked passages."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import streamlit as st

from pincite import citation
from pincite.errors import PinciteError
from pincite.types import Answer, Band, Hit
from pincite.ui import index_state, keys, markup
from pincite.ui.resources import Resources

if TYPE_CHECKING:
    from pincite.ui.pages import Pages

_BANDS: dict[Band, tuple[str, Literal["green", "orange", "gray"]]] = {
    "strong": (":material/check_circle: likely answers", "green"),
    "weak": (":material/help: may answer", "orange"),
    "none": (":material/remove: probably does not", "gray"),
}


def show(pages: "Pages", resources: Resources) -> None:
    """Ask, search, show. The question lives in the URL as `q`."""
    st.markdown("## Pincite")
    question = st.text_input(
        "Question",
        key="q",
        bind="query-params",
        placeholder="Ask your documents a question",
        label_visibility="collapsed",
    )
    index_state.show(pages, resources)
    if not question or not question.strip():
        st.caption("Answers are shown word for word, with the place where each of them stands.")
        keys.listen("", focus=True)
        return
    try:
        answer = resources.searcher.search(question)
    except PinciteError as error:
        markup.notice(str(error))
        return
    _verdict(pages, answer)
    keys.listen(question, has_results=True, asked=question)


def _verdict(pages: "Pages", answer: Answer) -> None:
    answering = [hit for hit in answer.hits if hit.band != "none"]
    nearest = answer.hits[len(answering) :]  # bands never rise with rank
    if not answering:
        st.html(markup.block("verdict", "Nothing here answers that."))
    _hits(pages, answer, answering)
    if nearest:
        with st.expander(f"The {'next' if answering else 'nearest'} passages, which may not answer"):
            _hits(pages, answer, nearest)
    st.caption(f"{len(answer.hits)} passages in {answer.milliseconds:.0f} ms")


def _hits(pages: "Pages", answer: Answer, hits: Sequence[Hit]) -> None:
    for hit in hits:
        with st.container(border=True):
            _hit(pages, answer, hit)


def _hit(pages: "Pages", answer: Answer, hit: Hit) -> None:
    passage = hit.passage
    label, color = _BANDS[hit.band]
    st.html(
        markup.block("title", f"{hit.rank}. {citation.display_title(passage)}")
        + markup.block("quiet", hit.citation)
        + markup.passage(passage, hit.marks)
    )
    if hit.also:
        places = [f"{place.source}, characters {place.start}–{place.end}" for place in hit.also]
        st.html(markup.block("quiet", "The same words also stand in:", *places))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(label, color=color, help=f"Probability that this passage answers: {hit.score:.2f}")
        st.page_link(
            pages.source,
            label="Open in the source",
            icon=":material/description:",
            query_params={
                "source": passage.source,
                "start": str(passage.start),
                "end": str(passage.end),
                "mark": "-".join(str(passage.start + offset) for offset in hit.marks[0]) if hit.marks else "",
                "file": hit.sha256[:16],
                "question": answer.question,
            },
        )
