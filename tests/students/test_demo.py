from apps.domains.lectures.models import Enrollment
from apps.domains.students.demo import load_students
from apps.domains.students.models import Student
from tests.students.people import Academy


def test_demo_students_attend_lectures_and_loading_again_changes_nothing(academy: Academy) -> None:
    lectures = [academy.lecture() for _ in range(4)]
    load_students(academy.tenant, lectures)
    students, enrolments = academy.students(), Enrollment.objects.filter(tenant=academy.tenant)
    assert len(students) == 300
    assert 300 < enrolments.count() < 600
    assert set(enrolments.values_list("lecture", flat=True)) == {lecture.pk for lecture in lectures}
    Student.objects.get(tenant=academy.tenant, name=students[0][0], parent_phone=students[0][1])
    before = enrolments.count()
    load_students(academy.tenant, lectures)
    assert academy.students() == students
    assert enrolments.count() == before


def test_an_academy_without_lectures_has_students_too(academy: Academy) -> None:
    load_students(academy.tenant, [])
    assert len(academy.students()) == 300


def test_two_academies_have_different_students(academy: Academy) -> None:
    other = Academy()
    for each in (academy, other):
        load_students(each.tenant, [])
    assert academy.students() != other.students()
