"""Logs are one JSON object a line on standard error: time, level, event, and what the code bound to it."""

import logging.config
from typing import Any

import structlog

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
    audit: dict[str, Any] = {"class": "logging.StreamHandler"}
    if audit_file:
        audit = {"class": "logging.handlers.WatchedFileHandler", "filename": audit_file, "encoding": "utf-8"}
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
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "json"},
            "audit": {**audit, "formatter": "json"},
        },
        "root": {"handlers": ["stderr"], "level": level},
        # A refused request is the caller's matter: its answer says what was wrong.
        "loggers": {
            "academy.audit": {"handlers": ["audit"], "level": "INFO", "propagate": False},
            "django.request": {"level": "ERROR"},
            # One line a connection is a million lines a day; connections are counted, not logged.
            "uvicorn.error": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
            "botocore": {"level": "WARNING"},
            "boto3": {"level": "WARNING"},
            "urllib3": {"level": "WARNING"},
            "psycopg.pool": {"level": "ERROR"},
        },
    }


def configure(settings: dict[str, Any]) -> None:
    """Django's LOGGING_CONFIG: structlog first, then the standard library's dictConfig."""
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(settings)
