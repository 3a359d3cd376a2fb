"""The views of the operators' page: the page itself, its ticket, and what can be done with dead letters."""

import json
from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from academy.adapters.queue.dead_letters import DeadLetters, Letter
from academy.adapters.queue.sqs import QUEUES, QueueUnavailableError
from academy.domain.jobs import JobStateError
from apps.core.audit import Event, audit
from apps.core.authentication import address_of
from apps.core.operators.site import site
from apps.operations import letters
from apps.operations.access import View, for_operators, problem
from apps.operations.watching import operators_ticket
from apps.page.views import protected
from apps.worker import dead_letters
from realtime.web.ticket_view import ticket_answer

MOST_ID_LETTERS = 100


@require_safe
@site.admin_view
def page(request: HttpRequest) -> HttpResponse:
    return protected(request, render(request, "operations/index.html"))


@for_operators("POST")
def ticket(request: HttpRequest) -> HttpResponse:
    """Issue a ticket for the figures of the whole system."""
    return ticket_answer(request, operators_ticket(request))


PROBLEMS: dict[type[Exception], tuple[int, str, str]] = {
    letters.BusyError: (409, "letters_busy", "Another operator looks at the dead letters: try again soon."),
    letters.NoSuchLetterError: (404, "letter_gone", "There is no such dead letter any more."),
    letters.TooManyLettersError: (
        409,
        "letters_many",
        "The queue has too many dead letters to find this one here: use `manage.py deadletters`.",
    ),
    RedisError: (503, "redis_unavailable", "Redis cannot be reached at the moment; try again in a few seconds."),
}


def _answers_errors(view: View) -> View:
    @wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        try:
            return view(request)
        except JobStateError as error:
            return problem(409, error.code, str(error))
        except QueueUnavailableError as error:
            return problem(503, "queue_unavailable", str(error))
        except tuple(PROBLEMS) as error:
            return problem(*next(found for kind, found in PROBLEMS.items() if isinstance(error, kind)))

    return answer


@for_operators("GET")
@_answers_errors
def list_letters(request: HttpRequest) -> HttpResponse:
    """Show the dead letters of all queues, at most 100 of each."""
    found = letters.list_letters()
    _audit(request, Event.DEAD_LETTERS_READ, letters=len(found))
    return JsonResponse({"results": found})


@for_operators("POST")
@_answers_errors
def send_back(request: HttpRequest) -> HttpResponse:
    """Retry the job of a dead letter if the job is FAILED.

    If the job has not ended, or if the letter refers to no job, return the letter to its queue. If the job is DONE or
    CANCELLED, or may not be retried, keep the letter and answer 409.
    """
    return _with_letter(request, Event.DEAD_LETTER_SENT_BACK, dead_letters.send_back)


@for_operators("POST")
@_answers_errors
def delete(request: HttpRequest) -> HttpResponse:
    """Delete a dead letter. Its job stays as it is."""
    return _with_letter(request, Event.DEAD_LETTER_DELETED, _delete)


def _delete(queue: DeadLetters, letter: Letter) -> str:
    queue.delete(letter)
    return "deleted."


def _with_letter(request: HttpRequest, event: Event, act: Callable[[DeadLetters, Letter], str]) -> HttpResponse:
    """Call `act` with the letter that the request's body names. Audit who asked for it, and the outcome."""
    try:
        body = json.loads(request.body)
        queue, letter_id = str(body["queue"]), str(body["id"])
    except (ValueError, KeyError, TypeError):
        return problem(400, "invalid", 'Send {"queue": …, "id": …}.')
    if queue not in QUEUES or len(letter_id) > MOST_ID_LETTERS:
        return problem(404, "letter_gone", "There is no such dead letter.")

    def act_and_audit(letters_of_queue: DeadLetters, letter: Letter) -> str:
        # Audit here and not after `with_letter`, which may raise after the letter was sent back or deleted.
        outcome = "failed"
        try:
            done = act(letters_of_queue, letter)
            outcome = "ok"
        except JobStateError:
            outcome = "refused"
            raise
        finally:
            _audit(request, event, f"letter:{letter_id}", outcome=outcome, queue=queue)
        return done

    return JsonResponse({"done": letters.with_letter(queue, letter_id, act_and_audit)})


def _audit(request: HttpRequest, event: Event, subject: str = "", outcome: str = "ok", **more: object) -> None:
    user = request.user.pk
    audit(event, tenant=None, user=user, address=address_of(request), subject=subject, outcome=outcome, **more)
