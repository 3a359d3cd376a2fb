"""The worker of AI jobs: `python -m apps.worker.ai_worker`."""
