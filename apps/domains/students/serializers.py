"""The representations of students in the API, and the forms for new ones."""

from typing import Any

from rest_framework import serializers

from academy.adapters.excel.phones import normalise_korean_mobile
from academy.domain.student_rows import Column, RowProblem, StudentRow, read_row
from apps.core.query_params import MAX_SEARCH_LETTERS
from apps.domains.students.models import Student


class StudentSerializer(serializers.ModelSerializer[Student]):
    username = serializers.CharField(source="user.username", read_only=True)

    class Meta:
        model = Student
        fields = ("id", "username", "name", "parent_phone", "phone", "school", "grade", "created_at")


class StudentForm(serializers.Serializer[Any]):
    """The fields of one student, checked by the rules of the import."""

    name = serializers.CharField(max_length=100)
    parent_phone = serializers.CharField(max_length=40)
    phone = serializers.CharField(max_length=40, required=False, allow_blank=True)
    school = serializers.CharField(max_length=50, required=False, allow_blank=True)
    grade = serializers.CharField(max_length=20, required=False, allow_blank=True)
    lecture = serializers.IntegerField(required=False, write_only=True)

    def row(self, before: Student | None = None) -> StudentRow:
        """Return the fields as a normalised row.

        `before` supplies the fields that the request does not contain. Raises ValidationError for an invalid row.
        """
        cells = {column: str(getattr(before, column.value, "")) for column in Column} if before else {}
        cells |= {column: self.validated_data[column.value] for column in Column if column.value in self.validated_data}
        row = read_row(1, cells, normalise_korean_mobile)
        if isinstance(row, StudentRow):
            return row
        reason = row.reason if isinstance(row, RowProblem) else "The student's name is missing."
        raise serializers.ValidationError(reason)


class ImportForm(serializers.Serializer[Any]):
    """The `multipart/form-data` of an import."""

    file = serializers.FileField(allow_empty_file=True)
    lecture = serializers.IntegerField(required=False, min_value=1)
    initial_password = serializers.CharField(required=False, max_length=200, trim_whitespace=False)


class ExportForm(serializers.Serializer[Any]):
    """The filters that select the students to export. The list of students has the same filters."""

    lecture = serializers.IntegerField(required=False, allow_null=True, min_value=1)
    search = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=MAX_SEARCH_LETTERS)
