"""The fields of a posted form, as they count: names without case, `${filename}` filled in (pathomiq contract 5.2)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

AUTH_V2 = {"awsaccesskeyid": "AWSAccessKeyId", "policy": "policy", "signature": "signature"}
AUTH_V4 = {name: name for name in ("x-amz-algorithm", "x-amz-credential", "x-amz-date", "policy", "x-amz-signature")}
"""The fields that make up each kind of authentication: name without case -> name to be shown."""

_ONCE = {
    "key",
    *AUTH_V2,
    *AUTH_V4,
    "x-amz-security-token",
    "success_action_redirect",
    "success_action_status",
}
_AS_RECEIVED = {*AUTH_V2, *AUTH_V4, "x-amz-security-token"}
_LAST_SEPARATOR = re.compile(r"[/\\]")


@dataclass(frozen=True, slots=True)
class PostForm:
    """What came before the file.

    fields: name in lower case -> value; of a repeated name the values, joined by commas.
    repeated: the names among them that may be given only once, and were given more often.
    """

    fields: Mapping[str, str]
    repeated: tuple[str, ...] = ()

    @classmethod
    def gather(cls, pairs: Iterable[tuple[str, str]], file_name: str | None) -> "PostForm":
        """From names and values in the order in which they were sent.

        file_name: of the file's part; None if it has none, which leaves `${filename}` as it is.
        """
        gathered: dict[str, list[str]] = {}
        for name, value in pairs:
            gathered.setdefault(name.lower(), []).append(value)
        last = None if file_name is None else _LAST_SEPARATOR.split(file_name)[-1]
        fields = {name: _expanded(name, ",".join(values), last) for name, values in gathered.items()}
        return cls(fields, tuple(name for name, values in gathered.items() if len(values) > 1 and name in _ONCE))

    @property
    def key(self) -> str:
        return self.fields["key"]


def _expanded(name: str, value: str, file_name: str | None) -> str:
    if file_name is None or name in _AS_RECEIVED:
        return value
    return value.replace("${filename}", file_name)
