"""The ASGI application: the engine serves `/ws/events/` and `/api/v1/events/`, and Django all other paths."""

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from realtime.web.routing import with_realtime  # needs Django to be set up

application = with_realtime(django_application)  # type: ignore[arg-type]
