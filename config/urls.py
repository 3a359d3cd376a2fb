"""All URLs of the product, except `/ws/events/`, `/api/v1/events/` and `/static/`, which `asgi.py` serves."""

from django.conf import settings
from django.urls import include, path

from apps.core.schema import schema_view
from apps.core.urls import people_urlpatterns
from apps.core.views.usage_view import UsageView
from apps.domains.lectures.urls import (
    enrolment_urlpatterns,
    lecture_urlpatterns,
    lesson_urlpatterns,
    my_urlpatterns,
)
from apps.page.problem_pages import answer_bad_request, answer_forbidden, answer_not_found, answer_server_error

urlpatterns = [
    path("", include("realtime.urls")),
    path("", include("apps.page.urls")),
    path("api/v1/auth/", include("apps.core.urls")),
    path("api/v1/people/", include((people_urlpatterns, "people"))),
    path("api/v1/students/", include("apps.domains.students.urls")),
    path("api/v1/lectures/", include((lecture_urlpatterns, "lectures"))),
    path("api/v1/lessons/", include((lesson_urlpatterns, "lessons"))),
    path("api/v1/my/", include((my_urlpatterns, "my"))),
    path("api/v1/enrolments/", include((enrolment_urlpatterns, "enrolments"))),
    path("api/v1/jobs/", include("apps.domains.ai.urls")),
    path("api/v1/messages/", include("apps.domains.messaging.urls")),
    path("api/v1/usage/", UsageView.as_view()),
    path("media/", include("apps.support.video.urls")),
    path("api/v1/schema/", schema_view),
]
if settings.ADMIN_SITE:
    from apps.core.operators.site import site

    urlpatterns += [path("admin/operations/", include("apps.operations.urls")), path("admin/", site.urls)]
handler400 = answer_bad_request
handler403 = answer_forbidden
handler404 = answer_not_found
handler500 = answer_server_error
