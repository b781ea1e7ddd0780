"""The laboratory's main job against a real server with its worker, on both backends: a slide from its creation to its
end (pathomiq contract, sections 4 to 7).

The same lines of a client serve where Pinakes receives the upload itself and where a bucket does.
"""

import hashlib
import io
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
import tifffile
from skimage.data import immunohistochemistry

from pinakes.core.actor import Kind
from tests.conftest import Backend
from tests.core.annotations.making import IMAGESCOPE
from tests.process.serving import Archive

pytestmark = pytest.mark.slow

_PATIENCE_SECONDS = 30
_EMBEDDED = {"url", "key", "AWSAccessKeyId", "policy", "signature"}

_STAGES = ("tissuearea_status", "tiling_status", "annotation_status")
_MEASUREMENT = {
    "name": "cellularity",
    "version": "1.0",
    "sha256": None,
    "kind": "classical",
    "research_use_only": True,
}

Json = dict[str, Any]


@pytest.fixture
def server(backend: Backend, tmp_path: Path) -> Iterator[Archive]:
    archive = Archive(backend, tmp_path)
    archive.start()
    yield archive
    archive.stop()


@pytest.fixture
def client(server: Archive) -> Iterator[httpx.Client]:
    token = server.add_user("ana", Kind.SLIDE)
    base = f"http://127.0.0.1:{server.port}"
    with httpx.Client(base_url=base, headers={"Authorization": f"Token {token}"}, timeout=_PATIENCE_SECONDS) as client:
        yield client


@pytest.fixture(scope="module")
def scan() -> bytes:
    """A stained tissue section, tiled and in two levels as a scanner writes it."""
    pixels = immunohistochemistry()
    written = io.BytesIO()
    with tifffile.TiffWriter(written) as tiff:
        scanner = "Aperio Image Library v0.0.0\r\n512x512 (256x256) invented|AppMag = 20|MPP = 0.5000"
        tiff.write(pixels, tile=(256, 256), photometric="rgb", description=scanner, metadata=None)
        tiff.write(pixels[::2, ::2], tile=(256, 256), photometric="rgb", subfiletype=1, metadata=None)
    return written.getvalue()


def answered(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


def post_form(response: Mapping[str, str], content: bytes) -> httpx.Response:
    """What the seed's clients do with `response`: every member but the address, then the file; and no token."""
    fields = {name: value for name, value in response.items() if name != "url"}
    if set(response) == _EMBEDDED:  # a bucket would refuse a field that its policy does not name
        fields["upload_file"] = "true"
    return httpx.post(response["url"], data=fields, files={"file": ("Test.svs", content)}, timeout=_PATIENCE_SECONDS)


def after_the_run(client: httpx.Client, uid: str) -> Json:
    """The image once its last stage is done, or any has failed."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        image: Json = answered(client.get(f"/Images/{uid}"))
        stages = [image[name] for name in _STAGES]
        if stages[-1] == "Done" or "Failed" in stages:
            return image
        assert time.monotonic() < deadline, image
        time.sleep(0.05)


def test_a_slide_from_its_creation_to_its_end(
    server: Archive, client: httpx.Client, backend: Backend, scan: bytes
) -> None:
    """Create, post the form, commit, predict, annotate over what was predicted, read everything back, delete."""
    digest = hashlib.sha256(scan).hexdigest()
    me = answered(client.get("/Users/imagelist"))[0]["userid"]
    created = answered(
        client.post("/Images", json={"filename": "Test.svs", "userid": me, "patient_id": 1, "entity_id": 4})
    )
    uid, image_id = created["image_unique_id"], created["id"]
    assert (created["status"], created["base_download_url"]) == ("In Progress", None)
    assert client.get(f"/S3/file/{uid}").status_code == 404

    posted = post_form(created["response"], scan)
    assert posted.status_code == 204, posted.text
    assert posted.headers["etag"] == f'"{hashlib.md5(scan).hexdigest()}"'
    assert client.get(f"/S3/file/{uid}").status_code == 404

    uploaded = answered(client.put(f"/Images/{image_id}", json={"status": "Uploaded", "location": "shelf 4"}))
    assert (uploaded["status"], uploaded["location"], uploaded["patient_id"]) == ("Uploaded", "shelf 4", "1")

    assert answered(client.get(f"/Images/startpredict/{uid}"))["success"] is True
    predicted = after_the_run(client, uid)
    told = [line["message"] for line in answered(client.get(f"/LogInfo/{uid}"))]
    assert [predicted[name] for name in _STAGES] == ["Done", "Done", "Done"], told
    assert told[-1] == "The prediction is done."
    metric = json.loads(predicted["metric"])
    assert 0 < predicted["tissue_area"] == metric["tissue_area_mm2"] <= 512 * 512 * 0.5**2 / 1e6
    assert metric["model"] == _MEASUREMENT
    assert predicted["outcome_prediction"] is None  # which a measurement must not give (contract 8.4)
    prefix = predicted["base_raw_download_url"]
    found = client.get(f"{prefix}/{uid}_complete_net_prediction.xml")
    assert found.headers["x-annotation-source"] == "prediction"
    layers = ElementTree.fromstring(found.content).findall("Annotation")
    assert [layer.get("Name") for layer in layers] == ["Tissue", "High cellularity"]

    drawn = answered(
        client.post(
            "/Annotations/upload",
            files={"upload_file": ("a.xml", IMAGESCOPE)},
            data={"imageid": str(image_id), "userid": str(me), "fileid": uid},
        )
    )
    assert (drawn["version"], drawn["image"]["annotation_status"]) == (2, "Done")
    xml = client.get(f"{prefix}/{uid}_complete_net_prediction.xml")
    assert (xml.status_code, xml.content, xml.headers["x-annotation-source"]) == (200, IMAGESCOPE, "user")
    twin = answered(client.get(f"{prefix}/{uid}_complete_net_prediction.geojson"))
    assert len(twin["features"]) == 1

    file = client.get(f"{drawn['image']['base_download_url']}/{uid}", follow_redirects=True)
    assert (file.status_code, hashlib.sha256(file.content).hexdigest()) == (200, digest)
    assert file.headers["content-type"] == "image/tiff"
    with tifffile.TiffFile(io.BytesIO(file.content)) as tiff:
        assert tiff.pages[0].shape == (512, 512, 3)

    assert answered(client.delete(f"/Images/{uid}"))["success"] is True
    for gone in (f"/Images/{uid}", f"/S3/file/{uid}", f"/S3/raw/{uid}_complete_net_prediction.xml", f"/LogInfo/{uid}"):
        assert client.get(gone).status_code == 404
    assert answered(client.get(f"/Images/userid/{me}")) == []
    assert list(backend.store.list()) == []
    replayed = post_form(created["response"], scan)
    if set(created["response"]) == _EMBEDDED:  # a bucket takes what was signed; what nobody asks for is swept
        assert replayed.status_code == 403
    assert client.get(f"/S3/file/{uid}").status_code == 404
    log = server.log()
    for secret in (created["response"]["policy"], uid, "shelf 4", "Test.svs"):
        assert secret not in log


@pytest.mark.parametrize("backend", ["sqlite-disk"], indirect=True)
def test_the_form_may_be_signed_as_s3_does_today(client: httpx.Client, scan: bytes) -> None:
    """Contract 4.6: signature version 4, and a status that the client asked for."""
    wishes = {
        "signature_version": "s3v4",
        "fields": {"success_action_status": "201"},
        "conditions": [{"success_action_status": "201"}],
    }
    created = answered(client.post("/Images", json={"filename": "Test.svs", "presign": wishes}))
    assert "x-amz-signature" in created["response"]
    posted = post_form(created["response"], scan)
    assert posted.status_code == 201, posted.text
    answered(client.put(f"/Images/{created['id']}", json={"status": "Uploaded"}))
    file = client.get(f"/S3/file/{created['image_unique_id']}", follow_redirects=True)
    assert file.content == scan
