"""Keyboard, focus, clipboard, and the questions that this browser remembers: our one component.

Built-in widgets can do none of these. Its script comes with the package and reaches nothing else.
"""

from collections.abc import Mapping
from pathlib import Path

import streamlit as st

BOX = "Question"
"""The label of the box that `/` goes to."""
_BOX = {"/": "to the question"}
_EVERYWHERE = {"?": "these keys", "Esc": "leave a box, close this list"}
_RESULTS = {
    "j or ↓": "the next passage",
    "k or ↑": "the passage before",
    "Enter": "open it in its source",
    "y": "copy its citation with the quote",
}
_HTML = """
<div role="status" aria-live="polite"></div>
<div class="toast" aria-hidden="true"></div>
<dialog aria-labelledby="keys">
  <h2 id="keys">Keys</h2>
  <dl></dl>
  <form method="dialog"><button>Close</button></form>
</dialog>
"""
_NAME, _FORGET = "keys", "keys-forget"
_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "pincite_keys",
    html=_HTML,
    css=(_HERE / "keys.css").read_text(encoding="utf-8"),
    js=(_HERE / "keys.js").read_text(encoding="utf-8"),
)


def listen(
    state: str,
    *,
    press: Mapping[str, str] | None = None,
    told: Mapping[str, str] | None = None,
    has_results: bool = False,
    has_box: bool = False,
    focus: bool = False,
    scroll: str = "",
    asked: str = "",
    wants_recent: bool = False,
) -> None:
    """Once a page, at its end.

    `state`: what is shown; where it changes, the keys begin at the top, the box is focused if `focus`
    says so, and the element of the selector `scroll` is brought into view. `press`: key → `key` of the
    widget that it clicks; `told`: key → what it does, for the list on `?`. `asked`: a question to
    remember. `wants_recent`: whether the page shows what `recent` tells, and is run again once that is known.
    """
    known = recent()
    forgets = st.session_state.pop(_FORGET, False)
    keys = {**(_RESULTS if has_results else {}), **(told or {}), **(_BOX if has_box else {}), **_EVERYWHERE}
    _component(
        key=_NAME,
        data={
            "state": state,
            "box": BOX,
            "walks": has_results,
            "press": dict(press or {}),
            "told": list(keys.items()),
            "focus": focus,
            "scroll": scroll,
            "asked": asked,
            "recent": wants_recent,
            "known": known,
            "forget": forgets,
        },
        height="content",
        on_recent_change=lambda: None,
    )


def recent() -> list[str]:
    """The questions that this browser remembers, the last first; empty on a session's first run."""
    found = (st.session_state.get(_NAME) or {}).get("recent") or []
    return [one for one in found if isinstance(one, str)]


def forget() -> None:
    """Have the browser forget them."""
    st.session_state[_FORGET] = True
