#!/usr/bin/env python
"""Django's command line for this project: `.venv/bin/python manage.py help`."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line  # noqa: PLC0415 - settings come first

    from config.environment import hide_secrets_once_read, sentences_alone  # noqa: PLC0415
    from config.postgresql.base import DatabaseTooOldError  # noqa: PLC0415

    if "realtime_relay" in sys.argv[1:2]:  # the relay needs the time limits of a worker for the database
        os.environ.setdefault("PROCESS_NAME", "relay")
    if "runserver" in sys.argv[1:2]:  # its threads share a pool of database connections, as in the web process
        os.environ.setdefault("PROCESS_NAME", "web")
    if "runserver" not in sys.argv[1:2]:  # runserver's reloader passes its environment on to the process that serves
        hide_secrets_once_read()
    with sentences_alone():
        try:
            execute_from_command_line(sys.argv)
        except DatabaseTooOldError as problem:
            sys.exit(str(problem))


if __name__ == "__main__":
    main()
