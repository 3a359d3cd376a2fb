#!/usr/bin/env python
"""Django's command line for this project: `.venv/bin/python manage.py help`."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line  # noqa: PLC0415 - settings come first

    from config.environment import sentences_alone  # noqa: PLC0415

    with sentences_alone():
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
