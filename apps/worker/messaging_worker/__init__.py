"""The worker of bulk messages: `python -m apps.worker.messaging_worker`."""
