"""The handlers of the messaging worker's kinds of jobs."""

from academy.domain.jobs import BULK_MESSAGE, ClaimedJob
from apps.worker.handlers import Handler
from apps.worker.messaging_worker import bulk_message

HANDLERS: dict[str, Handler[ClaimedJob]] = {BULK_MESSAGE: bulk_message.HANDLER}
