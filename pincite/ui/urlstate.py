"""Controls whose value lives in the URL, so that a link reproduces a page.

A widget that Streamlit binds to the URL writes its labels there, counts and all, and takes its parameter
away again while the next page opens with the same one; so these write it themselves.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

_KEPT = "the URL as this session has it"


def keep() -> None:
    """What the URL says now is what the next change of a control starts from; called as a run of the script begins, and
    with every change.

    A control that is changed before the browser has been told of the one before comes with the URL of before that.
    """
    st.session_state[_KEPT] = _url()


def text(label: str, name: str, placeholder: str, *, is_named: bool = False, forget: Sequence[str] = ()) -> str:
    """A box for the parameter `name`; what it says. Not of the type `search`: browsers empty that on Esc.

    `is_named`: whether its label is shown; `forget`: parameters that end where this one changes.
    """
    key = _follow(name, st.query_params.get(name, ""))
    found = st.text_input(
        label,
        key=key,
        placeholder=placeholder,
        label_visibility="visible" if is_named else "collapsed",
        on_change=_write,
        args=(name, "", forget),
    )
    return (found or "").strip()


def segments(label: str, name: str, labels: Mapping[str, str], *, are_many: bool = False) -> str:
    """One of a few values side by side, which is returned; the first is the default and not written.

    `are_many`: whether they may go on in the next line.
    """
    first = next(iter(labels))
    asked = st.query_params.get(name, first)
    widget: Any = st.pills if are_many else st.segmented_control
    widget(
        label,
        list(labels),
        key=_follow(name, asked if asked in labels else first),
        required=True,
        format_func=labels.__getitem__,
        label_visibility="collapsed",
        on_change=_write,
        args=(name, first),
    )
    return str(st.session_state[name])


def choice(label: str, name: str, labels: Mapping[str, str], default: str) -> str:
    """One of many values in a list, which is returned; the default is not written."""
    asked = st.query_params.get(name, default)
    key = _follow(name, asked if asked in labels else default)
    st.selectbox(label, list(labels), key=key, format_func=labels.__getitem__, on_change=_write, args=(name, default))
    return str(st.session_state[name])


def several(label: str, name: str, options: Sequence[str], shown: Mapping[str, str]) -> None:
    """Any of the values of `options`; what the URL names is offered too."""
    asked = st.query_params.get_all(name)
    key = _follow(name, asked)
    st.multiselect(
        label,
        list(dict.fromkeys([*asked, *options])),
        key=key,
        format_func=lambda value: shown.get(value, value),
        placeholder="All",
        select_all=False,
        on_change=_write,
        args=(name,),
    )


def one(label: str, name: str, options: Sequence[str], shown: Mapping[str, str], placeholder: str) -> None:
    """One of the values of `options`, or none; what the URL names is offered too."""
    asked = st.query_params.get(name)
    key = _follow(name, asked)
    st.selectbox(
        label,
        list(dict.fromkeys([*([asked] if asked else []), *options])),
        index=None,
        key=key,
        format_func=lambda value: shown.get(value, value),
        placeholder=placeholder,
        on_change=_write,
        args=(name,),
    )


def put(name: str, value: str | Sequence[str]) -> None:
    """Write a parameter; an empty value takes it away."""
    go({**_url(), name: value})


def go(params: Mapping[str, str | Sequence[str]]) -> None:
    """Another state of the same page, for a button: a link to the page that it stands on leaves the URL behind."""
    url = {name: [value] if isinstance(value, str) else [*value] for name, value in params.items() if value}
    st.session_state[_KEPT] = url  # first: where another change waits, this run ends as the browser is told
    st.query_params.from_dict(url)


def _url() -> dict[str, list[str]]:
    return {name: st.query_params.get_all(name) for name in st.query_params}


def _follow(name: str, asked: Any) -> str:
    """The key of the parameter's widget, made to show what the URL says."""
    st.session_state[name] = asked
    return name


def _write(name: str, default: str = "", forget: Sequence[str] = ()) -> None:
    value = st.session_state[name]
    url = st.session_state.get(_KEPT, _url())
    go({**{other: url[other] for other in url if other not in forget}, name: value if value != default else ""})
