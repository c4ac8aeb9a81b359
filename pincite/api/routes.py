"""The routes. What they give is what the command line prints."""

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import quote

from anyio import move_on_after, sleep
from anyio.to_thread import run_sync
from fastapi import APIRouter, Body, Depends, Query, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from pincite import citation, reading
from pincite.api import schemas
from pincite.api.metrics import CONTENT_TYPE
from pincite.api.problems import MEDIA_TYPE, Problem
from pincite.api.resources import Resources
from pincite.citation import display_title
from pincite.errors import EvaluationCancelled, PinciteError, SyncCancelled, Unreadable
from pincite.evaluation import sets
from pincite.freshness import Freshness, freshness, original
from pincite.passages import stretch
from pincite.search import as_json
from pincite.sync import Difference
from pincite.types import Document

_LOOK_SECONDS = 0.2
"""Waited for a look at the folder where counts are asked for: of a small folder it is done by then."""
_DIFFERENCE_SECONDS = 5.0
"""The same where the difference itself is asked for."""
_TICK = 0.05
"""Seconds between two looks whether it is done."""
_HEALTH_SECONDS = 5.0
"""After which an index that does not answer is one that cannot be used."""


T = TypeVar("T")


async def _resources(request: Request) -> Resources:
    found: Resources = request.app.state.resources
    return found


Shared = Annotated[Resources, Depends(_resources)]


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Answers that a route may give in place of its own, for the OpenAPI document."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Refusal"}}}
    told = {
        400: "The request or its body cannot be read",
        401: "No key, or one that is not known",
        403: "The key may not do this, or the request comes from a page of another site",
        404: "Not there",
        408: "The body came too late",
        409: "Not now",
        413: "The body is too long",
        414: "The address is too long",
        415: "The body is not said to be JSON",
        422: "The request makes no sense",
        429: "Too many requests: Retry-After says when",
        503: "No room, or the index cannot be used: Retry-After says when, where that is known",
    }
    return {status: {"description": told[status], "content": content} for status in statuses}


_ALL = (400, 401, 403, 408, 413, 414, 422, 429, 503)
router = APIRouter(responses=refusals(*_ALL))
unguarded = APIRouter(responses=refusals(*_ALL))
"""What needs no key."""


# Questions


@router.post("/v1/search", response_model=schemas.Found, responses=refusals(415), tags=["questions"])
async def search(request: Request, resources: Shared, asked: Annotated[schemas.Asked, Body()]) -> Response:
    """The passages nearest to a question, whether or not they answer."""
    request.state.question = asked.question
    return await run_sync(partial(_answer, request, resources, asked), limiter=resources.turns)


def _answer(request: Request, resources: Resources, asked: schemas.Asked) -> Response:
    answer = resources.searcher.search(asked.question, asked.k, asked.filters.filters())
    request.app.state.metrics.answer(answer.answer)
    return JSONResponse(as_json(answer))


# Documents


@router.get("/v1/passage", response_model=schemas.ShownPassage, responses=refusals(404), tags=["documents"])
def passage(resources: Shared, asked: Annotated[schemas.AskedPlace, Query()]) -> Response:
    """A stretch of a document, word for word, with its place and what stands around it."""
    document, file = _document(resources, asked.source)
    length = len(document.text)
    if not asked.start < asked.end <= length:
        where = f"{asked.source} has the characters 0 to {length}"
        raise Problem(404, f"{where}, and none from {asked.start} to {asked.end}: name a place in it")
    shown = stretch(document, asked.start, asked.end)
    first, last = max(asked.start - asked.around, 0), min(asked.end + asked.around, length)
    return JSONResponse(
        {
            "source": shown.source,
            "title": display_title(shown),
            "heading": list(shown.heading),
            "page": citation.page(shown),
            "start": shown.start,
            "end": shown.end,
            "text": shown.text,
            "citation": citation.cite(shown),
            "before": _around(document, first, asked.start),
            "after": _around(document, asked.end, last),
            "sha256": document.sha256,
            "file": file,
        }
    )


@router.get("/v1/document", response_model=schemas.ShownDocument, responses=refusals(404), tags=["documents"])
def document(resources: Shared, asked: Annotated[schemas.AskedSource, Query()]) -> Response:
    """A document as it was indexed: its text, its headings, its pages."""
    found, file = _document(resources, asked.source)
    return JSONResponse(
        {
            "source": found.source,
            "title": found.title,
            "media_type": found.media_type,
            "sha256": found.sha256,
            "file": file,
            "length": len(found.text),
            "headings": [{"start": section.start, "heading": list(section.heading)} for section in found.sections],
            "pages": [
                {"number": page.number, "start": page.start, "end": page.end, "label": page.label}
                for page in found.pages
            ],
            "remarks": list(found.remarks),
            "text": found.text,
        }
    )


@router.get(
    "/v1/file",
    response_class=Response,
    responses={
        200: {
            "description": "The bytes of the file",
            "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
        },
        **refusals(404, 409),
    },
    tags=["documents"],
)
def file(resources: Shared, asked: Annotated[schemas.AskedSource, Query()]) -> Response:
    """The file itself, byte for byte, while it is the one that was indexed."""
    with resources.searcher.index.catalog() as catalog:
        corpus = Path(catalog.meta("corpus"))
        state = catalog.states([asked.source]).get(asked.source)
        if state is None:
            raise _not_indexed(asked.source)
        standing = freshness(corpus, catalog, [state.source])[state.source]
    try:
        # One that has changed may have grown beyond what memory holds.
        data = None if standing == "changed" else original(corpus, state.source, state.sha256)
    except Unreadable as error:
        raise Problem(404, f"{state.source}: {error}: put the file back, or sync") from error
    if data is None:
        raise Problem(409, f"{state.source}: the file has changed since it was indexed: sync")
    name = state.source.rpartition("/")[2]
    return Response(
        data,
        media_type=reading.reader_of(state.source).media_type,
        headers={
            # Never shown as a page of this server, whose scripts might then ask it for everything.
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "ETag": f'"{state.sha256}"',
        },
    )


def _document(resources: Resources, source: str) -> tuple[Document, Freshness]:
    with resources.searcher.index.catalog() as catalog:
        found = catalog.document(source)
        if found is None:
            raise _not_indexed(source)
        return found, freshness(Path(catalog.meta("corpus")), catalog, [source])[source]


def _not_indexed(source: str) -> Problem:
    return Problem(404, f"{source or 'no source'}: not in the index: name a source that a search gave")


def _around(document: Document, start: int, end: int) -> dict[str, Any]:
    return {"start": start, "end": end, "text": document.text[start:end]}


# The index


@router.get("/v1/index", response_model=schemas.IndexNow, tags=["index"])
def index(resources: Shared) -> Response:
    """What is indexed, and how many files of the folder differ from it."""
    state = resources.state()
    resources.look_again(state.generation)
    resources.look.wait(_LOOK_SECONDS)
    found = resources.look.found(state.generation)
    counts = None
    if isinstance(found, Difference):
        table = found.as_json()
        counts = {name: value if isinstance(value, int) else len(value) for name, value in table.items()}
    return JSONResponse(
        {
            "documents": state.documents,
            "passages": state.passages,
            "generation": state.generation,
            "built": state.built.isoformat() if state.built else None,
            "bytes": state.bytes,
            "model": state.model,
            "differs": counts,
            "trouble": str(found) if isinstance(found, PinciteError) else None,
        }
    )


@router.get("/v1/index/difference", response_model=schemas.Differing, responses=refusals(409), tags=["index"])
async def difference(resources: Shared) -> Response:
    """What a sync would do, file by file, as `ingest.py --dry-run --json` prints it. At most 15 s old."""
    generation = (await run_sync(resources.state)).generation
    resources.look_again(generation)
    with move_on_after(_DIFFERENCE_SECONDS):
        while resources.look.is_running:  # many may wait, and none of them takes a thread
            await sleep(_TICK)
    found = resources.look.found(generation)
    if isinstance(found, PinciteError):
        raise Problem(409, str(found)) from found
    if found is None:
        raise Problem(503, "the folder is being looked at: ask again in a few seconds", {"Retry-After": "5"})
    return JSONResponse(found.as_json())


# Sync


@router.get("/v1/sync", response_model=schemas.Work, tags=["sync"])
async def sync_state(resources: Shared) -> Response:
    """How far a sync is, or how the last one ended."""
    return JSONResponse(_sync(resources))


@router.get("/v1/sync/report", response_model=schemas.SyncReport, responses=refusals(404, 409), tags=["sync"])
async def sync_report(resources: Shared) -> Response:
    """What the last sync of this server did, as `ingest.py --json` prints it."""
    return JSONResponse(_ended(resources.job.outcome, "sync").as_json())


@router.post("/v1/sync", status_code=202, response_model=schemas.Work, responses=refusals(409, 415), tags=["sync"])
async def sync_start(resources: Shared, asked: Annotated[schemas.Syncing, Body()]) -> Response:
    """Have the index hold what the folder holds. Needs the role `curate`."""
    if not resources.job.start(**asked.model_dump()):
        raise Problem(409, "a sync is running: GET /v1/sync tells how far it is, POST /v1/sync/cancel stops it")
    return JSONResponse(_sync(resources), 202)


@router.post(
    "/v1/sync/cancel", status_code=202, response_model=schemas.Work, responses=refusals(409, 415), tags=["sync"]
)
async def sync_cancel(resources: Shared, _asked: Annotated[schemas.Nothing, Body()]) -> Response:
    """Have the sync stop; the index is as it was. Needs the role `curate`."""
    if not resources.job.is_running:
        raise Problem(409, "no sync is running: POST /v1/sync begins one")
    resources.job.cancel()
    return JSONResponse(_sync(resources), 202)


def _sync(resources: Resources) -> dict[str, Any]:
    job = resources.job
    is_running, step = job.is_running, job.step
    left = step.seconds_left() if is_running else None
    return _work(
        is_running,
        job.is_stopping,
        (step.done, step.total),
        job.outcome,
        job.ended,
        stage=step.stage if is_running else None,
        seconds_left=None if left is None else round(left, 1),
    )


# Evaluation


@router.get("/v1/evaluation", response_model=schemas.Work, tags=["evaluation"])
async def evaluation_state(resources: Shared) -> Response:
    """How many questions have been asked, or how the last evaluation ended."""
    return JSONResponse(_evaluation(resources))


@router.get("/v1/evaluation/report", response_model=schemas.Measured, responses=refusals(404, 409), tags=["evaluation"])
async def evaluation_report(resources: Shared) -> Response:
    """What the last evaluation of this server came to, as `evaluate.py --json` writes it."""
    return JSONResponse(_ended(resources.evaluations.outcome, "evaluation").evaluation)


@router.post(
    "/v1/evaluation", status_code=202, response_model=schemas.Work, responses=refusals(409, 415), tags=["evaluation"]
)
def evaluation_start(resources: Shared, asked: Annotated[schemas.Evaluating, Body()]) -> Response:
    """Ask every judged question, and keep what comes out. Needs the role `curate`."""
    known = sets.named(resources.settings.judgments)
    names = [*known]
    name = asked.judgements or (names[-1] if names else "any")
    if name not in known:
        there = ", ".join(names) or "none"
        raise Problem(409, f"{name} judgements are not there: {there} can be measured with")
    if not resources.evaluations.start(known[name]):
        raise Problem(409, "an evaluation is running: GET /v1/evaluation tells how far it is")
    return JSONResponse(_evaluation(resources), 202)


@router.post(
    "/v1/evaluation/cancel",
    status_code=202,
    response_model=schemas.Work,
    responses=refusals(409, 415),
    tags=["evaluation"],
)
async def evaluation_cancel(resources: Shared, _asked: Annotated[schemas.Nothing, Body()]) -> Response:
    """Stop before the next question; nothing is kept. Needs the role `curate`."""
    if not resources.evaluations.is_running:
        raise Problem(409, "no evaluation is running: POST /v1/evaluation begins one")
    resources.evaluations.cancel()
    return JSONResponse(_evaluation(resources), 202)


def _evaluation(resources: Resources) -> dict[str, Any]:
    running = resources.evaluations
    is_running = running.is_running
    return _work(
        is_running,
        running.is_stopping,
        running.progress,
        running.outcome,
        running.ended,
        stage="ask" if is_running else None,
        seconds_left=None,
    )


def _work(
    is_running: bool,
    is_stopping: bool,
    progress: tuple[int, int],
    outcome: object,
    ended: datetime | None,
    *,
    stage: str | None,
    seconds_left: float | None,
) -> dict[str, Any]:
    """`outcome`: of the last time, an error or what came of it."""
    how: Literal["done", "cancelled", "failed"] | None = "done" if outcome is not None else None
    if isinstance(outcome, PinciteError):
        how = "cancelled" if isinstance(outcome, SyncCancelled | EvaluationCancelled) else "failed"
    done, total = progress
    return {
        "running": is_running,
        "stopping": is_stopping,
        "stage": stage,
        "done": done,
        "total": total,
        "seconds_left": seconds_left,
        "outcome": how,
        "error": str(outcome) if isinstance(outcome, PinciteError) else None,
        "ended": ended.isoformat() if ended else None,
    }


def _ended(outcome: T | PinciteError | None, what: str) -> T:
    """What came of it. Raises `Problem` where it did not end well, or never began."""
    if outcome is None:
        raise Problem(404, f"this server has not finished any {what}: POST /v1/{what} begins one")
    if isinstance(outcome, PinciteError):
        raise Problem(409, str(outcome)) from outcome
    return outcome


# The server


@unguarded.get("/health", response_model=schemas.Health, tags=["server"])
async def health(resources: Shared) -> Response:
    """Whether the index can be asked. Needs no key."""
    with move_on_after(_HEALTH_SECONDS):
        if await run_sync(resources.is_usable, limiter=resources.own_turns, abandon_on_cancel=True):
            return JSONResponse({"status": "ok"})
    raise Problem(503, "the index cannot be used: GET /v1/index says why")


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    tags=["server"],
)
async def metrics(request: Request, resources: Shared) -> Response:
    """What the server counts, in the format of Prometheus."""
    text = await run_sync(request.app.state.metrics.text, limiter=resources.own_turns)
    return Response(text, headers={"Content-Type": CONTENT_TYPE})
