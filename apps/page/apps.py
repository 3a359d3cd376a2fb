from django.apps import AppConfig


class PageConfig(AppConfig):
    name = "apps.page"
    label = "page"
