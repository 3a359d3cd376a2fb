from django.urls import path

from realtime.operate.health_checks import healthz, readyz
from realtime.operate.metrics_view import metrics_view
from realtime.web.snapshot_view import snapshot_view
from realtime.web.ticket_view import ticket_view

urlpatterns = [
    path("api/v1/realtime/ticket/", ticket_view),
    path("api/v1/realtime/snapshot/", snapshot_view),
    path("metrics", metrics_view),
    path("healthz", healthz),
    path("readyz", readyz),
]
