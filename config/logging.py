"""Writes logs to standard error, one JSON object per line, with timestamp, level, event, and bound values.

The log includes Python's warnings, uncaught exceptions (also those in threads and finalizers), and records that cannot
be formatted.
"""

import logging.config
import logging.handlers
import sys
import threading
from http import HTTPStatus
from types import TracebackType
from typing import Any, ClassVar

import structlog
from django.http import HttpRequest

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

_PROCESSORS: list[Any] = [*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter]
"""The processors of our loggers.

A logger keeps the list that it uses first. All calls of `configure` pass this one list, so the `capture_logs` of tests
reaches all loggers.
"""


def logging_settings(level: str, audit_file: str | None = None) -> dict[str, Any]:
    """Return the dictionary for `logging.config.dictConfig`. Records of libraries have the same form as our own.

    The audit log does not depend on `level`. It is written to `audit_file` or, if that is None, to standard error with
    the other records. The file may be renamed while the process runs.
    """
    audit: dict[str, Any] = {"class": "config.logging.JsonHandler"}
    if audit_file:
        audit = {"class": "config.logging.AuditFileHandler", "filename": audit_file, "encoding": "utf-8"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    structlog.processors.JSONRenderer(ensure_ascii=False),
                ],
            }
        },
        "filters": {"unavailable": {"()": "config.logging.UnavailableFilter"}},
        "handlers": {
            "stderr": {"class": "config.logging.JsonHandler", "formatter": "json"},
            "audit": {**audit, "formatter": "json"},
            "refused": {"class": "config.logging.RefusedHandler"},
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "academy.audit": {"handlers": ["audit"], "level": "INFO", "propagate": False},
            # Do not log this logger's warning about each answer with 4xx: the answer says what was wrong.
            "django.request": {"level": "ERROR", "filters": ["unavailable"]},
            "django.security": {"handlers": ["refused"], "level": "INFO", "propagate": False},
            # Remove uvicorn's own handlers, which do not write JSON.
            "uvicorn": {"handlers": [], "level": "INFO", "propagate": True},
            "uvicorn.access": {"handlers": [], "level": "INFO", "propagate": True},
            # Do not log each connection, which would be a million lines a day. Metrics count connections.
            "uvicorn.error": {"handlers": [], "level": "WARNING", "propagate": True},
            "httpx": {"level": "WARNING"},
            "botocore": {"level": "WARNING"},
            "boto3": {"level": "WARNING"},
            "urllib3": {"level": "WARNING"},
            "psycopg.pool": {"level": "ERROR"},
        },
    }


class JsonHandler(logging.StreamHandler[Any]):
    """Writes to standard error. If a record cannot be formatted, it writes a line that says so."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        spare = logging.LogRecord(
            record.name, logging.ERROR, "", 0, f"log_record_bad: {record.msg!r}", None, sys.exc_info()
        )
        try:
            self.stream.write(self.format(spare) + self.terminator)
            self.flush()
        except Exception:  # noqa: BLE001 - there is no other place for the error
            return


class AuditFileHandler(logging.handlers.WatchedFileHandler):
    """Writes to a file. If writing fails, for example on a full disk, it writes the line to standard error."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        instead = JsonHandler()
        instead.setFormatter(self.formatter)
        instead.emit(record)


class RefusedHandler(logging.Handler):
    """Counts the requests that Django itself refuses. For each reason it logs one a minute, without a traceback.

    Anybody can send any number of such requests. Django's loggers for them are `django.security.<exception>` and
    `django.security.csrf`.
    """

    REASONS: ClassVar[dict[str, str]] = {"DisallowedHost": "host", "csrf": "csrf"}

    def emit(self, record: logging.LogRecord) -> None:
        from realtime.protocol.refusals import refused  # noqa: PLC0415 - the log is set up before anything else

        kind = record.name.rpartition(".")[2]
        refused(self.REASONS.get(kind, "bad_request"), record.getMessage(), kind=kind, **_sender(record))


class UnavailableFilter(logging.Filter):
    """Counts answers with 503, and logs only one a minute, because anybody can cause thousands during an outage."""

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "status_code", None) != HTTPStatus.SERVICE_UNAVAILABLE:
            return True
        from realtime.protocol.refusals import refused  # noqa: PLC0415 - the log is set up before anything else

        refused("unavailable", record.getMessage(), **_sender(record))
        return False


def _sender(record: logging.LogRecord) -> dict[str, Any]:
    """Return the path of the record's request and the address of its client, both None if it has no request."""
    request = getattr(record, "request", None)
    if not isinstance(request, HttpRequest):
        return {"path": None, "client": None}
    return {"path": request.path, "client": request.META.get("REMOTE_ADDR")}


def configure(settings: dict[str, Any]) -> None:
    """Configure structlog, and then the standard library. This is Django's LOGGING_CONFIG."""
    structlog.configure(
        processors=_PROCESSORS,
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(settings)


def log_everything() -> None:
    """Log warnings and uncaught exceptions, which Python would print. Long-running processes call this first."""
    configure(logging_settings("INFO"))
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread
    sys.unraisablehook = _log_unraisable


_log = logging.getLogger("process")


def _log_uncaught(kind: type[BaseException], problem: BaseException, traceback: TracebackType | None) -> None:
    _log.critical("exception_not_caught", exc_info=(kind, problem, traceback))


def _log_uncaught_in_thread(found: threading.ExceptHookArgs) -> None:
    if found.exc_type is SystemExit:
        return
    problem = found.exc_value or found.exc_type()
    _log.error("exception_not_caught_in_thread", exc_info=(found.exc_type, problem, found.exc_traceback))


def _log_unraisable(found: "sys.UnraisableHookArgs") -> None:
    problem = found.exc_value or found.exc_type()
    _log.error("exception_ignored", exc_info=(found.exc_type, problem, found.exc_traceback))
