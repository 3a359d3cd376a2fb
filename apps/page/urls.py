"""The addresses of the page. `static/page/frame/addresses.js` must have the same ones."""

from django.urls import path

from apps.page import views

urlpatterns = [
    path("", views.index, name="page"),
    path("jobs/<str:job>", views.index),
    path("lectures", views.index),
    path("lectures/<int:lecture>", views.index),
    path("messages", views.index),
    path("messages/<str:message>", views.index),
    path("my", views.index),
    path("operations", views.index),
    path("people", views.index),
    path("people/<int:user>", views.index),
    path("videos", views.index),
    path("videos/<int:video>", views.index),
    path("students", views.index),
    path("students/<int:student>", views.index),
    path("students/import", views.index),
    path("students/removed", views.index),
]
