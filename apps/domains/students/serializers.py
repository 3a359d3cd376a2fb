"""The representations of students in the API, and the forms of the requests."""

from typing import Any

from rest_framework import serializers

from academy.adapters.excel.phones import normalise_korean_mobile
from academy.domain.student_rows import REASONS, Column, StudentRow, problem_of, read_row
from apps.core.query_params import MAX_SEARCH_LETTERS, MAX_SEARCH_WORDS
from apps.domains.students.models import Student


class StudentSerializer(serializers.ModelSerializer[Student]):
    username = serializers.CharField(source="user.username", read_only=True)

    class Meta:
        model = Student
        fields = ("id", "username", "name", "parent_phone", "phone", "school", "grade", "created_at")


class RemovedStudentSerializer(StudentSerializer):
    removed_at = serializers.DateTimeField(source="deleted_at", read_only=True)
    removed_by = serializers.CharField(
        read_only=True, allow_null=True, help_text="The user's name. Null if it is not known."
    )

    class Meta:
        model = Student
        fields = (*StudentSerializer.Meta.fields, "removed_at", "removed_by")


class StudentHistorySerializer(serializers.Serializer[Any]):
    """One entry of the history of a student. An entry that an import made names the job and the workbook."""

    when = serializers.DateTimeField()
    what = serializers.CharField(source="deed", help_text="added, changed, removed, restored, or found by an import")
    by = serializers.CharField(source="who", allow_null=True, help_text="The user's name. Null if it is not known.")
    fields_changed = serializers.SerializerMethodField()
    job_id = serializers.UUIDField(source="import_job", allow_null=True)
    file_name = serializers.CharField(source="file", allow_null=True)

    def get_fields_changed(self, entry: dict[str, Any]) -> list[str]:
        return entry["changed"].split(",") if entry["changed"] else []


class StudentForm(serializers.Serializer[Any]):
    """The fields of one student, checked by the rules of the import."""

    name = serializers.CharField(max_length=100)
    parent_phone = serializers.CharField(max_length=40)
    phone = serializers.CharField(max_length=40, required=False, allow_blank=True)
    school = serializers.CharField(max_length=50, required=False, allow_blank=True)
    grade = serializers.CharField(max_length=20, required=False, allow_blank=True)
    lecture = serializers.IntegerField(required=False, write_only=True)

    def validate_name(self, text: str) -> str:
        return _checked(Column.NAME, text)

    def validate_parent_phone(self, text: str) -> str:
        return _checked(Column.PARENT_PHONE, text)

    def validate_phone(self, text: str) -> str:
        return _checked(Column.PHONE, text)

    def row(self, before: Student | None = None) -> StudentRow:
        """Return the fields as a normalised row.

        `before` supplies the fields that the request does not contain. Raises ValidationError if `before` has
        an invalid value in one of them. Only code that does not check the rules of the import can have stored it.
        """
        cells = {column: str(getattr(before, column.value, "")) for column in Column} if before else {}
        cells |= {column: self.validated_data[column.value] for column in Column if column.value in self.validated_data}
        row = read_row(1, cells, normalise_korean_mobile)
        if isinstance(row, StudentRow):
            return row
        raise serializers.ValidationError(
            {
                column.value: [REASONS[problem]]
                for column in Column
                if (problem := problem_of(column, cells.get(column, ""), normalise_korean_mobile))
            }
        )

    def changes(self, before: Student) -> dict[str, str]:
        """Return the normalised values of the fields that the request contains.

        Raises ValidationError if these fields, together with the other fields of `before`, are not a valid row.
        """
        row = self.row(before)
        return {column.value: getattr(row, column) for column in Column if column.value in self.validated_data}


def _checked(column: Column, text: str) -> str:
    """Return the text of a field. Raises ValidationError if a row with it would be invalid."""
    if problem := problem_of(column, text, normalise_korean_mobile):
        raise serializers.ValidationError(REASONS[problem])
    return text


class ImportForm(serializers.Serializer[Any]):
    """The `multipart/form-data` of an import."""

    file = serializers.FileField(allow_empty_file=True)
    lecture = serializers.IntegerField(required=False, min_value=1)
    initial_password = serializers.CharField(required=False, max_length=200, trim_whitespace=False)


class ExportForm(serializers.Serializer[Any]):
    """The filters that select the students to export. The list of students has the same filters."""

    lecture = serializers.IntegerField(required=False, allow_null=True, min_value=1)
    search = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=MAX_SEARCH_LETTERS)

    def validate_search(self, search: str | None) -> str | None:
        if len((search or "").split()) > MAX_SEARCH_WORDS:
            raise serializers.ValidationError(f"Search for at most {MAX_SEARCH_WORDS} words.")
        return search
