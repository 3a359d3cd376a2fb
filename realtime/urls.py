from django.urls import path

from realtime import views

urlpatterns = [
    path("api/v1/realtime/ticket/", views.ticket_view),
    path("api/v1/realtime/snapshot/", views.snapshot_view),
    path("metrics", views.metrics_view),
    path("healthz", views.healthz),
    path("readyz", views.readyz),
]
