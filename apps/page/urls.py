from django.urls import re_path

from apps.page import views

# The addresses of the page's views. Its router (`static/page/frame/addresses.js`) has the same ones.
ADDRESSES = r"^(?:(?:jobs/[A-Za-z0-9_:-]+|videos(?:/[0-9]+)?|students/import)/?)?$"

urlpatterns = [re_path(ADDRESSES, views.index, name="page")]
