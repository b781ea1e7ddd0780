"""Contract section 1: what holds for every URL."""

from typing import Any

from pinakes.core.actor import Kind
from pinakes.core.archive import Archive
from tests.contracts.tscharts.conftest import DETAILS, SYSTEM, Client, make_token

COLLECTIONS = ("/image/", "/clinic/", "/station/", "/clinicstation/", "/patient/", "/register/")
WITHOUT_PUT = "GET, POST, DELETE, HEAD, OPTIONS"
WITH_PUT = "GET, POST, PUT, DELETE, HEAD, OPTIONS"


def test_g2_every_url_works_with_and_without_the_final_slash(client: Client) -> None:
    patient, clinic = client.patient(), client.clinic()
    image = client.image(patient)
    for path in (f"/image/{image}", f"/patient/{patient}", f"/clinic/{clinic}", "/clinic", "/image", "/patient"):
        with_slash, without = client("GET", path + "/"), client("GET", path)
        assert (with_slash.status_code, without.status_code) == (200, 200), path
        assert with_slash.content == without.content
    assert client("GET", f"/image?patient={patient}").json() == [image]
    assert client("POST", "/clinic", {"location": "a", "start": "1/1/2020", "end": "1/1/2020"}).status_code == 200
    assert client("POST", "/logout", token=None).status_code == 200


def test_g3_runs_of_slashes_count_as_one(client: Client) -> None:
    patient = client.patient()
    assert client("DELETE", "/image//").status_code == 400
    assert client("GET", f"//patient///{patient}//").json()["id"] == patient
    assert client.send("POST", "/tscharts//v1//logout//").status_code == 200


def test_g4_what_is_no_id_in_a_path_is_unknown(client: Client) -> None:
    texts = ("abc", "None", "-1", "1.5", "'1'", "%221%22", "%D9%A1", "0", "9223372036854775808")
    for text in (*texts, "1%20", "1%2F", "%FF", "%00"):
        for collection in COLLECTIONS:
            assert client("GET", f"{collection}{text}/").status_code == 404, (collection, text)
            assert client("DELETE", f"{collection}{text}").status_code == 404, (collection, text)


def test_g4_a_path_of_5000_digits_is_unknown(client: Client) -> None:
    for collection in COLLECTIONS:
        for method in ("GET", "DELETE"):
            assert client(method, collection + "9" * 5000).status_code == 404
    assert client("PUT", "/patient/" + "9" * 5000, {}).status_code == 404


def test_g5_a_body_is_json_whatever_the_content_type_says(client: Client) -> None:
    for media_type in ("application/json", "application/json; charset=utf-8", "", "text/plain", "image/png"):
        body = {"name": f"Cirugía {media_type}"}
        answer = client("POST", "/station/", body, headers={"Content-Type": media_type})
        assert answer.status_code == 200
        assert client("GET", f"/station/{answer.json()['id']}/").json()["name"] == body["name"]


def test_g6_a_body_that_is_no_json_object_is_refused(client: Client) -> None:
    for content in (b"", b" ", b"{", b"not json", b"[]", b'"text"', b"5", b"null", b"\xff{}", b"{}x"):
        for collection in COLLECTIONS:
            assert client("POST", collection, content=content).status_code == 400, (collection, content)
        assert client("POST", "/login/", content=content).status_code == 400, content
        assert client("PUT", "/patient/1/", content=content).status_code == 400, content


def test_g7_a_body_with_get_and_delete_is_ignored(client: Client) -> None:
    image = client.image(client.patient())
    assert client("GET", f"/image/{image}/", {}).status_code == 200
    assert client("GET", "/image/", content=b"not json").json() == [image]
    assert client("DELETE", f"/image/{image}/", {}).json() == {}


def test_g8_success_is_200_and_json_whatever_is_accepted(client: Client) -> None:
    for accept in ("text/html", "image/png", "*/*", "application/json"):
        answer = client("GET", f"/patient/{client.patient(first=accept)}/", headers={"Accept": accept})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


def test_g9_a_delete_and_a_put_answer_an_empty_object(client: Client) -> None:
    patient = client.patient()
    assert client("PUT", f"/patient/{patient}/", {"first": "Eva"}).content == b"{}"
    assert client("DELETE", f"/patient/{patient}/").content == b"{}"


def test_g11_every_error_is_a_json_object_with_a_detail(client: Client) -> None:
    answers = [
        client("GET", "/image/99/"),
        client("POST", "/image/", {}),
        client("PATCH", "/image/1/"),
        client("GET", "/nothing/"),
        client("GET", "/clinic/", token="unknown"),
        client("POST", "/login/", {"username": "nobody", "password": ""}, token=None),
    ]
    for answer in answers:
        assert list(answer.json()) == ["detail"]
        assert answer.headers["content-type"] == "application/json"
    assert [answer.status_code for answer in answers] == [404, 400, 405, 404, 401, 403]


def test_g12_methods_outside_the_list_are_405_with_allow(client: Client) -> None:
    for collection in COLLECTIONS:
        expected = WITHOUT_PUT if collection in ("/image/", "/clinic/") else WITH_PUT
        item = f"{collection}1/"
        for method, path in (("PATCH", collection), ("PATCH", item), ("POST", item), ("TRACE", item)):
            answer = client(method, path, {})
            assert (answer.status_code, answer.headers["allow"]) == (405, expected), (method, path)
        assert client("OPTIONS", item).status_code == 200
        assert client("OPTIONS", collection).headers["allow"] == expected
    for path in ("/image/", "/image/1/", "/clinic/"):
        assert client("PUT", path, {}).status_code == 405


def test_g12_answers_carry_allow_and_vary(client: Client) -> None:
    patient = client.patient()
    image = client.image(patient)
    for answer in (
        client("GET", f"/image/{image}/"),
        client("GET", "/image/"),
        client("DELETE", f"/image/{image}/"),
        client("DELETE", f"/image/{image}/"),
    ):
        assert (answer.headers["allow"], answer.headers["vary"]) == (WITHOUT_PUT, "Accept")
    assert client("GET", f"/patient/{patient}/").headers["allow"] == WITH_PUT


def test_g12_head_is_get_without_its_body(client: Client) -> None:
    patient = client.patient()
    for path in (f"/image/{client.image(patient)}/", "/image/", f"/patient/{patient}/", "/image/99/"):
        got, head = client("GET", path), client("HEAD", path)
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers["content-length"] == got.headers["content-length"] == str(len(got.content))


def test_g13_unknown_parameters_and_members_are_ignored(client: Client) -> None:
    patient, clinic = client.patient(), client.clinic()
    image = client.image(patient, clinic=clinic, colour="grey")
    other = client.image(patient)
    assert client("GET", f"/image?clinicid={clinic}&patient={patient}&x=y").json() == [image, other]
    assert client("PUT", f"/patient/{patient}", {"first": "Eva", "nose": 1}).status_code == 200
    assert client("POST", "/station/", {"name": "a", "colour": []}).status_code == 200


def test_g14_an_empty_parameter_is_absent_and_the_last_of_several_counts(client: Client) -> None:
    patient = client.patient()
    image = client.image(patient)
    for query in ("patient=&sort=&type=&newest=", "patient=99&patient=", f"patient=x&patient={patient}", "sort=x&sort"):
        assert client("GET", f"/image?{query}").json() == [image], query
    assert client("GET", f"/image?patient={patient}&patient=99").status_code == 404


def test_g15_query_ids_are_digits_and_none_is_not_all(client: Client) -> None:
    client.image(client.patient(), clinic=client.clinic(), station=client.station())
    for name in ("patient", "clinic", "station"):
        for text in ("abc", "1.5", "1e3", "+1", "%D9%A1", "1%20", "0x1", "None", "%00"):
            assert client("GET", f"/image?{name}={text}").status_code == 400, (name, text)
        assert client("GET", f"/image?{name}=-1").status_code == 400
        for text in ("0", "00", "99", "9223372036854775808", "9" * 5000):
            assert client("GET", f"/image?{name}={text}").status_code == 404, (name, text[:20])


def test_g16_json_ids_are_integers_or_digits(client: Client) -> None:
    patient = client.patient()
    image = client.made("/image/", {"patient": str(patient), "type": "Xray", "data": "x"})
    assert client("GET", f"/image/{image}/").json()["patient"] == patient
    body = {"type": "Xray", "data": "x"}
    values: tuple[Any, ...] = (None, "", "abc", "1.0", "-1", -1, " 1", [], {}, 1.0, 1.5, True, False, "١")
    for value in values:
        assert client("POST", "/image/", {**body, "patient": value}).status_code == 400, value
    for value in (0, 99, "99", 2**63, "9" * 5000):
        assert client("POST", "/image/", {**body, "patient": value}).status_code == 404, str(value)[:20]
    long_number = b'{"type": "Xray", "data": "x", "patient": %s}' % (b"9" * 5000)
    assert client("POST", "/image/", content=long_number).status_code in (400, 404)


def test_g17_any_user_of_the_kind_may_do_everything(client: Client, archive: Archive) -> None:
    archive.users.add(SYSTEM, "second", "second@example.org", None, [Kind.CLINICAL])
    second = make_token(archive, "second")
    patient = client.patient()
    image = client.image(patient)
    assert client("GET", f"/image/{image}/", token=second).status_code == 200
    assert client("DELETE", f"/image/{image}/", token=second).status_code == 200
    assert client("PUT", f"/patient/{patient}/", {"first": "Eva"}, token=second).status_code == 200


def test_g17_a_user_without_the_kind_is_refused_even_as_staff(client: Client, archive: Archive) -> None:
    archive.users.add(SYSTEM, "builder", "ci@example.org", None, [Kind.MACHINE, Kind.SLIDE], is_staff=True)
    token = make_token(archive, "builder")
    for collection in COLLECTIONS:
        for method in ("GET", "POST", "DELETE", "PATCH"):
            answer = client(method, collection, {}, token=token)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Token")


def test_a_token_whose_scope_falls_short_is_refused_before_its_body_is_judged(client: Client, archive: Archive) -> None:
    patient = client.patient()
    image = client.image(patient)
    reading = make_token(archive, "volunteer", "image:read")
    writing = make_token(archive, "volunteer", "image:write")
    assert client("GET", f"/image/{image}/", token=reading).status_code == 200
    assert client("POST", "/image/", {}, token=reading).status_code == 401
    assert client("PUT", f"/patient/{patient}/", {"dob": 5}, token=reading).status_code == 401
    assert client("DELETE", f"/image/{image}/", token=writing).status_code == 401
    assert client("GET", f"/patient/{patient}/", token=writing).status_code == 401
    assert client("POST", "/patient/", DETAILS | {"first": "Eva"}, token=writing).status_code == 200


def test_g18_ids_increase_and_are_never_given_again(client: Client) -> None:
    patient = client.patient()
    first, second = client.image(patient), client.image(patient)
    client("DELETE", f"/image/{second}/")
    third = client.image(patient)
    assert 0 < first < second < third
    client("DELETE", f"/patient/{patient}/")
    assert client.patient() > patient
