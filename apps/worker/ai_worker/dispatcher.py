"""Which function does which kind of AI job. A new kind is a module beside this one, and a line here."""

from academy.domain.jobs import EXCEL_PARSING, ClaimedJob
from apps.worker.ai_worker import excel_parsing
from apps.worker.handlers import Handler

HANDLERS: dict[str, Handler[ClaimedJob]] = {
    EXCEL_PARSING: Handler(excel_parsing.STEPS, excel_parsing.import_students, excel_parsing.forget_file),
}
