"""`manage.py deadletters`: lists, sends back or deletes the messages that the workers gave up."""

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from academy.adapters.queue.dead_letters import DeadLetters, Letter
from academy.adapters.queue.sqs import QUEUES, QueueUnavailableError
from academy.domain.jobs import JobStateError
from apps.worker.dead_letters import describe, send_back

Act = Callable[[DeadLetters, Letter], str]


class Command(BaseCommand):
    help = (
        "Lists the dead letters: messages that the workers gave up, each with its reason. `send-back` has their jobs "
        "tried again, `delete` throws them away; both take the letters' ids, or --all."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", nargs="?", choices=["send-back", "delete"])
        parser.add_argument("ids", nargs="*", metavar="ID")
        parser.add_argument("--all", action="store_true", help="every letter (of --queue)")
        parser.add_argument("--queue", choices=QUEUES, help="the letters of this queue alone")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        action, ids = options["action"], set(options["ids"])
        if bool(action) != (bool(ids) != options["all"]):
            raise CommandError(
                "Say send-back or delete with the ids of letters, or with --all; or nothing, to list them."
            )
        queues = [DeadLetters(name) for name in ([options["queue"]] if options["queue"] else QUEUES)]
        try:
            if action is None:
                self._list(queues)
            else:
                self._act(queues, _delete if action == "delete" else send_back, ids)
        except QueueUnavailableError as problem:
            raise CommandError(str(problem)) from None
        except (OperationalError, InterfaceError) as problem:
            raise CommandError(f"The database cannot be reached: {problem}") from None

    def _list(self, queues: list[DeadLetters]) -> None:
        number = 0
        for queue in queues:
            with queue.opened() as letters:
                number += len(letters)
                for letter in letters:
                    sent = timezone.localtime(letter.sent_at)
                    self.stdout.write(
                        f"{queue.queue_name}  {letter.message_id}  {sent:%Y-%m-%d %H:%M:%S}  "
                        f"receives: {letter.receives}  {describe(queue.queue_name, letter)}\n    {letter.reason}"
                    )
        if not number:
            self.stdout.write("There are no dead letters.")

    def _act(self, queues: list[DeadLetters], act: Act, ids: set[str]) -> None:
        """Call `act` with the letters that have these ids, or with all letters if `ids` is empty.

        Raises CommandError, after the last letter, if an id was not found or a letter could not be sent back.
        """
        found, stay = set(), 0
        for queue in queues:
            with queue.opened() as letters:
                for letter in letters:
                    if not ids or letter.message_id in ids:
                        found.add(letter.message_id)
                        stay += not self._done(act, queue, letter)
        if missing := sorted(ids - found):
            raise CommandError(f"There is no dead letter {', '.join(missing)}.")
        if stay:
            raise CommandError("Not every letter could be sent back: see above.")
        if not found:
            self.stdout.write("There are no dead letters.")

    def _done(self, act: Act, queue: DeadLetters, letter: Letter) -> bool:
        try:
            self.stdout.write(f"{letter.message_id}: {act(queue, letter)}")
        except JobStateError as problem:
            self.stdout.write(f"{letter.message_id} stays: {problem}")
            return False
        return True


def _delete(queue: DeadLetters, letter: Letter) -> str:
    queue.delete(letter)
    return f"deleted ({describe(queue.queue_name, letter)})."
