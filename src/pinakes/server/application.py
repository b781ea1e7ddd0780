"""The ASGI application of one server process: the archive, every API mounted, and what the server says of itself."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator

from starlette.types import ASGIApp, Receive, Scope, Send

from pinakes import apis, opening
from pinakes.config import Settings
from pinakes.core.archive import Archive
from pinakes.server.accesslog import AccessLog, named
from pinakes.server.health import Readiness, health, index
from pinakes.server.maintenance import Maintenance
from pinakes.web.api import Api, ApiContext
from pinakes.web.bridge import Bridge
from pinakes.web.mounts import Mount, Mounts
from pinakes.web.origin import Origins, Place, TrustedProxies


def found_apis() -> Iterator[Api]:
    """Every API of this installation: each package under `pinakes.apis` holds one as `API`."""
    for module in sorted(pkgutil.iter_modules(apis.__path__), key=lambda module: module.name):
        package = importlib.import_module(f"{apis.__name__}.{module.name}")
        if isinstance(api := getattr(package, "API", None), Api):
            yield api


def build(settings: Settings, is_stopping: Callable[[], bool] = lambda: False) -> ASGIApp:
    """Open the archive and put the application together. Raises OpeningFailed.

    is_stopping: whether the server has been told to stop; see `ApiContext`.
    """
    archive = opening.open_archive(settings)
    trusted = TrustedProxies(str(network) for network in settings.trusted_proxies)
    bridge = Bridge(archive.database.is_local, settings.threads)
    context = ApiContext(
        archive=archive,
        bridge=bridge,
        origins=Origins(settings.public_url, trusted),
        max_json_bytes=settings.max_json_bytes,
        time_zone=settings.zone,
        scratch=settings.scratch,
        allowed_origins=settings.allowed_origins,
        places={api.name: Place(settings.path_of(api.name), settings.host_of(api.name)) for api in found_apis()},
        session_seconds=settings.session_seconds,
        is_stopping=is_stopping,
    )
    maintenance = Maintenance(
        archive,
        every_seconds=settings.sweep_every_seconds,
        min_age_seconds=settings.sweep_min_age_seconds,
        scratch_folder=settings.scratch,
    )
    application = Mounts(
        _mounts(settings, context),
        on_start=[lambda: _recover(archive), maintenance.start, archive.renditions.start],
        on_stop=[maintenance.stop, bridge.close, archive.close],
        trusted=trusted,
    )
    return AccessLog(application) if settings.access_log else application


def check_places(settings: Settings) -> None:
    """Raises ValueError if two APIs are to be mounted at one place, without opening anything."""
    Mounts(_place(settings, api, _nothing) for api in found_apis())


def _mounts(settings: Settings, context: ApiContext) -> list[Mount]:
    mounted = [_place(settings, api, api.create(context)) for api in found_apis()]
    readiness = Readiness(context.archive, context.bridge)
    own = [
        Mount(health(), "/healthz", None, "healthz"),
        Mount(readiness.resource, "/readyz", None, "readyz"),
    ]
    if not any(mount.path == "" and "" in mount.parts for mount in mounted):
        own.append(Mount(index(mounted), "", None, "index"))
    return [*mounted, *own]


def _place(settings: Settings, api: Api, app: ASGIApp) -> Mount:
    return Mount(
        named(api.name, app),
        settings.path_of(api.name),
        settings.host_of(api.name),
        api.name,
        collapse_doubled=api.collapses_doubled_path,
        loose_slashes=api.has_loose_slashes,
        parts=api.parts,
    )


def _recover(archive: Archive) -> None:
    """Take over what processes that died had noted of reads."""
    archive.trail.recover()


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Stands in for an application where only its place matters."""
