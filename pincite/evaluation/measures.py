"""Measures. Ranking measures come from `ir-measures`; the others are named functions here."""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice

import ir_measures
import numpy as np
from ir_measures import RR, R, Success, nDCG

from pincite.types import Place

DOCUMENT_MEASURES = (nDCG @ 10, RR @ 10, R @ 5, R @ 20, R @ 100, Success @ 1)
PASSAGE_MEASURES = (nDCG @ 10, RR @ 10, R @ 5, R @ 20, Success @ 1)
RESAMPLES = 1000
FALSE_ANSWERS = 0.05
CUTOFF = 5
"""Passages whose characters are compared with the places that answer."""
READ = 1000
"""Characters: about what a person reads in a minute."""
Scores = Sequence[float] | np.ndarray


def ranking_measures(
    measures: Sequence[ir_measures.Measure],
    qrels: Mapping[str, Mapping[str, int]],
    run: Mapping[str, Sequence[str]],
) -> dict[str, dict[str, float]]:
    """Query → measure → value. A judged query that the run leaves out scores 0.

    `nDCG` has linear gain and log2 discount (Järvelin and Kekäläinen 2002), as trec_eval computes it.
    """
    judged = [ir_measures.Qrel(q, d, grade) for q, grades in qrels.items() for d, grade in grades.items()]
    scored = [
        ir_measures.ScoredDoc(query, item, float(len(ranked) - position))
        for query, ranked in run.items()
        for position, item in enumerate(ranked)
    ]
    found: dict[str, dict[str, float]] = {query: {str(m): 0.0 for m in measures} for query in qrels}
    for metric in ir_measures.iter_calc(measures, judged, scored):
        found[metric.query_id][str(metric.measure)] = float(metric.value)
    return found


def character_measures(ranked: Sequence[Place], gold: Sequence[Place]) -> dict[str, float]:
    """Recall, precision and intersection over union of characters, of the first 5 passages; and whether
    a whole place that answers stands in the first 1,000 characters shown.

    The first three as the tokens in Smith and Troynikov 2024, "Evaluating Chunking Strategies for
    Retrieval", with characters in their place. A character that several passages hold counts once there.
    The last asks the same of the reader whatever the size of the passages.
    """
    shown, first = _characters(ranked[:CUTOFF]), _first(ranked)
    wanted = _characters(gold)
    both = len(shown & wanted)
    return {
        f"character R@{CUTOFF}": both / len(wanted) if wanted else 0.0,
        f"character P@{CUTOFF}": both / len(shown) if shown else 0.0,
        f"character IoU@{CUTOFF}": both / len(shown | wanted) if shown or wanted else 0.0,
        f"Success@{READ} characters": float(any(_characters([place]) <= first for place in gold)),
    }


def _first(ranked: Sequence[Place]) -> set[tuple[str, int]]:
    """The first 1,000 characters of what is shown, read from the top."""
    shown = ((place.source, offset) for place in ranked for offset in range(place.start, place.end))
    return set(islice(shown, READ))


def _characters(places: Sequence[Place]) -> set[tuple[str, int]]:
    return {(place.source, offset) for place in places for offset in range(place.start, place.end)}


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % bootstrap interval of the mean: percentiles of 1,000 resamples of the queries, seed 0."""
    sample = np.asarray(values)
    drawn = np.random.default_rng(0).integers(0, len(sample), (RESAMPLES, len(sample)))
    low, high = np.percentile(sample[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def two_sample_interval(
    statistic: Callable[[Scores, Scores], float], a: Sequence[float], b: Sequence[float]
) -> tuple[float, float]:
    """95 % bootstrap interval of a figure of two samples, each resampled 1,000 times on its own, seed 0."""
    rng = np.random.default_rng(0)
    first, second = np.asarray(a), np.asarray(b)
    values = [statistic(rng.choice(first, len(first)), rng.choice(second, len(second))) for _ in range(RESAMPLES)]
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def area_under_curve(answerable: Scores, unanswerable: Scores) -> float:
    """Area under the ROC curve: how often an answerable question scores above an unanswerable one.

    Ties count half (Mann and Whitney 1947).
    """
    rising = np.sort(unanswerable)
    below, not_above = (np.searchsorted(rising, answerable, side) for side in ("left", "right"))
    return float(np.mean(below + not_above) / (2 * len(rising)))


def kept_at_false_answers(answerable: Scores, unanswerable: Scores) -> float:
    """Share of answerable questions above the threshold that at most 5 % of the unanswerable pass."""
    allowed = int(FALSE_ANSWERS * len(unanswerable))
    threshold = np.sort(unanswerable)[::-1][allowed]
    return float(np.mean(np.asarray(answerable) > threshold))


def overlaps(a: Place, b: Place) -> bool:
    """Whether two places share a character."""
    return a.source == b.source and a.start < b.end and b.start < a.end
