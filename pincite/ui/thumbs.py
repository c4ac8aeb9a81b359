"""Thumbs on a result: one press is a judgement, another takes it back."""

import streamlit as st

from pincite.errors import PinciteError
from pincite.types import Hit, Passage
from pincite.ui import markup
from pincite.ui.resources import Resources, shared

_THUMBS = (
    (2, "Answers", ":material/thumb_up:"),
    (0, "Does not answer", ":material/thumb_down:"),
)


def thumbs(hit: Hit, question: str, key: str) -> None:
    """Two buttons that judge a hit, and what was judged of it in words. `key` is unlike that of any other hit.

    The file is read again only when it has changed.
    """
    resources = shared()
    try:
        judged = resources.judgements.grade_of(question, hit.passage)
    except PinciteError as error:
        markup.notice(str(error))
        return
    with st.container(horizontal=True, vertical_alignment="center", key=f"{key}-thumbs"):
        for grade, name, icon in _THUMBS:
            is_judged = judged == grade
            st.button(
                f"You said: {name.lower()}" if is_judged else name,
                key=f"{key}-{grade}",
                icon=":material/check:" if is_judged else icon,
                type="tertiary",
                help="Press again to take it back" if is_judged else f"Judge this passage: {name.lower()}",
                on_click=_judge,
                args=(resources, question, hit.passage, None if is_judged else grade, key),
            )
        if judged == 1:
            st.caption("You said: answers in part")
    if complaint := st.session_state.pop(_complaint(key), None):
        markup.notice(complaint)


def _judge(resources: Resources, question: str, passage: Passage, grade: int | None, key: str) -> None:
    try:
        resources.judgements.grade(question, passage, grade)
    except PinciteError as error:
        st.session_state[_complaint(key)] = str(error)


def _complaint(key: str) -> str:
    return f"{key}-complaint"
