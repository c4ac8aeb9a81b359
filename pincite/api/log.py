"""The log: one JSON object a line on standard error."""

import json
import logging
import logging.config
import threading
from datetime import UTC, datetime
from typing import Any

NAME = "pincite.api"
FIELDS = "fields"
"""What a record has beside its message, as `extra`."""

CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"lines": {"()": "pincite.api.log.Lines"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines", "stream": "ext://sys.stderr"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        NAME: {"level": "INFO"},
        "uvicorn": {"level": "ERROR"},  # what it warns of are requests, which have a line of their own
    },
}
"""For `logging.config.dictConfig`."""


def begin() -> None:
    """Whatever this process has to say from now on is in the log: warnings, and threads that fail, too."""
    logging.config.dictConfig(CONFIG)
    logging.captureWarnings(True)
    threading.excepthook = _thread_failed


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    name = failed.thread.name if failed.thread else "a thread"
    trace = (failed.exc_type, failed.exc_value or failed.exc_type(), failed.exc_traceback)
    logging.getLogger(NAME).error("%s failed", name, exc_info=trace)


class Lines(logging.Formatter):
    """Whatever a name or a question holds, a record is one line: JSON escapes the rest."""

    def format(self, record: logging.LogRecord) -> str:
        """In ASCII."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def request(**fields: object) -> None:
    """One request that has been answered or refused."""
    logging.getLogger(NAME).info("request", extra={FIELDS: fields})
