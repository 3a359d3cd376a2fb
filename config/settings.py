"""Django's settings. Values that differ between installations come from `config.environment`."""

from pathlib import Path
from typing import Any

from config.database import database_settings
from config.environment import read_environment
from config.logging import logging_settings

ENVIRONMENT = read_environment()
BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = ENVIRONMENT.secret_key.get_secret_value()
SECRET_KEY_FALLBACKS = [key.get_secret_value() for key in ENVIRONMENT.secret_key_fallbacks]
DEBUG = False
ALLOWED_HOSTS = ENVIRONMENT.allowed_hosts
PROCESS_NAME = ENVIRONMENT.process_name

INSTALLED_APPS = [
    "apps.core",  # before Django's apps, because its commands replace some of theirs
    "django.contrib.auth",
    "django.contrib.contenttypes",
    # The admin's tables always exist, but its URLs only if ADMIN_SITE is on.
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "channels",
    "realtime",
    "apps.domains.lectures",
    "apps.domains.students",
    "apps.domains.ai",
    "apps.domains.messaging",
    "apps.support.video",
    "apps.worker",
    "apps.page",
    "apps.operations",
    "apps.demo",
]
MIDDLEWARE = [
    "apps.core.release.release_bodies",
    "config.requests.note_request",
    "realtime.web.middleware.tell_untold_revocations",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ADMIN_SITE = ENVIRONMENT.admin_site == "on"
if ADMIN_SITE:
    MIDDLEWARE.append("apps.core.operators.middleware.for_operators")
ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "asgi.application"
CONTEXT_PROCESSORS = [
    "django.template.context_processors.request",
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": CONTEXT_PROCESSORS},
    }
]
# Only operators, in the admin, have sessions and CSRF tokens in cookies.
SESSION_COOKIE_NAME = "operator"
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = "/admin/"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Strict"
SESSION_COOKIE_AGE = 8 * 3600
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
CSRF_COOKIE_NAME = "operator_csrf"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "apps.page.problem_pages.answer_csrf_failure"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

DATABASES = {"default": database_settings(ENVIRONMENT)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "core.User"
AUTHENTICATION_BACKENDS = ["apps.core.authentication.TenantBackend"]
# auth.W004: user names are unique only within a tenant, and our authentication back end also needs the tenant.
# admin.E408 to E410: the admin's middlewares are not in MIDDLEWARE, because they wrap only the admin's URLs.
SILENCED_SYSTEM_CHECKS = ["auth.W004", "admin.E408", "admin.E409", "admin.E410"]
AUTH_PASSWORD_VALIDATORS = [{"NAME": "apps.core.password_rules.PasswordRules"}]
PASSWORD_MIN_LENGTH = ENVIRONMENT.password_min_length
ACCESS_TOKEN_SECONDS = 600
REFRESH_TOKEN_SECONDS = 14 * 86_400

PASSWORD_HASHING_THREADS = ENVIRONMENT.password_hashing_threads
SIGN_IN_ACCOUNT_LIMIT = ENVIRONMENT.sign_in_account_limit
SIGN_IN_ADDRESS_LIMIT = ENVIRONMENT.sign_in_address_limit
SIGN_IN_TENANT_LIMIT = ENVIRONMENT.sign_in_tenant_limit
ONE_TIME_CODE_SECONDS = ENVIRONMENT.one_time_code_seconds

LANGUAGE_CODE = "en"
TIME_ZONE = "Asia/Seoul"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "build" / "static"
STORAGES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "academy.adapters.storage.backends.FolderStorage",
        "OPTIONS": {"location": ENVIRONMENT.media_root},
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# If no credentials are set, boto3 looks for others (a role of the machine, a profile).
AWS_CREDENTIALS = ENVIRONMENT.aws_credentials()
if ENVIRONMENT.s3_bucket:
    STORAGES["default"] = {
        "BACKEND": "academy.adapters.storage.backends.BucketStorage",
        "OPTIONS": {
            "bucket_name": ENVIRONMENT.s3_bucket,
            "endpoint_url": ENVIRONMENT.s3_endpoint_url,
            "region_name": ENVIRONMENT.aws_region,
            "signature_version": "s3v4",  # this version also signs the length of an upload
            "access_key": AWS_CREDENTIALS["aws_access_key_id"],
            "secret_key": AWS_CREDENTIALS["aws_secret_access_key"],
            "security_token": AWS_CREDENTIALS["aws_session_token"],
        },
    }
# A workbook may have 20 MB. Slightly larger bodies are received too, so that the answer can explain the limit.
MAX_WORKBOOK_BYTES = 20_000_000
MAX_VIDEO_BYTES = ENVIRONMENT.video_max_bytes
BODY_GRACE_SECONDS = ENVIRONMENT.body_grace_seconds
BODY_MIN_BYTES_PER_SECOND = ENVIRONMENT.body_min_bytes_per_second
BODY_MAX_UNFINISHED = ENVIRONMENT.body_max_unfinished
BODY_MAX_UNFINISHED_PER_TENANT = ENVIRONMENT.body_max_unfinished_per_tenant
BODY_MAX_UNFINISHED_PER_USER = ENVIRONMENT.body_max_unfinished_per_user
BODY_TOTAL_BYTES = ENVIRONMENT.body_total_bytes
MESSAGE_PROVIDER = ENVIRONMENT.message_provider
MESSAGE_FOLDER = ENVIRONMENT.message_folder
MESSAGE_SMTP_URL = ENVIRONMENT.message_smtp_url.get_secret_value()
MESSAGE_SMTP_FROM = ENVIRONMENT.message_smtp_from
MESSAGE_SMTP_TO = ENVIRONMENT.message_smtp_to
MESSAGE_HTTP_URL = ENVIRONMENT.message_http_url
MESSAGE_HTTP_TOKEN = ENVIRONMENT.message_http_token.get_secret_value()
MESSAGE_RATE_PER_MINUTE = ENVIRONMENT.message_rate_per_minute
MESSAGE_PRICE_SMS = ENVIRONMENT.message_price_sms
MESSAGE_PRICE_LMS = ENVIRONMENT.message_price_lms
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000
DATA_UPLOAD_MAX_NUMBER_FIELDS = 100
DATA_UPLOAD_MAX_NUMBER_FILES = 1

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["apps.core.authentication.AccessTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["apps.core.permissions.RoleAllows"],
    "DEFAULT_THROTTLE_CLASSES": ["apps.core.change_quota.ChangeQuota"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["apps.core.parsers.BoundedJSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "apps.core.negotiation.PlainContentNegotiation",
    "DEFAULT_PAGINATION_CLASS": "apps.core.pagination.Pages",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "apps.core.errors.answer_error",
    "UNAUTHENTICATED_USER": None,
    "PAGE_SIZE": 50,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Academy",
    "VERSION": "1",
    "DEFAULT_GENERATOR_CLASS": "apps.core.openapi_generator.DocumentGenerator",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": [],
}

AWS_REGION = ENVIRONMENT.aws_region
SQS_ENDPOINT_URL = ENVIRONMENT.sqs_endpoint_url
SQS_QUEUE_PREFIX = ENVIRONMENT.sqs_queue_prefix
AI_WORKER_MAX_CONCURRENCY = ENVIRONMENT.ai_worker_max_concurrency
VIDEO_WORKER_MAX_CONCURRENCY = ENVIRONMENT.video_worker_max_concurrency
MESSAGING_WORKER_MAX_CONCURRENCY = ENVIRONMENT.messaging_worker_max_concurrency
WORKER_CONCURRENCY = ENVIRONMENT.worker_concurrency
WORKER_RESERVED_SLOTS = ENVIRONMENT.worker_reserved_slots
WORKER_POLL_SECONDS = ENVIRONMENT.worker_poll_seconds
WORKER_HEARTBEAT_SECONDS = ENVIRONMENT.worker_heartbeat_seconds
WORKER_LEASE_SECONDS = ENVIRONMENT.worker_lease_seconds
WORKER_VISIBILITY_SECONDS = ENVIRONMENT.worker_visibility_seconds
WORKER_RETRY_SECONDS = ENVIRONMENT.worker_retry_seconds
WORKER_DRAIN_SECONDS = ENVIRONMENT.worker_drain_seconds
WORKER_READY_FILE = ENVIRONMENT.worker_ready_file
WORKER_METRICS_PORT = ENVIRONMENT.worker_metrics_port
QUOTA_JOBS = ENVIRONMENT.quota_jobs
QUOTA_ENCODING_MINUTES = ENVIRONMENT.quota_encoding_minutes
QUOTA_STORAGE_BYTES = ENVIRONMENT.quota_storage_bytes
QUOTA_CHANGES_PER_USER = ENVIRONMENT.quota_changes_per_user
QUOTA_CHANGES_PER_TENANT = ENVIRONMENT.quota_changes_per_tenant

REALTIME_REDIS_URL = ENVIRONMENT.redis_url
REALTIME_KEY_PREFIX = ENVIRONMENT.realtime_key_prefix
REALTIME_ALLOWED_ORIGINS = ENVIRONMENT.realtime_allowed_origins
REALTIME_CORS_PATHS = ["/api/v1/jobs/"]
REALTIME_TERMINAL_TTL_SECONDS = ENVIRONMENT.realtime_terminal_ttl_seconds
REALTIME_RECENT_TERMINAL = ENVIRONMENT.realtime_recent_terminal
REALTIME_PING_SECONDS = ENVIRONMENT.realtime_ping_seconds
REALTIME_CONNECTION_SECONDS = ENVIRONMENT.realtime_connection_seconds
REALTIME_SLOW_SECONDS = ENVIRONMENT.realtime_slow_seconds
REALTIME_PROBE_SECONDS = ENVIRONMENT.realtime_probe_seconds
REALTIME_DRAIN_SECONDS = ENVIRONMENT.realtime_drain_seconds
REALTIME_MAX_CONNECTIONS = ENVIRONMENT.realtime_max_connections
REALTIME_MAX_CONNECTIONS_PER_TENANT = ENVIRONMENT.realtime_max_connections_per_tenant
REALTIME_MAX_CONNECTIONS_PER_USER = ENVIRONMENT.realtime_max_connections_per_user
REALTIME_METRICS_TOKEN = ENVIRONMENT.realtime_metrics_token.get_secret_value()
REALTIME_LEASE_SECONDS = ENVIRONMENT.worker_lease_seconds
REALTIME_TOPIC_RULES = "apps.core.topic_rules.allowed_topics"
REALTIME_AUTHENTICATOR = "apps.core.topic_rules.authenticate"
REALTIME_SOURCE = "academy.adapters.db.django.realtime_source.AcademySource"
REALTIME_LEGACY_KEYS = ENVIRONMENT.realtime_legacy_keys
REALTIME_FIGURES = "academy.figures.figures"
REALTIME_END_SESSIONS = "apps.core.revocations.end_sessions"
REALTIME_OUTBOX_SENDERS = {
    "queue": "academy.adapters.queue.sqs.send_outbox_message",
    "revocation": "apps.core.revocations.send_revocation",
}
REALTIME_DOCTOR_CHECKS = [
    "academy.adapters.doctor.check_queues",
    "academy.adapters.doctor.check_storage",
    "academy.adapters.doctor.check_parsers",
]

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_HSTS_SECONDS = ENVIRONMENT.secure_hsts_seconds
SECURE_HSTS_INCLUDE_SUBDOMAINS = ENVIRONMENT.secure_hsts_include_subdomains == "on"
SECURE_SSL_REDIRECT = ENVIRONMENT.secure_ssl_redirect == "on"
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
PAGE_CONNECT_ORIGINS = ENVIRONMENT.page_connect_origins
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
LOGGING = logging_settings(ENVIRONMENT.log_level, ENVIRONMENT.audit_log_file)
LOGGING_CONFIG = "config.logging.configure"
