"""Bodies about the versions of machine images."""

from pydantic import Field

from pinakes.apis.native.models.values import Given, GivenTime, Listed, Person, Shown, ShownTime
from pinakes.web.paging import MAX_ID


class VersionInShort(Shown):
    id: int
    uuid: str
    name: str


class NewVersion(Given):
    """A version to be added. Its content is sent afterwards."""

    name: str | None = Field(default=None, description="Default: the next free of `1.0`, `1.1`, ...")
    change_log: str = ""
    parent: int | None = Field(
        default=None, ge=1, le=MAX_ID, description="Id of the version of the same image it was made from."
    )
    allow_imaging: bool = True
    min_cpu: int | None = None
    min_mem: int | None = None
    doc_object_id: str | None = None


class VersionChange(Given):
    """What is to be changed; members that are absent stay as they are."""

    name: str | None = None
    change_log: str | None = None
    end_date: GivenTime | None = None
    allow_imaging: bool | None = None
    min_cpu: int | None = None
    min_mem: int | None = None
    doc_object_id: str | None = None


class VersionContent(Shown):
    """The bytes of a version. format: as its first bytes tell, such as `qcow2`; `unknown` if they do not."""

    sha256: str
    size_bytes: int
    format: str


class Download(Shown):
    """How the content of a version is or was fetched. source: the URL without its query, its password replaced."""

    source: str
    error: str | None
    created_at: ShownTime
    started_at: ShownTime | None
    finished_at: ShownTime | None


class Version(Shown):
    """A version of a machine image.

    content is null until it has come; download tells of the last attempt to fetch it. min_mem is in MB.
    """

    id: int
    uuid: str
    image_id: int
    name: str
    change_log: str
    parent: VersionInShort | None
    allow_imaging: bool
    min_cpu: int | None
    min_mem: int | None
    doc_object_id: str | None
    author: Person
    start_date: ShownTime
    end_date: ShownTime | None
    content: VersionContent | None
    download: Download | None


class VersionPage(Listed):
    """Oldest first."""

    items: list[Version]
    next_cursor: str | None


class NewImport(Given):
    """From where a version's content is to be fetched: an http, https or sftp URL."""

    url: str
