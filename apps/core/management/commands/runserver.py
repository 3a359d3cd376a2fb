"""`manage.py runserver`: daphne's command, which also serves WebSockets.

The documentation of Channels tells projects to put "daphne" first into INSTALLED_APPS. That app would import twisted's
reactor in every process that sets up Django. Here only this command imports the reactor. Django uses this command,
because `apps.core` is the first app in INSTALLED_APPS that has a `runserver`.
"""

from typing import Any

from daphne.management.commands.runserver import Command as DaphneCommand


class Command(DaphneCommand):  # type: ignore[misc] # daphne has no types
    def __init__(self) -> None:
        super().__init__(no_color=True)  # the log is JSON, which must not contain the escape sequences of colours

    def get_application(self, options: dict[str, Any]) -> Any:
        """Return the product's application, wrapped so that each request for `/static/` reads its file from the disk.

        The application itself reads the sizes of these files only once, when it starts.
        """
        return super().get_application({**options, "insecure_serving": True})
