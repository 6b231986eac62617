"""The log on stderr: one line per record, as text or as JSON, each with the id of the request that it belongs to.

Example usage:
>>> import logging
>>> record = logging.LogRecord("recommender.serving", logging.INFO, "", 0, "loaded version %d", (7,), None)
>>> json.loads(JsonFormatter().format(record))["message"]
'loaded version 7'
"""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import datetime, timezone
from typing import Final

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="-")
LEVELS: Final = ("debug", "info", "warning", "error")
_TEXT = "%(asctime)s %(levelname)s %(process)d %(request_id)s %(message)s"


class JsonFormatter(logging.Formatter):
    """Write a record as one line of JSON; `extra={"fields": {...}}` adds keys."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        time = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        line = {
            "time": time,
            "level": record.levelname.lower(),
            "process": record.process,
            "request_id": REQUEST_ID.get(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _with_request_id(record: logging.LogRecord) -> bool:
    record.request_id = REQUEST_ID.get()
    return True


def configure_logs(log_format: str = "text", level: str = "info") -> None:
    """Let this process log to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else logging.Formatter(_TEXT))
    handler.addFilter(_with_request_id)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
