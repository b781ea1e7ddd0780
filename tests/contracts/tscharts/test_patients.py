"""Contract section 7: patients."""

from typing import Any

from pinakes.apis.tscharts.representation import STATES
from tests.contracts.tscharts.conftest import DETAILS, Client


def test_p1_every_field_but_oldid_must_be_there_and_most_may_be_empty(client: Client) -> None:
    for name in DETAILS.keys() - {"oldid"}:
        body = {key: value for key, value in DETAILS.items() if key != name}
        assert client("POST", "/patient/", body).status_code == 400, name
    body = dict.fromkeys(DETAILS, "") | {"dob": "1/2/2003", "gender": "Male", "state": "Sonora"}
    del body["oldid"]
    found = client("GET", f"/patient/{client.made('/patient/', body)}/").json()
    assert (found["dob"], found["oldid"], found["first"]) == ("01/02/2003", -1, "")
    for name in ("dob", "gender", "state"):
        assert client("POST", "/patient/", DETAILS | {name: ""}).status_code == 400


def test_p2_every_state_of_mexico_and_no_other(client: Client) -> None:
    assert len(STATES) == 32
    patient = client.patient()
    for state in sorted(STATES):
        assert client("PUT", f"/patient/{patient}/", {"state": state}).status_code == 200
        assert client("GET", f"/patient/{patient}/").json()["state"] == state
    for value in ("California", "sonora", "Nuevo Leon", "Sonora ", None, 5):
        assert client("POST", "/patient/", DETAILS | {"state": value}).status_code == 400, value
        assert client("PUT", f"/patient/{patient}/", {"state": value}).status_code == 400, value


def test_p3_unknown_members_and_bad_values_are_400(client: Client) -> None:
    bad: tuple[dict[str, Any], ...] = (
        {"nose": "long"},
        {"id": 5},
        {"gender": "male"},
        {"gender": None},
        {"dob": "2011-03-09"},
        {"dob": "13/01/2011"},
        {"dob": 5},
        {"first": None},
        {"first": 5},
        {"first": "a\0b"},
        {"first": "x" * 256},
        {"oldid": "x"},
        {"oldid": None},
        {"oldid": 1.5},
        {"oldid": 2**63},
        {"oldid": "9" * 5000},
    )
    for changes in bad:
        assert client("POST", "/patient/", DETAILS | changes).status_code == 400, changes
    assert client("POST", "/patient/", content=b'{"first": "\\ud800"}').status_code == 400
    assert client("GET", "/patient/").status_code == 404


def test_p3_a_date_of_birth_may_have_dashes(client: Client) -> None:
    patient = client.patient(dob="3-9-2011")
    assert client("GET", f"/patient/{patient}/").json()["dob"] == "03/09/2011"


def test_p4_the_same_person_is_409_also_at_once(client: Client) -> None:
    answers = client.together(*[("POST", "/patient/", DETAILS | {"city": str(number)}) for number in range(6)])
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5
    assert len(client("GET", "/patient/").json()) == 1
    for changes in ({"paternal_last": "Rey"}, {"first": "Eva"}, {"dob": "1/1/2000"}, {"gender": "Male"}):
        assert client("POST", "/patient/", DETAILS | changes).status_code == 200


def test_p5_all_22_members_come_back_as_sent(client: Client) -> None:
    sent = DETAILS | {name: f"{name} ñ" for name in ("middle", "suffix", "street2", "emergencyemail", "curp")}
    sent |= {"oldid": 2**40}
    patient = client.made("/patient/", sent)
    found = client("GET", f"/patient/{patient}/").json()
    assert found == {"id": patient, **sent}
    assert len(found) == 22
    assert client("GET", "/patient/99/").status_code == 404


def test_p6_by_name_or_by_everything_else(client: Client) -> None:
    ines = client.patient(curp="QUSI110309", oldid=7)
    eva = client.patient(paternal_last="Núñez", first="Eva", middle="Quetzal", gender="Male", dob="1/2/2003")
    for query, expected in (
        ("", [ines, eva]),
        ("?name=QU", [ines, eva]),
        ("?name=n%C3%9A%C3%91", [eva]),
        ("?name=eva&dob=yadda&gender=x&first=nobody", [eva]),
        ("?paternal_last=uint", [ines]),
        ("?first=EV", [eva]),
        ("?maternal_last=salas&first=i", [ines]),
        ("?curp=qusi", [ines]),
        ("?paternal_last=quintero&exact=true", [ines]),
        ("?dob=1/2/2003", [eva]),
        ("?dob=01-02-2003&gender=Male", [eva]),
        ("?gender=Female&oldid=7", [ines]),
        ("?oldid=-1", [eva]),
        ("?category=yadda", [ines, eva]),
    ):
        answer = client("GET", f"/patient{query}")
        assert (answer.status_code, answer.json()) == (200, expected), query
    for query in ("name=nobody", "first=ev&exact=true", "first=%25", "name=_", "paternal_last=quint&gender=Male"):
        assert client("GET", f"/patient/?{query}").status_code == 404, query
    for query in ("dob=yadda", "gender=male", "oldid=x", "oldid=" + "9" * 5000, "name=%00", "exact=perhaps"):
        assert client("GET", f"/patient/?{query}").status_code == 400, query[:20]


def test_p6_patients_of_a_clinic_are_those_registered_there(client: Client) -> None:
    ines, eva = client.patient(), client.patient(first="Eva")
    clinic = client.clinic()
    client.made("/register/", {"clinic": clinic, "patient": eva})
    assert client("GET", f"/patient?clinic={clinic}").json() == [eva]
    assert client("GET", f"/patient?clinic={clinic}&name=quintero").json() == [eva]
    assert client("GET", "/patient?name=quintero").json() == [ines, eva]
    assert client("GET", "/patient/?clinic=99").status_code == 404
    assert client("GET", "/patient/?clinic=x").status_code == 400


def test_p7_put_sets_what_is_given_and_nothing_else(client: Client) -> None:
    patient = client.patient()
    before = client("GET", f"/patient/{patient}/").json()
    changes = {"first": "Eva", "dob": "1/2/2003", "oldid": 5}
    assert client("PUT", f"/patient/{patient}/", changes | {"nose": 1}).json() == {}
    assert client("GET", f"/patient/{patient}").json() == before | changes | {"dob": "01/02/2003"}
    bad: tuple[dict[str, Any], ...] = ({"gender": "x"}, {"dob": "x"}, {"oldid": []}, {"city": "\0"}, {"phone1": 5})
    for body in bad:
        assert client("PUT", f"/patient/{patient}/", body).status_code == 400, body
    assert client("PUT", "/patient/99/", {"first": "Eva"}).status_code == 404
    assert client("PUT", "/patient/", {"first": "Eva"}).status_code == 400


def test_p7_a_deleted_patient_is_gone(client: Client) -> None:
    patient = client.patient()
    assert client("DELETE", "/patient/").status_code == 400
    assert client("DELETE", f"/patient/{patient}/").json() == {}
    assert client("DELETE", f"/patient/{patient}/").status_code == 404
    assert client("GET", f"/patient/{patient}/").status_code == 404
    assert client.patient() > patient
