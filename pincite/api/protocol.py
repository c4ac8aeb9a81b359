"""HTTP/1.1 as uvicorn speaks it, with a limit of time on headers and on clients that do not read, and with refusals
in the one shape of all others."""

import asyncio
import json
import sys
from http import HTTPStatus

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from pincite.api.gate import Gate
from pincite.api.problems import MEDIA_TYPE, Problem

HEADERS = 16 * 1024
"""Bytes of a request line and headers, at most."""
_CONNECTIONS = 512
"""Open at a time, at most."""


def of(gate: Gate, seconds: float) -> type[H11Protocol]:
    """What uvicorn makes one of for each connection. `seconds`: for headers to arrive, and for a client to read."""

    class Protocol(H11Protocol):
        _header_late: asyncio.TimerHandle | None = None
        _reader_late: asyncio.TimerHandle | None = None

        # uvicorn has the narrower type too, with the same remark: sockets give nothing else.
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            transport.set_write_buffer_limits(high=0)  # what is not taken at once is waited for
            if len(self.connections) > _CONNECTIONS:
                self._refuse(
                    Problem(503, f"{_CONNECTIONS} connections are open: try again in a second", {"Retry-After": "1"})
                )
            else:
                self._watch_header()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch_header()

        def connection_lost(self, exc: Exception | None) -> None:
            for timer in (self._header_late, self._reader_late):
                if timer is not None:
                    timer.cancel()
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._reader_late = self.loop.call_later(seconds, self.transport.abort)

        def resume_writing(self) -> None:
            if self._reader_late is not None:
                self._reader_late.cancel()
            super().resume_writing()

        def send_400_response(self, msg: str) -> None:
            """What h11 does not take for a request; called while its complaint is being handled."""
            status = getattr(sys.exception(), "error_status_hint", 400)
            if status == 431 and b"\n" not in self.conn.trailing_data[0]:
                status = 414
            what = {
                414: f"the address has more than {HEADERS:,} bytes: name one document by its path",
                431: f"the headers have more than {HEADERS:,} bytes: send fewer",
            }
            self._refuse(
                Problem(status, what.get(status, f"this is not HTTP/1.1 ({sys.exception()}): mend the client"))
            )

        def _watch_header(self) -> None:
            """Begin to wait for the end of a request's headers, or stop."""
            is_waiting = self.conn.their_state is h11.IDLE and not self.transport.is_closing()
            if is_waiting and self._header_late is None:
                self._header_late = self.loop.call_later(seconds, self._no_header)
            elif not is_waiting and self._header_late is not None:
                self._header_late.cancel()
                self._header_late = None

        def _no_header(self) -> None:
            self._header_late = None
            if self.transport.is_closing() or self.conn.their_state is not h11.IDLE:
                return
            if self.conn.trailing_data[0]:
                self._refuse(Problem(408, f"the headers were not here within {seconds} s: send them at once"))
            else:  # nothing was asked
                self.transport.close()

        def _refuse(self, problem: Problem) -> None:
            """Answer and close, unless an answer is on its way already."""
            is_answering = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
            if not is_answering:
                body = json.dumps(problem.as_json()).encode()
                headers = {
                    "content-type": MEDIA_TYPE,
                    "content-length": len(body),
                    "connection": "close",
                    **problem.headers,
                }
                lines = [f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}"]
                lines += [f"{name}: {value}" for name, value in headers.items()]
                self.transport.write("\r\n".join([*lines, "", ""]).encode("ascii") + body)
                gate.refused(self.client[0] if self.client else "", problem.status)
            self.transport.close()

    return Protocol
