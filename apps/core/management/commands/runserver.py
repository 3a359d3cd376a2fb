"""`manage.py runserver`: daphne's own, which serves WebSockets too.

Channels tells projects to put "daphne" first into INSTALLED_APPS. That app imports the reactor of twisted whenever
Django is set up, in every process. Here only this command imports it: `apps.core` is first, and the first app that has
a command provides it.
"""

from typing import Any

from daphne.management.commands.runserver import Command as DaphneCommand


class Command(DaphneCommand):  # type: ignore[misc] # daphne has no types
    def __init__(self) -> None:
        super().__init__(no_color=True)  # the log is JSON, in which colours would be escape sequences

    def get_application(self, options: dict[str, Any]) -> Any:
        """Return the product's application, with `/static/` read from the disk at each request.

        The application itself reads the sizes of these files once, when it starts.
        """
        return super().get_application({**options, "insecure_serving": True})
