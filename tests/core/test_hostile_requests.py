"""Tests that hostile requests are answered with 4xx and `{"code", "message"}`, never with a 500 or a web page."""

import json
from typing import Any

import pytest
from django.http import HttpResponseBase
from django.test import Client

from tests.core.conftest import Asks

LISTS = ("students", "lectures", "enrolments")
JSON_DOORS = (
    "lectures/",
    "students/",
    "enrolments/",
    "people/",
    "auth/token/",
    "auth/refresh/",
    "auth/password/",
    "realtime/ticket/",
)
IMPORT = "/api/v1/students/import/"


@pytest.fixture
def client(asks: Asks) -> Client:
    return asks()


def refused(answer: Any, *statuses: int) -> dict[str, Any]:
    assert answer.status_code in (statuses or (400,)), (answer.status_code, answer.content[:200])
    body: dict[str, Any] = json.loads(answer.content)
    assert body.keys() - {"fields"} == {"code", "message"}
    assert "Traceback" not in body["message"]
    return body


def send(client: Client, path: str, body: str | bytes, content_type: str = "application/json") -> HttpResponseBase:
    return client.post(path, data=body, content_type=content_type)


@pytest.mark.parametrize("number", ["9" * 19, "9" * 5000, "-1", "", "1.0", "٣", "1\0"])
@pytest.mark.parametrize("query", ["students/?lecture=", "enrolments/?lecture=", "enrolments/?student="])
def test_an_invalid_number_in_a_path_is_refused(client: Client, query: str, number: str) -> None:
    path, name = query.rstrip("=").split("?")
    assert refused(client.get(f"/api/v1/{path}", {name: number}))["fields"].keys() == {name}


@pytest.mark.parametrize("rows", ["0", "10001", "9" * 5000, "x"])
def test_a_sample_of_an_impossible_size_is_refused(client: Client, rows: str) -> None:
    refused(client.get(f"{IMPORT}sample/", {"rows": rows}))


@pytest.mark.parametrize("number", ["9" * 19, "9" * 30, "9" * 5000])
@pytest.mark.parametrize("door", LISTS)
def test_an_id_too_large_for_the_database_does_not_exist(client: Client, door: str, number: str) -> None:
    methods = {
        "students": ("GET", "PATCH", "DELETE"),
        "lectures": ("GET", "PATCH", "DELETE"),
        "enrolments": ("DELETE",),
    }[door]
    for method in methods:
        answer = client.generic(method, f"/api/v1/{door}/{number}/", b"{}", content_type="application/json")
        refused(answer, 404)


@pytest.mark.parametrize("search", ["\0", "김\0", "a " * 5000, "x" * 101, "ㄱ " * 21])
@pytest.mark.parametrize("door", LISTS)
def test_a_search_that_the_database_cannot_do_is_refused(client: Client, door: str, search: str) -> None:
    assert "search" in refused(client.get(f"/api/v1/{door}/", {"search": search}))["fields"]


@pytest.mark.parametrize("search", ["\0", "x" * 101, "ㄱ " * 21])
def test_an_export_of_such_a_search_is_refused(client: Client, search: str) -> None:
    answer = client.post("/api/v1/students/export/", {"search": search}, content_type="application/json")
    assert "search" in refused(answer)["fields"]


@pytest.mark.parametrize("path", ["messages/", "messages/preview/", "lectures/1/students/"])
def test_a_list_that_is_too_long_is_refused_without_a_message_for_each_item(client: Client, path: str) -> None:
    body = {"text": "a", "students": [0] * 100_000}
    answer = client.post(f"/api/v1/{path}", body, content_type="application/json")
    assert len(refused(answer)["fields"]["students"]) == 1
    assert len(answer.content) < 500


@pytest.mark.parametrize("page", ["0", "-1", "9" * 30, "9" * 5000, "\0", "last-but-one"])
@pytest.mark.parametrize("door", LISTS)
def test_an_invalid_page_does_not_exist(client: Client, door: str, page: str) -> None:
    refused(client.get(f"/api/v1/{door}/", {"page": page}), 404)


@pytest.mark.parametrize("size", ["0", "-5", "100000", "9" * 5000, "\0"])
def test_no_page_has_more_than_200_rows(client: Client, size: str) -> None:
    for number in range(201):
        send(client, "/api/v1/lectures/", json.dumps({"title": f"lecture {number}"}))
    answer = client.get("/api/v1/lectures/", {"page_size": size}).json()
    assert len(answer["results"]) in {50, 200}


@pytest.mark.parametrize(
    "body",
    [
        '{"title": "a\\u0000b"}',
        '{"title": "\\ud800"}',
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"title": ' + "9" * 5000 + "}",
        '{"title": NaN}',
        '{"title": ["x"], "topics": ["a"]}',
        "null",
        "[]",
        '"x"',
        b"\xff\xfe{",
        '{"title": "' + "x" * 1_100_000 + '"}',
    ],
    ids=lambda body: repr(body[:12]),
)
@pytest.mark.parametrize("door", JSON_DOORS)
def test_a_hostile_json_body_is_refused(client: Client, door: str, body: str | bytes) -> None:
    refused(send(client, f"/api/v1/{door}", body), 400, 413)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"title": ' + b"9" * 5000 + b"}", "a number has too many digits, or is NaN or Infinity."),
        (b'{"title": NaN}', "a number has too many digits, or is NaN or Infinity."),
        (b'{"title": "\xff"}', "the text is not in the encoding that was named, or in UTF-8."),
        (b'{"title": ', "Expecting value: line 1 column 11 (char 10)"),
    ],
)
def test_errors_in_json_are_explained_in_plain_words(client: Client, body: bytes, words: str) -> None:
    assert refused(send(client, "/api/v1/lectures/", body))["message"] == f"JSON parse error - {words}"


@pytest.mark.parametrize(
    ("door", "body"),
    [
        ("enrolments/", {"lecture": 10**30, "student": 1}),
        ("enrolments/", {"lecture": 1, "student": -1}),
        ("students/", {"name": "가", "parent_phone": "01012345678", "lecture": 10**30}),
        ("students/", {"name": "가", "parent_phone": "01012345678", "lecture": -1}),
        ("students/", {"name": "가\0", "parent_phone": "01012345678"}),
        ("students/", {"name": "가", "parent_phone": "0101234567\0"}),
        ("lectures/", {"title": "x", "description": "\0"}),
        ("lectures/", {"title": "x", "active": None}),
        ("realtime/ticket/", {"topics": [f"video:{number}" for number in range(5000)]}),
        ("realtime/ticket/", {"topics": ["video:" + "x" * 60 + str(number) for number in range(150)]}),
        ("realtime/ticket/", {"topics": ["video:1\r\nX: y"]}),
        ("realtime/ticket/", {"topics": "*", "role": "owner"}),
    ],
)
def test_values_that_fit_no_column_are_refused(client: Client, door: str, body: object) -> None:
    refused(send(client, f"/api/v1/{door}", json.dumps(body)))


def test_fields_that_the_caller_may_not_set_are_ignored(client: Client) -> None:
    body = {"title": "x", "id": 7_000_000, "tenant": 1, "tenant_id": 1, "student_count": 9}
    made = client.post("/api/v1/lectures/", json.dumps(body), content_type="application/json").json()
    assert made["id"] != 7_000_000
    assert made["student_count"] == 0


@pytest.mark.parametrize("accept", ["text/html", "application/xml", ";;;", "\xff"])
def test_an_unsupported_accept_header_is_answered_with_a_sentence(client: Client, accept: str) -> None:
    assert refused(client.get("/api/v1/lectures/", headers={"Accept": accept}), 406)["code"] == "not_acceptable"


@pytest.mark.parametrize("range_", ["*/*", "application/json", "text/html"])
@pytest.mark.parametrize(
    "parameters",
    ["q*=foo''%41", "q*=idna''%ff", "x*=punycode''%ff", "q*0=1;q*=0", "x*=utf-8''1%3Bq*0=1%3Bq*=0", 'x="1;q*0=1;q*=0"'],
)
def test_an_accept_header_that_cannot_be_decoded_is_answered_with_a_sentence(
    client: Client, range_: str, parameters: str
) -> None:
    answer = client.get("/api/v1/lectures/", headers={"Accept": f"{range_};{parameters}"})
    assert refused(answer, 406)["code"] == "not_acceptable"
    answer = client.get("/api/v1/lectures/", headers={"Accept": f"{range_};{parameters}, */*;q=0.1"})
    assert answer.status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data"])
def test_an_unsupported_content_type_is_answered_with_a_sentence(client: Client, content_type: str) -> None:
    assert refused(send(client, "/api/v1/lectures/", b"title=x", content_type), 415)["code"] == "unsupported_media_type"


@pytest.mark.parametrize("path", ["/api/v1/lectures/", "/api/v1/realtime/ticket/", "/"])
def test_a_host_name_of_another_site_is_refused(client: Client, path: str) -> None:
    refused(client.post(path, headers={"Host": "evil.example"}))


@pytest.mark.parametrize("words", ["", "a b", "\xff\xfe", "...", "a.b.c", "x" * 100_000, "eyJhbGciOiJub25lIn0.e30."])
@pytest.mark.parametrize("door", ["lectures/", "realtime/ticket/"])
def test_an_invalid_token_opens_nothing(client: Client, door: str, words: str) -> None:
    answer = client.post(f"/api/v1/{door}", headers={"Authorization": f"Bearer {words}".strip()})
    assert refused(answer, 401)["code"] in {"token_invalid", "not_authenticated"}
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_a_header_that_is_quoted_in_an_answer_breaks_nothing(client: Client) -> None:
    answer = client.get("/api/v1/lectures/", headers={"X-Tenant-Code": "x\r\nSet-Cookie: a=b"})
    refused(answer, 403)
    assert not answer.has_header("Set-Cookie")


def form(*parts: tuple[str, bytes], boundary: str = "B") -> dict[str, Any]:
    lines = [
        b"--B\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + body + b"\r\n"
        for head, body in parts
    ]
    content_type = f"multipart/form-data; boundary={boundary}"
    return {"data": b"".join(lines) + b"--B--\r\n", "content_type": content_type}


FILE = ('name="file"; filename="a.csv"', b"name,parent phone\n")


@pytest.mark.parametrize(
    "sent",
    [
        form(*[(f'name="f{number}"', b"x") for number in range(200)]),
        form(FILE, FILE),
        form(('name="initial_password"', b"x" * 1_100_000), FILE),
        form(('name="initial_password"', b"long enough\0 words"), FILE),
        form(('name="lecture"', b"1\0"), FILE),
        form(('name="lecture"', b"9" * 30), FILE),
        form(('name="lecture"', b"9" * 5000), FILE),
        form(('name="file"', b"no file")),
        form(("name*0=1; name*=0", b"x"), FILE),
        form(("name*=punycode''%ff", b"x")),
        form(('name="file"; filename="/"', b"x")),
        form(('name="file"; filename="a.csv/"', b"x")),
        form(('name="file"; filename=".."', b"x")),
        form(('name="file"; filename="' + "x" * 5000 + '.csv"', b"x")),
        form((FILE[0] + "\r\nContent-Transfer-Encoding: base64", b"!!! no base64")),
        form(FILE, boundary=""),
        form(FILE, boundary="other"),
        form(FILE, boundary="B" * 10_000),
        form((FILE[0] + "\r\nX: " + "x" * 100_000, b"x")),
    ],
    ids=lambda sent: sent["data"][38:70].decode(errors="replace"),
)
def test_an_upload_of_odd_parts_is_refused(client: Client, sent: dict[str, Any]) -> None:
    refused(client.post(IMPORT, **sent), 400, 415)


def test_a_wrong_method_is_answered_with_a_sentence_outside_of_rest_framework_too(client: Client) -> None:
    for method in ("GET", "PUT", "DELETE", "OPTIONS", "TRACE", "HEAD"):
        answer = client.generic(method, "/api/v1/realtime/ticket/")
        assert answer.status_code == 405
        assert answer["Allow"] == "POST"
        assert method == "HEAD" or refused(answer, 405)["code"] == "method_not_allowed"
