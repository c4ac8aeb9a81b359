"""What goes wrong, as a client gets it: a status, and one line that says what and what to do (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from pincite.errors import (
    IndexBusy,
    JudgementError,
    ModelError,
    PinciteError,
    QuestionError,
    StorageError,
    SyncCancelled,
)

MEDIA_TYPE = "application/problem+json"
_STATUSES: tuple[tuple[type[PinciteError], int], ...] = (
    (QuestionError, 422),
    (JudgementError, 409),
    (SyncCancelled, 409),
    (StorageError, 503),
    (ModelError, 503),
)
"""The first kind that an error is of says its status; 500 where none does."""


class Problem(Exception):
    """A request is not answered."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        """`detail`: one line, what and what to do."""
        super().__init__(detail)
        self.status = status
        self.detail = " ".join(detail.encode("utf-8", "replace").decode().split())
        self.headers = dict(headers or {})

    @classmethod
    def of(cls, error: PinciteError) -> "Problem":
        """An error of the package as a client gets it."""
        status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
        return cls(status, str(error), {"Retry-After": "5"} if isinstance(error, IndexBusy) else None)

    def as_json(self) -> dict[str, Any]:
        """The body."""
        return {"title": HTTPStatus(self.status).phrase, "status": self.status, "detail": self.detail}

    def response(self) -> JSONResponse:
        """All of the answer."""
        return JSONResponse(self.as_json(), self.status, self.headers, MEDIA_TYPE)


async def told(_request: Request, error: Problem | PinciteError) -> JSONResponse:
    """A `Problem` or an error of the package."""
    return (error if isinstance(error, Problem) else Problem.of(error)).response()


async def unrouted(request: Request, error: HTTPException) -> JSONResponse:
    """What the router or the reading of a body refuses."""
    headers = dict(error.headers or {})
    if error.status_code == 404:
        detail = f"{request.url.path}: no such route: GET /openapi.json lists them"
    elif error.status_code == 405:
        routes = request.app.openapi()["paths"].get(request.url.path, {"get": {}})
        headers["Allow"] = ", ".join(sorted(method.upper() for method in routes))
        detail = f"{request.method} {request.url.path}: the route takes {headers['Allow']}"
    else:
        detail = f"{error.detail}: send one JSON object in UTF-8"
    return Problem(error.status_code, detail, headers).response()


async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
    """Parameters or a body that are not what the route takes."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return Problem(400, f"the body is not JSON ({first['ctx']['error']}): send one JSON object").response()
    where = ".".join(str(part) for part in first["loc"][1:]) or first["loc"][0]
    what = "unknown" if first["type"] == "extra_forbidden" else first["msg"].lower()
    return Problem(422, f"{where}: {what}: GET /openapi.json says what the route takes").response()


async def failed(_request: Request, error: Exception) -> JSONResponse:
    """What is a bug: the trace goes to the log, and nothing of it to the client."""
    return Problem(500, f"{type(error).__name__}: this is a fault of the server, whose log says more").response()
