"""The Content-Disposition of a download: under which name the client is to keep it (RFC 6266)."""

import re
from urllib.parse import quote

_PLAIN = re.compile(r"[^\x20-\x7e]|[\"%/\\]")


def attachment(file_name: str) -> str:
    """The header's value: to be kept, not shown, under this name.

    A name beyond printable ASCII, or with what clients disagree about in it, is given twice: in ASCII with `_` for what
    does not fit, and whole in the form of RFC 8187, which counts where it is understood.
    """
    plain = _PLAIN.sub("_", file_name)
    if plain == file_name:
        return f'attachment; filename="{plain}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name, safe='', errors='replace')}"
