"""Texts → tokens with the real model's tokenizer: nothing is cut off, and every place is known."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pincite import embedding, reading
from pincite.embedding import Embedder
from pincite.embedding.embedder import WINDOW
from pincite.embedding.engine import Batch, Engine, Forward
from pincite.embedding.tokens import Tokenizer, Tokens
from pincite.errors import Unreadable
from pincite.passages import cut
from pincite.reading import markdown
from pincite.reading.content import Content
from pincite.types import Document

FILES = embedding.find("all-MiniLM-L6-v2")
TOKENIZER = Tokenizer(FILES.tokenizer)
CORPUS = Path(__file__).parents[1] / "corpus"

RAW = tokenizers.Tokenizer.from_file(str(FILES.tokenizer))
"""The tokenizer as it is packaged, without anything of ours."""
RAW_WHOLE = tokenizers.Tokenizer.from_file(str(FILES.tokenizer))
RAW_WHOLE.no_truncation()
RAW_WHOLE.no_padding()
UNKNOWN = RAW.token_to_id("[UNK]")
FIRST, LAST = RAW.token_to_id("[CLS]"), RAW.token_to_id("[SEP]")

AWKWARD = [
    "word ", "Ein Satz. ", "“Yes!” ", "$3.50 ", "...", " ", "\t", "\n", "\n\n", "\r\n", "\r", "\x0c", "\x07", "\x7f",
    "\x85", "\u2028", "\xa0", "\xad", "\u200b", "\u200e", "\ufeff", "\ufffd", "\ue000", "\u0301", "e\u0301", "\u093f",
    "q\u0307\u0323", "ẞ", "ﬃ", "İ", "ŉ", "ΐ", "𝔘", "㎏", "½", "\U000e0041", "\u200d", "😀", "🇨🇭", "👍🏽",
    "👩\u200d👩\u200d👧", "שלום ", "مرحبا ", "東京は", "。", "한국어", "\u1112\u1161\u11ab", "ภาษาไทย", "हिन्दी ",
    "a" * 150, "Ä" * 60, "─" * 120, "→b" * 70, "ab\u200b" * 60, "x_y" * 20, "# Head\n", "## Sub\n", "\nUnder\n===\n",
]  # fmt: skip
LINES = [
    "a" * 50_000, "Straße" * 8_334, "한국어" * 16_667, "東京" * 25_000, "😀" * 50_000, "→" * 50_000, "e\u0301" * 25_000,
    "ภาษาไทย" * 7_143, "word " * 10_000, "a\u200b" * 25_000,
]  # fmt: skip
RUNS = [
    "a" * 101, "a" * 5_000, "ab12" * 500, "é" * 500, "e\u0301" * 500, "가" * 101, "한국어" * 500,
    "\u1112\u1161\u11ab" * 300, "я" * 500, "ひらがな" * 200, "─" * 500, "→" * 500, "a→" * 200, "ab\u200b" * 200,
    "a\xad" * 200, "a\x01" * 200, "क\u093f" * 200,
]  # fmt: skip


class Recorder(Engine):
    """An engine that keeps what it is given to embed, by the passage's number."""

    name = "recorder"

    def __init__(self) -> None:
        self.seen: dict[int, Tokens] = {}

    def forward(self, batches: Iterable[Batch]) -> Iterator[Forward]:
        for batch in batches:
            self.seen.update(zip(batch.rows, batch.tokens, strict=True))
            shape = len(batch.rows), max(map(len, batch.tokens)), 384
            yield Forward(batch, np.ones((len(batch.rows), 384), np.float32), np.ones(shape, np.float32))


def unread(document: Document, budget: int) -> list[str]:
    """Characters that are in no token of any passage as it is embedded, context line in front."""
    covered: set[int] = set()
    passages = cut(document, TOKENIZER.count, budget)
    for first in range(0, len(passages), WINDOW):
        together = passages[first : first + WINDOW]
        recorder = Recorder()
        assert len(list(Embedder(FILES, recorder).embed_passages(together))) == len(together)
        for number, passage in enumerate(together):
            seen, (alone,) = recorder.seen[number], TOKENIZER.encode([passage.text])
            in_front = len(passage.context) + 1 if len(seen) > len(alone) else 0
            shift = passage.start - in_front
            for start, end in seen.spans:
                covered.update(range(max(start + shift, passage.start), end + shift))
    return [c for place, c in enumerate(document.text) if not c.isspace() and place not in covered]


def is_erased(character: str) -> bool:
    """Whether the tokenizer's own normaliser leaves nothing of the character when it is alone."""
    return RAW.normalizer.normalize_str(character).strip() == ""


def unknown(tokens: Tokens) -> int:
    return int((tokens.ids == UNKNOWN).sum())


# Nothing is left out


@hypothesis_settings(deadline=None, max_examples=200)
@given(
    text=st.lists(st.sampled_from(AWKWARD) | st.text(max_size=9), min_size=10, max_size=80).map("".join),
    budget=st.sampled_from([48, 200]),
)
def test_every_character_of_a_document_lies_in_the_tokens_of_a_passage(text: str, budget: int) -> None:
    try:
        content = markdown.read(text.encode("utf-8", "ignore"))
    except Unreadable:  # too many control characters for a file, not for a document
        content = Content(text)
    document = Document("a.md", "Title", "text/markdown", "", content.text, content.sections)
    assert [character for character in unread(document, budget) if not is_erased(character)] == []


@pytest.mark.parametrize("line", LINES, ids=lambda line: ascii(line[:6]))
def test_every_character_of_one_very_long_line_is_read(line: str) -> None:
    document = Document("a.txt", "Title", "text/plain", "", line)
    assert {character for character in unread(document, 200) if not is_erased(character)} == set()


@pytest.mark.parametrize("path", sorted(CORPUS.rglob("*.*")), ids=lambda path: path.name)
def test_every_character_of_the_sample_corpus_is_read(path: Path) -> None:
    document = reading.read(path, path.relative_to(CORPUS).as_posix())
    assert [character for character in unread(document, 200) if not is_erased(character)] == []


def test_the_packaged_truncation_and_padding_are_off() -> None:
    packaged = json.loads(FILES.tokenizer.read_text(encoding="utf-8"))
    assert packaged["truncation"]["max_length"] == 128
    assert packaged["padding"]["strategy"] == {"Fixed": 128}
    assert len(RAW.encode("word " * 1_000).ids) == 128
    short, long = TOKENIZER.encode(["One word.", "word " * 1_000])
    assert [RAW.id_to_token(id_) for id_ in short.ids] == ["[CLS]", "one", "word", ".", "[SEP]"]
    assert len(long) == 1_002
    assert TOKENIZER.count(["One word.", "word " * 1_000, ""]) == [3, 1_000, 0]


def test_the_limit_comes_from_the_models_configuration() -> None:
    assert FILES.max_tokens == 256


# Long runs


@pytest.mark.parametrize("run", RUNS, ids=lambda run: ascii(run[:6]))
def test_a_run_without_a_break_gives_no_unknown_token(run: str) -> None:
    assert RAW_WHOLE.encode(run).ids == [FIRST, UNKNOWN, LAST]  # what it would be otherwise
    (tokens,) = TOKENIZER.encode([run])
    assert unknown(tokens) == 0
    assert len(tokens) > 2 + len(run) / 32


@pytest.mark.parametrize(
    "text",
    [
        "Whether it works, doesn’t it? See https://example.org/a/b?c=d#e or info@example.org.",
        "Donaudampfschifffahrtsgesellsch is 32 letters long",
        "東京は日本の首都です。" * 20,
        "| 2021 | 1,204 | 3.5 % |\n|---|---|---|\n" * 10,
        "=" * 500 + "." * 500 + "-_-" * 200,
        "snake_case_names_and_dotted.names.of.any.length" * 10,
        "",
    ],
)
def test_text_without_a_long_run_is_read_as_the_original_reads_it(text: str) -> None:
    (tokens,) = TOKENIZER.encode([text])
    original = RAW_WHOLE.encode(text)
    assert tokens.ids.tolist() == original.ids
    assert tokens.spans.tolist() == [list(span) for span in original.offsets]


# Places

PIECES = ["a" * 40, "xyz" * 50, "One two. ", "q", " ", "\n", "Z" * 33, "7" * 99]


@hypothesis_settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_every_token_stands_where_its_span_says(text: str) -> None:
    (tokens,) = TOKENIZER.encode([text])
    assert tokens.ids[[0, -1]].tolist() == [FIRST, LAST]
    assert tokens.spans[[0, -1]].tolist() == [[0, 0], [0, 0]]
    pieces = [RAW.id_to_token(id_).removeprefix("##") for id_ in tokens.ids[1:-1]]
    assert [text[start:end].lower() for start, end in tokens.spans[1:-1]] == pieces
    assert "".join(pieces) == "".join(text.lower().split())


def test_spans_after_several_breaks_are_those_of_the_text_as_it_was() -> None:
    text = "go " + "b" * 70 + " on " + "c" * 33 + " end"
    (tokens,) = TOKENIZER.encode([text])
    words = {text[start:end]: (int(start), int(end)) for start, end in tokens.spans}
    assert (words["go"], words["on"], words["end"]) == ((0, 2), (74, 76), (111, 114))
    inside = [(int(start), int(end)) for start, end in tokens.spans if 3 <= start < 73]
    assert [start for start, _ in inside] == [3, *(end for _, end in inside[:-1])]  # without a gap
    assert inside[-1][1] == 73


@hypothesis_settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(AWKWARD) | st.text(max_size=9), max_size=40).map("".join))
def test_the_count_is_the_length_without_special_tokens(text: str) -> None:
    (tokens,) = TOKENIZER.encode([text])
    assert TOKENIZER.count([text]) == [len(tokens) - 2]
    assert tokens.ids.shape == (len(tokens),)
    assert tokens.spans.shape == (len(tokens), 2)
    assert tokens.spans.min() >= 0
    assert tokens.spans.max() <= len(text)


def test_a_batch_is_read_as_each_text_alone() -> None:
    texts = ["One.", "", "a" * 200, "한국어 " * 30]
    for text, together in zip(texts, TOKENIZER.encode(texts), strict=True):
        (alone,) = TOKENIZER.encode([text])
        assert together.ids.tolist() == alone.ids.tolist()
        assert together.spans.tolist() == alone.spans.tolist()
