from django.urls import path

from apps.domains.messaging.views import message_views

urlpatterns = [
    path("", message_views.MessageListView.as_view()),
    path("preview/", message_views.MessagePreviewView.as_view()),
    path("<uuid:job_id>/", message_views.MessageDetailView.as_view()),
    path("<uuid:job_id>/retry-failed/", message_views.MessageRetryView.as_view()),
]
