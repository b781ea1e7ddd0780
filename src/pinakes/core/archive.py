"""The assembled core: the one thing an API, the command line or a worker is given."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pinakes.core.access.credentials import Credentials
from pinakes.core.access.directory import Directory
from pinakes.core.access.groups import Groups
from pinakes.core.access.own_tokens import OwnTokens
from pinakes.core.access.profiles import Profiles
from pinakes.core.access.users import Users
from pinakes.core.access.view_links import ViewLinks
from pinakes.core.analysis.analyser import AnalysisOptions, SlideAnalyser
from pinakes.core.analysis.analysis import Analysis
from pinakes.core.analysis.heat import HeatMaps
from pinakes.core.analysis.models import Models
from pinakes.core.annotations.annotations import MAX_BYTES as MAX_ANNOTATION_BYTES
from pinakes.core.annotations.annotations import Annotations
from pinakes.core.annotations.region_files import RegionFiles
from pinakes.core.catalogue.bookmarks import Bookmarks
from pinakes.core.catalogue.icons import Icons
from pinakes.core.catalogue.image_listing import ImageListing
from pinakes.core.catalogue.images import Images
from pinakes.core.catalogue.lifecycle import Lifecycle
from pinakes.core.catalogue.machine_catalogue import MachineCatalogue
from pinakes.core.catalogue.machines import Machines
from pinakes.core.catalogue.memberships import Memberships
from pinakes.core.catalogue.metrics import Metrics
from pinakes.core.catalogue.patterns import Patterns
from pinakes.core.catalogue.registration import Registration
from pinakes.core.catalogue.shares import Shares
from pinakes.core.catalogue.tag_records import FEATURED
from pinakes.core.catalogue.taggings import Taggings
from pinakes.core.catalogue.tags import Tags
from pinakes.core.catalogue.versions import Versions
from pinakes.core.clinic.images import ClinicalImages
from pinakes.core.clinic.register import Register
from pinakes.core.clock import Clock, now
from pinakes.core.content.content import Content
from pinakes.core.content.copies import Copies
from pinakes.core.content.inbox import Inbox
from pinakes.core.content.store import ContentStore
from pinakes.core.db.engine import Database
from pinakes.core.imports.fetching import Fetcher
from pinakes.core.imports.imports import Imports
from pinakes.core.imports.transfer import ImportLimits
from pinakes.core.ingest.ingest import Ingest
from pinakes.core.jobs.jobs import Jobs
from pinakes.core.namespaces.membership import Membership
from pinakes.core.namespaces.namespaces import Namespaces
from pinakes.core.readtrail import ReadTrail
from pinakes.core.renditions.cache import PictureCache
from pinakes.core.renditions.decoder import Decoder
from pinakes.core.renditions.reading import ContentReader
from pinakes.core.renditions.renditions import Renditions
from pinakes.core.renditions.series import Series
from pinakes.core.slides.annotating import SlideAnnotations
from pinakes.core.slides.logs import SlideLogs
from pinakes.core.slides.prediction import Predictions
from pinakes.core.slides.runs import Runs
from pinakes.core.slides.sharing import Sharing
from pinakes.core.slides.slides import Slides
from pinakes.core.slides.uploads import SlideUploads, UploadOptions
from pinakes.imaging.decoding.pool import DecodingPool
from pinakes.imaging.decoding.requests import Bounds

_GIB = 1024**3
_DECODING = Bounds(memory_bytes=2 * _GIB, seconds=30.0)


@dataclass(frozen=True, slots=True)
class CacheLimits:
    """How many bytes of the local disk caches may take. renditions: encoded pictures; 0 for none.

    copies: of content that lies in a bucket, for decoding; larger content is not decoded.
    regions: where the regions of annotations lie.
    """

    renditions: int = 4 * _GIB
    copies: int = 32 * _GIB
    regions: int = 2 * _GIB


@dataclass(frozen=True, slots=True)
class Archive:
    """Everything Pinakes can do, by subject."""

    database: Database
    store: ContentStore
    content: Content
    trail: ReadTrail
    users: Users
    credentials: Credentials
    view_links: ViewLinks
    images: Images
    image_listing: ImageListing
    machines: Machines
    machine_catalogue: MachineCatalogue
    tags: Tags
    taggings: Taggings
    clinical_images: ClinicalImages
    register: Register
    namespaces: Namespaces
    membership: Membership
    jobs: Jobs
    annotations: Annotations
    slide_annotations: SlideAnnotations
    slide_uploads: SlideUploads
    slides: Slides
    slide_sharing: Sharing
    slide_logs: SlideLogs
    runs: Runs
    analysis: Analysis
    models: Models
    heat_maps: HeatMaps
    registration: Registration
    lifecycle: Lifecycle
    icons: Icons
    shares: Shares
    groups: Groups
    imports: Imports
    versions: Versions
    bookmarks: Bookmarks
    patterns: Patterns
    memberships: Memberships
    metrics: Metrics
    profiles: Profiles
    own_tokens: OwnTokens
    directory: Directory
    series: Series
    renditions: Renditions
    ingest: Ingest
    clock: Clock

    def close(self) -> None:
        """Write what is pending and let go of everything."""
        self.renditions.close()
        self.trail.close()
        self.database.close()


def assemble(
    database: Database,
    store: ContentStore,
    *,
    journal_directory: Path,
    clock: Clock = now,
    max_upload_bytes: int | None = None,
    reserve_bytes: int = 0,
    max_annotation_bytes: int = MAX_ANNOTATION_BYTES,
    upload_options: UploadOptions | None = None,
    inbox: Inbox | None = None,
    import_limits: ImportLimits | None = None,
    reserved_tags: Iterable[str] = (FEATURED,),
    cache_directory: Path | None = None,
    cache_limits: CacheLimits | None = None,
    decoder: Decoder | None = None,
    analysis: AnalysisOptions | None = None,
) -> Archive:
    """Build the core on an open database and store.

    journal_directory: a local folder for what must survive a killed process until it is in the database.
    upload_options: for the upload of slides; None for the defaults.   import_limits: likewise.
    reserved_tags: names of tags that only staff may put on images.
    inbox: where clients put slides themselves; None if they send them here.
    cache_directory: a local folder that may be deleted at any time; None for one beside the journals.
    decoder: what decodes pictures; None for one process with limits of its own, started when it is first needed.
    analysis: how predictions are computed; None where they are not: all processes but workers.
    """
    caches, bounds = cache_directory or journal_directory.parent / "cache", cache_limits or CacheLimits()
    copies = Copies(caches / "content", bounds.copies, reserve_bytes=reserve_bytes)
    content = Content(database, store, clock, max_bytes=max_upload_bytes, reserve_bytes=reserve_bytes, copies=copies)
    trail = ReadTrail(database, journal_directory)
    credentials = Credentials(database, trail, clock)
    jobs = Jobs(database, clock)
    images = Images(database, content, trail, jobs, clock)
    region_files = RegionFiles(content, caches / "regions", bounds.regions, reserve_bytes=reserve_bytes)
    annotations = Annotations(database, content, trail, region_files, clock, max_bytes=max_annotation_bytes)
    slide_uploads = SlideUploads(database, content, clock, upload_options or UploadOptions(), inbox)
    runs = Runs(database, jobs, clock)
    models = Models(database, content, caches / "models", clock)
    analyser = None if analysis is None else SlideAnalyser(database, content, annotations, models, clock, analysis)
    most_running = 1 if analysis is None else analysis.most_running
    jobs.register(Predictions(database, annotations, clock, analyser=analyser, most_running=most_running).kind)
    machines = Machines(database, images, clock)
    tags = Tags(database, clock, reserved_tags)
    limits = import_limits or ImportLimits()
    imports = Imports(database, content, images, machines, jobs, Fetcher(limits), clock, max_bytes=limits.max_bytes)
    jobs.register(imports.kind)
    decoder = decoder or DecodingPool(1, _DECODING)
    reader = ContentReader(database, content, decoder, clock)
    pictures = PictureCache(caches / "renditions", bounds.renditions)
    renditions = Renditions(database, content, trail, decoder, reader, pictures, clock)
    ingest = Ingest(database, renditions, reader, clock)
    jobs.register(ingest.kind)
    return Archive(
        database=database,
        store=store,
        content=content,
        trail=trail,
        users=Users(database, clock),
        credentials=credentials,
        view_links=ViewLinks(database, credentials, clock),
        images=images,
        image_listing=ImageListing(database, images, clock),
        machines=machines,
        machine_catalogue=MachineCatalogue(database, tags, clock),
        tags=tags,
        taggings=Taggings(database, tags, clock),
        clinical_images=ClinicalImages(database, images, clock),
        register=Register(database, images, clock),
        namespaces=Namespaces(database, clock),
        membership=Membership(database, clock),
        jobs=jobs,
        annotations=annotations,
        slide_annotations=SlideAnnotations(database, annotations, clock),
        slide_uploads=slide_uploads,
        slides=Slides(database, images, slide_uploads, runs, clock),
        slide_sharing=Sharing(database, clock),
        slide_logs=SlideLogs(database, clock),
        runs=runs,
        analysis=Analysis(database, runs, models, clock),
        models=models,
        heat_maps=HeatMaps(database, renditions, trail, clock),
        registration=Registration(database, machines, images, tags, clock),
        lifecycle=Lifecycle(database, images, clock),
        icons=Icons(database, images, content, clock),
        shares=Shares(database, clock),
        groups=Groups(database, clock),
        imports=imports,
        versions=Versions(database, clock),
        bookmarks=Bookmarks(database, clock),
        patterns=Patterns(database, clock),
        memberships=Memberships(database, clock),
        metrics=Metrics(database, clock),
        profiles=Profiles(database, clock),
        own_tokens=OwnTokens(database, credentials, clock),
        directory=Directory(database),
        series=Series(database, clock),
        renditions=renditions,
        ingest=ingest,
        clock=clock,
    )
