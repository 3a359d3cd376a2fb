from django.urls import path

from apps.support.video.views import playback_views, progress_views, video_views

urlpatterns = [
    path("videos/", video_views.VideoListView.as_view()),
    path("videos/<int:video_id>/", video_views.VideoDetailView.as_view()),
    path("videos/<int:video_id>/progress/", progress_views.VideoProgressView.as_view()),
    path("videos/<int:video_id>/uploaded/", video_views.VideoUploadedView.as_view()),
    path("videos/<int:video_id>/cancel/", video_views.VideoCancelView.as_view()),
    path("videos/<int:video_id>/retry/", video_views.VideoRetryView.as_view()),
    path("hls/<str:signed>/<path:name>", playback_views.playback),
]
