"""`manage.py realtime_revoke`: ends the connections, tokens and tickets of a session, a user or a whole tenant."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from redis.exceptions import RedisError

from realtime import conf
from realtime.outbox.revoke import revoke


class Command(BaseCommand):
    help = (
        "Ends the connections of a session, of a user, or (with neither) of a whole tenant, and revokes the tokens and "
        "tickets that were issued until now. It locks nobody out: people can sign in again, if they still may."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", metavar="CODE", required=True)
        whom = parser.add_mutually_exclusive_group()
        whom.add_argument("--user", metavar="NAME")
        whom.add_argument("--session", metavar="ID")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        source, code, name, session_id = conf.source(), options["tenant"], options["user"], options["session"]
        tenant_id = source.tenant_id(code)
        if tenant_id is None:
            raise CommandError(f"There is no tenant {code!r}.")
        user_id = source.user_id(tenant_id, name) if name else None
        if name and user_id is None:
            raise CommandError(f"There is no user {name!r} in {code}.")
        try:
            revoke(tenant_id, user_id=user_id, session_id=session_id)
        except RedisError as problem:
            raise CommandError(
                f"Redis cannot be reached: {problem}. Older tokens and tickets work until it can; the relay then "
                "revokes them."
            ) from None
        whom = (
            f"Session {session_id} of" if session_id else f"User {name} (id {user_id}) of" if name else "Everybody of"
        )
        self.stdout.write(
            f"{whom} {code} (id {tenant_id}): connections end within a second, and older tokens and tickets are "
            "refused. People can sign in again, if they still may."
        )
