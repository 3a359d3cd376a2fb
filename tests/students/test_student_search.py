"""Tests of the search of students: what it finds, and what it costs in a large academy."""

import json
import time
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from academy.adapters.db.django import repositories_students as students
from tests.students.people import Academy, phone
from tests.students.test_repositories_students import nodes

LARGE, SMALL = 12_000, 300


def names(academy: Academy, search: str) -> list[str]:
    return [student.name for student in students.students_of(academy.id, search=search)]


def test_a_student_is_found_by_initial_consonants(academy: Academy) -> None:
    academy.student("김민수", phone(1), school="한빛중")
    academy.student("강미선", phone(2), school="새봄중")
    academy.student("이서연", phone(3))
    academy.student("Anna Kim", phone(4))
    academy.student("김민솔", phone(5), deleted_at=timezone.now())
    Academy().student("김민수", phone(1))
    assert names(academy, "ㄱㅁㅅ") == ["강미선", "김민수"]
    assert names(academy, "김ㅁㅅ") == names(academy, "ㄱㅁㅅ ㅎㅂㅈ") == names(academy, "민수 한빛") == ["김민수"]
    assert names(academy, "ㅇㅅㅇ") == ["이서연"]
    assert names(academy, "anna") == names(academy, "KIM") == ["Anna Kim"]
    assert names(academy, "ㅎㅎㅎ") == names(academy, ".*") == names(academy, "ㄱ.ㅅ") == []


def test_removed_students_are_searched_in_the_same_way(academy: Academy) -> None:
    academy.student("김민수", phone(1))
    academy.student("강민서", phone(2), deleted_at=timezone.now())
    found = students.removed_students_of(academy.id, search="ㄱㅁㅅ")
    assert [student.name for student in found] == ["강민서"]


def fill(large: Academy, small: Academy) -> None:
    """Create 12,000 students with names of three syllables in an academy, and 300 in another one."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            CREATE TEMPORARY TABLE filling AS
            SELECT n, (%s::bigint[])[1 + (n > %s)::int] AS tenant_id, '010' || lpad(n::text, 8, '0') AS phone,
                   chr((44032 + n * 7919 %% 11172)::int) || chr((44032 + n * 104729 %% 11172)::int)
                   || chr((44032 + n * 3 %% 11172)::int)
                   AS name
            FROM generate_series(1::bigint, %s) AS n;
            INSERT INTO "user" (tenant_id, username, name, password, is_active, is_superuser,
                                must_change_password, created_at)
            SELECT tenant_id, 's' || n, name, '!', true, false, true, now() FROM filling;
            INSERT INTO parents (tenant_id, name, phone, created_at) SELECT tenant_id, '', phone, now() FROM filling;
            ANALYZE "user", parents, filling;
            INSERT INTO students (tenant_id, user_id, parent_id, name, phone, parent_phone, school, grade,
                                  created_at, updated_at)
            SELECT filling.tenant_id, "user".id, parents.id, filling.name, '', filling.phone, '', '', now(), now()
            FROM filling JOIN "user" ON username = 's' || n AND "user".tenant_id = filling.tenant_id
            JOIN parents ON parents.phone = filling.phone AND parents.tenant_id = filling.tenant_id;
            DROP TABLE filling;
            ANALYZE students;
            """,
            [[large.id, small.id], LARGE, LARGE + SMALL],
        )


@pytest.fixture
def academies(academy: Academy) -> tuple[Academy, Academy]:
    """Return a large academy and a small one."""
    small = Academy()
    fill(academy, small)
    return academy, small


def seconds(academy: Academy, *searches: str) -> list[float]:
    """Search 15 times for each of these texts, and return the shortest time for each, in seconds.

    Each search counts all students that it finds, and reads the first 50. The shortest time is that of a machine which
    did nothing else meanwhile. The texts take turns, because the machine may be busy for some seconds.
    """
    taken: dict[str, list[float]] = {search: [] for search in searches}
    for _ in range(15):
        for search in searches:
            started = time.perf_counter()
            found = students.students_of(academy.id, search=search)
            found.count()
            list(found[:50])
            taken[search].append(time.perf_counter() - started)
    return [min(taken[search]) for search in searches]


def test_consonants_cost_a_large_academy_no_more_queries_and_not_much_more_time_than_a_word(
    academies: tuple[Academy, Academy],
) -> None:
    large, _ = academies
    with CaptureQueriesContext(connection) as queries:
        found = students.students_of(large.id, search="ㄱㅁㅅ")
        assert 0 < found.count() < LARGE / 100
        assert len(found[:50]) <= 50
    assert len(queries) == 2
    consonants, word = seconds(large, "ㄱㅁㅅ", "kms")
    assert consonants < 5 * word


def test_a_search_reads_only_the_students_of_its_academy(academies: tuple[Academy, Academy]) -> None:
    _, small = academies
    sql, parameters = students.students_of(small.id, search="ㄱㅁㅅ").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", parameters)
        answer = cursor.fetchone()[0]
    plan: dict[str, Any] = (json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]
    (scan,) = [node for node in nodes(plan) if node.get("Relation Name") == "students"]
    read = scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0)
    assert read <= SMALL, plan
