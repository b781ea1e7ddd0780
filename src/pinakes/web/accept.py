"""Which media type an Accept header asks for (RFC 9110 section 12.5.1)."""

import re
from collections.abc import Sequence

_QUALITY = re.compile(r"[ \t]*q[ \t]*=[ \t]*([01](?:\.[0-9]{0,3})?)[ \t]*", re.IGNORECASE | re.ASCII)


def preferred(header: str | None, offered: Sequence[str]) -> str | None:
    """The one of the offered media types that the client likes best; None if it takes none of them.

    Among those it likes alike, what it names goes before what a wildcard covers, then the order of the offer counts.
    Without a header the first is taken. A weight that cannot be read counts as 1.
    """
    if header is None or not header.strip():
        return offered[0]
    weights = _weights(header)
    best: tuple[float, bool] = (0.0, False)
    found: str | None = None
    for media_type in offered:
        weight, is_named = _weight(weights, media_type)
        if weight > 0 and (found is None or (weight, is_named) > best):
            best, found = (weight, is_named), media_type
    return found


def _weights(header: str) -> dict[str, float]:
    """The weight of each range of media types, 0 to 1; of one named twice the last counts."""
    weights: dict[str, float] = {}
    for part in header.split(","):
        name, *parameters = part.split(";")
        found = [match for parameter in parameters if (match := _QUALITY.fullmatch(parameter))]
        weights[name.strip().lower()] = min(float(found[0][1]), 1.0) if found else 1.0
    return weights


def _weight(weights: dict[str, float], media_type: str) -> tuple[float, bool]:
    """What the most particular range that covers a media type gives it, and whether that names it."""
    for covering in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        if covering in weights:
            return weights[covering], covering == media_type
    return 0.0, False
