"""What an assistant can ask: to search, to read on around a passage, to list the documents, and perhaps to sync."""

import time
from bisect import bisect_right
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Annotated, Any

from anyio import from_thread, to_thread
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, InputRequiredResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field, ValidationError

import pincite
from pincite.errors import PinciteError
from pincite.freshness import Freshness, freshness
from pincite.holdings import Holding, Inventory, Status, holdings
from pincite.mcp.quoted import NOTICE, Found, Quote, fenced, found, one_line, quote
from pincite.search import Searcher, check
from pincite.settings import Settings
from pincite.sync import Report, sync
from pincite.types import Answer, Band

_INSTRUCTIONS = (
    "Pincite finds passages in a person's own documents. Ask in plain language, read on around what was found, and"
    f" give the citation of every passage you use. Where `answer` is none, nothing in the documents answers. {NOTICE}"
)
_VERDICTS: dict[Band, str] = {
    "strong": "The first passages probably answer.",
    "weak": "These passages may answer.",
    "none": "Nothing in the documents answers that; these are the nearest passages.",
}
_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_PACE = 0.5
"""Seconds between two reports of how far a sync is, at least."""
_SYNCS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)


class Answered(BaseModel):
    """What a question gets."""

    notice: str = NOTICE
    question: str
    answer: Band = Field(description="The band of the first hit; none: nothing here answers.")
    generation: int
    hits: list[Found]


class Read(BaseModel):
    """Passages of one document, in order."""

    notice: str = NOTICE
    passages: list[Quote]
    earlier: int = Field(description="Passages of the document before these.")
    later: int = Field(description="Passages of the document after these.")


class Listed(BaseModel):
    """A document, or a file that is not indexed, with what a person should know of it."""

    source: str
    status: Status
    title: str
    kind: str
    length: str
    passages: int
    language: str
    told: list[str]
    untrusted: bool = True


class Documents(BaseModel):
    """Documents in order of source."""

    notice: str = NOTICE
    documents: list[Listed]
    total: int = Field(description="Of this folder, listed here or not.")
    next: str | None = Field(description="Pass it as `after` for those that follow; null at the end.")


class Skipped(BaseModel):
    """A file that was left out."""

    source: str
    reason: str


class Synced(BaseModel):
    """What a sync did, as `ingest.py --json` tells it."""

    notice: str = NOTICE
    added: list[str]
    changed: list[str]
    moved: list[tuple[str, str]] = Field(description="Old and new source.")
    removed: list[str]
    unchanged: int
    skipped: list[Skipped]
    documents: int
    passages: int
    embedded: int
    generation: int
    seconds: float


class Tools:
    """The tools of one index. Safe to share between threads."""

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher
        self._settings = searcher.settings

    def search(
        self,
        question: Annotated[
            str,
            Field(
                description='In plain language; also "exact phrase", -word, in:folder/, type:pdf, title:word,'
                " after:2024-05, before:2025."
            ),
        ],
        count: Annotated[int, Field(ge=1, le=50, description="How many passages.")] = 10,
    ) -> Annotated[CallToolResult, Answered]:
        """Find the passages that answer a question, word for word, each with its citation and exact place."""
        answer = self._searcher.search(question, count)
        files = self._files({hit.passage.source: hit.sha256 for hit in answer.hits})
        hits = [found(hit, files[hit.passage.source]) for hit in answer.hits]
        made = Answered(question=question, answer=answer.answer, generation=answer.generation, hits=hits)
        return _result(_verdict(answer), [hit.block for hit in hits], made)

    def read(
        self,
        source: Annotated[str, Field(description="As search or documents names it.")],
        start: Annotated[int, Field(ge=0, description="A character of the passage to read around.")] = 0,
        before: Annotated[int, Field(ge=0, le=20, description="How many passages before it.")] = 2,
        after: Annotated[int, Field(ge=0, le=20, description="How many passages after it.")] = 2,
    ) -> Annotated[CallToolResult, Read]:
        """Read a passage with those around it, in the order of the document, each with its citation."""
        with self._searcher.index.catalog() as catalog:
            places = catalog.places(source)
            if not places:
                raise ToolError(f"{source}: not in the index: take a source as search or documents names it")
            at = max(bisect_right([place.start for place in places], start) - 1, 0)
            first, last = max(at - before, 0), min(at + after, len(places) - 1)
            stored = catalog.passages(catalog.ids_between(source, places[first].start, places[last].start))
            for one in stored:
                check(one)
            files = self._files({source: stored[0].file_sha256})
            passages = [quote(one.passage, one.file_sha256, files[source]) for one in stored]
        made = Read(passages=passages, earlier=first, later=len(places) - 1 - last)
        said = f"Passages {first + 1} to {last + 1} of {len(places)}."
        return _result(said, [passage.block for passage in passages], made)

    def documents(
        self,
        folder: Annotated[str, Field(description="Only what is below this folder, such as notes/2024/.")] = "",
        after: Annotated[str, Field(description="Only what comes after this source: `next` of the last call.")] = "",
        count: Annotated[int, Field(ge=1, le=500, description="How many.")] = 100,
    ) -> Annotated[CallToolResult, Documents]:
        """List the documents that are searched, and the files that are not, with the reason."""
        with self._searcher.index.catalog() as catalog:
            held = holdings(Inventory.of(catalog))
        root = f"{folder.rstrip('/')}/" if folder else ""
        below = [holding for holding in held if holding.source.startswith(root)]
        rest = [holding for holding in below if holding.source > after]
        shown = rest[:count]
        made = Documents(
            documents=[_listed(holding) for holding in shown],
            total=len(below),
            next=shown[-1].source if len(rest) > count else None,
        )
        said = f"{len(shown)} of {len(below)} documents, in order of source."
        return _result(said, ["\n".join(map(_line, shown))], made)

    async def sync(self, context: Context[Any, Any]) -> Annotated[CallToolResult, Synced]:
        """Take in what is new or changed in the folder of documents, and forget what is gone from it."""
        report = await to_thread.run_sync(self._sync, context.report_progress)
        made = Synced.model_validate(report.as_json())
        counts = ", ".join(f"{len(getattr(made, name))} {name}" for name in ("added", "changed", "moved", "removed"))
        said = f"{counts}, {made.unchanged} unchanged, {len(made.skipped)} skipped; {made.documents} documents."
        lines = [
            *(f"{name} {source}" for name in ("added", "changed", "removed") for source in getattr(made, name)),
            *(f"moved {old} → {new}" for old, new in made.moved),
            *(f"skipped {one.source}: {one.reason}" for one in made.skipped),
        ]
        return _result(said, ["\n".join(map(one_line, lines))], made)

    def _sync(self, report_progress: Callable[[float, float | None, str | None], Coroutine[Any, Any, None]]) -> Report:
        """In a thread of anyio's. The index is the old one where the client takes its call back."""
        told = ("", 0.0)

        def tell(stage: str, done: int, total: int) -> None:
            nonlocal told
            from_thread.check_cancelled()
            now = time.monotonic()
            if stage != told[0] or now - told[1] > _PACE:
                told = (stage, now)
                from_thread.run(report_progress, done, total or None, stage)

        return sync(self._settings, progress=tell, embedder=self._searcher.embedder)

    def _files(self, indexed: dict[str, str]) -> dict[str, Freshness]:
        """How each file stands to what was indexed of it."""
        with self._searcher.index.catalog() as catalog:
            return freshness(Path(catalog.meta("corpus")), catalog, (), indexed)


class Server(MCPServer[Any]):
    """Tells every error in one line."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Raises `ToolError`; what nobody foresaw is one without a reason, which is logged on standard error."""
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            cause = error.__cause__
            if isinstance(cause, ValidationError):
                raise ToolError("; ".join(map(_complaint, cause.errors()))) from cause
            if isinstance(cause, PinciteError | ToolError):
                raise ToolError(one_line(str(cause))) from cause
            raise


def server(settings: Settings, *, curate: bool = False) -> Server:
    """Raises `ModelError`. The index itself is opened with the first call."""
    tools = Tools(Searcher(settings))
    made = Server(
        "pincite", instructions=_INSTRUCTIONS, version=pincite.__version__, log_level="WARNING", subscriptions=False
    )
    for tool in (tools.search, tools.read, tools.documents):
        made.add_tool(tool, annotations=_READS)
    if curate:
        made.add_tool(tools.sync, annotations=_SYNCS)
    return made


def _result(said: str, blocks: Iterable[str], made: BaseModel) -> CallToolResult:
    """The same twice: as text for a model, and as data for a program."""
    text = TextContent(type="text", text=fenced(said, blocks))
    return CallToolResult(content=[text], structured_content=made.model_dump(mode="json"))


def _verdict(answer: Answer) -> str:
    return _VERDICTS[answer.answer] if answer.hits else "Nothing is left to look in: widen what limits the question."


def _listed(holding: Holding) -> Listed:
    return Listed(
        source=holding.source,
        status=holding.status,
        title=holding.title,
        kind=holding.kind,
        length=holding.length,
        passages=holding.passages,
        language=holding.language,
        told=list(holding.told),
    )


def _line(holding: Holding) -> str:
    about = [holding.title, holding.length, *holding.told, "" if holding.is_indexed else holding.status]
    return one_line(f"{holding.source}: {'; '.join(filter(None, about))}")


def _complaint(error: Any) -> str:
    return one_line(f"{'.'.join(map(str, error['loc']))}: {error['msg']}")
