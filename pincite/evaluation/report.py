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
from pincite.evaluation import summary
from pincite.evaluation.evaluator import Evaluation

_BINS = 20
_WIDTH = 850
"""Of the plots with their axes, in pixels."""
_LIBRARIES = ("ir-measures", "sentence-transformers", "openvino", "torch", "faiss-cpu", "tantivy", "numpy")


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
        headline=summary.headline(table),
        levels=summary.levels(table),
        intervals=_interval_plot(table),
        abstention=[(meaning, value, *ends) for _, value, ends, meaning in summary.abstention(table)],
        scores=_score_plot(found),
        bands=relevance.load(),
        latency=_latency_plot(found),
        worst=[_shown(row) for row in summary.worst(table)],
        falsely=[_shown(row) for row in summary.false_answers(table)],
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


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its first passage in three parts, the marked one in the middle."""
    first = row["found"]
    start, end = (first["mark"] or (0, 0)) if first else (0, 0)
    parts = (first["text"][:start], first["text"][start:end], first["text"][end:]) if first else ("", "", "")
    return {
        **row,
        "parts": parts,
        "rank": {level: summary.rank(row[level]) for level in ("measures", "passage_measures")},
    }


# Plots. Colours are the page's own, by name, so that they follow it into the dark and onto paper.


def _interval_plot(table: Mapping[str, Any]) -> Markup:
    """Means as dots, 95 % intervals as lines."""
    levels = summary.levels(table)
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
        named = f"{summary.questions(len(scores))} that {title if len(scores) > 1 else title.replace('have', 'has')}"
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
