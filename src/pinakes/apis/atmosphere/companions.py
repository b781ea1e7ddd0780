"""From core values to the JSON of what hangs on images (atmosphere contract 8.3, 8.4 and 9).

base: the API's external address, up to before `/api/v2`.
"""

from pinakes.apis.atmosphere.basics import (
    Json,
    View,
    dashed,
    moment,
    reference,
    tag,
    timestamp,
    url,
    user,
)
from pinakes.core.access.credentials import Token
from pinakes.core.access.directory import Entry
from pinakes.core.access.profiles import Profile
from pinakes.core.catalogue.bookmarks import Bookmark
from pinakes.core.catalogue.memberships import Membership
from pinakes.core.catalogue.metrics import ImageMetrics
from pinakes.core.catalogue.patterns import Pattern, Subject
from pinakes.core.catalogue.summaries import ImageSummary
from pinakes.core.catalogue.version_records import GroupSummary, MachineVersion, VersionSummary

PROVIDER_ID = 1
PROVIDER_UID = "1f0c6f3a5b1e4f0a9d5c7e2b8a416d30"
"""Of the one place where content lives: this archive (contract N4)."""

PATTERN_TYPES = {"Username": Subject.NAME, "Email": Subject.EMAIL}
"""What a pattern is compared with, in the clients' words (contract B2)."""

_TYPE_OF = {subject: name for name, subject in PATTERN_TYPES.items()}
_GIB = 2**30
_MASKED_KEY = "*" * 40
"""In place of a token: only a hash of it is kept (contract A1)."""

# -- Versions -----------------------------------------------------------------------------------------------------


def image(shown: ImageSummary, view: View) -> Json:
    """An image in short, as versions and bookmarks show it."""
    return {
        **reference(view.base, "images", shown.id, shown.uid),
        "name": shown.name,
        "description": shown.description,
        "icon": None if shown.icon is None else f"/images/{shown.icon}",
        "tags": [tag(one, view) for one in shown.tags],
        "start_date": timestamp(shown.created_at),
        "end_date": moment(shown.end_at),
        "user": user(shown.author, view.base),
    }


def version(shown: MachineVersion, view: View) -> Json:
    """Contract N2. What is not modelled here is empty."""
    return {
        **version_summary(VersionSummary(shown.id, shown.uid, shown.name), view.base),
        "change_log": shown.change_log,
        "image": image(shown.image, view),
        "parent": None if shown.parent is None else version_summary(shown.parent, view.base),
        "machines": [] if shown.size_bytes is None else [machine(shown, view.base)],
        "allow_imaging": shown.allows_imaging,
        "doc_object_id": shown.doc_object_id,
        "licenses": [],
        "membership": [group(one) for one in shown.groups],
        "scripts": [],
        "min_mem": shown.min_mem_mb,
        "min_cpu": shown.min_cpu,
        "user": user(shown.author, view.base),
        "identity": None,
        "start_date": timestamp(shown.created_at),
        "end_date": moment(shown.end_at),
    }


def version_summary(shown: VersionSummary, base: str) -> Json:
    return {**reference(base, "image_versions", shown.id, shown.uid), "name": shown.name}


def machine(shown: MachineVersion, base: str) -> Json:
    """Where the content of a version lives: one entry, under the version's own id and uuid (contract N4)."""
    return {
        **reference(base, "provider_machines", shown.id, shown.uid),
        "provider": provider(base),
        "version": shown.name,
        "owner": shown.image.author.name,
        "size_gb": -(-(shown.size_bytes or 0) // _GIB),
        "start_date": timestamp(shown.created_at),
        "end_date": moment(shown.end_at),
    }


def provider_machine(shown: MachineVersion, view: View) -> Json:
    """The same where it is asked for by itself (contract S3)."""
    return {
        **machine(shown, view.base),
        "image": image(shown.image, view),
        "version": version_summary(VersionSummary(shown.id, shown.uid, shown.name), view.base),
        "licenses": [],
        "members": [group(one) for one in shown.groups],
    }


def provider(base: str) -> Json:
    return {
        **reference(base, "providers", PROVIDER_ID, PROVIDER_UID),
        "name": "Pinakes",
        "description": "The content store of this archive",
        "public": True,
        "active": True,
        "start_date": None,
        "end_date": None,
    }


# -- Bookmarks and sharing ----------------------------------------------------------------------------------------


def bookmark(shown: Bookmark, view: View) -> Json:
    return {
        **reference(view.base, "image_bookmarks", shown.id, shown.uid),
        "image": image(shown.image, view),
        "user": user(shown.owner, view.base),
    }


def pattern(shown: Pattern, base: str) -> Json:
    """Contract B2."""
    return {
        **reference(base, "pattern_matches", shown.id, shown.uid),
        "pattern": shown.text,
        "type": _TYPE_OF[shown.subject],
        "created_by": user(shown.owner, base),
        "allow_access": shown.allows,
    }


def membership(shown: Membership, base: str) -> Json:
    return {
        **reference(base, "image_version_memberships", shown.id, shown.uid),
        "image_version": version_summary(shown.version, base),
        "group": group(shown.group),
    }


def group(shown: GroupSummary) -> Json:
    """Without a url: `/groups` is always empty here (contract S4)."""
    return {"id": shown.id, "uuid": dashed(shown.uid), "name": shown.name}


# -- Accounts -----------------------------------------------------------------------------------------------------


def token(shown: Token, owner: str, base: str) -> Json:
    """Contract A1. owner: the name of the user whose it is."""
    return {
        "key": _MASKED_KEY,
        "url": f"{base}/api/v2/tokens/{shown.id}",
        "user": owner,
        "api_server_url": base,
        "remote_ip": None,  # not kept
        "issuer": shown.origin,
        "issuedTime": timestamp(shown.created_at),
        "expireTime": moment(shown.lapses_at),
    }


def access_token(shown: Token) -> Json:
    """Contract A2."""
    return {"id": shown.id, "name": shown.name, "issued_time": timestamp(shown.created_at)}


def account(shown: Entry, base: str, *, is_staff: bool) -> Json:
    """A user, and more of it for staff (contract A4). Nobody is a superuser here: the command line is in its place."""
    told = {**user(shown.person, base), "end_date": None}
    if not is_staff:
        return told
    return {
        **told,
        "is_active": shown.is_active,
        "is_staff": shown.is_staff,
        "is_superuser": False,
        "email": shown.person.email,
    }


def profile(shown: Profile, who: Entry, base: str) -> Json:
    """Contract A5."""
    return {
        "id": who.person.id,
        "uuid": dashed(who.person.uid),
        "url": url(base, "users", who.person.uid),
        "username": who.person.name,
        "email": who.person.email,
        "is_staff": who.is_staff,
        "is_superuser": False,
        "send_emails": shown.sends_emails,
        "icon_set": shown.icon_set,
        "is_expired": False,
        "expired_by": None,
        "groups": [],
        "selected_identity": None,
    }


# -- What the web interface waits for -----------------------------------------------------------------------------


def image_metrics(shown: ImageMetrics, base: str) -> Json:
    """Contract S1. There are no forks, projects and instances here."""
    return {
        **reference(base, "image_metrics", shown.id, shown.uid),
        "name": shown.name,
        "metrics": {
            "forks": 0,
            "bookmarks": shown.bookmarks,
            "projects": 0,
            "instances": {"total": 0, "success": 0, "percent": 0},
        },
        "is_featured": shown.is_featured,
    }
