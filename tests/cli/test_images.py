"""`pinakes image`: real files in and out again, beside an archive that is open elsewhere."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pinakes.acting import acting_as
from pinakes.core import audit
from pinakes.core.actor import Actor, Kind
from pinakes.core.archive import Archive
from pinakes.core.clinic.records.images import ClinicalType
from pinakes.core.clock import from_datetime
from pinakes.core.content.blobs import total
from pinakes.demo.loading import SOMEBODY, write_disk
from pinakes.demo.pictures import photograph, radiograph
from tests.cli.conftest import Run


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.qcow2"
    write_disk(path)
    return path


@pytest.fixture
def patient(archive: Archive, user: str) -> int:
    return archive.register.patients.create(acting_as(archive, user), SOMEBODY)


def blobs(archive: Archive) -> int:
    with archive.database.read() as connection:
        return total(connection)[0]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_disk_image_comes_out_as_it_went_in(
    pinakes: Run, archive: Archive, user: str, disk: Path, tmp_path: Path
) -> None:
    put = pinakes(
        *("image", "put", disk, "--as", user, "--kind", "machine", "--name", "Alpine 3", "--ci-name", "alpine-3"),
        *("--namespace", "lab", "--tag", "linux", "--tag", "small", "--end", "2099-01-31T18:00:00Z"),
    )
    output = tmp_path / "out.qcow2"
    assert pinakes("image", "get", put.result, "-o", output).status == 0
    assert output.read_bytes() == disk.read_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    image = archive.machines.get(Actor("cli", kinds=frozenset({Kind.MACHINE}), is_staff=True), int(put.result))
    assert (image.name, image.ci_name, image.author.name) == ("Alpine 3", "alpine-3", user)
    assert image.namespace is not None
    assert image.namespace.path == "lab"
    assert image.facts.end_at == from_datetime(datetime(2099, 1, 31, 18, tzinfo=UTC))


def test_a_photograph_and_an_x_ray_of_a_patient_come_out_as_they_went_in(
    pinakes: Run, archive: Archive, user: str, patient: int
) -> None:
    for path, shown in ((photograph("retina.jpg"), "Surgery"), (radiograph("CT_small.dcm"), "Xray")):
        put = pinakes("image", "put", path, "--as", user, "--kind", "clinical", "--patient", patient, "--type", shown)
        got = pinakes("image", "get", put.result, "-o", "-", "--as", user)
        assert got.out == path.read_bytes()
        image = archive.clinical_images.get(acting_as(archive, user), int(put.result))
        assert (image.patient_id, image.type, image.is_verbatim) == (patient, ClinicalType(shown), False)


def test_several_files_give_one_id_a_line_and_are_named_after_the_files(pinakes: Run, user: str, disk: Path) -> None:
    put = pinakes("image", "put", disk, photograph("rocket.jpg"), "--as", user, "--kind", "machine")
    ids = put.text.split()
    listed = pinakes("image", "list", "--kind", "machine").rows
    assert [row[:4] for row in listed] == [
        [ids[0], "machine", "disk", str(disk.stat().st_size)],
        [ids[1], "machine", "rocket", str(photograph("rocket.jpg").stat().st_size)],
    ]


def test_reading_through_the_command_line_is_in_the_audit_trail(
    pinakes: Run, archive: Archive, user: str, patient: int, tmp_path: Path
) -> None:
    path = photograph("rocket.jpg")
    put = pinakes("image", "put", path, "--as", user, "--kind", "clinical", "--patient", patient, "--type", "Headshot")
    pinakes("image", "get", put.result, "-o", tmp_path / "operator.jpg")
    pinakes("image", "get", put.result, "-o", tmp_path / "anna.jpg", "--as", user)
    with archive.database.read() as connection:
        events = audit.of_image(connection, int(put.result))
    assert [(event.action, event.api, event.actor_id, event.patient_id) for event in events] == [
        ("image:create", "cli", archive.users.get(user).id, patient),
        ("content:read", "cli", None, patient),
        ("content:read", "cli", archive.users.get(user).id, patient),
    ]


def test_a_file_is_not_overwritten_unless_forced(pinakes: Run, user: str, disk: Path, tmp_path: Path) -> None:
    put = pinakes("image", "put", disk, "--as", user, "--kind", "machine").result
    output = tmp_path / "precious"
    output.write_text("do not lose me")
    assert "--force" in pinakes("image", "get", put, "-o", output).failure
    assert output.read_text() == "do not lose me"
    assert pinakes("image", "get", put, "-o", output, "--force").status == 0
    assert output.read_bytes() == disk.read_bytes()


def test_bytes_that_changed_in_the_store_are_not_delivered(
    pinakes: Run, archive: Archive, user: str, disk: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if "sqlite-disk" not in request.node.name:
        return  # only files can be changed by hand
    put = pinakes("image", "put", disk, "--as", user, "--kind", "machine").result
    (stored,) = [path for path in (tmp_path / "content" / "objects").rglob("*") if path.is_file()]
    content = bytearray(stored.read_bytes())
    content[10_000] ^= 1
    stored.write_bytes(content)
    assert "have changed" in pinakes("image", "get", put, "-o", tmp_path / "out").failure
    assert not (tmp_path / "out").exists()


def test_a_removed_image_is_gone_with_its_bytes(pinakes: Run, archive: Archive, user: str, disk: Path) -> None:
    put = pinakes("image", "put", disk, "--as", user, "--kind", "machine").result
    assert blobs(archive) == 1
    assert pinakes("image", "rm", put).status == 0
    assert pinakes("image", "list").rows == []
    assert blobs(archive) == 0
    assert list(archive.store.list()) == []
    assert pinakes("image", "rm", put).failure == "There is no such image."
    assert pinakes("image", "get", put, "-o", "-").failure == "There is no such image."


def test_a_slide_is_put_in_uploaded_with_the_etag_that_an_upload_gives_it(
    pinakes: Run, archive: Archive, disk: Path, tmp_path: Path
) -> None:
    pinakes("user", "add", "pia", "--email", "pia@example.org", "--kinds", "slide")
    pia = acting_as(archive, "pia")
    slide = archive.slides.get(pia, int(pinakes("image", "put", disk, "--as", "pia", "--kind", "slide").result))
    assert (slide.filename, slide.status) == (disk.name, "Uploaded")
    assert slide.etag == hashlib.md5(disk.read_bytes()).hexdigest()
    pinakes("image", "get", slide.id, "-o", tmp_path / "out", "--as", "pia")
    assert (tmp_path / "out").read_bytes() == disk.read_bytes()
    pinakes("image", "rm", slide.id, "--as", "pia")
    assert list(archive.store.list()) == []


def test_a_user_sees_and_removes_only_what_the_policy_allows(pinakes: Run, user: str, disk: Path) -> None:
    pinakes("user", "add", "bea", "--email", "bea@example.org", "--kinds", "machine")
    private = pinakes("image", "put", disk, "--as", user, "--kind", "machine").result
    public = pinakes("image", "put", disk, "--as", user, "--kind", "machine", "--public").result
    assert [row[0] for row in pinakes("image", "list", "--as", "bea").rows] == [public]
    assert pinakes("image", "get", private, "-o", "-", "--as", "bea").failure == "There is no such image."
    assert "not changed" in pinakes("image", "rm", public, "--as", "bea").failure
    assert [row[0] for row in pinakes("image", "list").rows] == [private, public]


def test_a_refused_image_leaves_nothing(
    pinakes: Run, archive: Archive, user: str, disk: Path, patient: int, tmp_path: Path
) -> None:
    (tmp_path / "empty").touch()
    clinical = ("--kind", "clinical", "--type", "Xray")
    machine = ("--kind", "machine")
    photo = photograph("rocket.jpg")
    pinakes("user", "add", "bea", "--email", "bea@example.org")
    for file, name, options, reason in (
        (disk, "bea", machine, "no access"),
        (disk, "nobody", machine, "no such user"),
        (disk, user, (*machine, "--namespace", "no such/path"), "namespace: "),
        (disk, user, (*machine, "--ci-name", "a b"), "name: "),
        (disk, user, (*machine, "--end", "tomorrow"), "time"),
        (photo, user, (*machine, "--ci-name", "photo"), "QCOW2"),
        (photo, user, (*clinical, "--patient", patient + 1), "no such patient"),
        (photo, user, (*clinical, "--patient", patient, "--clinic", 5), "no such clinic"),
        (photo, user, ("--kind", "clinical", "--patient", patient, "--type", "xray"), "type: "),
        (tmp_path / "empty", user, machine, "empty"),
        (tmp_path / "missing", user, machine, "No such file"),
        (tmp_path, user, machine, "directory"),
    ):
        assert reason in pinakes("image", "put", file, "--as", name, *options).failure
    assert pinakes("image", "list").rows == []
    assert list(archive.store.list()) == []


@pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
@pytest.mark.parametrize(
    "options",
    [
        ("--kind", "picture"),
        ("--kind", "slide", "--public"),
        ("--kind", "clinical", "--type", "Xray"),
        ("--kind", "clinical", "--patient", "1"),
        ("--kind", "clinical", "--patient", "1", "--type", "Xray", "--public"),
        ("--kind", "machine", "--patient", "1"),
        ("--kind", "machine", "--ci-name", "x", "LICENSE"),
        (),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(
    pinakes: Run, user: str, disk: Path, options: tuple[str, ...]
) -> None:
    refused = pinakes("image", "put", disk, "--as", user, *options)
    assert (refused.status, refused.out) == (2, b"")


@pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
def test_a_name_with_control_characters_cannot_disturb_a_list(pinakes: Run, user: str, disk: Path) -> None:
    pinakes("image", "put", disk, "--as", user, "--kind", "machine", "--name", "a\tb\n\x1b[2Jc")
    ((_, _, name, _, _),) = pinakes("image", "list").rows
    assert name == r"a\tb\n\x1b[2Jc"


@pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
def test_where_a_file_cannot_be_written_nothing_is_left(pinakes: Run, user: str, disk: Path, tmp_path: Path) -> None:
    put = pinakes("image", "put", disk, "--as", user, "--kind", "machine").result
    assert "folder" in pinakes("image", "get", put, "-o", tmp_path).failure
    assert "No such file" in pinakes("image", "get", put, "-o", tmp_path / "missing" / "out").failure


def test_an_image_is_asked_for_by_url_and_fetched_by_a_worker(pinakes: Run, archive: Archive, user: str) -> None:
    options = ("--as", user, "--name", "Alpine 3", "--ci-name", "alpine-3", "--namespace", "lab")
    image_id = int(pinakes("image", "import", "-", *options, stdin=b"http://ann:hidden@h.example/x\n").result)
    image = archive.machines.get(acting_as(archive, user), image_id)
    assert image.download is not None
    assert (image.name, image.ci_name, image.version) == ("Alpine 3", "alpine-3", None)
    assert image.download.source == "http://ann:xxxxx@h.example/x"
    assert [(job.kind, job.state) for job in archive.jobs.list(acting_as(archive, user))] == [("import", "queued")]


def test_an_import_that_cannot_be_is_refused_in_a_line(pinakes: Run, archive: Archive, user: str) -> None:
    refused = pinakes("image", "import", "ftp://ann:hidden@h/x", "--as", user, "--name", "x")
    assert refused.failure == "url: must begin with http://, https:// or sftp://"
    assert archive.images.readable(acting_as(archive, user)) == []
