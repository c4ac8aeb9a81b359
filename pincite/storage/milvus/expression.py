"""What filters are in Milvus' words. `selection` has the same for SQLite."""

import json
from collections.abc import Iterator, Sequence

from pincite.filters import Filters
from pincite.storage import lexical
from pincite.storage.milvus.rows import encoded
from pincite.storage.selection import Selection, folders_and_files, nanoseconds

_ALL, _NONE = "id >= 0", "id < 0"


def selected(filters: tuple[Filters, ...]) -> Selection:
    """Whether words stand next to each other, Milvus does not tell: what must, is seen in the text."""
    runs = (tuple(lexical.terms(word)) for one in filters for word in one.no_words)
    return Selection(filters, no_runs=tuple(run for run in runs if len(run) > 1))


def alive(generation: int) -> str:
    """What is there in a generation."""
    return f"born <= {generation} and died > {generation}"


def expression(generation: int, filters: Sequence[Filters] = ()) -> str:
    """What is there in a generation and may pass all of the filters; `Selection.admits` tells by the text."""
    return " and ".join([alive(generation), *(part for one in filters for part in _conditions(one))])


def among(field: str, values: Sequence[int] | Sequence[str]) -> str:
    """Whether a field has one of these values."""
    return f"{field} in [{', '.join(map(quoted, values))}]"


def quoted(value: int | str) -> str:
    """As a literal."""
    return json.dumps(value, ensure_ascii=False)


def _conditions(filters: Filters) -> Iterator[str]:
    if filters.within:
        yield f"({_within(filters.within)})"
    if filters.outside:
        yield f"not ({_within(filters.outside)})"
    if filters.types:
        yield _of_type(filters.types)
    if filters.no_types:
        yield f"not ({_of_type(filters.no_types)})"
    if filters.titles:
        yield _holding("titled", " ".join(filters.titles), _ALL)
    yield from (f"not ({_holding('titled', words, _ALL)})" for words in filters.no_titles)
    if filters.after:
        yield f"modified >= {nanoseconds(filters.after)}"
    if filters.before:
        yield f"modified < {nanoseconds(filters.before)}"
    yield from (_holding("words", phrase, _NONE) for phrase in filters.phrases)
    for word in filters.no_words:
        if len(lexical.terms(word)) == 1:
            yield f"not ({_holding('words', word, _NONE)})"


def _within(places: Sequence[str]) -> str:
    ranges, files = folders_and_files(places)
    below = [f"(source >= {quoted(first)} and source < {quoted(end)})" for first, end in ranges]
    return " or ".join([*below, *(f"source == {quoted(file)}" for file in files)])


def _of_type(types: Sequence[str]) -> str:
    return f"array_contains_any(endings, [{', '.join(map(quoted, types))}])"


def _holding(field: str, words: str, without: str) -> str:
    """Whether a field holds every term of some words, in any order; `without`: what is said of no terms."""
    terms = dict.fromkeys(map(encoded, lexical.terms(words)))
    return " and ".join(f"text_match({field}, {quoted(term)})" for term in terms) or without
