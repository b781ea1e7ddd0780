"""Where Djinn CI has machine images: the name it shows each under, and the namespace it lies in."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from pinakes.core.db.engine import Executor
from pinakes.core.db.schema import djinn_names, images, namespaces, users


@dataclass(frozen=True, slots=True)
class CiPlace:
    """name: None for an image Djinn CI does not show.   namespace: as `path@owner`, None outside any."""

    name: str | None
    namespace: str | None


NOWHERE = CiPlace(None, None)

_PLACES = (
    select(images.c.id, djinn_names.c.name, namespaces.c.path, users.c.name)
    .select_from(
        images.outerjoin(djinn_names, djinn_names.c.image_id == images.c.id)
        .outerjoin(namespaces, namespaces.c.id == images.c.namespace_id)
        .outerjoin(users, users.c.id == namespaces.c.owner_id)
    )
    .where(images.c.id.in_(bindparam("image_ids", expanding=True)))
)


def of_images(connection: Executor, image_ids: Sequence[int]) -> dict[int, CiPlace]:
    """Where each of these images is."""
    if not image_ids:
        return {}
    rows = connection.execute(_PLACES, {"image_ids": list(image_ids)})
    return {row[0]: CiPlace(row[1], f"{row[2]}@{row[3]}" if row[2] is not None else None) for row in rows}
