"""Logs are one JSON object a line on standard error: timestamp, level, event, and what the code bound to it.

That holds from a process's first line to its last, whoever writes it: warnings, exceptions that nobody catches, also in
threads and in finalizers, and records that cannot be formatted.
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


def logging_settings(level: str, audit_file: str | None = None) -> dict[str, Any]:
    """The dictionary of `logging.config.dictConfig`; libraries' own records take the same form as ours.

    The audit log is written whatever the level: to standard error with the rest, or to a file of its own, which may be
    moved away while it is written.
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
        # A refused request is the caller's matter: its answer says what was wrong.
        "loggers": {
            "academy.audit": {"handlers": ["audit"], "level": "INFO", "propagate": False},
            "django.request": {"level": "ERROR", "filters": ["unavailable"]},
            "django.security": {"handlers": ["refused"], "level": "INFO", "propagate": False},
            # uvicorn has given them handlers of its own, which do not write JSON.
            "uvicorn": {"handlers": [], "level": "INFO", "propagate": True},
            "uvicorn.access": {"handlers": [], "level": "INFO", "propagate": True},
            # One line a connection is a million lines a day; connections are counted, not logged.
            "uvicorn.error": {"handlers": [], "level": "WARNING", "propagate": True},
            "httpx": {"level": "WARNING"},
            "botocore": {"level": "WARNING"},
            "boto3": {"level": "WARNING"},
            "urllib3": {"level": "WARNING"},
            "psycopg.pool": {"level": "ERROR"},
        },
    }


class JsonHandler(logging.StreamHandler[Any]):
    """Writes to standard error. A record that cannot be written as it is becomes a line that says so."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        spare = logging.LogRecord(
            record.name, logging.ERROR, "", 0, f"log_record_bad: {record.msg!r}", None, sys.exc_info()
        )
        try:
            self.stream.write(self.format(spare) + self.terminator)
            self.flush()
        except Exception:  # noqa: BLE001 - nothing is left to say it with
            return


class AuditFileHandler(logging.handlers.WatchedFileHandler):
    """Writes to a file. A line that the file does not take, as on a full disk, goes to standard error."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        instead = JsonHandler()
        instead.setFormatter(self.formatter)
        instead.emit(record)


class RefusedHandler(logging.Handler):
    """Counts the requests that Django refuses itself, and logs one of each reason a minute, without a traceback.

    Anybody can send such requests, as many as they like. Django logs them as `django.security.<the exception>`.
    """

    REASONS: ClassVar[dict[str, str]] = {"DisallowedHost": "host", "csrf": "csrf"}

    def emit(self, record: logging.LogRecord) -> None:
        from realtime.protocol.refusals import refused  # noqa: PLC0415 - the log is set up before anything else

        kind = record.name.rpartition(".")[2]
        refused(self.REASONS.get(kind, "bad_request"), record.getMessage(), kind=kind, **_sender(record))


class UnavailableFilter(logging.Filter):
    """Counts answers of 503, and logs one a minute: while something is away or full, anybody can cause thousands."""

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "status_code", None) != HTTPStatus.SERVICE_UNAVAILABLE:
            return True
        from realtime.protocol.refusals import refused  # noqa: PLC0415 - the log is set up before anything else

        refused("unavailable", record.getMessage(), **_sender(record))
        return False


def _sender(record: logging.LogRecord) -> dict[str, Any]:
    """Which path a request asked for, and from which address."""
    request = getattr(record, "request", None)
    if not isinstance(request, HttpRequest):
        return {"path": None, "client": None}
    return {"path": request.path, "client": request.META.get("REMOTE_ADDR")}


def configure(settings: dict[str, Any]) -> None:
    """Django's LOGGING_CONFIG: structlog first, then the standard library's dictConfig."""
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(settings)


def log_everything() -> None:
    """For the first line of a process that runs for long: what Python itself would print becomes a line of the log."""
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
