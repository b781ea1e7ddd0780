"""Bodies about machine images as such, and about the tags they are found by."""

from typing import Literal

from pydantic import Field

from pinakes.apis.native.models.values import Given, GivenTime, Listed, Person, Shown, ShownTime, VisibilityName
from pinakes.apis.native.models.versions import VersionInShort
from pinakes.core.catalogue.machine_catalogue import MOST_TAGS


class NewVmImage(Given):
    """A machine image to be registered. `is_public` is another word for `visibility`; give one of them."""

    name: str
    description: str | None = None
    visibility: VisibilityName | None = None
    is_public: bool | None = None
    tags: list[str] = Field(default=[], max_length=MOST_TAGS, description="Names of tags that exist.")
    end_date: GivenTime | None = None
    namespace: str | None = Field(default=None, description="Path of the namespace to put it into: `a/b`, `a/b@owner`.")
    ci_name: str | None = Field(default=None, description="Name under which Djinn CI is to show it.")


class VmImageChange(Given):
    """What is to be changed; members that are absent stay as they are."""

    name: str | None = None
    description: str | None = None
    visibility: VisibilityName | None = None
    is_public: bool | None = None
    tags: list[str] | None = Field(default=None, max_length=MOST_TAGS)
    end_date: GivenTime | None = None


class VmImage(Shown):
    """A machine image.

    namespace and ci_name are Djinn CI's words for it; icon is a path below the root of the server.
    """

    id: int
    uuid: str
    name: str
    description: str | None
    visibility: VisibilityName
    is_public: bool
    namespace: str | None
    ci_name: str | None
    created_by: Person
    start_date: ShownTime
    end_date: ShownTime | None
    tags: list[str]
    icon: str | None
    versions: list[VersionInShort]


class VmImagePage(Listed):
    """Newest first."""

    items: list[VmImage]
    next_cursor: str | None


class Transfer(Given):
    """To whom an image is given."""

    username: str


class Moderation(Given):
    """What staff decide about an image; absent members stay as they are."""

    is_hidden: Literal[True] | None = Field(default=None, description="Makes it private.")
    is_featured: bool | None = Field(default=None, description="Gives or takes the reserved tag.")
    is_ended: Literal[True] | None = Field(default=None, description="Ends it now.")


class NewTag(Given):
    name: str
    description: str


class Tag(Shown):
    id: int
    uuid: str
    name: str
    description: str


class TagPage(Listed):
    items: list[Tag]
    next_cursor: str | None
