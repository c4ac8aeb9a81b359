"""Plots of what was measured. Their colours are told apart on light and on dark; a table says the same as each."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np

from pincite.evaluation.summary import Measured

_ACCENT = "#2f8f78"
_SECOND = "#c26a1d"
_LINE = "#888888"
BINS = 20


def intervals(rows: Sequence[Measured]) -> alt.LayerChart:
    """Means as dots, 95 % intervals as lines."""
    values = [{"measure": name, "mean": mean, "low": ends[0], "high": ends[1]} for name, mean, ends, _ in rows]
    base = alt.Chart(alt.InlineData(values)).encode(
        y=alt.Y("measure:N", sort=None, title=None, axis=alt.Axis(grid=True, ticks=False, labelLimit=160))
    )
    across = alt.X("low:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(tickCount=5, format=".1f"))
    line = base.mark_rule(strokeWidth=3, opacity=0.6, color=_ACCENT).encode(x=across, x2="high:Q")
    dot = base.mark_circle(size=90, opacity=1, color=_ACCENT).encode(
        x="mean:Q", tooltip=["measure:N", *(alt.Tooltip(f"{end}:Q", format=".3f") for end in ("mean", "low", "high"))]
    )
    chart: alt.LayerChart = (line + dot).properties(height=28 * len(rows) + 30)
    return chart


def counts(scores: Sequence[float]) -> list[tuple[float, float, int]]:
    """How many scores lie in each twentieth of 0 to 1: from, to, count."""
    edges = np.linspace(0, 1, BINS + 1)
    found, _ = np.histogram(scores, edges)
    return [(float(low), float(high), int(n)) for low, high, n in zip(edges, edges[1:], found, strict=False)]


def scores(values: Sequence[float], bands: Mapping[str, float], *, is_answerable: bool) -> alt.LayerChart:
    """How probable the first passages were, with a line where each band begins."""
    data = [{"from": low, "to": high, "questions": count} for low, high, count in counts(values)]
    scale = alt.Scale(domain=[0, 1])
    bars = (
        alt.Chart(alt.InlineData(data))
        .mark_bar(color=_ACCENT if is_answerable else _SECOND, binSpacing=1)
        .encode(
            x=alt.X(
                "from:Q",
                bin="binned",
                scale=scale,
                title="probability that the first passage answers",
                axis=alt.Axis(tickCount=5, format=".1f"),
            ),
            x2="to:Q",
            y=alt.Y("questions:Q", axis=alt.Axis(tickMinStep=1, tickCount=4, format="d")),
            tooltip=[alt.Tooltip("from:Q", format=".2f"), alt.Tooltip("to:Q", format=".2f"), "questions:Q"],
        )
    )
    # The names of the bands are an axis of their own, for axes take the colour of the page's text.
    names: list[dict[str, Any]] = [{"name": name, "at": at} for name, at in bands.items()]
    said = alt.Axis(
        orient="top",
        values=list(bands.values()),
        labelExpr=" : ".join([*(f"datum.value == {at} ? '{name}'" for name, at in bands.items()), "''"]),
        ticks=False,
        grid=False,
        domain=False,
    )
    lines = (
        alt.Chart(alt.InlineData(names))
        .mark_rule(strokeDash=[4, 3], strokeWidth=2, color=_LINE)
        .encode(x=alt.X("at:Q", title=None, scale=scale, axis=said))
    )
    chart: alt.LayerChart = (bars + lines).resolve_axis(x="independent").properties(height=220)
    return chart
