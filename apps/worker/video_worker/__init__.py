"""The worker of videos: `python -m apps.worker.video_worker`."""
