"""Why a passage stands where it stands, as a small chart: what each feature adds to its place in the order."""

from typing import Any

import altair as alt
import streamlit as st

from pincite.storage import Catalog
from pincite.types import Hit
from pincite.ui.resources import Resources

_NAMES = {
    "cosine": "Meaning as a whole",
    "token_similarity": "Meaning word by word",
    "sentence_similarity": "Its best sentence",
    "idf_share": "The question's rare words",
    "proximity": "Those words close together",
    "reranker": "The cross-encoder",
}
_SHORT, _TALL = 30, 50
"""Pixels: a bar, and what surrounds all of them."""


_COLOR = "#3d8b78"
"""Seen in light and dark."""


def show(resources: Resources, hit: Hit) -> None:
    """Counts the passages of the index, which decide what words weigh."""
    with Catalog(resources.settings.index) as catalog, catalog.reading():
        passages = catalog.counts()["passages"]
    weights = resources.searcher.relevance.order_weights(passages) | {"reranker": 1.0}
    rows: list[dict[str, Any]] = [
        {"feature": _NAMES[name], "adds": weights[name] * value, "value": value} for name, value in hit.features.items()
    ]
    st.caption(f"Probability that it answers: {hit.score:.2f}. What each feature adds to its place in the order:")
    bars = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X("adds:Q", title="weight × value", scale=alt.Scale(domainMax=1.15 * max(row["adds"] for row in rows))),
        y=alt.Y(
            "feature:N",
            sort=[row["feature"] for row in rows],
            title=None,
            axis=alt.Axis(labelLimit=220, labelOverlap=False),
        ),
        tooltip=[
            alt.Tooltip("feature:N", title="Feature"),
            alt.Tooltip("value:Q", format=".3f", title="Value"),
            alt.Tooltip("adds:Q", format=".2f", title="Adds"),
        ],
    )
    chart = bars.mark_bar(color=_COLOR) + bars.mark_text(align="left", dx=4, color="gray").encode(
        text=alt.Text("adds:Q", format=".2f")
    )
    st.altair_chart(chart.properties(height=_SHORT * len(rows) + _TALL))
    told = ", ".join(f"{row['feature'].lower()} {row['value']:.2f}" for row in rows)
    st.caption(f"Values: {told}.")
