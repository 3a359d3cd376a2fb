"""Queries on the history of a student: who added, changed, removed, restored or imported the student, and when."""

from collections.abc import Sequence
from typing import Any, Literal

from django.db.models import (
    Case,
    CharField,
    DateTimeField,
    Exists,
    F,
    Field,
    OuterRef,
    QuerySet,
    Subquery,
    UUIDField,
    Value,
    When,
)
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce, NullIf

from academy.adapters.db.django.tenancy import rows_of
from apps.domains.ai.models import ImportedRow
from apps.domains.students.models import Student, StudentChange

Change = Literal["added", "changed", "removed", "restored"]


def note_change(
    tenant_id: int, student_id: int, what: Change, *, by: int | None = None, fields: Sequence[str] = ()
) -> None:
    """Record a change in the transaction that makes it. `by` is the id of the user, `fields` names what has changed."""
    StudentChange.objects.create(
        tenant_id=tenant_id, student_id=student_id, what=what, by_id=by, fields=",".join(fields)
    )


def history_of(tenant_id: int, student_id: int) -> QuerySet[Any, dict[str, Any]]:
    """Return what has happened to a student, newest first.

    Each entry is a dict with `when`, `deed` (added, changed, removed, restored, or found by an import), `who`,
    `changed` (the changed fields, separated by commas), and, for an import, `import_job` and `file`. If several lines
    of one workbook name the student and have the same outcome, they are one entry.
    """
    by_hand = rows_of(tenant_id, StudentChange).filter(student_id=student_id)
    imports = ImportedRow.objects.filter(job__tenant_id=tenant_id, student_id=student_id)
    # The adding of some students was not recorded: they are older than the history, or come from the demo data. For
    # these, only `created_at` is known.
    unrecorded = rows_of(tenant_id, Student).exclude(
        Exists(by_hand.filter(what="added")) | Exists(imports.filter(outcome="created"))
    )
    entries = (
        _entries(by_hand, when=F("at"), deed=F("what"), who=_name_of("by"), changed=F("fields")),
        _entries(
            imports,
            when=_time_of_import(),
            deed=Case(
                When(outcome="created", then=Value("added")),
                When(outcome="restored", then=Value("restored")),
                default=Value("found"),
            ),
            who=_name_of("job__created_by"),
            import_job=F("job__job_id"),
            file=KeyTextTransform("file_name", "job__payload"),
        ),
        _entries(unrecorded.filter(pk=student_id), when=F("created_at"), deed=Value("added")),
    )
    first, *others = entries
    return first.union(*others).order_by("-when", "-deed")


def _entries(rows: QuerySet[Any], **columns: Any) -> QuerySet[Any, dict[str, Any]]:
    """Select the columns of a history from rows of one model. UNION needs the same columns and types for all models."""
    text: Field[Any, Any] = CharField()
    kinds = {
        "when": DateTimeField(),
        "deed": text,
        "who": text,
        "changed": text,
        "import_job": UUIDField(),
        "file": text,
    }
    return rows.values(**{name: Cast(columns.get(name, Value(None)), kind) for name, kind in kinds.items()})


def _name_of(account: str) -> Coalesce:
    return Coalesce(NullIf(f"{account}__name", Value("")), f"{account}__username")


def _time_of_import() -> Case:
    """Return the time at which an import created the student.

    If the import found or restored the student, return the time at which the job of the import ended.
    """
    end = Coalesce("job__finished_at", "job__updated_at")
    return Case(When(outcome="created", then=F("student__created_at")), default=end)


def with_remover(removed: QuerySet[Student]) -> QuerySet[Student]:
    """Add `removed_by` to removed students: the name of the user who removed each of them, or None if not known."""
    removals = StudentChange.objects.filter(tenant_id=OuterRef("tenant_id"), student_id=OuterRef("pk"), what="removed")
    return removed.annotate(removed_by=Subquery(removals.order_by("-at").values(name=_name_of("by"))[:1]))
