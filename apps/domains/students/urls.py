from django.urls import path

from apps.domains.students.views import export_views, import_views, removed_views, student_views

urlpatterns = [
    path("", student_views.StudentListView.as_view()),
    path("export/", export_views.StudentExportView.as_view()),
    path("import/", import_views.StudentImportView.as_view()),
    path("import/sample/", import_views.SampleWorkbookView.as_view()),
    path("import/template/", import_views.TemplateWorkbookView.as_view()),
    path("removed/", removed_views.RemovedStudentListView.as_view()),
    path("removed/<int:student_id>/", removed_views.RemovedStudentView.as_view()),
    path("<int:student_id>/", student_views.StudentDetailView.as_view()),
    path("<int:student_id>/history/", removed_views.StudentHistoryView.as_view()),
    path("<int:student_id>/restore/", removed_views.StudentRestoreView.as_view()),
]
