"""Bodies about shares, and about the groups of people that images are shared with."""

from pydantic import Field

from pinakes.apis.native.models.values import Given, GivenTime, Listed, Person, Shown, ShownTime
from pinakes.core.access.groups import MOST_MEMBERS
from pinakes.core.catalogue.shares import MOST


class UserShareGiven(Given):
    username: str
    end_date: GivenTime | None = None


class GroupShareGiven(Given):
    name: str
    end_date: GivenTime | None = None


class SharesGiven(Given):
    """With whom an image is to be shared, all of them."""

    users: list[UserShareGiven] = Field(default=[], max_length=MOST)
    groups: list[GroupShareGiven] = Field(default=[], max_length=MOST)


class UserShare(Shown):
    username: str
    end_date: ShownTime | None


class GroupShare(Shown):
    name: str
    end_date: ShownTime | None


class Shares(Shown):
    """With whom an image is shared. What has ended is not here."""

    users: list[UserShare]
    groups: list[GroupShare]


class NewGroup(Given):
    name: str
    members: list[str] = Field(default=[], max_length=MOST_MEMBERS, description="User names.")


class GroupChange(Given):
    """What is to be changed. members: all there are to be."""

    name: str | None = None
    members: list[str] | None = Field(default=None, max_length=MOST_MEMBERS)


class GroupInShort(Shown):
    id: int
    uuid: str
    name: str
    owner: Person
    created_at: ShownTime


class Group(GroupInShort):
    members: list[Person]


class GroupPage(Listed):
    """Ascending by id."""

    items: list[GroupInShort]
    next_cursor: str | None
