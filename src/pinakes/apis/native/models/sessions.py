"""Bodies about sessions: who logs in, and who is logged in."""

from typing import Literal

from pydantic import Field

from pinakes.apis.native.models.values import Given, Person, Shown, ShownTime

KindName = Literal["clinical", "machine", "slide"]


class NewSession(Given):
    """Who logs in."""

    username: str
    password: str = Field(repr=False)


class Session(Shown):
    """Who asks. kinds: of image, that they have to do with.   scope: null if what they may do is not limited further.

    end_date: when the session ends, or the token lapses if it is not used any more; null for never.
    """

    user: Person
    email: str
    kinds: list[KindName]
    is_staff: bool
    scope: str | None
    end_date: ShownTime | None
