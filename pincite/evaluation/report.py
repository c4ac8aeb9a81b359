"""What was measured as one page for people: plain words first, then the numbers, then the worst questions."""

import datetime
import statistics
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import Any

import altair as alt
import numpy as np
import vl_convert
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

import pincite
from pincite import relevance
from pincite.evaluation.evaluator import Evaluation

WORST = 10
"""Questions that are shown with what was expected of them."""
FALSE_ANSWERS = 5
"""Questions without an answer that are shown with what they got nonetheless."""
_BINS = 20
_WIDTH = 850
"""Of the plots with their axes, in pixels."""
_LIBRARIES = ("ir-measures", "sentence-transformers", "openvino", "torch", "faiss-cpu", "tantivy", "numpy")

_MEANINGS = {
    "nDCG@10": "how near the first ten come to the best possible order; 1 is perfect",
    "RR@10": "one divided by the rank of the first that is right: 1 if always first, 0.5 if second",
    "R@5": "share of all that is right found among the first five",
    "R@20": "share of all that is right found among the first twenty",
    "R@100": "share of all that is right found among the first hundred",
    "Success@1": "share of questions where the very first is right",
    "character R@5": "share of the words that answer which the first five passages show",
    "character P@5": "share of the words in the first five passages that answer",
    "character IoU@5": "both in one: what is shown and answers, of all that is shown or answers",
    "Success@1000 characters": "share of questions answered within a minute's reading, from the top",
    "marked sentence": "where the first passage answers: how often its marked sentence does",
}
_ABSTENTION = {
    "area under the ROC curve": "how often an answerable question scores above an unanswerable one; 0.5 is chance",
    "answerable kept at 5 % false answers": "share of answerable questions still answered, if 5 % of the others may be",
    "answerable answered": "share of answerable questions that get an answer (weak or strong)",
    "unanswerable answered": "share of unanswerable questions that get one nonetheless",
}


def render(found: Evaluation, about: Mapping[str, str]) -> str:
    """One HTML page that needs nothing else: no script, no link, nothing fetched.

    `about` says what was measured on, name → value. Whatever comes from documents, questions and
    files' names is escaped.
    """
    table = found.as_json()
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page = files("pincite.evaluation").joinpath("report.html.jinja").read_text(encoding="utf-8")
    return template.from_string(page).render(
        table=table,
        found=found,
        about={**about, **_circumstances(found)},
        headline=_headline(found),
        levels=_levels(table),
        intervals=_interval_plot(table),
        abstention=[
            (_ABSTENTION[name], table["abstention"][name], *ends)
            for name, ends in table["abstention_intervals"].items()
        ],
        scores=_score_plot(found),
        bands=relevance.load(),
        latency=_latency_plot(found),
        worst=[_shown(row) for row in _worst(found.rows)],
        falsely=[_shown(row) for row in _false_answers(found)],
    )


def _circumstances(found: Evaluation) -> dict[str, str]:
    """When, how, and with which versions."""
    passages = {} if found.passages is None else {"Passages in the index": f"{found.passages:,}"}
    return {
        "Method": found.method,
        **passages,
        "Measured": f"{datetime.datetime.now().astimezone():%Y-%m-%d %H:%M %Z}, in {found.seconds:.1f} s",
        "Versions": ", ".join([f"pincite {pincite.__version__}", *_versions()]),
    }


def _versions() -> list[str]:
    """Of the libraries that decide what comes out, where they are installed."""
    shown = []
    for name in _LIBRARIES:
        try:
            shown.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return shown


def _headline(found: Evaluation) -> list[str]:
    """What a person wants to know first: the sentence that matters, then what belongs to it."""
    lines = []
    for level, which, what in (
        ("measures", "", "the right document"),
        ("passage_measures", " whose exact place is known,", "a passage that answers"),
    ):
        first = found.values(level).get("Success@1")
        if first:
            lines.append(f"For {sum(first):.0f} of {_questions(len(first))}{which} {what} came first.")
    unanswerable = [row for row in found.rows if row["unanswerable"]]
    if unanswerable and found.has_probabilities:
        told = sum(row["answer"] == "none" for row in unanswerable)
        lines.append(f"For {told} of {_questions(len(unanswerable))} that nothing answers, it said so.")
        answerable = [row for row in found.rows if not row["unanswerable"]]
        given = sum(row["answer"] != "none" for row in answerable)
        if answerable:
            lines.append(f"It gave an answer to {given} of {_questions(len(answerable))} that have one.")
    return lines or ["Nothing could be measured: no question has a document that is judged to be right."]


def _questions(count: int) -> str:
    return f"{count:,} question{'' if count == 1 else 's'}"


def _levels(table: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, float, Sequence[float], str]]]]:
    """Documents and passages: measure, mean, interval and meaning."""
    return [
        (title, [(name, mean, table[intervals][name], _MEANINGS[name]) for name, mean in table[means].items()])
        for title, means, intervals in (
            ("Documents", "measures", "intervals"),
            ("Passages", "passage_measures", "passage_intervals"),
        )
        if table[means]
    ]


def _worst(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The questions with the lowest measures, of those that are not perfect."""

    def merit(row: dict[str, Any]) -> tuple[float, float]:
        return row["measures"]["nDCG@10"], row["passage_measures"].get("nDCG@10", 1.0)

    return sorted((row for row in rows if row["measures"] and merit(row) != (1.0, 1.0)), key=merit)[:WORST]


def _false_answers(found: Evaluation) -> list[dict[str, Any]]:
    """Questions that nothing answers and that got an answer, the surest first."""
    wrong = [row for row in found.rows if row["unanswerable"] and row["answer"] != "none" and found.has_probabilities]
    return sorted(wrong, key=lambda row: -row["score"])[:FALSE_ANSWERS]


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its first passage in three parts, the marked one in the middle."""
    first = row["found"]
    start, end = (first["mark"] or (0, 0)) if first else (0, 0)
    parts = (first["text"][:start], first["text"][start:end], first["text"][end:]) if first else ("", "", "")
    return {**row, "parts": parts, "rank": {level: _rank(row[level]) for level in ("measures", "passage_measures")}}


def _rank(measures: Mapping[str, float]) -> str:
    """Where the first right one came, told from its reciprocal rank; empty where it was not measured."""
    if "RR@10" not in measures:
        return ""
    return f"rank {1 / measures['RR@10']:.0f}" if measures["RR@10"] else "not among the first ten"


# Plots. Colours are the page's own, by name, so that they follow it into the dark and onto paper.


def _interval_plot(table: Mapping[str, Any]) -> Markup:
    """Means as dots, 95 % intervals as lines."""
    levels = _levels(table)
    if not levels:
        return Markup()
    charts = []
    for title, rows in levels:
        values = [{"measure": name, "mean": mean, "low": ends[0], "high": ends[1]} for name, mean, ends, _ in rows]
        base = alt.Chart(alt.InlineData(values)).encode(
            y=alt.Y("measure:N", sort=None, title=None, axis=alt.Axis(grid=True, ticks=False, minExtent=120))
        )
        axis = alt.X("low:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(tickCount=5, format=".1f"))
        line = base.mark_rule(strokeWidth=3, opacity=0.45, color="var(--accent)").encode(x=axis, x2="high:Q")
        dot = base.mark_circle(size=90, opacity=1, color="var(--accent)").encode(x="mean:Q")
        charts.append((line + dot).properties(title=title, width=_WIDTH - 150, height=26 * len(rows)))
    return _svg(alt.vconcat(*charts, spacing=24))


def _score_plot(found: Evaluation) -> Markup:
    """How probable the first passages of both kinds of question were, with where the bands begin."""
    if not found.has_probabilities:
        return Markup()
    bands = relevance.load()
    kinds = [
        ("have an answer", [row["score"] for row in found.rows if not row["unanswerable"]], "var(--accent)"),
        ("have none", [row["score"] for row in found.rows if row["unanswerable"]], "var(--second)"),
    ]
    charts = []
    for title, scores, colour in kinds:
        if not scores:
            continue
        bars = _histogram(scores, np.linspace(0, 1, _BINS + 1), colour, "probability that the first passage answers")
        lines = _lines([("weak", bands.weak), ("strong", bands.strong)])
        named = f"{_questions(len(scores))} that {title if len(scores) > 1 else title.replace('have', 'has')}"
        charts.append((bars + lines).properties(title=named, width=_WIDTH - 60, height=110))
    return _svg(alt.vconcat(*charts, spacing=24))


def _latency_plot(found: Evaluation) -> Markup:
    """How long questions took."""
    times = [row["milliseconds"] for row in found.rows if row["milliseconds"] is not None]
    if not times:
        return Markup()
    edges = np.linspace(0, max(*times, 1.0), _BINS + 1)
    bars = _histogram(times, edges, "var(--accent)", "milliseconds")
    lines = _lines([("median", statistics.median(times))])
    return _svg((bars + lines).properties(width=_WIDTH - 60, height=110))


def _histogram(values: Sequence[float], edges: np.ndarray, colour: str, title: str) -> alt.Chart:
    counts, _ = np.histogram(values, edges)
    data = [
        {"from": float(low), "to": float(high), "questions": int(count)}
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
    ]
    axis = alt.Axis(tickMinStep=1, tickCount=4, format="d")
    chart: alt.Chart = (
        alt.Chart(alt.InlineData(data))
        .mark_bar(color=colour, binSpacing=1)
        .encode(
            x=alt.X(
                "from:Q",
                title=title,
                bin="binned",
                axis=alt.Axis(tickCount=10),
                scale=alt.Scale(domain=[float(edges[0]), float(edges[-1])]),
            ),
            x2="to:Q",
            y=alt.Y("questions:Q", title="questions", axis=axis),
        )
    )
    return chart


def _lines(places: Sequence[tuple[str, float]]) -> alt.LayerChart:
    """Upright lines with names."""
    data = [{"name": name, "at": at} for name, at in places]
    base = alt.Chart(alt.InlineData(data)).encode(x="at:Q")
    line = base.mark_rule(strokeDash=[4, 3], color="var(--ink)")
    name = base.mark_text(align="left", dx=-2, dy=-3, baseline="bottom", color="var(--quiet)", fontSize=12)
    layers: alt.LayerChart = line + name.encode(text="name:N", y=alt.value(0))
    return layers


def _svg(chart: alt.TopLevelMixin) -> Markup:
    """A chart as SVG. Nothing but our own words and numbers stands in one, so it needs no escaping."""
    chart = (
        chart.configure(background="transparent", font="sans-serif")
        .configure_view(stroke=None)
        .configure_axis(
            labelColor="var(--ink)",
            titleColor="var(--quiet)",
            gridColor="var(--line)",
            domainColor="var(--line)",
            tickColor="var(--line)",
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
        )
        .configure_title(color="var(--ink)", fontSize=13, anchor="start", fontWeight="bold", offset=18)
    )
    return Markup(vl_convert.vegalite_to_svg(chart.to_dict(), allowed_base_urls=[]))  # noqa: S704
