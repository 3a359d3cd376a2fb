from django.urls import path

from apps.core.views import auth_views, people_views, session_views

urlpatterns = [
    path("token/", auth_views.TokenView.as_view()),
    path("refresh/", auth_views.RefreshView.as_view()),
    path("token/refresh/", auth_views.RefreshView.as_view()),  # the usual path in other JWT back ends
    path("logout/", auth_views.LogoutView.as_view()),
    path("sessions/", session_views.SessionListView.as_view()),
    path("sessions/<uuid:session_id>/", session_views.SessionView.as_view()),
    path("password/", auth_views.PasswordView.as_view()),
]
people_urlpatterns = [
    path("", people_views.PersonListView.as_view()),
    path("<int:user_id>/", people_views.PersonView.as_view()),
    path("<int:user_id>/close/", people_views.PersonCloseView.as_view()),
    path("<int:user_id>/code/", people_views.PersonCodeView.as_view()),
    path("<int:user_id>/reopen/", people_views.PersonReopenView.as_view()),
]
