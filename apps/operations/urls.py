"""The operators' page, below `/admin/` so that it has the session of the admin."""

from django.urls import path

from apps.operations import views

urlpatterns = [
    path("", views.page, name="operations"),
    path("ticket/", views.ticket),
    path("dead-letters/", views.list_letters),
    path("dead-letters/send-back/", views.send_back),
    path("dead-letters/delete/", views.delete),
]
