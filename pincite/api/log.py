"""The log: one JSON object a line on standard error."""

import json
import logging
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
    "loggers": {
        NAME: {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "uvicorn": {"handlers": ["stderr"], "level": "ERROR", "propagate": False},
    },
}
"""For `logging.config.dictConfig`."""


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
