#!/usr/bin/env python
"""Django's command line for this project: `.venv/bin/python manage.py help`."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line  # noqa: PLC0415 - settings come first

    from config.environment import hide_secrets_once_read, sentences_alone  # noqa: PLC0415
    from config.postgresql.base import DatabaseTooOldError  # noqa: PLC0415

    if "realtime_relay" in sys.argv[1:2]:  # a server, whose links to the database are bounded as a worker's are
        os.environ.setdefault("PROCESS_NAME", "relay")
    if "runserver" in sys.argv[1:2]:  # its threads share a pool of connections, as those of the web process do
        os.environ.setdefault("PROCESS_NAME", "web")
    if "runserver" not in sys.argv[1:2]:  # its reloader hands its environment on
        hide_secrets_once_read()
    with sentences_alone():
        try:
            execute_from_command_line(sys.argv)
        except DatabaseTooOldError as problem:
            sys.exit(str(problem))


if __name__ == "__main__":
    main()
