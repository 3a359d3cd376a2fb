"""Django's settings, with all that the engine needs."""

import os

SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
INSTALLED_APPS = ["realtime"]
ROOT_URLCONF = "realtime.urls"  # a project with its own URLs includes it: path("", include("realtime.urls"))
USE_TZ = True
TIME_ZONE = "UTC"  # Django's own default is Chicago

# Only the outbox needs a database; connections, tickets and polls do not. PGHOST, PGUSER … set the connection.
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ.get("PGDATABASE", "minimal")}}

REALTIME_REDIS_URL = os.environ["REDIS_URL"]
REALTIME_AUTHENTICATOR = "rules.authenticate"
REALTIME_TOPIC_RULES = "rules.allowed_topics"
