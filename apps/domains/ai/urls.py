from django.urls import path

from apps.domains.ai.views import job_file_view, job_progress_view, job_status_view

urlpatterns = [
    path("", job_status_view.JobListView.as_view()),
    path("<uuid:job_id>/", job_status_view.JobDetailView.as_view()),
    path("<uuid:job_id>/progress/", job_progress_view.JobProgressView.as_view()),
    path("<uuid:job_id>/file/", job_file_view.JobFileView.as_view()),
    path("<uuid:job_id>/result/", job_status_view.JobResultView.as_view()),
    path("<uuid:job_id>/cancel/", job_status_view.JobCancelView.as_view()),
    path("<uuid:job_id>/retry/", job_status_view.JobRetryView.as_view()),
]
