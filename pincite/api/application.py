"""The application: routes, and what is said where something goes wrong."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio.to_thread import run_sync
from fastapi import FastAPI, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException

from pincite import __version__
from pincite.api import problems, schemas
from pincite.api.gate import Gate
from pincite.api.metrics import Metrics
from pincite.api.resources import Resources
from pincite.api.routes import router, unguarded
from pincite.errors import PinciteError

_NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,  # whatever the environment says
}


def application(resources: Resources) -> Gate:
    """All of it, in one gate."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await run_sync(resources.close)

    app = FastAPI(
        title="Pincite",
        version=__version__,
        description="Semantic search over your own documents, with the exact place of every word it shows.",
        lifespan=lifespan,
        telemetry=_NO_TELEMETRY,
        docs_url=None,  # their scripts would be fetched from the network
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={
            problems.Problem: problems.told,
            PinciteError: problems.told,
            HTTPException: problems.unrouted,
            RequestValidationError: problems.invalid,
            Exception: problems.failed,
        },
    )
    keyed = Security(HTTPBearer(auto_error=False))  # so that it is described: the gate looks at it
    app.include_router(router, dependencies=[keyed] if resources.settings.api.keys else [])
    app.include_router(unguarded)
    described = app.openapi()
    described["components"]["schemas"]["Refusal"] = schemas.Refusal.model_json_schema()
    paths = described["paths"]
    app.state.resources = resources
    app.state.metrics = Metrics([*paths, "/openapi.json"], resources.state)
    posted = [path for path, methods in paths.items() if "post" in methods]
    return Gate(app, resources.settings.api, app.state.metrics, posted)
