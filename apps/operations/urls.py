"""The addresses of the operators' page. They begin with `/admin/`, because the admin's cookies are sent only there."""

from django.urls import path

from apps.operations import views

urlpatterns = [
    path("", views.page, name="operations"),
    path("ticket/", views.ticket),
    path("dead-letters/", views.list_letters),
    path("dead-letters/send-back/", views.send_back),
    path("dead-letters/delete/", views.delete),
]
