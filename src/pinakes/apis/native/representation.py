"""From core values to what goes over the wire."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Literal, TypeVar
from uuid import UUID

from pinakes.apis.native.models import annotations as annotation_models
from pinakes.apis.native.models import images, jobs, runs, sharing, versions, viewing, vm_images
from pinakes.apis.native.models.values import Given
from pinakes.apis.native.models.values import Person as ShownPerson
from pinakes.apis.native.viewers import Addresses
from pinakes.core.access import people
from pinakes.core.access.groups import Group
from pinakes.core.actor import Visibility
from pinakes.core.analysis.results import Provenance, SeenRun
from pinakes.core.annotations import metric
from pinakes.core.annotations.records import Source
from pinakes.core.audit import Recorded
from pinakes.core.catalogue.ci_places import CiPlace
from pinakes.core.catalogue.descriptions import Described
from pinakes.core.catalogue.image_listing import ListedImage, PictureSummary
from pinakes.core.catalogue.machine_listing import CatalogueImage
from pinakes.core.catalogue.machine_records import Download
from pinakes.core.catalogue.records import Version as StoredVersion
from pinakes.core.catalogue.shares import ImageShares
from pinakes.core.catalogue.tag_records import Tag
from pinakes.core.catalogue.version_records import MachineVersion, VersionSummary
from pinakes.core.clock import Instant
from pinakes.core.errors import InvalidFields
from pinakes.core.jobs.jobs import Job, JobLogLine
from pinakes.core.page import PageRequest
from pinakes.core.slides.annotating import Versions
from pinakes.core.slides.states import Stage
from pinakes.imaging.source import Level

T = TypeVar("T")


def dashed(uid: str) -> str:
    """A uid as clients know it: `f81d4fae-7dec-11d0-a765-00a0c91e6bf6`."""
    return str(UUID(uid))


def cursor_after(found: Sequence[Any], limit: int) -> str | None:
    """The cursor of the next page, if as many were found as a page takes."""
    return str(found[-1].id) if len(found) == limit else None


def page_after(page: PageRequest, total: int) -> str | None:
    """The cursor of the next page of a list that is walked by the numbers of its pages, if there is one."""
    return str(page.number + 1) if page.number * page.size < total else None


def given(change: Given, never_null: Collection[str]) -> dict[str, Any]:
    """The members that a change holds. Raises InvalidFields for null where there must be something."""
    members = {name: getattr(change, name) for name in change.model_fields_set}
    nothing = {name: ("may not be null",) for name, value in members.items() if value is None and name in never_null}
    if nothing:
        raise InvalidFields(nothing)
    return members


def person(shown: people.Person) -> ShownPerson:
    return ShownPerson(id=shown.id, uuid=dashed(shown.uid), username=shown.name)


def vm_image(shown: CatalogueImage, place: CiPlace) -> vm_images.VmImage:
    summary = shown.summary
    return vm_images.VmImage(
        id=summary.id,
        uuid=dashed(summary.uid),
        name=summary.name,
        description=summary.description,
        visibility=shown.visibility.value,
        is_public=shown.visibility is Visibility.PUBLIC,
        namespace=place.namespace,
        ci_name=place.name,
        created_by=person(summary.author),
        start_date=summary.created_at,
        end_date=summary.end_at,
        tags=[tag.name for tag in summary.tags],
        icon=f"/images/{summary.icon}" if summary.icon else None,
        versions=[_in_short(version) for version in shown.versions],
    )


def _in_short(shown: VersionSummary) -> versions.VersionInShort:
    return versions.VersionInShort(id=shown.id, uuid=dashed(shown.uid), name=shown.name)


def version(shown: MachineVersion, fetched: Download | None) -> versions.Version:
    return versions.Version(
        id=shown.id,
        uuid=dashed(shown.uid),
        image_id=shown.image.id,
        name=shown.name,
        change_log=shown.change_log,
        parent=_in_short(shown.parent) if shown.parent else None,
        allow_imaging=shown.allows_imaging,
        min_cpu=shown.min_cpu,
        min_mem=shown.min_mem_mb,
        doc_object_id=shown.doc_object_id,
        author=person(shown.author),
        start_date=shown.created_at,
        end_date=shown.end_at,
        content=content(shown),
        download=download(fetched) if fetched else None,
    )


def download(shown: Download) -> versions.Download:
    return versions.Download(
        source=shown.source.partition("?")[0],  # a query may hold a signature, and whoever reads the image sees this
        error=shown.error,
        created_at=shown.created_at,
        started_at=shown.started_at,
        finished_at=shown.finished_at,
    )


def content(shown: MachineVersion | StoredVersion | None) -> versions.VersionContent | None:
    if shown is None or shown.digest is None or shown.size_bytes is None or shown.format is None:
        return None
    return versions.VersionContent(sha256=shown.digest, size_bytes=shown.size_bytes, format=shown.format)


def tag(shown: Tag) -> vm_images.Tag:
    return vm_images.Tag(id=shown.id, uuid=dashed(shown.uid), name=shown.name, description=shown.description)


def shares(shown: ImageShares) -> sharing.Shares:
    return sharing.Shares(
        users=[sharing.UserShare(username=share.user.name, end_date=share.end_at) for share in shown.users],
        groups=[sharing.GroupShare(name=share.group_name, end_date=share.end_at) for share in shown.groups],
    )


def group_in_short(shown: Group) -> sharing.GroupInShort:
    return sharing.GroupInShort(**_group(shown))


def group(shown: Group) -> sharing.Group:
    return sharing.Group(**_group(shown), members=[person(member) for member in shown.members or ()])


def _group(shown: Group) -> dict[str, Any]:
    return {
        "id": shown.id,
        "uuid": dashed(shown.uid),
        "name": shown.name,
        "owner": person(shown.owner),
        "created_at": shown.created_at,
    }


def job(shown: Job) -> jobs.Job:
    return jobs.Job(
        id=shown.id,
        uuid=dashed(shown.uid),
        kind=shown.kind,
        state=shown.state.value,
        progress=shown.progress,
        error=shown.error,
        image_id=shown.image_id,
        user_id=shown.user_id,
        attempts=shown.attempts,
        created_at=shown.created_at,
        started_at=shown.started_at,
        ended_at=shown.ended_at,
    )


def job_log_line(shown: JobLogLine) -> jobs.JobLogLine:
    return jobs.JobLogLine(at=shown.created_at, message=shown.message)


def listed_image(shown: ListedImage) -> images.ListedImage:
    return images.ListedImage(**_image(shown))


def image(shown: ListedImage, viewer: viewing.Viewer | None) -> images.Image:
    return images.Image(**_image(shown), viewer=viewer)


def _image(shown: ListedImage) -> dict[str, Any]:
    image = shown.image
    return {
        "id": image.id,
        "uuid": dashed(image.uid),
        "kind": image.kind.value,
        "name": image.name,
        "description": image.description,
        "author_id": image.facts.author_id,
        "start_date": image.created_at,
        "end_date": image.facts.end_at,
        "content": content(image.version),
        "picture": picture(shown.picture) if shown.picture else None,
    }


def picture(shown: PictureSummary) -> viewing.PictureInShort:
    return viewing.PictureInShort(
        state=shown.state.value,
        error=shown.error,
        format=shown.format,
        width=shown.width,
        height=shown.height,
        frames=shown.frames,
        captured=shown.captured,
    )


def description(image_id: int, shown: Described, associated: Mapping[str, str]) -> viewing.Description:
    """associated: addresses of the pictures beside it, by their names."""
    read = shown.description
    size = read.size if read else None
    return viewing.Description(
        state=shown.state.value,
        error=shown.error,
        format=read.format if read else None,
        width=size.width if size else None,
        height=size.height if size else None,
        frames=read.frames if read else None,
        captured=read.captured_at if read else None,
        image_id=image_id,
        version=shown.version.name,
        read_at=shown.read_at,
        mpp=viewing.Scale(x=read.mpp[0], y=read.mpp[1]) if read and read.mpp else None,
        levels=[_level(level) for level in read.levels] if read else [],
        associated=_associated(associated),
        facts=dict(read.facts) if read else {},
        warnings=list(read.warnings) if read else [],
        identity=list(read.identity) if read else [],
        pixel_digest=read.pixel_digest if read else None,
    )


def _level(shown: Level) -> viewing.LevelSize:
    return viewing.LevelSize(
        width=shown.size.width,
        height=shown.size.height,
        downsample=shown.downsample,
        tile_width=shown.tile.width if shown.tile else None,
        tile_height=shown.tile.height if shown.tile else None,
    )


def viewer(thumbnail: str, associated: Mapping[str, str], addresses: Addresses | None) -> viewing.Viewer:
    return viewing.Viewer(thumbnail=thumbnail, associated=_associated(associated), **_addresses(addresses))


def _associated(addresses: Mapping[str, str]) -> list[viewing.AssociatedPicture]:
    return [viewing.AssociatedPicture(name=name, url=url) for name, url in addresses.items()]


def view_link(token: str, end_at: Instant, addresses: Addresses | None) -> viewing.ViewLink:
    return viewing.ViewLink(token=token, end_date=end_at, **_addresses(addresses))


def _addresses(found: Addresses | None) -> dict[str, str | None]:
    if found is None:
        return dict.fromkeys(("iiif", "info", "deep_zoom", "manifest"))
    return {"iiif": found.iiif, "info": found.info, "deep_zoom": found.deep_zoom, "manifest": found.manifest}


def event(shown: Recorded) -> images.Event:
    return images.Event(
        id=shown.id,
        at=shown.at,
        action=shown.action,
        api=shown.api,
        actor_id=shown.actor_id,
        subject=shown.subject,
        detail=json.loads(shown.detail) if shown.detail else {},
    )


_SOURCES: Final[Mapping[Source, Literal["machine", "person"]]] = {Source.PREDICTION: "machine", Source.USER: "person"}


def annotations(shown: Versions) -> list[annotation_models.Annotation]:
    return [
        annotation_models.Annotation(
            number=version.number,
            source=_SOURCES[version.source],
            author=None if version.author_id is None else person(shown.authors[version.author_id]),
            run=shown.runs.get(version.number),
            created_at=version.created_at,
            media_type=version.media_type,
            size_bytes=version.size_bytes,
            sha256=version.digest,
            layers=[
                annotation_models.AnnotationLayer(
                    name=layer.name,
                    regions=layer.regions,
                    area_px=layer.area_px,
                    area_mm2=metric.area_mm2(layer, shown.mpp),
                )
                for layer in version.layers
            ],
        )
        for version in shown.annotations
    ]


_STAGES: Final[Mapping[Stage, runs.StageName]] = {
    Stage.TISSUE_AREA: "tissue_area",
    Stage.TILING: "tiling",
    Stage.ANNOTATION: "annotation",
}


def run(shown: SeenRun) -> runs.Run:
    return runs.Run(
        **_progress(shown),
        id=shown.id,
        uuid=dashed(shown.uid),
        image_id=shown.image_id,
        model=shown.model,
        starter_id=shown.starter_id,
        created_at=shown.created_at,
        started_at=shown.started_at,
        ended_at=shown.ended_at,
        result=None if shown.result is None else _result(shown.result),
    )


def run_progress(shown: SeenRun) -> runs.RunProgress:
    return runs.RunProgress(**_progress(shown))


def _progress(shown: SeenRun) -> dict[str, Any]:
    rate = shown.tiles_per_second
    return {
        "state": shown.state.value,
        "stage": None if shown.stage is None else _STAGES[shown.stage],
        "tiles_total": shown.tiles_total,
        "tiles_done": shown.tiles_done,
        "tiles_per_second": None if rate is None else round(rate, 3),
        "seconds_left": shown.seconds_left,
        "error": shown.error,
    }


def _result(shown: Provenance) -> runs.RunResult:
    model = runs.RunModel(
        name=shown.model_name,
        version=shown.model_version,
        sha256=shown.model_sha256,
        files_sha256=shown.model_digest,
        kind=shown.model_kind,
    )
    return runs.RunResult(
        annotation=shown.annotation_number,
        model=model,
        input_sha256=shown.input_digest,
        parameters=dict(shown.parameters),
        software_version=shown.software_version,
        host=shown.host,
        started_at=shown.started_at,
        ended_at=shown.ended_at,
    )
