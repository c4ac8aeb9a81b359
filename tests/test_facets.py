"""What the filters could be, counted."""

import os
from datetime import date, datetime
from pathlib import Path
from time import perf_counter

import pytest

from pincite.embedding import Embedder
from pincite.facets import Facet, Facets, facets
from pincite.filters import UNFILTERED, Filters
from pincite.settings import Settings
from pincite.storage import Catalog, FileState, NewDocument, create
from pincite.sync import sync
from pincite.types import Document

FILES = {
    "a/x/1.txt": 2020,
    "a/x/y/2.MD": 2020,
    "a/3.md": 2021,
    "a%/4.txt": 2021,
    "b.b/é/5.txt": 2022,
    "b.b/é/6.csv": 2022,
    "7.tar.txt": 2022,
}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory, embedder: Embedder) -> Catalog:
    folder = tmp_path_factory.mktemp("facets")
    settings = Settings(corpus=folder / "corpus", index=folder / "index")
    for source, year in FILES.items():
        path = settings.corpus / source
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"Ferry {source}\n")
        changed = datetime(year, 1, 1).timestamp()  # at midnight, in local time
        os.utime(path, (changed, changed))
    sync(settings, embedder=embedder)
    return Catalog(settings.index)


def counted(*pairs: tuple[str, int]) -> tuple[Facet, ...]:
    return tuple(Facet(*pair) for pair in pairs)


def test_without_filters_everything_is_counted_most_first_then_by_name(catalog: Catalog) -> None:
    assert facets(catalog, UNFILTERED) == Facets(
        folders=counted(("a/", 3), ("b.b/", 2), ("a%/", 1)),
        types=counted(("txt", 4), ("md", 2), ("csv", 1)),
        years=counted(("2022", 3), ("2020", 2), ("2021", 2)),
    )


@pytest.mark.parametrize("within", ["a/", "a"])
def test_a_chosen_folder_is_opened_one_level_and_counts_for_the_others(catalog: Catalog, within: str) -> None:
    assert facets(catalog, Filters(within=(within,))) == Facets(
        folders=counted(("a/x/", 2)),
        types=counted(("md", 2), ("txt", 1)),
        years=counted(("2020", 2), ("2021", 1)),
    )


def test_each_counts_what_passes_all_others_but_not_its_own(catalog: Catalog) -> None:
    chosen = Filters(types=("txt",), after=date(2022, 1, 1), before=date(2023, 1, 1))
    assert facets(catalog, chosen) == Facets(
        folders=counted(("b.b/", 1)),
        types=counted(("txt", 2), ("csv", 1)),
        years=counted(("2022", 2), ("2020", 1), ("2021", 1)),
    )


def test_what_is_typed_always_holds(catalog: Catalog) -> None:
    typed = Filters(within=("b.b/", "a/x/"), no_types=("csv",))
    assert facets(catalog, UNFILTERED, typed) == Facets(
        folders=counted(("a/x/y/", 1), ("b.b/é/", 1)),
        types=counted(("txt", 2), ("md", 1)),
        years=counted(("2020", 2), ("2022", 1)),
    )
    assert facets(catalog, Filters(types=("md",)), typed).types == counted(("txt", 2), ("md", 1))
    assert facets(catalog, Filters(within=("a/x/",)), typed).folders == counted(("a/x/y/", 1))
    assert facets(catalog, Filters(within=("a%/",)), typed) == Facets((), (), ())


def test_several_folders_are_each_opened(catalog: Catalog) -> None:
    assert facets(catalog, Filters(within=("a/", "b.b/"))).folders == counted(("a/x/", 2), ("b.b/é/", 2))
    assert facets(catalog, Filters(within=("a/3.md",))).folders == ()
    assert facets(catalog, Filters(outside=("a/x/",))).folders == counted(("b.b/", 2), ("a%/", 1), ("a/", 1))


def test_every_facet_that_is_offered_leaves_so_many_documents(catalog: Catalog) -> None:
    for offered in facets(catalog, UNFILTERED).folders:
        assert sum(catalog.count_documents("year", Filters(within=(offered.name,))).values()) == offered.documents
    for offered in facets(catalog, UNFILTERED).types:
        assert sum(catalog.count_documents("year", Filters(types=(offered.name,))).values()) == offered.documents
    for offered in facets(catalog, UNFILTERED).years:
        year = int(offered.name)
        chosen = Filters(after=date(year, 1, 1), before=date(year + 1, 1, 1))
        assert sum(catalog.count_documents("year", chosen).values()) == offered.documents


@pytest.mark.slow
@pytest.mark.alone
def test_a_hundred_thousand_documents_are_counted_within_a_second(tmp_path: Path) -> None:
    create(tmp_path, tmp_path / "corpus")
    with Catalog(tmp_path, writable=True) as catalog:
        with catalog.writing():
            for number in range(100_000):
                source = f"{number % 40}/{number % 7}/{number}.{'pdf' if number % 3 else 'md'}"
                state = FileState(source, 1, number * 10**13, 0, "")
                catalog.put_document(NewDocument(Document(source, f"Ferry {number}", "", "", "x"), state, []))
        times = []
        for _ in range(3):
            started = perf_counter()
            found = facets(catalog, Filters(types=("md",), outside=("3/",)))
            times.append(perf_counter() - started)
        assert found.types == counted(("pdf", 65_000), ("md", 32_500))
        assert min(times) < 1.0
