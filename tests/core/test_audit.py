"""Tests of the audit log: its events and fields are documented, and no LOG_LEVEL switches the log off."""

import errno
import json
import logging.config
from pathlib import Path
from unittest.mock import Mock

import pytest

from apps.core.audit import Event, account_mark, audit
from config.logging import logging_settings
from tests.docs.pages import page

PAGE = page("docs/reference/audit-log.md")


def test_the_page_has_all_events_and_no_other() -> None:
    assert {row[0].strip("`") for row in PAGE.rows("event")} == {event.value for event in Event}


def test_a_line_is_json_with_the_fields_of_the_page_and_goes_to_the_file_at_any_level(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(lambda: logging.config.dictConfig(logging_settings("INFO")))
    file = tmp_path / "audit.log"
    logging.config.dictConfig(logging_settings("ERROR", str(file)))
    audit(Event.SESSION_ENDED, tenant=3, user=7, session="s", address="127.0.0.1", subject="session:t", of_user=8)
    line = json.loads(file.read_text(encoding="utf-8"))
    assert line["event"] == "session_ended"
    assert line["logger"] == "academy.audit"
    fields = {row[0].strip("`") for row in PAGE.rows("field")}
    assert fields <= set(line)
    assert (line["tenant"], line["user"], line["of_user"], line["outcome"]) == (3, 7, 8, "ok")


def test_a_line_that_cannot_be_written_to_its_file_goes_to_standard_error(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    request.addfinalizer(lambda: logging.config.dictConfig(logging_settings("INFO")))
    logging.config.dictConfig(logging_settings("ERROR", str(tmp_path / "audit.log")))
    (handler,) = logging.getLogger("academy.audit").handlers
    with monkeypatch.context() as patch:  # only this flush fails: closing the file flushes it again
        patch.setattr(handler, "flush", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
        audit(Event.SESSION_ENDED, tenant=3, user=7, session="s", address="127.0.0.1", subject="session:t", of_user=8)
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "session_ended"


def test_a_typed_name_cannot_be_read_from_its_hash_and_breaks_no_line() -> None:
    marks = {account_mark("hanbit", name) for name in ("owner", "my password", 'x"}\n{"event": "signed_in"')}
    assert len(marks) == 3
    assert all(mark.isalnum() and len(mark) == 16 for mark in marks)
    assert account_mark("hanbit", "owner") == account_mark("hanbit", "owner")
    assert account_mark("hanbit", "owner") != account_mark("saebom", "owner")
