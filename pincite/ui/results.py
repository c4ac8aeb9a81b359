"""Passages as a page shows them: verdict, hits, and what can be done with each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import streamlit as st

from pincite import citation
from pincite.errors import PinciteError
from pincite.freshness import Freshness, freshness, standing
from pincite.reading_list import identity
from pincite.storage import Catalog
from pincite.types import Answer, Band, Hit
from pincite.ui import markup, take, thumbs, why_chart
from pincite.ui.asked import Asked, carried, place_params, source_params
from pincite.ui.resources import Resources

if TYPE_CHECKING:
    from pincite.ui.pages import Pages

_BANDS: dict[Band, tuple[str, Literal["green", "orange", "gray"]]] = {
    "strong": (":material/check_circle: likely answers", "green"),
    "weak": (":material/help: may answer", "orange"),
    "none": (":material/remove: probably does not", "gray"),
}
_MOST_PLACES = 20
"""Listed of those that say the same."""
STALE: dict[Freshness, str] = {
    "changed": "The file has changed since: this is what it said when it was indexed. Re-index to search it anew.",
    "missing": "The file is gone, or cannot be opened: this is what it said when it was indexed.",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer with what its hits need to be shown."""

    answer: Answer
    asked: Asked
    files: Mapping[str, Freshness]
    hits: Sequence[Hit]
    """Each at a place whose file is there."""
    gone: Sequence[Hit]
    """Those of files that are not."""

    @classmethod
    def of(cls, resources: Resources, asked: Asked, answer: Answer) -> "Shown":
        """Looks once at the files that the hits stand in."""
        with Catalog(resources.settings.index) as catalog, catalog.reading():
            answered = {hit.passage.source: hit.sha256 for hit in answer.hits}
            others = {place.source for hit in answer.hits for place in hit.also}
            files = freshness(resources.settings.corpus, catalog, others, answered)
            standing_now = [(hit, standing(catalog, files, hit)) for hit in answer.hits]
            hits = [now for _, now in standing_now if now]
            gone = [hit for hit, now in standing_now if not now]
            return cls(answer, asked, files, hits, gone)


def show(pages: "Pages", resources: Resources, shown: Shown, side: str = "") -> None:
    """The verdict, the passages that answer, the nearest behind a fold. `side` tells two answers of a page apart."""
    answering = [hit for hit in shown.hits if hit.band != "none"]
    nearest = shown.hits[len(answering) :]  # bands never rise with rank
    if not shown.answer.hits:
        st.html(markup.block("verdict", "No passage is left by these filters."))
    elif not answering:
        st.html(markup.block("verdict", "Nothing here answers that."))
    _listed(pages, resources, shown, answering, side)
    if nearest:
        with st.expander(f"The {'next' if answering else 'nearest'} passages, which may not answer"):
            _listed(pages, resources, shown, nearest, side)
    if shown.gone:  # does not count as an answer of today
        with st.expander("Passages of files that are gone"):
            _listed(pages, resources, shown, shown.gone, side)


def _listed(pages: "Pages", resources: Resources, shown: Shown, hits: Sequence[Hit], side: str) -> None:
    if not shown.asked.by_document:
        for hit in hits:
            with st.container(border=True, key=f"hit-{side}{hit.rank}"):
                _hit(pages, resources, shown, hit, side)
        return
    for source, group in by_document(hits).items():
        first = group[0]
        with st.container(border=True):
            how_many = "1 passage" if len(group) == 1 else f"{len(group)} passages"
            st.html(
                markup.title(citation.display_title(first.passage)) + markup.block("quiet", f"{source} · {how_many}")
            )
            for hit in group:
                with st.container(key=f"hit-{side}{hit.rank}"):
                    _hit(pages, resources, shown, hit, side, has_title=False)


def by_document(hits: Sequence[Hit]) -> dict[str, list[Hit]]:
    """Source → its hits; documents in the order of their best."""
    groups: dict[str, list[Hit]] = {}
    for hit in hits:
        groups.setdefault(hit.passage.source, []).append(hit)
    return groups


def _hit(pages: "Pages", resources: Resources, shown: Shown, hit: Hit, side: str, *, has_title: bool = True) -> None:
    passage = hit.passage
    title = markup.title(f"{hit.rank}. {citation.display_title(passage)}") if has_title else ""
    stale = STALE.get(shown.files.get(passage.source, "current"))
    body = title + markup.block("quiet", hit.citation) + (markup.block("warning", stale) if stale else "")
    st.html(markup.element("hit", body + markup.passage(passage, hit.marks), f"Passage {hit.rank}, {hit.citation}"))
    if hit.also:
        with st.expander(f"Also in {len(hit.also)} {'place' if len(hit.also) == 1 else 'places'}, word for word"):
            for place in hit.also[:_MOST_PLACES]:
                st.page_link(
                    pages.source,
                    label=markup.plain(f"{place.source}, characters {place.start}–{place.end}"),
                    query_params={
                        **shown.asked.params,
                        **place_params(place.source, place.start, place.end),
                        **_origin(side),
                    },
                )
            if len(hit.also) > _MOST_PLACES:
                st.caption(f"and {len(hit.also) - _MOST_PLACES} more")
    with st.container(gap="xxsmall"):
        _actions(pages, resources, shown, hit, side)


@st.fragment
def _actions(pages: "Pages", resources: Resources, shown: Shown, hit: Hit, side: str) -> None:
    """What can be done with a hit. Only this runs again when any of it is pressed."""
    # A press that arrives late, when other passages are already there, still means the one that was seen.
    name = f"{side}{identity(hit, shown.asked.question)}"
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        label, color = _BANDS[hit.band]
        st.badge(label, color=color, help=f"Probability that this passage answers: {hit.score:.2f}")
        st.page_link(
            pages.source,
            label="Open in the source",
            icon=":material/description:",
            query_params={**source_params(shown.asked, hit), **_origin(side)},
        )
        st.html(take.copy_button(hit), width="content")
        take.collect_button(hit, shown.asked.question, f"collect-{name}")
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        with st.popover("Why", key=f"why-{name}", on_change="rerun", type="tertiary") as why:
            if why.open:
                try:
                    why_chart.show(resources, hit)
                except PinciteError as error:  # the index may be gone since
                    markup.notice(str(error))
        thumbs.thumbs(hit, shown.asked.question, f"thumbs-{name}")


def _origin(side: str) -> dict[str, list[str]]:
    return {**carried(), "from": ["compare"]} if side else {}
