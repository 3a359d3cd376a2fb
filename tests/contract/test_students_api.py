"""Tests of students, lectures and enrolments over HTTP, and of the wall between academies."""

from harness.system import System

KIM = {"name": "김 유일", "parent_phone": "010-9999-0001", "grade": "3"}


async def test_a_student_is_created_found_again_changed_deleted_and_restored(system: System) -> None:
    lee = {"name": "이 유일", "parent_phone": "010-7410-8520", "grade": "3"}  # no other test has this number
    async with system.client() as client:
        created = await client.post("/api/v1/students/", json=lee)
        again = await client.post("/api/v1/students/", json=lee)
        student_id = created.json()["id"]
        changed = await client.patch(
            f"/api/v1/students/{student_id}/", json={"school": "한빛고", "phone": "1011112222"}
        )
        found = await client.get("/api/v1/students/", params={"search": "7410-8520"})
        deleted = await client.delete(f"/api/v1/students/{student_id}/")
        gone = await client.get(f"/api/v1/students/{student_id}/")
        back = await client.post("/api/v1/students/", json=lee)
    assert (created.status_code, created.json()["outcome"], created.json()["parent_phone"]) == (
        201,
        "created",
        "01074108520",
    )
    assert (again.status_code, again.json()["outcome"], again.json()["id"]) == (200, "existing", student_id)
    assert (changed.json()["school"], changed.json()["phone"], changed.json()["name"]) == (
        "한빛고",
        "01011112222",
        "이 유일",
    )
    assert [row["id"] for row in found.json()["results"]] == [student_id]
    assert (deleted.status_code, gone.status_code) == (204, 404)
    assert (back.status_code, back.json()["outcome"], back.json()["id"]) == (200, "restored", student_id)


async def test_an_invalid_student_is_refused_with_one_sentence(system: System) -> None:
    async with system.client() as client:
        for body, words in [
            ({}, "required"),
            (KIM | {"parent_phone": "02-123-4567"}, "not a Korean mobile number"),
            (KIM | {"name": "가" * 51}, "longer than 50"),
            (KIM | {"name": "\u200b"}, "name"),
            (KIM | {"lecture": 999_999_999}, "no such lecture"),
            ([], "dictionary"),
        ]:
            answer = await client.post("/api/v1/students/", json=body)
            assert answer.status_code == 400, body
            assert answer.json()["code"] == "invalid"
            assert words in answer.json()["message"], answer.text
        garbled = await client.post("/api/v1/students/", content=b"{", headers={"Content-Type": "application/json"})
    assert (garbled.status_code, garbled.json()["code"]) == (400, "parse_error")


async def test_all_wrong_fields_are_named_at_once(system: System) -> None:
    wrong = {"name": " ", "parent_phone": "02-123", "phone": "12", "school": "가" * 51, "lecture": "x"}
    async with system.client() as client:
        answer = await client.post("/api/v1/students/", json=wrong)
        assert (answer.status_code, answer.json()["fields"].keys()) == (400, wrong.keys())
        some = await client.post("/api/v1/enrolments/", json={"lecture": 999_999_999, "student": 999_999_999})
    assert (some.status_code, some.json()["fields"].keys()) == (400, {"lecture", "student"})


async def test_lists_have_pages(system: System) -> None:
    await system.until_idle()
    async with system.client() as client:
        first = (await client.get("/api/v1/students/", params={"page_size": 7})).json()
        second = (await client.get(first["next"])).json()
        beyond = await client.get("/api/v1/students/", params={"page": 10_000})
    assert first["count"] >= 300
    assert (len(first["results"]), len(second["results"])) == (7, 7)
    assert not {row["id"] for row in first["results"]} & {row["id"] for row in second["results"]}
    assert (beyond.status_code, beyond.json()["code"]) == (404, "not_found")


async def test_a_lecture_is_created_changed_and_gets_students(system: System) -> None:
    async with system.client() as client:
        lecture = (await client.post("/api/v1/lectures/", json={"title": "겨울 특강"})).json()
        await client.patch(f"/api/v1/lectures/{lecture['id']}/", json={"description": "수학"})
        student = (
            await client.post("/api/v1/students/", json=KIM | {"name": "이 수강", "lecture": lecture["id"]})
        ).json()
        other = (await client.post("/api/v1/students/", json=KIM | {"name": "박 수강"})).json()
        enrolled = await client.post("/api/v1/enrolments/", json={"lecture": lecture["id"], "student": other["id"]})
        twice = await client.post("/api/v1/enrolments/", json={"lecture": lecture["id"], "student": other["id"]})
        attending = (await client.get("/api/v1/enrolments/", params={"lecture": lecture["id"]})).json()
        by_lecture = (await client.get("/api/v1/students/", params={"lecture": lecture["id"]})).json()
        removed = await client.delete(f"/api/v1/enrolments/{enrolled.json()['id']}/")
        shown = (await client.get(f"/api/v1/lectures/{lecture['id']}/")).json()
    assert enrolled.json()["id"] == twice.json()["id"]
    assert {row["student"] for row in attending["results"]} == {student["id"], other["id"]}
    assert {row["id"] for row in by_lecture["results"]} == {student["id"], other["id"]}
    assert removed.status_code == 204
    assert (shown["description"], shown["student_count"]) == ("수학", 1)


async def test_ids_of_another_academy_are_answered_like_ids_that_do_not_exist(system: System) -> None:
    async with system.client("hanbit") as mine, system.client("saebom") as other:
        student = (await other.post("/api/v1/students/", json=KIM)).json()
        lecture = (await other.post("/api/v1/lectures/", json={"title": "남의 강의"})).json()
        enrolment = (
            await other.post("/api/v1/enrolments/", json={"lecture": lecture["id"], "student": student["id"]})
        ).json()
        own = (await mine.post("/api/v1/students/", json=KIM | {"name": "최 유일"})).json()
        doors = [
            await mine.get(f"/api/v1/students/{student['id']}/"),
            await mine.patch(f"/api/v1/students/{student['id']}/", json={"school": "x"}),
            await mine.delete(f"/api/v1/students/{student['id']}/"),
            await mine.get(f"/api/v1/lectures/{lecture['id']}/"),
            await mine.patch(f"/api/v1/lectures/{lecture['id']}/", json={"title": "x"}),
            await mine.delete(f"/api/v1/enrolments/{enrolment['id']}/"),
        ]
        crossed = [
            await mine.post("/api/v1/enrolments/", json={"lecture": lecture["id"], "student": own["id"]}),
            await mine.post("/api/v1/students/", json=KIM | {"lecture": lecture["id"]}),
            await mine.post(
                "/api/v1/students/import/", files={"file": ("a.csv", b"x")}, data={"lecture": str(lecture["id"])}
            ),
        ]
        listed = (await mine.get("/api/v1/enrolments/", params={"student": student["id"]})).json()
    assert [answer.status_code for answer in doors] == [404] * 6
    assert [answer.status_code for answer in crossed] == [400] * 3
    assert listed["count"] == 0


async def test_an_unknown_path_is_answered_with_a_sentence(system: System) -> None:
    async with system.client() as client:
        nowhere = await client.get("/api/v1/nothing/")
        method = await client.put("/api/v1/lectures/", json={})
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "not_found")
    assert (method.status_code, method.json()["code"]) == (405, "method_not_allowed")
