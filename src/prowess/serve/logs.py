"""One JSON object a line on standard error, for programs that collect logs. Secrets are taken out of every value."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from prowess.guard.redact import redact_value, rules_for

EVENT: Final = "prowess.event"
"""Where `event` puts its fields into a record."""


class JsonLines(logging.Formatter):
    """A record as one line of JSON: `time`, `level`, `logger`, `message`, and the fields that were given with it."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **record.__dict__.get(EVENT, {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = self.formatException(record.exc_info)
        text = json.dumps(line, ensure_ascii=False, default=str)
        rules = rules_for(text)  # mostly none, which is told by the line as a whole
        return json.dumps(redact_value(json.loads(text), rules=rules), ensure_ascii=False) if rules else text


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines; what cannot be written is let go, since the usual way prints it as it is, secrets and all."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


def event(log: logging.Logger, message: str, fields: dict[str, Any]) -> None:
    """Say that something happened, in words and with its figures."""
    log.info(message, extra={EVENT: fields})


def set_up(level: int = logging.INFO) -> None:
    """All loggers of prowess, and the errors of the web server under it, write JSON lines to standard error."""
    handler = _Handler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name, least in (("prowess", level), ("uvicorn.error", logging.ERROR)):
        log = logging.getLogger(name)
        log.handlers, log.propagate = [handler], False
        log.setLevel(least)
