"""The handlers of the AI worker's kinds of jobs. To add a kind, add a folder beside this file and a line here."""

from academy.domain.jobs import EXCEL_PARSING, STUDENT_EXPORT, ClaimedJob
from apps.worker.ai_worker import excel_parsing, student_export
from apps.worker.handlers import Handler

HANDLERS: dict[str, Handler[ClaimedJob]] = {
    EXCEL_PARSING: excel_parsing.HANDLER,
    STUDENT_EXPORT: student_export.HANDLER,
}
