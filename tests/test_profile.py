"""Where the time of a question goes."""

import json

import pytest
from typer.testing import CliRunner

from pincite.__main__ import app
from pincite.embedding import Embedder
from pincite.profile import profile
from pincite.search import Searcher
from pincite.settings import Settings

STAGES = ["opening", "words", "passages", "records", "embedding", "vectors", "features", "order", "hits"]
QUESTION = "How fast does ketamine work?"


def test_every_stage_is_told_in_its_order_and_they_make_up_the_whole(sample: Settings, embedder: Embedder) -> None:
    searcher = Searcher(sample, embedder)
    told: list[str] = []
    answer = searcher.search(QUESTION, told=told.append)
    assert told == [*STAGES[:6], "passages", "records", *STAGES[6:]]  # what words found, then what vectors add
    found = profile(searcher, QUESTION, repetitions=5)
    assert list(found.stages) == STAGES
    assert all(taken > 0 for taken in found.stages.values())
    assert max(found.stages.values()) <= found.total
    assert found.as_json() == {"stages": found.stages, "total": found.total, "repetitions": 5}
    lines = found.text().splitlines()
    assert lines[0] == "milliseconds, median of 5"
    assert [line.split()[0] for line in lines[1:]] == [*STAGES, "total"]
    assert searcher.search(QUESTION).hits == answer.hits


@pytest.mark.slow
def test_the_command_prints_it_after_the_answer_and_in_its_json(sample: Settings) -> None:
    asked = ["search", QUESTION, "--index", str(sample.index), "--profile"]
    printed = CliRunner().invoke(app, asked).stdout
    assert printed.index("ketamine") < printed.index("milliseconds, median of 30")
    table = json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)
    assert list(table["profile"]["stages"]) == STAGES
    refused = CliRunner().invoke(app, [*asked, "--format", "csv"])
    assert refused.exit_code == 2
