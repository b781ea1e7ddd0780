"""A disk without room: the answer says so, and nothing is left behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pinakes.core.actor import Kind
from pinakes.core.archive import Archive, assemble
from pinakes.core.content.store import ContentStore, Writer
from pinakes.core.content.stores import MemoryStore
from pinakes.core.db.engine import Database
from pinakes.core.errors import StorageFull
from tests.contracts.tscharts.conftest import SYSTEM, Client, connected, make_token
from tests.core.clinic.making import stored_objects

ROOM = 100_000


class SmallStore(MemoryStore):
    """A store that holds ROOM bytes in all. tells: whether it can say beforehand how many are left."""

    def __init__(self, *, tells: bool) -> None:
        super().__init__()
        self._tells = tells
        self._used = 0

    def free_bytes(self) -> int | None:
        return ROOM - self._used if self._tells else None

    def begin(self, key: str, *, expected_bytes: int | None = None) -> Writer:
        return _SmallWriter(super().begin(key, expected_bytes=expected_bytes), self)

    def take(self, size: int) -> None:
        self._used += size
        if self._used > ROOM:
            raise StorageFull


class _SmallWriter:
    def __init__(self, writer: Writer, store: SmallStore) -> None:
        self._writer = writer
        self._store = store

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        self._store.take(len(piece))
        self._writer.write(piece)

    def commit(self) -> None:
        self._writer.commit()

    def abort(self) -> None:
        self._writer.abort()


def opened(store: ContentStore, url: str, folder: Path) -> Iterator[tuple[Archive, Client]]:
    database = Database(url)
    archive = assemble(database, store, journal_directory=folder / "journals")
    archive.users.add(SYSTEM, "volunteer", "volunteer@example.org", None, [Kind.CLINICAL])
    with connected(archive, make_token(archive, "volunteer")) as client:
        yield archive, client
    archive.close()


@pytest.mark.parametrize(("tells", "status"), [(True, 413), (False, 507)])
def test_i_c7_c9_an_image_for_which_there_is_no_room_leaves_nothing(
    sqlite_url: str, tmp_path: Path, tells: bool, status: int
) -> None:
    for archive, client in opened(SmallStore(tells=tells), sqlite_url, tmp_path):
        patient = client.patient()
        body = {"patient": patient, "type": "Xray", "data": "QUJD" * 50_000}
        answer = client("POST", "/image/", body)
        assert (answer.status_code, list(answer.json())) == (status, ["detail"])
        assert stored_objects(archive) == 0
        assert client("GET", "/image/").status_code == 404
