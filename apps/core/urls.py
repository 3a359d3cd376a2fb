from django.urls import path

from apps.core.views import auth_views, session_views

urlpatterns = [
    path("token/", auth_views.TokenView.as_view()),
    path("refresh/", auth_views.RefreshView.as_view()),
    path("token/refresh/", auth_views.RefreshView.as_view()),  # the usual path in other JWT back ends
    path("logout/", auth_views.LogoutView.as_view()),
    path("sessions/", session_views.SessionListView.as_view()),
    path("sessions/<uuid:session_id>/", session_views.SessionView.as_view()),
    path("password/", auth_views.PasswordView.as_view()),
]
