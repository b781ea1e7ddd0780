"""A picture as one actor may see it."""

from dataclasses import dataclass

from pinakes.core.actor import Kind
from pinakes.imaging.source import Description, Size


@dataclass(frozen=True, slots=True)
class ViewedImage:
    """A version with pixels, as one actor may see it. Only for the request it was asked for in.

    description: its `associated` are those the actor may see; `size` is given; `levels` are none only of what can be
    seen in small alone.
    may_see_identity: whether the actor may see what in the file tells who is shown.
    is_public: whether anyone may see it.
    """

    image_id: int
    version_id: int
    version_name: str
    digest: str
    description: Description
    may_see_identity: bool
    is_public: bool
    kind: Kind

    @property
    def size(self) -> Size:
        """Of the whole picture."""
        assert self.description.size is not None
        return self.description.size
