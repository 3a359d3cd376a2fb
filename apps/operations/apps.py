from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "apps.operations"

    def ready(self) -> None:
        from apps.operations import watching  # noqa: F401, PLC0415 - it connects a signal, and needs the models
