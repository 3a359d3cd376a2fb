from django.urls import path

from apps.domains.lectures.views import enrolment_views, lecture_views, lesson_views

lecture_urlpatterns = [
    path("", lecture_views.LectureListView.as_view()),
    path("<int:lecture_id>/", lecture_views.LectureDetailView.as_view()),
    path("<int:lecture_id>/lessons/", lesson_views.LessonListView.as_view()),
    path("<int:lecture_id>/students/", enrolment_views.LectureStudentsView.as_view()),
]
lesson_urlpatterns = [path("<int:lesson_id>/", lesson_views.LessonDetailView.as_view())]
enrolment_urlpatterns = [
    path("", enrolment_views.EnrolmentListView.as_view()),
    path("<int:enrolment_id>/", enrolment_views.EnrolmentDetailView.as_view()),
]
my_urlpatterns = [path("lectures/", lecture_views.MyLectureListView.as_view())]
