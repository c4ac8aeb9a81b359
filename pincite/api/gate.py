"""What a request passes before it is answered: who asks, from where, how often, how much, and whether there is room.

A refused request is answered here and reaches nothing else. Every request is logged and counted.
"""

import asyncio
import ipaddress
import time
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pincite.api import keys, log
from pincite.api.metrics import Metrics
from pincite.api.problems import Problem
from pincite.api.rate import Rate
from pincite.settings import Api

OPEN = frozenset(("/health",))
"""Asked without a key."""
ALWAYS = frozenset(("/health", "/metrics"))
"""Answered however many others wait."""
READING = frozenset(("/v1/search",))
"""Routes that change nothing although they take POST."""
_BODY = 64 * 1024
"""Bytes of a body, at most: the longest question with filters takes a quarter of it."""
_TARGET = 8 * 1024
"""Bytes of path and query, at most."""
_SLICE = 64 * 1024
"""Bytes of an answer that are handed on at once, so that no more wait for a client that takes its time."""
_REST = 1024 * 1024
"""Bytes of a refused request that are still taken: a client that is cut off while it sends may never see why."""
_REST_SECONDS = 1.0
_GONE = 499
"""What is logged where a client went away before its request was whole."""
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class _Gone(Exception):
    """The client went away."""


class _Exchange:
    """One request, and what is sent for it."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.headers = Headers(scope=scope)
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.address: str = scope["client"][0] if scope.get("client") else ""
        self.key: str | None = None
        self.status = _GONE
        self.bytes = 0
        self._began = time.monotonic()
        self._send = send

    @property
    def seconds(self) -> float:
        """Since its headers were here."""
        return time.monotonic() - self._began

    async def send(self, message: Message) -> None:
        """Headers with those that every answer has; bodies slice by slice."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            await self._send({**message, "headers": [*message.get("headers", ()), *_HEADERS]})
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        for start in range(0, max(len(body), 1), _SLICE):
            part = body[start : start + _SLICE]
            self.bytes += len(part)
            await self._send({**message, "body": part, "more_body": more or start + _SLICE < len(body)})


class Gate:
    """Around the application."""

    def __init__(self, app: ASGIApp, settings: Api, metrics: Metrics, posted: Iterable[str]) -> None:
        """`posted`: routes that take a body, which is JSON."""
        self._app = app
        self._posted = frozenset(posted)
        self._settings = settings
        self._metrics = metrics
        self._rate = Rate(settings.per_second)
        self._at_work = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the start and the end of the server."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, send)
        try:
            try:
                self._check(exchange, scope)
                body = await self._body(exchange, receive)
                await self._answer(exchange, scope, body, receive)
            except Problem as problem:
                await self._refuse(problem, exchange, scope, receive)
        except _Gone:
            pass
        except Exception:
            exchange.status = 500
            raise
        finally:
            self._record(exchange, scope.get("state", {}).get("question"))

    def refused(self, address: str, status: int) -> None:
        """Log and count what was no request, or not a whole one."""
        self._metrics.request("other", "", status, 0.0)
        log.request(address=address, key=None, method=None, path=None, status=status, milliseconds=0.0, bytes=0)

    # What is looked at before the body

    def _check(self, exchange: _Exchange, scope: Scope) -> None:
        """Raises `Problem`."""
        if not self._settings.keys:
            _check_host(exchange.headers.get("host", ""))
        _check_origin(exchange.headers)
        if len(scope["raw_path"]) + len(scope["query_string"]) > _TARGET:
            raise Problem(414, f"the address has more than {_TARGET:,} bytes: name one document by its path")
        key = keys.find(self._settings.keys, exchange.headers.get("authorization", "").encode("latin-1"))
        exchange.key = key.name if key else None
        if wait := self._rate.wait(f"key {key.name}" if key else exchange.address, time.monotonic()):
            most = f"at most {self._settings.per_second} requests a second are answered"
            raise Problem(429, f"{most}: wait for {wait:.2f} s", {"Retry-After": str(int(wait) + 1)})
        is_reading = exchange.method in ("GET", "HEAD") or exchange.path in READING
        if self._settings.keys and exchange.path not in OPEN:
            if key is None:
                what = "this key is not known" if "authorization" in exchange.headers else "a key is needed"
                raise Problem(401, f"{what}: send Authorization: Bearer KEY", {"WWW-Authenticate": "Bearer"})
            if not is_reading and key.role != "curate":
                raise Problem(403, f"the key {key.name} may only read: ask with one whose role is curate")
        if (
            exchange.method == "POST"
            and exchange.path in self._posted
            and _media_type(exchange.headers) != "application/json"
        ):
            raise Problem(415, "the body must be JSON: send Content-Type: application/json")

    # The body

    async def _body(self, exchange: _Exchange, receive: Receive) -> bytes:
        """All of it. Raises `Problem` where it is too long or too late."""
        if "content-length" not in exchange.headers and "transfer-encoding" not in exchange.headers:
            return b""
        length = exchange.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > _BODY:
            raise _too_large()
        parts, size = [], 0
        try:
            async with asyncio.timeout(self._settings.seconds):
                more = True
                while more:
                    part, more = await _next(receive)
                    parts.append(part)
                    size += len(part)
                    if size > _BODY:
                        raise _too_large()
        except TimeoutError:
            detail = f"the body was not here within {self._settings.seconds} s: send it at once"
            raise Problem(408, detail, {"Connection": "close"}) from None
        return b"".join(parts)

    # The answer

    async def _answer(self, exchange: _Exchange, scope: Scope, body: bytes, receive: Receive) -> None:
        """Of the application, if there is room."""
        if exchange.path in ALWAYS:
            await self._app(scope, _replayed(body, receive), exchange.send)
            return
        if self._at_work >= self._settings.waiting:
            raise Problem(
                503, f"{self._at_work} requests are being answered: try again in a second", {"Retry-After": "1"}
            )
        self._at_work += 1
        self._metrics.at_work.set(self._at_work)
        try:
            await self._app(scope, _replayed(body, receive), exchange.send)
        finally:
            self._at_work -= 1
            self._metrics.at_work.set(self._at_work)

    async def _refuse(self, problem: Problem, exchange: _Exchange, scope: Scope, receive: Receive) -> None:
        """Say why. A body that is not wholly here ends the connection."""
        if "Connection" not in problem.headers and not await self._has_ended(exchange, receive):
            problem.headers["Connection"] = "close"
        await problem.response()(scope, receive, exchange.send)

    async def _has_ended(self, exchange: _Exchange, receive: Receive) -> bool:
        """Whether the body has, once so much of it is taken as is taken of a refused request."""
        if "expect" in exchange.headers:  # it is sent only when it is asked for
            return False
        size = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(_REST_SECONDS):
                while size <= _REST:
                    part, more = await _next(receive)
                    if not more:
                        return True
                    size += len(part)
        return False

    def _record(self, exchange: _Exchange, question: str | None) -> None:
        seconds = exchange.seconds
        self._metrics.request(exchange.method, exchange.path, exchange.status, seconds)
        asked = {"question": question} if self._settings.log_questions and question is not None else {}
        log.request(
            address=exchange.address,
            key=exchange.key,
            method=exchange.method,
            path=exchange.path,
            status=exchange.status,
            milliseconds=round(seconds * 1000, 2),
            bytes=exchange.bytes,
            **asked,
        )


async def _next(receive: Receive) -> tuple[bytes, bool]:
    """The next part of a body, and whether there is more. Raises `_Gone`."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise _Gone
    return message.get("body", b""), message.get("more_body", False)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """What the application receives: the body that is here, and then whatever comes."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def _too_large() -> Problem:
    return Problem(413, f"the body has more than {_BODY:,} bytes: ask for one thing at a time")


def _media_type(headers: Headers) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _check_host(host: str) -> None:
    """Without keys, refuse whatever name is not this machine's own: a page of another site may have a name of its own
    resolve to this machine, and the browser then takes the two for one site."""
    name = _host_name(f"//{host}")
    if not is_loopback(name):
        raise Problem(403, f"{name or 'no host'}: without keys this server answers to localhost alone: ask for that")


def _check_origin(headers: Headers) -> None:
    """A browser says from which page a request comes, or at least that it comes from another site, as where that shows
    a picture from here. None of our pages asks, so all others are refused."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
    is_foreign = origin is not None and _authority(origin) != headers.get("host")
    if is_foreign or site not in ("none", "same-origin"):
        raise Problem(
            403, "the request comes from a page of another site: ask from a program, or from a page of this server"
        )


def _authority(url: str) -> str | None:
    """Host and port of a URL."""
    try:
        return urlsplit(url).netloc or None
    except ValueError:
        return None


def _host_name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether a name or an address can only mean this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
