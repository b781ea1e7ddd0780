"""How servers and workers log: one line an event on standard error, with nothing in it that a client or patient said.

    2026-11-21T09:40:00.123Z warning pinakes.server 4711 worker 2 ended unexpectedly

Time in UTC, level, logger, process id, message. An exception is written as its type and frames, never its message
(DESIGN.md rule 7). Of what other packages log only the first line is kept: the rest may quote an exception.
"""

import logging
import sys
import threading
import time
from typing import Any

from pinakes.web.faults import describe, log_fault

_OURS = "pinakes"
_SERVER = "_granian"
_FORMS = "python_multipart"

log = logging.getLogger(__name__)


class Formatter(logging.Formatter):
    """Writes one record as one line, and exceptions below it without their messages."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.name.partition(".")[0] != _OURS:
            message = message.partition("\n")[0]
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = f"{moment}.{int(record.msecs):03d}Z {record.levelname.lower()} {record.name} {record.process} {message}"
        if record.exc_info and record.exc_info[1] is not None:
            line += "\n  " + describe(record.exc_info[1])
        return line


def configuration(level: str) -> dict[str, Any]:
    """The argument of `logging.config.dictConfig`. level: debug, info, warning or error."""
    others = level.upper() if level in ("debug", "error") else "WARNING"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": Formatter}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
        "root": {"level": "WARNING" if level == "debug" else others, "handlers": ["stderr"]},
        "loggers": {
            _OURS: {"level": level.upper()},
            _SERVER: {"level": others},
            _FORMS: {"level": "ERROR"},  # it warns of each malformed body, and quotes it
        },
    }


def hide_messages() -> None:
    """Have what nobody catches, in any thread, logged without its message too."""
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda args: log_fault(log, "a thread failed", args.exc_value or args.exc_type())
    logging.captureWarnings(True)


def _log_uncaught(kind: type[BaseException], error: BaseException, _: object) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, None)
    else:
        log_fault(log, "the process failed", error)
