"""How good the search is: what was measured, what changed since, where it went wrong; and measuring again."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from pincite.errors import EvaluationCancelled, PinciteError
from pincite.evaluation import comparison, records, sets, summary
from pincite.evaluation.comparison import Comparison, Move
from pincite.evaluation.records import Measured, Record
from pincite.evaluation.sets import JudgementSet
from pincite.evaluation.summary import Table
from pincite.ui import charts, index_state, keys, markup, urlstate
from pincite.ui.resources import Resources
from pincite.ui.tables import table

if TYPE_CHECKING:
    from pincite.ui.pages import Pages

_SETS = {"sample": "Those that came with the documents", "own": "Yours", "both": "Both"}
_TICK = 0.5
"""Seconds between two looks at a running evaluation."""
_MOVED = 10
_LISTED = 50
_LEAD = "nDCG@10"
"""What questions are compared by."""


def show(pages: "Pages", resources: Resources) -> None:
    """The evaluation that is shown lives in the URL as `run`, the two that are compared as `a` and `b`."""
    st.title("Quality")
    try:
        state = Measured.now(resources.searcher)
        known = sets.named(resources.settings.judgments)
        is_running = resources.evaluations.is_running  # asked first: one that ends from here on is not among the kept
        kept, complaints = records.kept(resources.settings.judgments / records.FOLDER)
    except PinciteError as error:
        index_state.trouble(pages, resources, error)
        keys.listen("quality")
        return
    _evaluate(pages, resources, known, is_running)
    for complaint in complaints:
        markup.notice(complaint)
    if kept:
        shown = _choose("Evaluation", kept, "run", 0) if len(kept) > 1 else kept[0]
        _record(pages, resources, shown, state)
        _since(pages, shown, records.before(shown, kept))
        _worst(pages, shown.evaluation)
        if len(kept) > 1:
            _compare(pages, kept)
    elif known and not is_running:
        st.caption("Not measured yet. Measuring asks every judged question once, and keeps what came out.")
    keys.listen("quality")


# Measuring


def _evaluate(pages: "Pages", resources: Resources, known: Mapping[str, JudgementSet], is_running: bool) -> None:
    if not known and not is_running:
        st.info("No judgements yet: the search can be measured once you said of some passages whether they answer.")
        st.page_link(pages.judge, label="Judge some passages", icon=":material/thumbs_up_down:")
        return
    st.fragment(lambda: _evaluation(resources, known, is_running), run_every=_TICK if is_running else None)()


def _evaluation(resources: Resources, known: Mapping[str, JudgementSet], was_running: bool) -> None:
    """The one that runs, with a way to stop it; else what the last came to, and a way to begin."""
    running = resources.evaluations
    if running.is_running:
        done, total = running.progress
        st.progress(done / total if total else 0.0, text=f"Asking question {min(done + 1, total)} of {total}")
        st.caption("Questions of people are answered meanwhile.")
        st.button("Cancel", icon=":material/close:", on_click=running.cancel)
        return
    if was_running:
        urlstate.put("run", "")  # the last one is shown
        st.rerun()
    if isinstance(running.outcome, EvaluationCancelled):
        st.info("The evaluation was cancelled, and nothing of it kept.")
    elif isinstance(running.outcome, PinciteError):
        markup.notice(str(running.outcome))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(
            "Judgements to measure with",
            [*known],
            index=len(known) - 1,
            format_func=lambda name: f"{_SETS[name]} ({summary.questions(len(known[name].judgements))})",
            width=360,
        )
        if st.button("Measure", icon=":material/monitoring:") and name:
            running.start(known[name])
            st.rerun()


# One evaluation


def _choose(label: str, kept: Sequence[Record], key: str, index: int) -> Record:
    records = {record.name: record for record in kept}
    named = {name: _named(record) for name, record in records.items()}
    return records[urlstate.choice(label, key, named, kept[index].name)]


def _named(record: Record) -> str:
    made = f"{record.made_at.astimezone():%Y-%m-%d %H:%M:%S}"
    asked = summary.questions(len(record.evaluation["rows"]))
    by = "" if record.evaluation["method"] == "pincite" else f", method {record.evaluation['method']}"
    return f"{made}, generation {record.index.generation}, {asked} ({record.judgements}){by}"


def _record(pages: "Pages", resources: Resources, record: Record, state: Measured) -> None:
    """The measures, abstention, latency and scores of one evaluation."""
    found = record.evaluation
    _circumstances(record, state)
    first, *more = summary.headline(found)
    st.html(markup.block("verdict", first) + markup.block("text", *more))
    _missing(found)
    st.header("Measures")
    for title, rows in summary.levels(found):
        st.altair_chart(
            charts.intervals(rows),
            alt=f"{title}: each measure as a dot with its 95 % interval as a line. The table below has the numbers.",
        )
        st.html(_figures(title, rows))
    st.header("Does it know when it has no answer?")
    if rows := summary.abstention(found):
        st.html(_figures("Abstention", rows))
    elif summary.has_probabilities(found):
        st.caption("This takes both questions that have an answer and questions that nothing answers.")
    _scores(resources, found)
    if latency := found["milliseconds"]:
        st.header("How long a question takes")
        st.html(
            table(
                "Time from question to answer",
                ["Of all questions", "Milliseconds"],
                [(name, f"{value:.1f}") for name, value in latency.items()],
            )
        )


def _circumstances(record: Record, state: Measured) -> None:
    made = f"{record.made_at.astimezone():%d %B %Y, %H:%M}"
    asked = summary.questions(len(record.evaluation["rows"]))
    measured = f"Measured on generation {record.index.generation}"
    st.caption(f"{measured}, {made}: {asked}, {record.index.passages:,} passages.")
    if record.index == state:
        return
    if record.index.generation == state.generation:
        now = "the index has been built anew since"
    else:
        now = f"the index is at {state.generation}"
    st.warning(f"{measured}, {now}: measure again to see how good it is now.", icon=":material/history:")


def _missing(found: Table) -> None:
    """What was judged and could not be measured, and other remarks."""
    for remark in found["remarks"]:
        markup.notice(remark)
    if lost := found["lost"]:
        with st.expander(f"Judged, but not there: {len(lost):,}"):
            more = [f"and {len(lost) - _LISTED:,} more"] if len(lost) > _LISTED else []
            st.html(markup.block("quiet", *lost[:_LISTED], *more))


def _figures(title: str, rows: Sequence[summary.Measured]) -> str:
    return table(
        title,
        ["Measure", "Mean", "95 % interval"],
        [(f"{name}\n{meaning}", f"{mean:.3f}", f"{ends[0]:.3f} – {ends[1]:.3f}") for name, mean, ends, meaning in rows],
    )


def _scores(resources: Resources, found: Table) -> None:
    """How probable the first passage was, for both kinds of question."""
    if not summary.has_probabilities(found):
        return
    relevance = resources.searcher.relevance
    bands = {"weak": relevance.weak, "strong": relevance.strong}
    kinds = {
        is_answerable: [row["score"] for row in found["rows"] if row["unanswerable"] is not is_answerable]
        for is_answerable in (True, False)
    }
    for is_answerable, values in kinds.items():
        if values:
            which = "that have an answer" if is_answerable else "that nothing answers"
            st.markdown(f"**{summary.questions(len(values))} {which}**")
            st.altair_chart(
                charts.scores(values, bands, is_answerable=is_answerable),
                alt=f"Distribution of scores, questions {which}. The table below has the numbers.",
            )
    st.caption(
        f"From {relevance.weak:.3f} on a passage counts as a weak answer, from {relevance.strong:.3f} on as a strong"
        " one; below, Pincite says that nothing answers."
    )
    with st.expander("The distributions as a table"):
        columns = [charts.counts(kinds[is_answerable]) for is_answerable in (True, False)]
        rows = [
            (f"{low:.2f} to {high:.2f}", str(with_answer), str(without))
            for (low, high, with_answer), (_, _, without) in zip(*columns, strict=True)
        ]
        st.html(table("Questions by the score of the first passage", ["Score", "Have an answer", "Have none"], rows))


# Since the last generation


def _since(pages: "Pages", record: Record, before: Record | None) -> None:
    st.header("Since the last generation")
    if before is None:
        st.caption("No earlier generation has been measured with these questions, so there is nothing to compare with.")
        return
    st.caption(f"This one (B) against that of {_named(before)} (A).")
    if before.judgements_sha256 != record.judgements_sha256:
        shared = len(before.questions & record.questions)
        st.caption(f"The judgements are not the same: what follows is of the {summary.questions(shared)} in both.")
    _difference(pages, before, record)


@st.cache_data(max_entries=8, show_spinner=False)
def _compared(_a: Record, _b: Record, names: tuple[str, str]) -> list[Comparison]:
    """Kept for two records, told by their `names`: randomisation takes a while."""
    return comparison.compare(_a.evaluation, _b.evaluation)


def _difference(pages: "Pages", before: Record, after: Record) -> None:
    """Every measure, then the questions that moved."""
    found, a, b = _compared(before, after, (before.name, after.name)), before.evaluation, after.evaluation
    if found:
        st.html(
            table(
                "Difference",
                ["Measure", "A → B", "B − A", "95 % interval", "p", "Better, worse"],
                [
                    (
                        row.measure,
                        f"{row.a:.3f} → {row.b:.3f}",
                        _signed(row.b - row.a),
                        f"{_signed(row.interval[0])} to {_signed(row.interval[1])}",
                        f"{row.p:.4f}",
                        f"{row.wins}, {row.losses}",
                    )
                    for row in found
                ],
            )
        )
    moved = comparison.moves(a, b, _LEAD, len(b["rows"]))
    for title, moves in (
        ("Better", [move for move in moved if move.b > move.a]),
        ("Worse", [move for move in moved if move.b < move.a]),
    ):
        if moves:
            st.markdown(f"**{title}: {summary.questions(len(moves))}**")
            for move in moves[:_MOVED]:
                _move(pages, move)
            if len(moves) > _MOVED:
                st.caption(f"These {_MOVED} moved most.")
    turned = comparison.turns(a, b)
    for turn in turned[:_MOVED]:
        said = "now gets an answer, and has none" if turn.a == "none" else "is now said to have no answer"
        _question(pages, turn.question, f"Better: {said}" if turn.b == "none" else f"Worse: {said}")
    if not moved and not turned:
        st.caption("No question got better or worse.")


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _move(pages: "Pages", move: Move) -> None:
    _question(pages, move.question, f"{_LEAD} {move.a:.3f} → {move.b:.3f}", _first(move.first_a, move.first_b))


def _first(a: str | None, b: str | None) -> str:
    return f"First, as before: {b}" if a == b else f"First: {a or 'nothing'} → {b or 'nothing'}"


def _question(pages: "Pages", question: str, *lines: str) -> None:
    """A question with what is said of it, and the way to ask it."""
    with st.container(border=True, gap="xsmall"):
        st.page_link(pages.search, label=markup.plain(question), icon=":material/search:", query_params={"q": question})
        st.html(markup.block("quiet", *lines))


# Where it went wrong


def _worst(pages: "Pages", found: Table) -> None:
    worst, falsely = summary.worst(found), summary.false_answers(found)
    st.header("The worst questions")
    if not worst and not falsely:
        st.caption("None: every question got what it should.")
    for row in worst:
        measure = f"{_LEAD} {row['measures'][_LEAD]:.3f}"
        _expected_and_found(pages, row, f"{measure}, right document at {summary.rank(row['measures'])}")
    for row in falsely:
        _expected_and_found(pages, row, f"nothing answers it, but it got an answer ({row['answer']})")


def _expected_and_found(pages: "Pages", row: Mapping[str, Any], what: str) -> None:
    with st.expander(f"{markup.plain(row['question'])} — {what}"):
        for expected in row["expected"]:
            st.html(
                markup.block("quiet", f"Expected: {expected['place']}")
                + (markup.block("text", expected["text"]) if expected["text"] else "")
            )
        if not row["expected"]:
            st.html(markup.block("quiet", "Expected: that it says nothing answers"))
        first = row["found"]
        if first is None:
            st.html(markup.block("quiet", f"Came first: {row['first'] or 'nothing'}"))
        else:
            marks = [(first["mark"][0], first["mark"][1])] if first["mark"] else []
            st.html(
                markup.block("quiet", f"Came first: {first['citation']} — {row['answer']}, {row['score']:.2f}")
                + f'<div class="pincite-text">{markup.marked(first["text"], marks)}</div>'
            )
        with st.container(horizontal=True):
            asked = {"q": row["question"]}
            st.page_link(pages.search, label="Ask it", icon=":material/search:", query_params=asked)
            st.page_link(pages.judge, label="Judge it again", icon=":material/gavel:", query_params=asked)


# Any two


def _compare(pages: "Pages", kept: Sequence[Record]) -> None:
    st.header("Compare two evaluations")
    a = _choose("A, the earlier", kept, "a", 1)
    b = _choose("B, the later", kept, "b", 0)
    if a == b:
        st.caption("Choose two that are not the same.")
        return
    try:
        _difference(pages, a, b)
    except PinciteError as error:
        markup.notice(str(error))
