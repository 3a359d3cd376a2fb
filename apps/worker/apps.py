from django.apps import AppConfig


class WorkerConfig(AppConfig):
    name = "apps.worker"
    label = "worker"

    def ready(self) -> None:
        from apps.worker import metrics  # noqa: PLC0415 - needs the models

        metrics.register()
