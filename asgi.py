"""The ASGI application: the push engine's connections, `/static/` from the folders of the apps, and Django."""

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

from config.environment import hide_secrets_once_read, sentences_in_the_log
from config.logging import log_everything

log_everything()
hide_secrets_once_read()
with sentences_in_the_log():
    django.setup(set_prefix=False)

from django.apps import apps
from django.conf import settings

from apps.core.allowance import admit_body, body_limits
from apps.core.thin_polls import ticket_of_token, with_thin_polls
from apps.domains.ai.views import job_progress_view
from apps.support.video.views import progress_views
from config.body_limit import limit_body
from config.charset import utf8_only
from config.django_handler import DjangoHandler
from config.headers import over_tls, with_headers
from config.static_files import StaticFiles
from realtime.web.routing import with_realtime
from realtime.web.thin_paths import with_thin_paths


def serve_static(wrapped: Any) -> Any:
    """Serve the `static/` folders of all apps, except the admin's if `ADMIN_SITE` is off.

    All other requests go to the wrapped application.
    """
    server = StaticFiles(wrapped)
    for app in apps.get_app_configs():
        if app.label == "admin" and not settings.ADMIN_SITE:
            continue
        folder = Path(app.path) / "static"
        if not folder.is_dir():
            continue
        server.add_files(folder, prefix="static/")
        # `realtime/static/realtime` links to `realtime/client`. `servestatic` follows no link out of a folder.
        for link in filter(Path.is_symlink, folder.iterdir()):
            server.add_files(link.resolve(), prefix=f"static/{link.name}/")
    return server


guarded = limit_body(utf8_only(DjangoHandler()), admit_body, body_limits())  # type: ignore[arg-type]
polled = with_thin_polls(serve_static(guarded), [job_progress_view.POLLED, progress_views.POLLED])
http_application = with_headers(with_thin_paths(polled, ticket_of_token))


application = over_tls(with_realtime(http_application))
