"""From core values to Djinn CI's JSON (djinn contract, sections 3 and 6).

base: the API's external address, without a final slash.
is_insider: the viewer is one of the people of what is shown; others do not see e-mail addresses (contract 2.7).
"""

import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pinakes.core.access.people import Person
from pinakes.core.actor import Actor
from pinakes.core.catalogue.machine_records import Download, MachineImage
from pinakes.core.clock import SECOND, Instant
from pinakes.core.namespaces.people import Invite
from pinakes.core.namespaces.records import Namespace

Json = dict[str, Any]

DRIVER = "qemu"
"""Clients fail on anything but ssh, qemu and docker; every image kept here is a qcow2 (contract, section 3)."""

NAMESPACE_LINKS = (
    "builds",
    "namespaces",
    "images",
    "objects",
    "variables",
    "keys",
    "collaborators",
    "invites",
    "webhooks",
)

UNMODELLED = ("builds", "objects", "variables", "keys", "webhooks")
"""Links whose lists are always empty here, so that an advertised URL answers."""


def timestamp(instant: Instant) -> str:
    """UTC, whole seconds: `2006-01-02T15:04:05Z`."""
    return _second(instant // SECOND)


@lru_cache(4096)
def _second(second: int) -> str:
    """A page shows the same people again and again; formatting their times was a third of making a list."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


def index(base: str) -> Json:
    return {
        "images_url": f"{base}/images",
        "namespaces_url": f"{base}/namespaces",
        "invites_url": f"{base}/invites",
        "user_url": f"{base}/user",
    }


def actor(who: Actor) -> Json:
    """The user of a token."""
    return {
        "id": who.user_id,
        "email": who.email,
        "username": who.name,
        "created_at": timestamp(who.user_created_at),
    }


def person(shown: Person, *, is_insider: bool) -> Json:
    return {
        "id": shown.id,
        "email": shown.email if is_insider else "",
        "username": shown.name,
        "created_at": timestamp(shown.created_at),
    }


def namespace(shown: Namespace, base: str, *, is_insider: bool) -> Json:
    """`parent` is filled in up to the root; `build` is always null (no builds here)."""
    url = f"{base}/n/{shown.owner.name}/{shown.path}"
    return {
        "id": shown.id,
        "user_id": shown.owner.id,
        "root_id": shown.root_id,
        "parent_id": shown.parent_id,
        "name": shown.name,
        "path": shown.path,
        "description": shown.description,
        "visibility": shown.visibility.value,
        "created_at": timestamp(shown.created_at),
        "url": url,
        **{f"{word}_url": f"{url}/-/{word}" for word in NAMESPACE_LINKS},
        "user": person(shown.owner, is_insider=is_insider),
        "parent": namespace(shown.parent, base, is_insider=is_insider) if shown.parent else None,
        "build": None,
    }


def image(shown: MachineImage, base: str, *, is_insider: bool) -> Json:
    """`namespace` is absent where there is none; `download` is null for what was uploaded."""
    author = person(shown.author, is_insider=is_insider)
    body = {
        "id": shown.id,
        "user_id": shown.owner.id,
        "author_id": shown.author.id,
        "namespace_id": shown.namespace.id if shown.namespace else None,
        "name": shown.ci_name,
        "driver": DRIVER,
        "created_at": timestamp(shown.created_at),
        "url": f"{base}/images/{shown.id}",
        "download": download(shown.download, is_insider=is_insider) if shown.download else None,
        "user": author if shown.owner == shown.author else person(shown.owner, is_insider=is_insider),
        "author": author,
    }
    if shown.namespace is not None:
        body["namespace"] = namespace(shown.namespace, base, is_insider=is_insider)
    return body


def download(shown: Download, *, is_insider: bool) -> Json:
    """How an import went (contract 7.2). Where from is empty for strangers: a URL may hold more than a password."""
    return {
        "source": shown.source if is_insider else "",
        "error": shown.error,
        "created_at": timestamp(shown.created_at),
        "started_at": None if shown.started_at is None else timestamp(shown.started_at),
        "finished_at": None if shown.finished_at is None else timestamp(shown.finished_at),
    }


def collaborator(shown: Person, of: Namespace, base: str) -> Json:
    """Only the owner sees it."""
    url = f"{base}/n/{of.owner.name}/{of.path}/-/collaborators/{shown.name}"
    return {**person(shown, is_insider=True), "url": url}


def invite(shown: Invite, base: str, viewer: Actor) -> Json:
    return {
        "id": shown.id,
        "namespace_id": shown.namespace.id,
        "invitee_id": shown.invitee.id,
        "inviter_id": shown.inviter.id,
        "url": f"{base}/invites/{shown.id}",
        **_invited(shown, base, viewer, is_insider=shown.namespace.owner.id == viewer.user_id),
    }


def accepted(shown: Invite, base: str, viewer: Actor) -> Json:
    """What an invite becomes once the viewer has accepted it, and so is one of the people."""
    return _invited(shown, base, viewer, is_insider=True)


def _invited(shown: Invite, base: str, viewer: Actor, *, is_insider: bool) -> Json:
    return {
        "namespace": namespace(shown.namespace, base, is_insider=is_insider),
        "inviter": person(shown.inviter, is_insider=is_insider),
        "invitee": person(shown.invitee, is_insider=is_insider or shown.invitee.id == viewer.user_id),
    }


def strings(members: Mapping[str, Any], *names: str) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """The named members of a JSON object as texts, and what is wrong with them. Absent and null are empty texts."""
    texts: dict[str, str] = {}
    wrong: dict[str, tuple[str, ...]] = {}
    for name in names:
        value = members.get(name)
        texts[name] = value if isinstance(value, str) else ""
        if not isinstance(value, str | None):
            wrong[name] = ("must be a string",)
    return texts, wrong
