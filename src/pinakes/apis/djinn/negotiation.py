"""Whether a client asks for an image's JSON or for its content (djinn contract 8.1)."""

CONTENT_TYPES = ("application/octet-stream", "application/x-qemu-disk")
_JSON = "application/json"


def content_type(accept: str) -> str | None:
    """The content type of ours that an Accept header asks for; None for JSON.

    Ours must be named: wildcards mean JSON. Where JSON is named too, the higher q wins, and content if they are equal.
    """
    best: str | None = None
    best_q = json_q = 0.0
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        q = _quality(parameters)
        if name in CONTENT_TYPES and q > best_q:
            best, best_q = name, q
        elif name == _JSON:
            json_q = max(json_q, q)
    return best if best_q >= json_q else None


def _quality(parameters: list[str]) -> float:
    """The weight, 0 to 1; 1 where none can be read."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 1.0
    return 1.0
