"""Who asks: the actor that every operation is given, and the words it is described with."""

import enum
from dataclasses import dataclass, replace

from pinakes.core.errors import ScopeInvalid


class Kind(enum.StrEnum):
    """The kinds of image an institution keeps (DESIGN.md, the first table)."""

    CLINICAL = "clinical"
    MACHINE = "machine"
    SLIDE = "slide"


class Visibility(enum.StrEnum):
    """Who may see a machine image or a namespace beyond its own people."""

    PRIVATE = "private"
    INTERNAL = "internal"  # every user of the kind
    PUBLIC = "public"  # anyone


class Resource(enum.StrEnum):
    """What a scope can speak of: Djinn's words (contracts/djinn.md 2.2)."""

    BUILD = "build"
    INVITE = "invite"
    IMAGE = "image"
    NAMESPACE = "namespace"
    OBJECT = "object"
    VARIABLE = "variable"
    KEY = "key"
    CRON = "cron"
    WEBHOOK = "webhook"


class Permission(enum.StrEnum):
    """In the order in which a scope is written back."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a token may do: for each resource, some permissions. No permission implies another."""

    items: tuple[tuple[Resource, frozenset[Permission]], ...]

    @classmethod
    def parse(cls, text: str) -> "Scope":
        """Read `resource:perm[,perm...]` items separated by spaces; repeated resources merge.

        Raises ScopeInvalid for an unknown word, an item without a colon, or a text without any item.
        """
        merged: dict[Resource, frozenset[Permission]] = {}
        for item in text.split(" "):
            if not item:
                continue
            name, colon, permissions = item.partition(":")
            if not colon:
                raise ScopeInvalid
            try:
                resource = Resource(name)
                granted = frozenset(Permission(word) for word in permissions.split(","))
            except ValueError as exc:
                raise ScopeInvalid from exc
            merged[resource] = merged.get(resource, frozenset()) | granted
        if not merged:
            raise ScopeInvalid
        return cls(tuple(merged.items()))

    def allows(self, resource: Resource, permission: Permission) -> bool:
        return any(name is resource and permission in granted for name, granted in self.items)

    def __str__(self) -> str:
        return " ".join(f"{name}:{','.join(p for p in Permission if p in granted)}" for name, granted in self.items)


@dataclass(frozen=True, slots=True)
class Actor:
    """One caller, through one entrance.

    user_id is None for an anonymous caller, and for the archive itself (`api` is then "system").
    scope is None where the credential sets no limit.
    may_identify: whether the credential goes so far as to show who is in a picture, to whom the policy shows that.
    """

    api: str
    user_id: int | None = None
    name: str = ""
    email: str = ""
    user_created_at: int = 0
    kinds: frozenset[Kind] = frozenset()
    is_staff: bool = False
    scope: Scope | None = None
    token_id: int | None = None
    may_identify: bool = True

    @property
    def is_anonymous(self) -> bool:
        return self.user_id is None

    def has_kind(self, kind: Kind) -> bool:
        return kind in self.kinds

    def may(self, resource: Resource, permission: Permission) -> bool:
        """Whether the credential's scope allows it; an anonymous caller has no scope to fall short of."""
        return self.scope is None or self.scope.allows(resource, permission)

    def as_plain_user(self) -> "Actor":
        """The same user without staff rights, for the APIs in which they do not count (DESIGN.md section 2)."""
        return replace(self, is_staff=False) if self.is_staff else self
