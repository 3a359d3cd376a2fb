from django.urls import path

from apps.domains.lectures.views import enrolment_views, lecture_views

lecture_urlpatterns = [
    path("", lecture_views.LectureListView.as_view()),
    path("<int:lecture_id>/", lecture_views.LectureDetailView.as_view()),
]
enrolment_urlpatterns = [
    path("", enrolment_views.EnrolmentListView.as_view()),
    path("<int:enrolment_id>/", enrolment_views.EnrolmentDetailView.as_view()),
]
